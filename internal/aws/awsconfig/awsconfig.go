// Package awsconfig is the AWS configuration of Countersign's functions: what Lambda puts into their environment, and
// how long and how often a call is tried.
//
// It reads no file and asks no other service, so that a function starts within milliseconds; the CLI's configuration,
// with profiles and single sign-on, is package operator's. It trusts the environment, which only those who may update the
// function can write.
package awsconfig

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// How a call is tried.
const (
	Attempts       = 5                // the first one included
	MaxBackoff     = 5 * time.Second  // longest wait between two attempts
	ConnectTimeout = 3 * time.Second  // one TCP connection
	TLSTimeout     = 5 * time.Second  // one TLS handshake
	AnswerTimeout  = 10 * time.Second // from the request's last byte to the answer's head
)

// ErrEnvironment says that the process doesn't run with a function's environment.
var ErrEnvironment = errors.New("AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set, as Lambda sets them")

// Load is the configuration of a function, from Lambda's environment: AWS_REGION, the role's credentials, which live as
// long as the process, and AWS_ENDPOINT_URL, which a local emulator sets.
func Load(_ context.Context) (aws.Config, error) {
	region, key, secret := os.Getenv("AWS_REGION"), os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	if region == "" || key == "" || secret == "" {
		return aws.Config{}, ErrEnvironment
	}
	cfg := aws.Config{
		Region:      region,
		Credentials: credentials.NewStaticCredentialsProvider(key, secret, os.Getenv("AWS_SESSION_TOKEN")),
		HTTPClient:  HTTPClient(),
		Retryer:     Retryer,
	}
	if url := os.Getenv("AWS_ENDPOINT_URL"); url != "" {
		cfg.BaseEndpoint = &url
	}
	return cfg, nil
}

// Retryer tries a call up to Attempts times, as the SDK's standard mode does. It also tries again what that mode takes for
// final: two of us changing one role at the same moment, and SNS's own word for a throttle.
func Retryer() aws.Retryer {
	return retry.AddWithErrorCodes(
		retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = Attempts, MaxBackoff }),
		"ConcurrentModification", "ConcurrentModificationException", "Throttled",
	)
}

// HTTPClient gives up on connections and answers well before a function's own time is up.
func HTTPClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = ConnectTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = TLSTimeout
			t.ResponseHeaderTimeout = AnswerTimeout
		})
}
