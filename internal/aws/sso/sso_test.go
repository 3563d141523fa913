package sso_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/aws/sso"
)

const config = `[sso-session hestio]
sso_start_url = https://hestio.awsapps.com/start
sso_region = eu-central-1
[profile new]
sso_session = hestio
sso_account_id = 111122223333
sso_role_name = Engineers
[profile old]
sso_start_url = https://old.awsapps.com/start
sso_region = eu-west-1
sso_account_id = 111122223333
sso_role_name = Engineers
[profile keys]
region = eu-central-1
`

func TestThePersonSignsInInTheBrowserAndTheTokenIsKeptAsAWSKeepsIt(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(home, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(home, "none"))
	if err := os.WriteFile(filepath.Join(home, "config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	looks := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/client/register":
			_, _ = fmt.Fprint(w, `{"clientId":"c","clientSecret":"s","clientSecretExpiresAt":2000000000}`)
		case "/device_authorization":
			_, _ = fmt.Fprint(w, `{"deviceCode":"d","userCode":"ABCD-EFGH","verificationUriComplete":"https://device.sso.eu-central-1.amazonaws.com/?user_code=ABCD-EFGH","interval":1,"expiresIn":600}`)
		case "/token":
			if looks++; looks < 3 {
				w.Header().Set("X-Amzn-Errortype", "AuthorizationPendingException")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = fmt.Fprint(w, `{"error":"authorization_pending"}`)
				return
			}
			_, _ = fmt.Fprint(w, `{"accessToken":"TOKEN","expiresIn":3600,"refreshToken":"R","tokenType":"Bearer"}`)
		}
	}))
	defer server.Close()
	for profile, session := range map[string]string{"new": "hestio", "old": ""} {
		looks = 0
		s, err := sso.Of(t.Context(), profile)
		if err != nil || s.Name != session || !strings.HasSuffix(s.StartURL, ".awsapps.com/start") {
			t.Fatalf("%s: %+v, %v", profile, s, err)
		}
		var told []sso.Step
		now := time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)
		err = s.SignIn(t.Context(), aws.Config{BaseEndpoint: &server.URL}, func(step sso.Step) { told = append(told, step) },
			func(context.Context, time.Duration) error { return nil }, func() time.Time { return now })
		if err != nil || len(told) != 1 || told[0].Code != "ABCD-EFGH" || looks != 3 {
			t.Fatalf("%s: %v, told %+v, %d looks", profile, err, told, looks)
		}
	}
	kept, err := filepath.Glob(filepath.Join(home, ".aws", "sso", "cache", "*.json"))
	if err != nil || len(kept) != 2 {
		t.Fatalf("%q, %v", kept, err)
	}
	for _, path := range kept {
		var token struct{ AccessToken, ExpiresAt, RefreshToken, Region string }
		src, err := os.ReadFile(path)
		if err != nil || json.Unmarshal(src, &token) != nil || token.AccessToken != "TOKEN" || token.ExpiresAt != "2026-06-01T10:00:00Z" || token.RefreshToken != "R" {
			t.Errorf("%s: %+v, %v", path, token, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info.Mode(), err)
		}
	}
	if _, err := sso.Of(t.Context(), "keys"); !errors.Is(err, sso.ErrNone) {
		t.Errorf("%v", err)
	}
}
