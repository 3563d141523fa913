package conformance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// HTTP is a Target at an address.
type HTTP struct {
	URL    string // without a slash at its end, and without the stage
	Region string
	Now    func() string // the current version
	// Enter opens a session of the role with the current external ID.
	Enter func(ctx context.Context, session string) (aws.Credentials, error)

	sessions map[string]aws.Credentials // those that were opened: they live on when their external ID has ended
}

// Version is the current one.
func (h *HTTP) Version() string { return h.Now() }

// Send signs a request as who sends it.
func (h *HTTP) Send(t *testing.T, as As, method, path, body string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, h.URL+"/v1"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if as != Unsigned {
		sum := sha256.Sum256([]byte(body))
		if err := v4.NewSigner().SignHTTP(t.Context(), h.credentials(t, as), r, hex.EncodeToString(sum[:]), "execute-api", h.Region, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close() //nolint:errcheck // nothing was written
	said, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got.StatusCode, string(said)
}

func (h *HTTP) credentials(t *testing.T, as As) aws.Credentials {
	t.Helper()
	name := "app"
	switch as {
	case Operator:
		return aws.Credentials{AccessKeyID: "OPERATOR", SecretAccessKey: "sandbox"}
	case Stranger:
		return aws.Credentials{AccessKeyID: "STRANGER", SecretAccessKey: "sandbox"}
	case Provider:
		return aws.Credentials{AccessKeyID: "sandbox", SecretAccessKey: "sandbox"}
	case Proof:
		name = "confirm-" + h.Now()
	}
	if creds, there := h.sessions[name]; there {
		return creds
	}
	creds, err := h.Enter(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if h.sessions == nil {
		h.sessions = map[string]aws.Credentials{}
	}
	h.sessions[name] = creds
	return creds
}
