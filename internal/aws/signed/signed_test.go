package signed_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/countersign/countersign/internal/aws/eks"
	"github.com/countersign/countersign/internal/aws/s3"
	"github.com/countersign/countersign/internal/grant"
)

// served is a configuration that leads to a handler, which sees requests that are signed for a service only.
func served(t *testing.T, service string, handler http.HandlerFunc) aws.Config {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "/eu-central-1/"+service+"/aws4_request") || r.Header.Get("X-Amz-Security-Token") != "token" {
			t.Errorf("signed as %q", r.Header.Get("Authorization"))
		}
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	return aws.Config{Region: "eu-central-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("ASIAEXAMPLE", "secret", "token")}
}

func TestClustersOfAllPages(t *testing.T) {
	cfg := served(t, "eks", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("nextToken") == "" {
			_, _ = fmt.Fprint(w, `{"clusters":["one","two"],"nextToken":"n/2="}`)
			return
		}
		_, _ = fmt.Fprintf(w, `{"clusters":[%q]}`, "after "+r.URL.Query().Get("nextToken"))
	})
	if got, err := eks.New(cfg).Clusters(t.Context()); err != nil || strings.Join(got, ",") != "one,two,after n/2=" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestBucketsOfAllPages(t *testing.T) {
	cfg := served(t, "s3", func(w http.ResponseWriter, r *http.Request) {
		more := "<ContinuationToken>next</ContinuationToken>"
		if r.URL.Query().Get("continuation-token") == "next" {
			more = ""
		}
		_, _ = fmt.Fprintf(w, `<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Buckets><Bucket><Name>b%d</Name><CreationDate>2026-01-02T03:04:05.000Z</CreationDate></Bucket></Buckets>%s</ListAllMyBucketsResult>`, len(more), more)
	})
	got, err := s3.New(cfg).Buckets(t.Context())
	if err != nil || len(got) != 2 || got[1].Name != "b0" || got[0].Created.Year() != 2026 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRefusalsAreDenied(t *testing.T) {
	for name, tc := range map[string]struct {
		service string
		call    func(context.Context, aws.Config) error
		answer  func(w http.ResponseWriter)
	}{
		"EKS, as JSON": {"eks", func(ctx context.Context, cfg aws.Config) error { _, err := eks.New(cfg).Clusters(ctx); return err }, func(w http.ResponseWriter) {
			w.Header().Set("X-Amzn-Errortype", "AccessDeniedException:http://internal.amazon.com/coral/")
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprint(w, `{"message":"not authorized to perform: eks:ListClusters"}`)
		}},
		"S3, as XML": {"s3", func(ctx context.Context, cfg aws.Config) error { _, err := s3.New(cfg).Buckets(ctx); return err }, func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprint(w, `<Error><Code>AccessDenied</Code><Message>not authorized to perform: s3:ListAllMyBuckets</Message></Error>`)
		}},
	} {
		cfg := served(t, tc.service, func(w http.ResponseWriter, _ *http.Request) { tc.answer(w) })
		if err := tc.call(t.Context(), cfg); !errors.Is(err, grant.ErrDenied) || !strings.Contains(err.Error(), "not authorized") {
			t.Errorf("%s: %v", name, err)
		}
		broken := served(t, tc.service, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>") })
		if err := tc.call(t.Context(), broken); err == nil {
			t.Errorf("%s: a page is taken for an answer", name)
		}
	}
}
