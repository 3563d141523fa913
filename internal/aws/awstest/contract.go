package awstest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/countersign/countersign/internal/aws/awsconfig"
	"github.com/countersign/countersign/internal/grant"
)

// Service is how one service words the errors that all services have.
type Service struct {
	Error    func(status int, code, message string) Answer
	Throttle string // error codes
	Denied   string
	Internal string

	HandsBack bool // a throttled call isn't tried again: its caller has to look first
}

// The services, as their API references document them.
var (
	IAM            = Service{XMLError, "Throttling", "AccessDenied", "ServiceFailure", false}
	STS            = Service{XMLError, "Throttling", "AccessDenied", "InternalFailure", false}
	SES            = Service{XMLError, "Throttling", "AccessDenied", "InternalFailure", false}
	SNS            = Service{XMLError, "Throttled", "AuthorizationError", "InternalError", false}
	SecretsManager = Service{JSONError, "ThrottlingException", "AccessDeniedException", "InternalServiceError", false}
	DynamoDB       = Service{JSONError, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException", "AccessDeniedException", "InternalServerError", false}
	Organizations  = Service{JSONError, "TooManyRequestsException", "AccessDeniedException", "ServiceException", false}
	SSM            = Service{JSONError, "ThrottlingException", "AccessDeniedException", "InternalServerError", false}
	EventBridge    = Service{JSONError, "ThrottlingException", "AccessDeniedException", "InternalFailure", false}
	CloudWatchLogs = Service{JSONError, "ThrottlingException", "AccessDeniedException", "ServiceUnavailableException", false}
	SESv2          = Service{JSONError, "TooManyRequestsException", "AccessDeniedException", "InternalServiceErrorException", false}
	CloudWatch     = Service{CBORError, "ThrottlingException", "AccessDeniedException", "InternalServiceFault", false}
	SQS            = Service{JSONError, "com.amazonaws.sqs#RequestThrottled", "com.amazonaws.sqs#KmsAccessDenied", "InternalFailure", false}
)

// ThrottleAnswer is the service's "slow down".
func (s Service) ThrottleAnswer() Answer {
	return s.Error(http.StatusBadRequest, s.Throttle, "Rate exceeded")
}

// Contract holds one adapter method to what all of them promise: how often the SDK tries, which sentinel comes out, and
// that no error's text repeats secret values. success is the answer that makes call return nil.
func (s Service) Contract(t *testing.T, success Answer, call func(context.Context, aws.Config) error, secrets ...string) {
	t.Helper()
	var quoted strings.Builder
	quoted.WriteString("1 validation error detected: Value '")
	quoted.WriteString(strings.Join(secrets, " "))
	quoted.WriteString("' failed to satisfy constraint: Member must satisfy regular expression pattern")
	broken := s.Error(http.StatusInternalServerError, s.Internal, "We encountered an internal error.")
	gateway := Raw(http.StatusBadGateway, "text/html", "<html><body>"+quoted.String()+"</body></html>")
	attempts := awsconfig.Attempts

	type row struct {
		name   string
		script []Answer
		want   error // nil: success
		calls  int
	}
	throttled := []row{
		{"throttled once, then answered", []Answer{s.ThrottleAnswer(), success}, nil, 2},
		{"throttled until the attempts are spent", Times(attempts, s.ThrottleAnswer()), grant.ErrThrottled, attempts},
	}
	if s.HandsBack {
		throttled = []row{{"throttled, handed back", []Answer{s.ThrottleAnswer()}, grant.ErrThrottled, 1}}
	}
	for _, tc := range append(throttled, []row{
		{"answered", []Answer{success}, nil, 1},
		{"the answer lost, then answered", []Answer{Lost, success}, nil, 2},
		{"every answer lost", Times(attempts, Lost), grant.ErrUnavailable, attempts},
		{"broken once, then answered", []Answer{broken, success}, nil, 2},
		{"broken", Times(attempts, broken), grant.ErrUnavailable, attempts},
		{"a proxy's error page", Times(attempts, gateway), grant.ErrUnavailable, attempts},
		{"access denied", []Answer{s.Error(http.StatusForbidden, s.Denied, "User: arn:aws:sts::444455556666:assumed-role/r/s is not authorized")}, grant.ErrDenied, 1},
		{"credentials expired", []Answer{s.Error(http.StatusForbidden, "ExpiredTokenException", "The security token included in the request is expired")}, grant.ErrDenied, 1},
		{"validation that quotes the request", []Answer{s.Error(http.StatusBadRequest, "ValidationException", quoted.String())}, errOther, 1},
	}...) {
		t.Run(tc.name, func(t *testing.T) {
			server := New(t, tc.script...)
			err := call(t.Context(), server.Config())
			if n := len(server.Calls()); n != tc.calls {
				t.Errorf("requests = %d, want %d", n, tc.calls)
			}
			check(t, err, tc.want)
			Withheld(t, err, secrets...)
		})
	}
	t.Run("our time is up", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		over := make(chan struct{})
		slow := func(http.ResponseWriter) { <-over }
		err := call(ctx, New(t, slow).Config())
		close(over)
		check(t, err, grant.ErrUnavailable)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v does not wrap the context's error", err)
		}
		Withheld(t, err, secrets...)
	})
}

// errOther stands for an error that no sentinel names.
var errOther = errors.New("another error")

func check(t *testing.T, err, want error) {
	t.Helper()
	switch {
	case want == nil:
		if err != nil {
			t.Errorf("error = %v, want none", err)
		}
		return
	case err == nil:
		t.Fatalf("no error, want %v", want)
	case want != errOther && !errors.Is(err, want):
		t.Errorf("error = %v, want one that is %q", err, want)
	}
	for _, sentinel := range []error{
		grant.ErrNotFound, grant.ErrThrottled, grant.ErrDenied, grant.ErrMalformed, grant.ErrUnmodifiable,
		grant.ErrQuota, grant.ErrConflict, grant.ErrUnavailable, grant.ErrBusy,
	} {
		if sentinel != want && errors.Is(err, sentinel) {
			t.Errorf("error = %v, is %q besides", err, sentinel)
		}
	}
	api := smithy.APIError(nil)
	if !errors.As(err, &api) || api.ErrorCode() == "UnknownError" {
		return
	}
	if !strings.Contains(err.Error(), api.ErrorCode()) || !strings.Contains(err.Error(), RequestID) {
		t.Errorf("error = %v, want AWS's code %q and request id in it", err, api.ErrorCode())
	}
}

// Refused calls an adapter with one error answer and checks the sentinel; the SDK must not have tried again. It returns
// the error's text.
func Refused(t *testing.T, answer Answer, want error, call func(context.Context, aws.Config) error, secrets ...string) string {
	t.Helper()
	server := New(t, answer)
	err := call(t.Context(), server.Config())
	check(t, err, want)
	if n := len(server.Calls()); n != 1 {
		t.Errorf("requests = %d, want 1", n)
	}
	Withheld(t, err, secrets...)
	return err.Error()
}

// Withheld fails the test where the error's text holds a secret value or twelve characters of one.
func Withheld(t *testing.T, err error, secrets ...string) {
	t.Helper()
	if err == nil {
		return
	}
	const piece = 12
	for _, secret := range secrets {
		for i := 0; i == 0 || i+piece <= len(secret); i++ {
			if part := secret[i:min(i+piece, len(secret))]; strings.Contains(err.Error(), part) {
				t.Errorf("the error repeats %q of what was sent: %v", part, err)
				break
			}
		}
	}
}
