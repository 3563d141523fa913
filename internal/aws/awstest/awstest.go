// Package awstest is a server for tests that speaks AWS's wire protocols as one scripted service: query (IAM, STS, SES,
// SNS), JSON (Secrets Manager, SSM, EventBridge, SQS, CloudWatch Logs), REST with JSON (SES's second API) and CBOR (CloudWatch). The
// adapters' tests run the SDK as it ships against it.
//
// It decides nothing: a test says what each request is answered with, and reads afterwards what was asked. A request that
// the script does not foresee fails the test.
package awstest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go/middleware"

	"github.com/countersign/countersign/internal/aws/awsconfig"
)

// RequestID is the request id of every answer.
const RequestID = "7a62c49f-347e-4fc4-9331-6e8eEXAMPLE"

// Call is one request as the service received it.
type Call struct {
	Operation string     // of the Action parameter, the X-Amz-Target header or CBOR's path, without the service's prefix; of REST method and path
	Form      url.Values // of a query request
	JSON      map[string]any
	Header    http.Header
	Body      []byte
}

// Server answers as one AWS service.
type Server struct {
	t      testing.TB
	http   *httptest.Server
	mu     sync.Mutex
	script []Answer
	calls  []Call
}

// Answer is what one request is answered with.
type Answer func(w http.ResponseWriter)

// New starts a server that gives these answers, one a request, in this order.
func New(t testing.TB, script ...Answer) *Server {
	t.Helper()
	s := &Server{t: t, script: script}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.http.Close)
	return s
}

// Config points the SDK at the server. Calls are tried as in a function, without the waiting in between.
func (s *Server) Config() aws.Config {
	return aws.Config{
		Region:       "eu-central-1",
		Credentials:  credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "example", ""),
		BaseEndpoint: &s.http.URL,
		HTTPClient:   s.http.Client(),
		Retryer:      func() aws.Retryer { return impatient{awsconfig.Retryer()} },
		APIOptions:   []func(*middleware.Stack) error{awsconfig.KeepAnswer},
	}
}

// impatient is a retryer that does not wait.
type impatient struct{ aws.Retryer }

func (impatient) RetryDelay(int, error) (time.Duration, error) { return 0, nil }

// Calls are the requests so far, retries included.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// Only is the one request that came; more or fewer, or another operation, end the test.
func (s *Server) Only(operation string) Call {
	s.t.Helper()
	calls := s.Calls()
	if len(calls) != 1 || calls[0].Operation != operation {
		names := make([]string, len(calls))
		for i, c := range calls {
			names[i] = c.Operation
		}
		s.t.Fatalf("calls = %v, want one %s", names, operation)
	}
	return calls[0]
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Errorf("reading a request: %v", err)
	}
	call := Call{Header: r.Header.Clone(), Body: body}
	target, inCBOR := r.Header.Get("X-Amz-Target"), r.Header.Get("smithy-protocol") == "rpc-v2-cbor"
	switch {
	case inCBOR:
		call.Operation = r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		call.JSON = fromCBOR(s.t, body)
	case r.URL.Path != "/":
		call.Operation = r.Method + " " + r.URL.Path
	case target != "":
		call.Operation = target[strings.LastIndexByte(target, '.')+1:]
		dec := json.NewDecoder(bytes.NewReader(body))
		if err := dec.Decode(&call.JSON); err != nil {
			s.t.Errorf("%s: the body is not JSON: %v", target, err)
		}
	default:
		if call.Form, err = url.ParseQuery(string(body)); err != nil {
			s.t.Errorf("the body is not a form: %v", err)
		}
		call.Operation = call.Form.Get("Action")
	}
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
		s.t.Errorf("%s: not signed with Signature Version 4", call.Operation)
	}
	s.mu.Lock()
	n := len(s.calls)
	s.calls = append(s.calls, call)
	s.mu.Unlock()
	if n >= len(s.script) {
		s.t.Errorf("request %d (%s) is not in the script", n+1, call.Operation)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	s.script[n](w)
}
