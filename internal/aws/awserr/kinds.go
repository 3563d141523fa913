package awserr

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/countersign/countersign/internal/grant"
)

// kinds maps AWS's error codes, as the services document them. Codes come with and without "Exception", which is cut.
var kinds = map[string]error{
	"NoSuchEntity":      grant.ErrNotFound, // IAM
	"ResourceNotFound":  grant.ErrNotFound, // Secrets Manager, EventBridge
	"ParameterNotFound": grant.ErrNotFound, // SSM
	"QueueDoesNotExist": grant.ErrNotFound, // SQS
	"NonExistentQueue":  grant.ErrNotFound, // SQS, in its older form
	"NotFound":          grant.ErrNotFound, // SNS
	"ParentNotFound":    grant.ErrNotFound, // Organizations

	"Throttling":                    grant.ErrThrottled,
	"Throttled":                     grant.ErrThrottled,
	"TooManyRequests":               grant.ErrThrottled,
	"RequestThrottled":              grant.ErrThrottled,
	"RequestLimitExceeded":          grant.ErrThrottled,
	"KMSThrottling":                 grant.ErrThrottled,
	"ProvisionedThroughputExceeded": grant.ErrThrottled, // DynamoDB
	"SlowDown":                      grant.ErrThrottled,
	"LimitExceeded":                 grant.ErrQuota,
	"MalformedPolicyDocument":       grant.ErrMalformed,
	"UnmodifiableEntity":            grant.ErrUnmodifiable,
	"ResourceExists":                grant.ErrConflict,
	"ConcurrentModification":        grant.ErrConflict,
	"TransactionConflict":           grant.ErrConflict, // DynamoDB
	"EntityTemporarilyUnmodifiable": grant.ErrConflict,

	"AuthorizationError":         grant.ErrDenied, // SNS
	"OptInRequired":              grant.ErrDenied,
	"ExpiredToken":               grant.ErrDenied, // credentials that AWS does not take
	"InvalidClientTokenId":       grant.ErrDenied,
	"UnrecognizedClient":         grant.ErrDenied,
	"SignatureDoesNotMatch":      grant.ErrDenied,
	"MissingAuthenticationToken": grant.ErrDenied,

	"InternalFailure":      grant.ErrUnavailable,
	"InternalError":        grant.ErrUnavailable,
	"InternalServiceError": grant.ErrUnavailable,
	"Internal":             grant.ErrUnavailable,
	"ServiceFailure":       grant.ErrUnavailable,
	"ServiceUnavailable":   grant.ErrUnavailable,
	"RequestTimeout":       grant.ErrUnavailable,
}

// kindOf finds the sentinel: the service's code first, then the HTTP status, then how the connection ended.
func kindOf(err error) error {
	if api := smithy.APIError(nil); errors.As(err, &api) {
		if kind := kindOfCode(api.ErrorCode(), api.ErrorMessage()); kind != nil {
			return kind
		}
	}
	if answer := (*smithyhttp.ResponseError)(nil); errors.As(err, &answer) && answer.Response != nil {
		switch status := answer.HTTPStatusCode(); {
		case status == http.StatusTooManyRequests:
			return grant.ErrThrottled
		case status >= http.StatusInternalServerError:
			return grant.ErrUnavailable
		case status >= http.StatusBadRequest:
			return nil // refused for a reason that we don't decide by
		}
	}
	var (
		unsent     *smithyhttp.RequestSendError
		unreadable *smithy.DeserializationError
		timeout    net.Error
	)
	switch {
	case errors.As(err, &unsent), errors.As(err, &unreadable), errors.As(err, &timeout) && timeout.Timeout(),
		errors.Is(err, context.Canceled), errors.Is(err, io.ErrUnexpectedEOF):
		return grant.ErrUnavailable
	}
	return nil
}

func kindOfCode(code, message string) error {
	name := code[strings.LastIndexByte(code, '.')+1:] // "AWS.SimpleQueueService.NonExistentQueue"
	name = strings.TrimSuffix(name, "Exception")
	if kind, ok := kinds[name]; ok {
		return kind
	}
	switch {
	case strings.Contains(name, "AccessDenied"): // AccessDenied, AccessDeniedException, KMSAccessDenied
		return grant.ErrDenied
	case name == "InvalidRequest" && strings.Contains(strings.ToLower(message), "previous rotation"):
		return grant.ErrBusy // Secrets Manager has no code of its own for it
	}
	return nil
}
