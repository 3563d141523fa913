package awsconfig_test

import (
	"errors"
	"go/build"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/countersign/countersign/internal/aws/awsconfig"
	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/sts"
)

func setLambda(t *testing.T) {
	t.Helper()
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "example")
	t.Setenv("AWS_SESSION_TOKEN", "token")
	t.Setenv("AWS_ENDPOINT_URL", "")
}

func TestLoadTakesLambdasEnvironment(t *testing.T) {
	setLambda(t)
	cfg, err := awsconfig.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	creds, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil || creds.AccessKeyID != "ASIAIOSFODNN7EXAMPLE" || creds.SessionToken != "token" {
		t.Errorf("credentials of %q with token %q, %v", creds.AccessKeyID, creds.SessionToken, err)
	}
	if cfg.Region != "eu-central-1" || cfg.BaseEndpoint != nil {
		t.Errorf("Region %q, endpoint %v", cfg.Region, cfg.BaseEndpoint)
	}
}

func TestLoadSaysWhatIsMissing(t *testing.T) {
	for _, key := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Run(key, func(t *testing.T) {
			setLambda(t)
			t.Setenv(key, "")
			if _, err := awsconfig.Load(t.Context()); !errors.Is(err, awsconfig.ErrEnvironment) {
				t.Errorf("error = %v, want %v", err, awsconfig.ErrEnvironment)
			}
		})
	}
}

func TestLoadGoesToALocalEmulator(t *testing.T) {
	setLambda(t)
	server := awstest.New(t, awstest.XML(`<GetCallerIdentityResponse><GetCallerIdentityResult><Account>000000000000</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`))
	t.Setenv("AWS_ENDPOINT_URL", *server.Config().BaseEndpoint)
	cfg, err := awsconfig.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if account, _, err := sts.New(cfg).Caller(t.Context()); err != nil || account != "000000000000" {
		t.Errorf("account = %q, %v", account, err)
	}
	if token := server.Only("GetCallerIdentity").Header.Get("X-Amz-Security-Token"); token != "token" {
		t.Errorf("session token sent = %q", token)
	}
}

func TestCallsAreTriedFiveTimesWithinASaneTime(t *testing.T) {
	r := awsconfig.Retryer()
	if r.MaxAttempts() != 5 {
		t.Errorf("attempts = %d, want 5", r.MaxAttempts())
	}
	for attempt := 1; attempt < 5; attempt++ {
		if wait, err := r.RetryDelay(attempt, errors.New("throttled")); err != nil || wait < 0 || wait > 5*time.Second {
			t.Errorf("wait after attempt %d = %v, %v, want at most 5 s", attempt, wait, err)
		}
	}
}

func TestWhoTakesAccessAwayAsksAgainAtOnce(t *testing.T) {
	r := awsconfig.Urgent(aws.Config{}).Retryer()
	throttled := &smithy.GenericAPIError{Code: "Throttling"}
	if r.MaxAttempts() != awsconfig.UrgentAttempts || !r.IsErrorRetryable(throttled) {
		t.Errorf("%d attempts, tries again %t", r.MaxAttempts(), r.IsErrorRetryable(throttled))
	}
	for attempt := 1; attempt < awsconfig.UrgentAttempts; attempt++ {
		wait, err := r.RetryDelay(attempt, throttled)
		if err != nil || wait < awsconfig.UrgentBackoff/3 || wait > awsconfig.UrgentBackoff {
			t.Fatalf("wait after attempt %d = %v, %v", attempt, wait, err)
		}
		if _, err := r.GetRetryToken(t.Context(), throttled); err != nil {
			t.Fatalf("attempt %d is refused by the SDK itself: %v", attempt, err)
		}
	}
}

func TestEveryPartOfAConnectionHasItsLimit(t *testing.T) {
	got := awsconfig.HTTPClient().GetTransport()
	if got.ResponseHeaderTimeout != awsconfig.AnswerTimeout || got.TLSHandshakeTimeout != awsconfig.TLSTimeout {
		t.Errorf("timeouts = %v, %v", got.ResponseHeaderTimeout, got.TLSHandshakeTimeout)
	}
	if d := awsconfig.HTTPClient().GetDialer(); d.Timeout != awsconfig.ConnectTimeout {
		t.Errorf("connect timeout = %v", d.Timeout)
	}
}

func TestFunctionsDoNotLinkTheWholeChain(t *testing.T) {
	// Profiles, single sign-on and instance metadata cost a function a megabyte and start-up time for nothing.
	pkg, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range pkg.Imports {
		if strings.HasSuffix(path, "aws-sdk-go-v2/config") || strings.Contains(path, "sso") || strings.Contains(path, "imds") {
			t.Errorf("imports %s", path)
		}
	}
}
