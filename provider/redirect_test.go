package provider_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"github.com/countersign/countersign/provider"
)

// The customer's API is the customer's: where it sends us on may be within our own network.
func TestNoRedirectIsFollowed(t *testing.T) {
	for name, client := range map[string]aws.HTTPClient{
		"no client": nil, "net/http's": &http.Client{Timeout: time.Second}, "the SDK's": awshttp.NewBuildableClient().WithTimeout(time.Second),
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			s := newSide(t, provider.Options{})
			behind, err := url.Parse(s.URL())
			if err != nil {
				t.Fatal(err)
			}
			var inside atomic.Int32
			internal := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inside.Add(1) }))
			defer internal.Close()
			proxy := httputil.NewSingleHostReverseProxy(behind)
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/grants/") {
					http.Redirect(w, r, internal.URL, status)
					return
				}
				proxy.ServeHTTP(w, r)
			}))
			defer front.Close()
			cfg := s.Config()
			cfg.BaseEndpoint, cfg.HTTPClient = &front.URL, client
			s.customer.ConfirmURL = strings.Replace(s.customer.ConfirmURL, s.URL(), front.URL, 1)
			s.client = provider.New(cfg, s.store, s.client.Options)
			if _, err := s.enter(t); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if n := inside.Load(); n != 0 || len(s.problems) != 1 || s.state(t).Confirmed != "" {
				t.Errorf("%s, %d: followed %d times, told %v", name, status, n, s.problems)
			}
		}
	}
}
