package sandbox_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/countersign/countersign/internal/sandbox"
)

// account is a sandbox that listens.
type account struct {
	*sandbox.Server
	url string
}

func newAccount(t *testing.T) *account {
	t.Helper()
	a := &account{}
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.ServeHTTP(w, r) }))
	t.Cleanup(listener.Close)
	a.url = listener.URL
	var err error
	if a.Server, err = sandbox.New(sandbox.Config{URL: a.url}); err != nil {
		t.Fatal(err)
	}
	return a
}

// enter assumes the role with the current external ID.
func (a *account) enter(t *testing.T, session string) aws.Credentials {
	t.Helper()
	id, err := a.FirstID()
	if err != nil {
		t.Fatal(err)
	}
	cfg := aws.Config{Region: sandbox.Region, BaseEndpoint: &a.url, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "sandbox", SecretAccessKey: "sandbox"}, nil
	})}
	out, err := sts.NewFromConfig(cfg).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: new(a.Facts(t.Context()).RoleARN), RoleSessionName: &session, ExternalId: new(id.Reveal()),
	})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Credentials
	return aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken}
}

// post sends a request that creds sign for a service; edit changes it afterwards.
func (a *account) post(t *testing.T, creds aws.Credentials, service, path, body string, edit func(*http.Request)) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	if creds.HasKeys() {
		if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, hex.EncodeToString(sum[:]), service, sandbox.Region, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if edit != nil {
		edit(r)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // nothing was written
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(said)
}

// Only the session of the current version's name confirms, by a request that it has signed for this path and body.
func TestWhoseConfirmationCounts(t *testing.T) {
	a := newAccount(t)
	version := a.Facts(t.Context()).VersionID
	const path = "/v1/grants/migration/confirm"
	body := `{"versionId":"` + version + `","retireIn":"15m"}`
	proof, plain := a.enter(t, "confirm-"+version), a.enter(t, "app")
	other := "rotate-" + strings.Repeat("0", 32)
	wrong := proof
	wrong.SecretAccessKey += "x"
	for _, c := range []struct {
		name       string
		creds      aws.Credentials
		service    string
		path, body string
		edit       func(*http.Request)
		status     int
	}{
		{"unsigned", aws.Credentials{}, "execute-api", path, body, nil, 403},
		{"another session", plain, "execute-api", path, body, nil, 403},
		{"another key", wrong, "execute-api", path, body, nil, 403},
		{"signed for another service", proof, "sts", path, body, nil, 403},
		{"another body than was signed", proof, "execute-api", path, body, func(r *http.Request) {
			changed := []byte(strings.Replace(body, "15m", "99m", 1))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(changed)), int64(len(changed))
		}, 403},
		{"another path than was signed", proof, "execute-api", "/v1/grants/nightly/confirm", body, func(r *http.Request) { r.URL.Path = path }, 403},
		{"another grant", proof, "execute-api", "/v1/grants/nightly/confirm", body, nil, 403},
		{"a path with a way up", proof, "execute-api", "/v1/grants/nightly/../migration/confirm", body, nil, 403},
		{"a path with an escape", proof, "execute-api", "/v1/grants/migration%2Fx/confirm", body, nil, 403},
		{"another version", proof, "execute-api", path, strings.Replace(body, version, other, 1), nil, 403},
		{"a version that is not current", a.enter(t, "confirm-"+other), "execute-api", path, strings.Replace(body, version, other, 1), nil, 409},
		{"no duration", proof, "execute-api", path, strings.Replace(body, "15m", "soon", 1), nil, 400},
		{"a field more", proof, "execute-api", path, strings.Replace(body, "{", `{"grant":"nightly",`, 1), nil, 400},
		{"no JSON", proof, "execute-api", path, "confirm", nil, 400},
		{"the provider's principal", aws.Credentials{AccessKeyID: "sandbox", SecretAccessKey: "sandbox"}, "execute-api", path, body, nil, 403},
		{"as it should be", proof, "execute-api", path, body, nil, 202},
		{"once more", proof, "execute-api", path, body, nil, 409},
	} {
		if status, said := a.post(t, c.creds, c.service, c.path, c.body, c.edit); status != c.status {
			t.Errorf("%s: %d, want %d: %s", c.name, status, c.status, said)
		}
	}
	if err := a.Rotate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if status, said := a.post(t, proof, "execute-api", path, body, nil); status != 409 {
		t.Errorf("an old session's confirmation of an old version: %d %s", status, said)
	}
	if err := a.Revoke(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, said := a.post(t, proof, "execute-api", path, body, nil); status != 403 {
		t.Errorf("a revoked session's: %d %s", status, said)
	}
}
