package awserr_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"pgregory.net/rapid"

	"github.com/countersign/countersign/internal/aws/awserr"
	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/iam"
	"github.com/countersign/countersign/internal/aws/secretsmanager"
	"github.com/countersign/countersign/internal/grant"
)

// refusal is an SDK error as a service causes it, without HTTP.
func refusal(code, message string) error {
	return &smithy.OperationError{
		ServiceID: "IAM", OperationName: "UpdateAssumeRolePolicy", Err: &smithy.GenericAPIError{Code: code, Message: message},
	}
}

func TestNilStaysNil(t *testing.T) {
	if err := awserr.From(nil, []byte("{}")); err != nil {
		t.Errorf("error = %v", err)
	}
}

func TestCodesBecomeSentinels(t *testing.T) {
	for code, want := range map[string]error{
		"NoSuchEntity":                     grant.ErrNotFound,
		"NoSuchEntityException":            grant.ErrNotFound,
		"ResourceNotFoundException":        grant.ErrNotFound,
		"ParameterNotFound":                grant.ErrNotFound,
		"Throttling":                       grant.ErrThrottled,
		"ThrottlingException":              grant.ErrThrottled,
		"ThrottledException":               grant.ErrThrottled,
		"TooManyRequestsException":         grant.ErrThrottled,
		"RequestLimitExceeded":             grant.ErrThrottled,
		"AccessDenied":                     grant.ErrDenied,
		"AccessDeniedException":            grant.ErrDenied,
		"KMS.AccessDeniedException":        grant.ErrDenied,
		"MalformedPolicyDocument":          grant.ErrMalformed,
		"MalformedPolicyDocumentException": grant.ErrMalformed,
		"UnmodifiableEntity":               grant.ErrUnmodifiable,
		"LimitExceeded":                    grant.ErrQuota,
		"LimitExceededException":           grant.ErrQuota,
		"ResourceExistsException":          grant.ErrConflict,
		"ConcurrentModification":           grant.ErrConflict,
		"ConcurrentModificationException":  grant.ErrConflict,
		"EntityTemporarilyUnmodifiable":    grant.ErrConflict,
		"InternalFailure":                  grant.ErrUnavailable,
		"ServiceUnavailableException":      grant.ErrUnavailable,
	} {
		if err := awserr.From(refusal(code, "x")); !errors.Is(err, want) {
			t.Errorf("%s = %v, want %v", code, err, want)
		}
	}
}

func TestCodesThatDecideNothingKeepTheirText(t *testing.T) {
	for _, code := range []string{"InvalidRequestException", "InvalidParameterException", "MessageRejected", "Exception", ""} {
		err := awserr.From(refusal(code, "what happened"))
		var e *awserr.Error
		if !errors.As(err, &e) || e.Kind != nil || !strings.Contains(err.Error(), "what happened") {
			t.Errorf("%s = %v, want AWS's message and no sentinel", code, err)
		}
	}
}

func TestStatusesDecideWhereNoCodeDoes(t *testing.T) {
	page := "<html>no word of AWS's</html>"
	for status, want := range map[int]error{400: nil, 403: nil, 429: grant.ErrThrottled, 501: grant.ErrUnavailable} {
		for service, call := range map[string]func(aws.Config) error{
			"query": func(cfg aws.Config) error { return iam.New(cfg).SetTrust(t.Context(), "r", []byte("{}")) },
			"JSON":  func(cfg aws.Config) error { return secretsmanager.New(cfg).Rotate(t.Context(), "s", "t") },
		} {
			server := awstest.New(t, awstest.Raw(status, "text/html", page))
			err := call(server.Config())
			var e *awserr.Error
			if !errors.As(err, &e) || e.Kind != want || !strings.Contains(err.Error(), fmt.Sprintf("HTTP status %d", status)) {
				t.Errorf("%d over %s = %v, want %v", status, service, err, want)
			}
		}
	}
}

func TestABrokenConnectionIsUnavailable(t *testing.T) {
	for name, err := range map[string]error{
		"never sent":             &smithyhttp.RequestSendError{Err: errors.New("connection refused")},
		"an answer cut off":      io.ErrUnexpectedEOF,
		"an answer not read":     &smithy.DeserializationError{Err: errors.New("invalid character")},
		"given up by the caller": context.Canceled,
		"out of time":            context.DeadlineExceeded,
	} {
		if got := awserr.From(&smithy.OperationError{ServiceID: "IAM", OperationName: "GetRole", Err: err}); !errors.Is(got, grant.ErrUnavailable) || !errors.Is(got, err) {
			t.Errorf("%s = %v, want unavailable and the SDK's error", name, got)
		}
	}
	if err := awserr.From(errors.New("anything else")); errors.Is(err, grant.ErrUnavailable) {
		t.Errorf("error = %v, want no sentinel", err)
	}
}

