package apigateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/aws/apigateway"
	"github.com/countersign/countersign/internal/grant"
)

var cfg = aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "example", "token")}

// serve answers one API, and gives the requests it saw.
func serve(t *testing.T, status int, body string) (*apigateway.Client, *[]*http.Request) {
	t.Helper()
	var seen []*http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(sent)))
		seen = append(seen, r)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	c, err := apigateway.New(cfg, server.URL+"/v1/")
	if err != nil {
		t.Fatal(err)
	}
	return c, &seen
}

func TestEachCallIsOneSignedRequest(t *testing.T) {
	ctx := t.Context()
	for _, tc := range []struct {
		name, request, body string
		call                func(*apigateway.Client) error
	}{
		{"list", "GET /v1/grants", "", func(c *apigateway.Client) error { _, err := c.Grants(ctx); return err }},
		{"show", "GET /v1/grants/migration", "", func(c *apigateway.Client) error { _, err := c.Grant(ctx, "migration"); return err }},
		{"rotate", "POST /v1/grants/migration/rotate", `{"reason":"left","leaked":true}`, func(c *apigateway.Client) error {
			_, err := c.Rotate(ctx, "migration", api.RotateRequest{Reason: "left", Leaked: true})
			return err
		}},
		{"pause", "POST /v1/grants/migration/pause", `{"reason":"freeze","until":"2027-01-11T00:00:00Z"}`, func(c *apigateway.Client) error {
			_, err := c.Pause(ctx, "migration", api.PauseRequest{Reason: "freeze", Until: time.Date(2027, 1, 11, 0, 0, 0, 0, time.UTC)})
			return err
		}},
		{"pause without an end", "POST /v1/grants/migration/pause", `{"reason":"freeze"}`, func(c *apigateway.Client) error {
			_, err := c.Pause(ctx, "migration", api.PauseRequest{Reason: "freeze"})
			return err
		}},
		{"resume", "POST /v1/grants/migration/resume", `{"reason":"over"}`, func(c *apigateway.Client) error {
			_, err := c.Resume(ctx, "migration", api.ResumeRequest{Reason: "over"})
			return err
		}},
		{"revoke", "POST /v1/grants/migration/revoke", `{"reason":"ended"}`, func(c *apigateway.Client) error {
			_, err := c.Revoke(ctx, "migration", api.RevokeRequest{Reason: "ended"})
			return err
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, seen := serve(t, 202, `{}`)
			if err := tc.call(c); err != nil {
				t.Fatal(err)
			}
			if len(*seen) != 1 {
				t.Fatalf("%d requests", len(*seen))
			}
			r := (*seen)[0]
			sent, _ := io.ReadAll(r.Body)
			if got := r.Method + " " + r.URL.Path; got != tc.request || string(sent) != tc.body {
				t.Errorf("sent %s %s, want %s %s", got, sent, tc.request, tc.body)
			}
			auth := r.Header.Get("Authorization")
			if !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/") || !strings.Contains(auth, "/eu-west-1/execute-api/aws4_request") {
				t.Errorf("authorization %q", auth)
			}
			if r.Header.Get("X-Amz-Security-Token") != "token" {
				t.Error("the session token is missing")
			}
		})
	}
}

func TestAnswersThatAreNoSuccess(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		body   string
		want   error
		text   string
	}{
		{"API Gateway denies", 403, `{"Message":"User is not authorized to access this resource"}`, grant.ErrDenied, "the API refused (403): User is not authorized to access this resource"},
		{"our handler denies", 403, `{"error":"granted roles may not revoke"}`, grant.ErrDenied, "the API refused (403): granted roles may not revoke"},
		{"no such grant", 404, `{"error":"no grant audit"}`, grant.ErrNotFound, "the API refused (404): no grant audit"},
		{"an overlap is open", 409, `{"error":"overlap","until":"2026-02-05T03:00:00Z"}`, grant.ErrOverlapOpen, "the API refused (409): overlap"},
		{"another conflict", 409, `{"error":"closed"}`, grant.ErrConflict, "the API refused (409): closed"},
		{"throttled", 429, `{"message":"Too Many Requests"}`, grant.ErrThrottled, "the API refused (429): Too Many Requests"},
		{"a function crashed", 502, `{"message":"Internal server error"}`, grant.ErrUnavailable, "the API refused (502): Internal server error"},
		{"a proxy in between", 503, `<html>`, grant.ErrUnavailable, "the API refused (503): Service Unavailable"},
		{"a redirect is not followed", 302, ``, nil, "the API refused (302): Found"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, seen := serve(t, tc.status, tc.body)
			_, err := c.Grant(t.Context(), "audit")
			if _, ok := errors.AsType[*apigateway.Refusal](err); !ok || err.Error() != tc.text {
				t.Errorf("error = %v, want %s", err, tc.text)
			}
			if tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("error is not %v", tc.want)
			}
			if len(*seen) != 1 {
				t.Errorf("%d requests: a call is tried once", len(*seen))
			}
		})
	}
}

func TestAnAnswerThatIsNotOursIsNoSuccess(t *testing.T) {
	c, _ := serve(t, 200, `<html>`)
	if _, err := c.Grants(t.Context()); !errors.Is(err, grant.ErrUnavailable) {
		t.Errorf("error = %v", err)
	}
}

func TestNoAnswerWithinFiveSecondsIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked := aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			<-ctx.Done() // stands for whatever takes long
			return aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "example"}, nil
		})
		c, err := apigateway.New(aws.Config{Region: "eu-west-1", Credentials: blocked}, "https://127.0.0.1:1/")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = c.Grant(t.Context(), "migration")
		if !errors.Is(err, grant.ErrUnavailable) || !strings.Contains(err.Error(), "no answer within 5s") {
			t.Errorf("error = %v", err)
		}
		if took := time.Since(start); took != apigateway.Timeout {
			t.Errorf("gave up after %s", took)
		}
	})
}

func TestSignaturesGoOverHTTPSOrToThisMachine(t *testing.T) {
	for base, ok := range map[string]bool{
		"https://a1b2c3.execute-api.eu-west-1.amazonaws.com/v1/": true,
		"http://127.0.0.1:4566/_aws/execute-api/a1b2c3/v1/":      true,
		"http://localhost:4566/":                                 true,
		"http://a1b2c3.execute-api.eu-west-1.amazonaws.com/v1/":  false,
		"http://127.0.0.1.example.com/":                          false,
		"ftp://127.0.0.1/":                                       false,
		"":                                                       false,
	} {
		if _, err := apigateway.New(cfg, base); (err == nil) != ok {
			t.Errorf("New(%q) = %v", base, err)
		}
	}
}
