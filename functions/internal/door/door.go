// Package door is what stands before every request to the API: who calls, about which grant, with what body, and how the
// answer looks.
//
// API Gateway has checked the caller's signature and IAM permission. The door checks again what must never happen: a
// granted role, or somebody of another account, operating its own grant. It logs the caller. It calls no service.
package door

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
)

// Request and Response are API Gateway's, of a REST API with proxy integration.
type (
	Request  = events.APIGatewayProxyRequest
	Response = events.APIGatewayProxyResponse
)

// MaxReason is the length of a reason in characters.
const MaxReason = 200

const maxBody = 4 << 10

// Refusal is an answer that isn't 2xx.
type Refusal struct {
	Status  int
	Problem api.Problem
}

// Error is what the problem says.
func (r *Refusal) Error() string { return r.Problem.Error }

// Refuse makes a refusal; next says what to try.
func Refuse(status int, next, format string, args ...any) *Refusal {
	return &Refusal{status, api.Problem{Error: fmt.Sprintf(format, args...), Next: next}}
}

// Caller is the ARN of who calls, refused with 403 unless it is a principal of the account outside the granted roles.
func Caller(r Request, account string, roles grant.Roles) (string, error) {
	identity := r.RequestContext.Identity
	switch {
	case identity.UserArn == "":
		return "", Refuse(http.StatusForbidden, "sign the request with AWS credentials of the customer's account", "the caller is unknown")
	case identity.AccountID != account || accountOf(identity.UserArn) != account:
		return "", Refuse(http.StatusForbidden, "use credentials of account "+account, "callers of another account may not operate grants")
	case roles.HasSession(identity.UserArn):
		return "", Refuse(http.StatusForbidden, "use credentials of an operator of account "+account, "a granted role may not operate grants")
	}
	return identity.UserArn, nil
}

// OwnSession is the caller where it is a session of the granted role of that name, and the session's name. ok is false for
// everybody else. What such a caller may do is the handler's to know: never what an operator may.
func OwnSession(r Request, account, roleName string) (caller, session string, ok bool) {
	identity := r.RequestContext.Identity
	parts := strings.SplitN(identity.UserArn, ":", 6)
	if identity.AccountID != account || len(parts) != 6 || parts[2] != "sts" || parts[4] != account || roleName == "" {
		return "", "", false
	}
	path := strings.Split(parts[5], "/")
	if len(path) != 3 || path[0] != "assumed-role" || path[1] != roleName || path[2] == "" {
		return "", "", false
	}
	return identity.UserArn, path[2], true
}

func accountOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[4]
	}
	return ""
}

// Target is what a request is about: the method, the grant, and the verb behind it. /grants has no grant; a grant that the
// stack doesn't have is refused with 404.
func Target(r Request, roles grant.Roles) (method string, name grant.Name, verb string, err error) {
	path := strings.Split(strings.Trim(r.Path, "/"), "/")
	for len(path) > 0 && path[0] != "grants" {
		path = path[1:] // a stage or a base path
	}
	switch len(path) {
	case 1:
		return r.HTTPMethod, "", "", nil
	case 2, 3:
		if name, err = grant.ParseName(path[1]); err != nil {
			return "", "", "", Refuse(http.StatusBadRequest, "name a grant of access.yaml", "%v", err)
		}
		if _, ok := roles[name]; !ok {
			return "", "", "", Refuse(http.StatusNotFound, "list the grants: countersign grants", "there is no grant %s in this stack", name)
		}
		return r.HTTPMethod, name, strings.Join(path[2:], ""), nil
	}
	return "", "", "", Refuse(http.StatusNotFound, "", "there is nothing at this path")
}

// Body reads the request's JSON into v. An empty body leaves v as it is.
func Body(r Request, v any) error {
	body := []byte(r.Body)
	if r.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(r.Body); err != nil {
			return Refuse(http.StatusBadRequest, "send JSON", "the body is not base64")
		}
	}
	if len(body) > maxBody {
		return Refuse(http.StatusBadRequest, "", "the body is longer than %d bytes", maxBody)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return Refuse(http.StatusBadRequest, "send JSON, with no other fields than this request has", "the body can't be read as such a request")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Refuse(http.StatusBadRequest, "send one JSON object", "the body goes on behind its end")
	}
	return nil
}

// Reason checks what somebody gives as a reason.
func Reason(s string) error {
	switch {
	case !utf8.ValidString(s) || utf8.RuneCountInString(s) > MaxReason:
		return Refuse(http.StatusBadRequest, "shorten the reason", "a reason has at most %d characters", MaxReason)
	case strings.IndexFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) >= 0:
		return Refuse(http.StatusBadRequest, "leave out line breaks and control characters", "a reason has printable characters only")
	}
	return nil
}

// Answer is a response with a JSON body.
func Answer(status int, v any) Response {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer could not be written"}`)
	}
	return Response{
		StatusCode: status, Body: string(body),
		Headers: map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store"},
	}
}

// Failed is the answer to an error: a Refusal as it says, anything else 500 with the error's text.
func Failed(err error) Response {
	if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
		return Answer(refusal.Status, refusal.Problem)
	}
	return Answer(http.StatusInternalServerError, api.Problem{Error: err.Error(), Next: "try again; if it stays, look at the function's log"})
}
