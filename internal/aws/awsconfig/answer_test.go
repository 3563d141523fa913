package awsconfig_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/aws/awsconfig"
	"github.com/countersign/countersign/internal/aws/operator"
	"github.com/countersign/countersign/internal/aws/sqs"
)

// A machine that is busy, or a server on the same one, and the answer is here before the request's writer has run again. The
// call was made: the SDK may not take it for lost and make it once more.
func TestAnAnswerFasterThanItsRequestIsKept(t *testing.T) {
	const body = "what is to be told"
	for name, load := range map[string]func(context.Context) (aws.Config, error){
		"a function": awsconfig.Load,
		"the CLI":    func(ctx context.Context) (aws.Config, error) { return operator.Load(ctx, "", "") },
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if sent, err := io.ReadAll(r.Body); err != nil || !bytes.Contains(sent, []byte(body)) {
					t.Errorf("the request is %q, %v", sent, err)
				}
				calls.Add(1)
				w.Header().Set("Content-Type", "application/x-amz-json-1.0")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(200 * time.Millisecond)
				_, _ = io.WriteString(w, `{"MessageId":"1"}`)
			}))
			t.Cleanup(server.Close)
			setLambda(t)
			t.Setenv("AWS_ENDPOINT_URL", server.URL)
			t.Setenv("AWS_PROFILE", "")
			t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
			cfg, err := load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			cfg.HTTPClient = awsconfig.HTTPClient().WithTransportOptions(func(tr *http.Transport) {
				tr.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := new(net.Dialer).DialContext(ctx, network, address)
					return slow{conn, []byte(body)}, err
				}
			})
			if err := sqs.New(cfg, server.URL).Send(t.Context(), []byte(body), 0); err != nil || calls.Load() != 1 {
				t.Errorf("sent %d times, %v, want once", calls.Load(), err)
			}
		})
	}
}

// slow is a connection whose writer is kept waiting behind the end of a request.
type slow struct {
	net.Conn
	end []byte
}

func (s slow) Write(p []byte) (int, error) {
	n, err := s.Conn.Write(p)
	if bytes.Contains(p, s.end) {
		time.Sleep(100 * time.Millisecond)
	}
	return n, err
}
