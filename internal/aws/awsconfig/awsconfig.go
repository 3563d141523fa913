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
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go/middleware"
)

// How a call is tried.
const (
	Attempts       = 5                // the first one included
	MaxBackoff     = 5 * time.Second  // longest wait between two attempts
	ConnectTimeout = 3 * time.Second  // one TCP connection
	TLSTimeout     = 5 * time.Second  // one TLS handshake
	AnswerTimeout  = 10 * time.Second // from the request's last byte to the answer's head
)

// How a call is tried that takes access away. IAM's budget of writes comes back in fractions of a second, and whoever asks
// most often gets the next one: rotations ask after seconds, a revocation at once.
const (
	UrgentAttempts = 60                    // with the waits between them about 3 s in all
	UrgentBackoff  = 75 * time.Millisecond // longest wait between two attempts; the shortest is a third of it
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
		APIOptions:  []func(*middleware.Stack) error{KeepAnswer},
	}
	if url := os.Getenv("AWS_ENDPOINT_URL"); url != "" {
		cfg.BaseEndpoint = &url
	}
	return cfg, nil
}

// Retryer tries a call up to Attempts times, as the SDK's standard mode does. It also tries again what that mode takes for
// final: two of us changing one role at the same moment, and SNS's own word for a throttle.
func Retryer() aws.Retryer {
	return standard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = Attempts, MaxBackoff })
}

// Urgent is a configuration for whoever takes access away.
func Urgent(cfg aws.Config) aws.Config {
	cfg.Retryer = urgentRetryer
	return cfg
}

func urgentRetryer() aws.Retryer {
	backoff := retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) {
		const shortest = UrgentBackoff / 3
		return shortest + rand.N(UrgentBackoff-shortest), nil
	})
	return standard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.Backoff, o.RateLimiter = UrgentAttempts, backoff, ratelimit.None
	})
}

func standard(options func(*retry.StandardOptions)) aws.Retryer {
	return retry.AddWithErrorCodes(retry.NewStandard(options),
		"ConcurrentModification", "ConcurrentModificationException", "Throttled")
}

// Unthrottled is a retryer that leaves a throttled call to the caller, who has to look again before the next try.
func Unthrottled(r aws.Retryer) aws.Retryer { return unthrottled{r} }

type unthrottled struct{ aws.Retryer }

func (u unthrottled) IsErrorRetryable(err error) bool {
	return !retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err).Bool() && u.Retryer.IsErrorRetryable(err)
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
