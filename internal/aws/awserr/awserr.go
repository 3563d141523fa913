// Package awserr turns what the AWS SDK reports into the words that Countersign decides by: grant's sentinels.
//
// It decides which sentinel an error code, an HTTP status or a lost connection stands for, and what its text may say. It
// trusts the service's code and status, never the wording (one case aside, see kinds.go). Its text never repeats a request's
// body: IAM and others quote rejected values in their messages, and those bodies hold external IDs.
package awserr

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Error is a failed AWS call. errors.Is finds both Kind and the SDK's own error.
type Error struct {
	Operation string // service and operation, as "IAM GetRole"
	Kind      error  // the sentinel of package grant; nil where none fits
	Code      string // AWS's error code; empty where no answer came
	Message   string // AWS's message, or what happened instead; never a part of a request's body
	RequestID string // AWS's request id; empty where no answer came
	Attempts  int    // how often the SDK tried; 0 where it does not say

	err error
}

// Error is "IAM GetRole: not found: NoSuchEntity: The role … cannot be found (request id …)".
func (e *Error) Error() string {
	parts := []string{e.Operation}
	if e.Kind != nil {
		parts = append(parts, e.Kind.Error())
	}
	if e.Code != "" {
		parts = append(parts, e.Code)
	}
	if e.Message != "" {
		parts = append(parts, strings.TrimSuffix(e.Message, "."))
	}
	var notes []string
	if e.Attempts > 1 {
		notes = append(notes, fmt.Sprintf("%d attempts", e.Attempts))
	}
	if e.RequestID != "" {
		notes = append(notes, "request id "+e.RequestID)
	}
	text := strings.Join(parts, ": ")
	if len(notes) > 0 {
		text += " (" + strings.Join(notes, ", ") + ")"
	}
	return text
}

// Unwrap gives the sentinel and the SDK's error. Printing the latter by itself may repeat what was sent.
func (e *Error) Unwrap() []error {
	if e.Kind == nil {
		return []error{e.err}
	}
	return []error{e.Kind, e.err}
}

// From maps an error of an SDK call; nil stays nil. sent are the bodies of the call that may hold an external ID: the
// text of the error repeats none of their values.
func From(err error, sent ...[]byte) error {
	if err == nil {
		return nil
	}
	e := &Error{Operation: "AWS call", Kind: kindOf(err), err: err}
	if op := (*smithy.OperationError)(nil); errors.As(err, &op) {
		e.Operation = op.ServiceID + " " + op.OperationName
	}
	if spent := (*retry.MaxAttemptsError)(nil); errors.As(err, &spent) {
		e.Attempts = spent.Attempt
	}
	if answered := (interface{ ServiceRequestID() string })(nil); errors.As(err, &answered) {
		e.RequestID = answered.ServiceRequestID()
	}
	e.Code, e.Message = describe(err)
	if mayRepeat(err, e, sent) {
		e.Message = "message withheld, it may repeat what was sent"
	}
	return e
}

// OfCode is the error of one entry in an answer that otherwise succeeded, as PutEvents gives it.
func OfCode(operation, code, message, requestID string) error {
	api := &smithy.GenericAPIError{Code: code, Message: message}
	return &Error{Operation: operation, Kind: kindOf(api), Code: code, Message: message, RequestID: requestID, err: api}
}

// unknownCode is the SDK's own code for an error answer that names none, as a proxy sends it.
const unknownCode = "UnknownError"

// describe reads the code and the message. Where the service did not answer in its own form, the message says what
// happened and quotes neither request nor answer.
func describe(err error) (code, message string) {
	var (
		api        smithy.APIError
		unreadable *smithy.DeserializationError
		unsendable *smithy.SerializationError
		unsent     *smithyhttp.RequestSendError
		status     *smithyhttp.ResponseError
		op         *smithy.OperationError
	)
	switch {
	case errors.As(err, &api) && api.ErrorCode() != unknownCode:
		return api.ErrorCode(), api.ErrorMessage()
	case errors.As(err, &status) && status.Response != nil && status.HTTPStatusCode() >= http.StatusBadRequest:
		return "", fmt.Sprintf("HTTP status %d", status.HTTPStatusCode())
	case errors.As(err, &unreadable):
		return "", "the answer could not be read"
	case errors.As(err, &unsendable):
		return "", "the request could not be written"
	case errors.As(err, &unsent):
		return "", unsent.Err.Error()
	case errors.As(err, &op):
		return "", op.Err.Error()
	}
	return "", err.Error()
}
