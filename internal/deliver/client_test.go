package deliver

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// endpoint is a receiver over TLS on this machine, and a client that trusts it.
func endpoint(t *testing.T, answer http.HandlerFunc) (string, *http.Client) {
	t.Helper()
	server := httptest.NewTLSServer(answer)
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return server.URL, newClient(true, roots, newDialer(true))
}

// hang never answers, and ends when the client is gone. The server notices that only once the body is read. A handler that
// returned would answer, and a client that is about to close might still read it.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

func post(t *testing.T, client Doer, url string) error {
	t.Helper()
	r, err := NewRequest(t.Context(), url, testKey(t), "00112233445566778899aabbccddeeff", time.Now(), []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	return Post(client, r)
}

func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		code   int
		reason string // empty: taken
	}{
		{200, ""}, {201, ""}, {202, ""}, {204, ""}, {299, ""},
		{301, "redirects"}, {302, "redirects"}, {303, "redirects"}, {304, "redirects"}, {307, "redirects"}, {308, "redirects"},
		{400, "answered 400"}, {401, "answered 401"}, {404, "answered 404"}, {410, "answered 410"}, {429, "answered 429"},
		{500, "answered 500"}, {502, "answered 502"}, {503, "answered 503"},
	} {
		hits := 0
		url, client := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
			hits++
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(tt.code)
			if tt.code != 204 && tt.code != 304 {
				_, _ = io.WriteString(w, "words of the endpoint")
			}
		})
		err := post(t, client, url+"/secret-path")
		if (err == nil) != (tt.reason == "") {
			t.Errorf("%d: %v", tt.code, err)
		}
		if hits != 1 {
			t.Errorf("%d: the endpoint was asked %d times", tt.code, hits)
		}
		if err == nil {
			continue
		}
		said := Reason(err)
		if !strings.Contains(said, tt.reason) {
			t.Errorf("%d: reason %q", tt.code, said)
		}
		for _, s := range []string{said, err.Error()} {
			if strings.Contains(s, "words") {
				t.Errorf("%d: the endpoint's words came through: %q", tt.code, s)
			}
		}
	}
}

func TestAnEndlessAnswerIsNotRead(t *testing.T) {
	written := make(chan int, 1)
	url, client := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		n := 0
		for chunk := make([]byte, 64<<10); n < 64<<20; {
			m, err := w.Write(chunk)
			n += m
			if err != nil {
				break
			}
		}
		written <- n
	})
	if err := post(t, client, url); err != nil {
		t.Fatal(err)
	}
	if n := <-written; n >= 64<<20 {
		t.Errorf("all %d bytes were taken", n)
	}
}

func TestHugeHeadersAreRefused(t *testing.T) {
	url, client := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
	})
	if err := post(t, client, url); err == nil {
		t.Error("taken")
	}
}

func TestReasonsNameNoAddress(t *testing.T) {
	url, client := endpoint(t, func(w http.ResponseWriter, r *http.Request) {})
	slow, slowClient := endpoint(t, hang)
	brief := &http.Client{Transport: slowClient.Transport, Timeout: 50 * time.Millisecond}
	for _, tt := range []struct {
		name   string
		client Doer
		url    string
		want   string
	}{
		{"unknown authority", NewClient(true), url + "/secret-path", "certificate is not trusted"},
		{"another name", client, strings.Replace(url, "127.0.0.1", "localhost", 1) + "/secret-path", "certificate is not trusted"},
		{"no such name", NewClient(false), "https://secret-name.invalid/secret-path", "name does not resolve"},
		{"nobody there", NewClient(true), "https://127.0.0.1:1/secret-path", "connection failed"},
		{"too slow", brief, slow + "/secret-path", "did not answer in time"},
		{"forbidden", NewClient(false), "https://192.168.0.1/secret-path", "not at a public address"},
		{"not https", client, "http://secret-name.invalid/secret-path", "not https"},
	} {
		err := post(t, tt.client, tt.url)
		if err == nil {
			t.Errorf("%s: taken", tt.name)
			continue
		}
		if said := Reason(err); !strings.Contains(said, tt.want) || strings.Contains(said, "secret-") || strings.Contains(said, "127.0") {
			t.Errorf("%s: reason %q of %v", tt.name, said, err)
		}
	}
}

func TestPostEndsWithItsContext(t *testing.T) {
	url, client := endpoint(t, hang)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r, err := NewRequest(ctx, url, testKey(t), "id", now, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := Post(client, r); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestALineBreakInAnIDIsNotSent(t *testing.T) {
	url, client := endpoint(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") })
	for _, id := range []string{"x\r\nwebhook-signature: v1,x", "x\ny", "x\ry", "x\x00"} {
		r, err := NewRequest(t.Context(), url, testKey(t), id, now, nil)
		if err == nil {
			err = Post(client, r)
		}
		if err == nil {
			t.Errorf("%q was sent", id)
		}
	}
}

func TestBadURLsAreNotNamed(t *testing.T) {
	for _, u := range []string{"https://h/\x7f-token", "://token", "https://[token/"} {
		if _, err := NewRequest(t.Context(), u, testKey(t), "id", now, nil); !errors.Is(err, ErrBadURL) || strings.Contains(err.Error(), "token") {
			t.Errorf("%q: %v", u, err)
		}
	}
}

func TestWhatAnEndpointAsksFor(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, "4294967295": 4294967295 * time.Second, "4294967296": 0, "-5": 0, "1.5": 0, "soon": 0, "120 ": 0,
		now.Add(time.Hour).Format(http.TimeFormat):  time.Hour,
		now.Add(-time.Hour).Format(http.TimeFormat): 0,
	} {
		url, client := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Retry-After"] = []string{header}
			w.WriteHeader(http.StatusTooManyRequests)
		})
		var status *StatusError
		if err := post(t, client, url); !errors.As(err, &status) || Gone(err) {
			t.Fatalf("%q: %v", header, err)
		}
		if header == "120 " {
			want = 2 * time.Minute // HTTP takes the space off
		}
		if got := status.Wait(now); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
	url, client := endpoint(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusGone) })
	if err := post(t, client, url); !Gone(err) {
		t.Errorf("got %v", err)
	}
}
