package signin_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/signin"
)

var session = aws.Credentials{AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "sec/ret+", SessionToken: "to=ken"}

func TestEachPartitionHasItsConsole(t *testing.T) {
	for _, tc := range []struct {
		at   signin.Console
		want string
	}{
		{signin.Console{Partition: "aws"}, "https://console.aws.amazon.com/console/home"},
		{signin.Console{Partition: "aws", Region: "eu-central-1", Service: "s3"}, "https://eu-central-1.console.aws.amazon.com/s3/home?region=eu-central-1"},
		{signin.Console{Partition: "aws-cn", Region: "cn-north-1"}, "https://cn-north-1.console.amazonaws.cn/console/home?region=cn-north-1"},
		{signin.Console{Partition: "aws-us-gov", Region: "us-gov-west-1", Service: "ec2"}, "https://us-gov-west-1.console.amazonaws-us-gov.com/ec2/home?region=us-gov-west-1"},
	} {
		if got, err := tc.at.Destination(); err != nil || got != tc.want {
			t.Errorf("%+v: %q, %v", tc.at, got, err)
		}
	}
	if _, err := (signin.Console{Partition: "aws-iso"}).Destination(); !errors.Is(err, signin.ErrPartition) {
		t.Errorf("%v", err)
	}
	for _, bad := range []signin.Console{{Partition: "aws", Region: "evil.example/"}, {Partition: "aws", Service: "../x"}, {Partition: "aws", Service: "s3?x=y"}} {
		if got, err := bad.Destination(); err == nil {
			t.Errorf("%+v: %s", bad, got)
		}
	}
}

func TestASessionSignsIn(t *testing.T) {
	var asked url.Values
	answer := `{"SigninToken":"TOKEN"}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query()
		if answer == "" {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	at := signin.Console{Partition: "aws", Region: "eu-central-1", Endpoint: server.URL}
	got, err := at.URL(t.Context(), server.Client(), session)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(got)
	if err != nil || u.Query().Get("SigninToken") != "TOKEN" || u.Query().Get("Action") != "login" || strings.Contains(got, "sec") {
		t.Errorf("%s, %v", got, err)
	}
	if asked.Get("Action") != "getSigninToken" || asked.Has("SessionDuration") || !strings.Contains(asked.Get("Session"), `"sessionToken":"to=ken"`) {
		t.Errorf("asked %v", asked)
	}
	for _, answer = range []string{"", "{}", "no JSON"} {
		if _, err := at.URL(t.Context(), server.Client(), session); err == nil || strings.Contains(err.Error(), "ASIA") {
			t.Errorf("%q: %v", answer, err)
		}
	}
	server.Close()
	if _, err := at.URL(t.Context(), server.Client(), session); err == nil || strings.Contains(err.Error(), "ken") || strings.Contains(err.Error(), "ASIA") {
		t.Errorf("nobody answers: %v", err)
	}
}
