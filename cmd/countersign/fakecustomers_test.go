package main

import (
	"context"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/dynamodb"
	"github.com/countersign/countersign/internal/customers"
)

// serveTable answers as the registry's table. Mode table: ok, denied, none.
func (f *fakeAWS) serveTable(w http.ResponseWriter, operation string, body []byte) {
	switch f.mode["table"] {
	case "denied":
		awstest.JSONError(http.StatusBadRequest, "com.amazon.coral.service#AccessDeniedException", "User is not authorized to perform: dynamodb:"+operation)(w)
		return
	case "none":
		awstest.JSONError(http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "Requested resource not found")(w)
		return
	}
	f.table.Name, f.table.Fault = defaultTable, func(format string, args ...any) { panic("the fake table: " + format) }
	f.table.Serve(w, operation, body)
}

// cmdSays has an account say what stands in a file, an event as EventBridge delivers it: "says acme FILE". It goes the way of
// functions/enroll.
func cmdSays(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: says NAME FILE")
	}
	f := ts.Value(fakeKey{}).(*fakeAWS)
	said, err := customers.Read([]byte(ts.ReadFile(args[1])))
	ts.Check(err)
	cfg := aws.Config{Region: "eu-west-1", BaseEndpoint: &f.url, Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "example", "")}
	r, ctx := dynamodb.New(cfg, defaultTable), context.Background()
	e, h, err := r.Load(ctx, args[0])
	ts.Check(err)
	h, err = e.Hear(h, said, said.Time)
	ts.Check(err)
	ts.Check(r.Note(ctx, args[0], h))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = nil
}

// cmdEscapes fails unless a file has characters that steer a terminal; with ! if it has.
func cmdEscapes(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		if strings.ContainsAny(ts.ReadFile(name), "\x1b\x07\u202e") == neg {
			ts.Fatalf("%s: %q", name, ts.ReadFile(name))
		}
	}
}