func TestWhatTheSDKFailedToReadOrWriteIsNotQuoted(t *testing.T) {
	quoting := errors.New("invalid value Zx81QmPwT7aLbC3d")
	for _, err := range []error{&smithy.DeserializationError{Err: quoting}, &smithy.SerializationError{Err: quoting}} {
		awstest.Withheld(t, awserr.From(err), "Zx81QmPwT7aLbC3d")
	}
}

func TestOnlyTheRotationUnderWayIsBusy(t *testing.T) {
	busy := awserr.From(refusal("InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted."))
	if !errors.Is(busy, grant.ErrBusy) {
		t.Errorf("error = %v, want busy", busy)
	}
	other := awserr.From(refusal("InvalidRequestException", "You can't rotate a secret that is marked for deletion."))
	if errors.Is(other, grant.ErrBusy) {
		t.Errorf("error = %v, want not busy", other)
	}
}

func TestTextNamesOperationKindCodeAndMessage(t *testing.T) {
	err := awserr.From(refusal("NoSuchEntity", "The role cannot be found."))
	if want := "IAM UpdateAssumeRolePolicy: not found: NoSuchEntity: The role cannot be found"; err.Error() != want {
		t.Errorf("text = %q, want %q", err, want)
	}
	entry := awserr.OfCode("EventBridge PutEvents", "ThrottlingException", "Rate exceeded", "r-1")
	if want := "EventBridge PutEvents: throttled: ThrottlingException: Rate exceeded (request id r-1)"; entry.Error() != want {
		t.Errorf("text = %q, want %q", entry, want)
	}
}

func TestNoExternalIDIsRepeated(t *testing.T) {
	codes := []string{"MalformedPolicyDocument", "AccessDenied", "LimitExceeded", "ValidationError", "ResourceExistsException", "Whatever", ""}
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.StringMatching(`[A-Za-z0-9+=,.@:/_-]{2,60}`), 1, 3).Draw(t, "ids")
		body := rapid.SampledFrom([]func([]string) any{
			func(ids []string) any { // a trust policy, the key in any spelling
				key := rapid.SampledFrom([]string{"sts:ExternalId", "sts:externalid", "STS:EXTERNALID"}).Draw(t, "key")
				return map[string]any{"Statement": []any{map[string]any{"Condition": map[string]any{"StringEquals": map[string]any{key: ids}}}}}
			},
			func(ids []string) any {
				return map[string]any{"externalId": ids[0], "Condition": map[string]any{"sts:ExternalId": ids}}
			},
		}).Draw(t, "form")(ids)
		sent, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		message := rapid.SampledFrom([]string{"near ", "Value '", ""}).Draw(t, "before") +
			rapid.SampledFrom(ids).Draw(t, "quoted") + rapid.SampledFrom([]string{"'", " is wrong.", ""}).Draw(t, "after")
		mapped := awserr.From(refusal(rapid.SampledFrom(codes).Draw(t, "code"), message), sent)
		if strings.Contains(mapped.Error(), message) {
			t.Fatalf("the text repeats what was sent: %v", mapped)
		}
	})
}

func TestAPieceOfAnExternalIDCountsAsTheID(t *testing.T) {
	const id = "Zx81QmPwT7aLbC3dEfG5hJkR9sUvWyN0"
	sent := []byte(`{"externalId":"` + id + `"}`)
	for i := 0; i+12 <= len(id); i++ {
		awstest.Withheld(t, awserr.From(refusal("MalformedPolicyDocument", "near "+id[i:i+12]), sent), id)
	}
	unknown := awserr.From(refusal("ValidationError", "Value 'Zx81Qm…' failed to satisfy constraint"), sent)
	if strings.Contains(unknown.Error(), "Zx81") {
		t.Errorf("text = %q, want a message of unknown kind withheld", unknown)
	}
	nested := awserr.From(refusal("MalformedPolicyDocument", "near "+id), []byte(`{"externalId":{"value":["`+id+`"]}}`))
	awstest.Withheld(t, nested, id)
	harmless := awserr.From(refusal("MalformedPolicyDocument", "Has prohibited field Resource"), sent)
	if !strings.Contains(harmless.Error(), "Has prohibited field Resource") {
		t.Errorf("text = %q, want the message that helps", harmless)
	}
}

func TestWhatWentWrongOnOurSideStaysReadable(t *testing.T) {
	err := awserr.From(&smithy.OperationError{
		ServiceID: "IAM", OperationName: "PutRolePolicy", Err: errors.New("no credentials: run aws sso login"),
	}, []byte(grant.DenyRevocation))
	if !strings.Contains(err.Error(), "run aws sso login") {
		t.Errorf("text = %q, want the reason", err)
	}
}

func TestABodyThatCannotBeReadWithholdsTheMessage(t *testing.T) {
	err := awserr.From(refusal("MalformedPolicyDocument", "near Zx81"), []byte(`{"externalId":"Zx81`))
	awstest.Withheld(t, err, "Zx81")
}
