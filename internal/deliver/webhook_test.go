package deliver

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"pgregory.net/rapid"
)

const testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func testKey(t *testing.T) Key {
	t.Helper()
	key, err := ParseKey(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestTheLibraryVerifiesWhatWeSign sends through the real client to a receiver that uses the Standard Webhooks library.
func TestTheLibraryVerifiesWhatWeSign(t *testing.T) {
	verifier, err := standardwebhooks.NewWebhook(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	other, err := standardwebhooks.NewWebhook("whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan []byte, 1)
	endpoint, client := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifier.Verify(body, r.Header)
		}
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		if verifier.Verify(append(body, ' '), r.Header) == nil || other.Verify(body, r.Header) == nil {
			w.WriteHeader(http.StatusTeapot)
		}
		got <- body
	})
	f := facts(events.TypeExternalIDRotated, func(f *Facts) { f.VersionID, f.PreviousUntil = scheduledVersion, f.At.Add(24*time.Hour) })
	body, err := NewBody(plan(), f)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRequest(t.Context(), endpoint, testKey(t), f.EventID, time.Now(), body)
	if err != nil {
		t.Fatal(err)
	}
	if err := Post(client, r); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"type": "External ID Rotated", "timestamp": "2026-02-04T03:00:00Z",
		"data": map[string]any{
			"grant": "migration", "region": "eu-west-1", "provider": "hestio", "providerAccount": "111122223333", "account": "444455556666",
			"roleArn":   "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration",
			"secretArn": "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-Ab3dEf",
			"keyArn":    "arn:aws:kms:eu-west-1:444455556666:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
			"versionId": scheduledVersion, "cause": "scheduled", "previousUntil": "2026-02-05T03:00:00Z",
		},
	}
	var said any
	if err := json.Unmarshal(<-got, &said); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(any(want), said); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOurSignatureIsTheLibrarys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 24, 64).Draw(t, "key")
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		id := rapid.StringMatching(`[0-9a-f]{32}`).Draw(t, "id")
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "at"), 0)
		key, err := ParseKey("whsec_" + base64.StdEncoding.EncodeToString(raw))
		if err != nil {
			t.Fatal(err)
		}
		library, err := standardwebhooks.NewWebhookRaw(raw)
		if err != nil {
			t.Fatal(err)
		}
		want, err := library.Sign(id, at, body)
		if err != nil {
			t.Fatal(err)
		}
		if got := key.Sign(id, at, body); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}

// TestTwoKeysSignWhileOneIsRotated: a receiver verifies with either, by the Standard Webhooks project's library.
func TestTwoKeysSignWhileOneIsRotated(t *testing.T) {
	const older = "whsec_T0xER1I5cjhHS1lxclR3alVQRDhJTFBaSW8yTGFMYVN3"
	previous, err := ParseKey(older)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"type":"Access Revoked"}`)
	current := testKey(t)
	r, err := NewRequest(t.Context(), "https://hooks.example.com/", current.And(previous), "id", now, body)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.Header.Get("webhook-signature"), current.Sign("id", now, body)+" "+previous.Sign("id", now, body); got != want {
		t.Errorf("signed %s, want %s", got, want)
	}
	for _, secret := range []string{testSecret, older} {
		library, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := library.VerifyIgnoringTimestamp(body, r.Header); err != nil {
			t.Error(err)
		}
	}
	if got := current.And(current).Sign("id", now, body); got != current.Sign("id", now, body) {
		t.Errorf("one key signs twice: %s", got)
	}
	if got := current.And(Key{}).Sign("id", now, body); got != current.Sign("id", now, body) {
		t.Errorf("no key signs: %s", got)
	}
}

func TestEndpoints(t *testing.T) {
	const own = "https://hooks.example.com/countersign"
	inPlan, inSecret := grant.Destination{Address: own}, grant.Destination{}
	for _, tt := range []struct {
		name   string
		hook   grant.Destination
		secret string
		url    string // of the result; "refused" for ErrBadKey, "bad URL" for ErrBadURL
	}{
		{"a port in the plan", grant.Destination{Address: "https://hooks.example.com:8443/"}, testSecret, "https://hooks.example.com:8443/"},
		{"a port in the secret", inSecret, `{"url":"https://h.example.com:8443/T0KEN","key":"` + testSecret + `"}`, "bad URL"},
		{"the usual port in the secret", inSecret, `{"url":"https://h.example.com:443/T0KEN","key":"` + testSecret + `"}`, "https://h.example.com:443/T0KEN"},
		{"a local port in the secret: the client decides", inSecret, `{"url":"http://127.0.0.1:8080/T0KEN","key":"` + testSecret + `"}`, "http://127.0.0.1:8080/T0KEN"},
		{"no URL in the secret", inSecret, `{"url":"https://h.example.com:T0KEN/","key":"` + testSecret + `"}`, "bad URL"},
		{"bare key", inPlan, testSecret, own},
		{"bare key with a new line", inPlan, testSecret + "\n", own},
		{"URL in the secret", inSecret, `{"url":"https://h.example.com/T0KEN","key":"` + testSecret + `"}`, "https://h.example.com/T0KEN"},
		{"the plan's URL goes first", inPlan, `{"url":"https://h.example.com/T0KEN","key":"` + testSecret + `"}`, own},
		{"bare key and no URL: the client refuses it", inSecret, testSecret, ""},
		{"no prefix", inPlan, testSecret[6:], "refused"},
		{"empty", inPlan, "", "refused"},
		{"no base64", inPlan, "whsec_???", "refused"},
		{"23 bytes", inPlan, "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 23)), "refused"},
		{"64 bytes", inPlan, "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 64)), own},
		{"65 bytes", inPlan, "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65)), "refused"},
		{"broken JSON", inSecret, `{"url":`, "refused"},
		{"Slack needs no key", inSecret, `{"url":"https://hooks.slack.com/services/T0KEN"}`, "https://hooks.slack.com/services/T0KEN"},
		{"Slack's key, if there is one, is one", inSecret, `{"url":"https://hooks.slack.com/services/T0KEN","key":"T0KEN"}`, "refused"},
		{"a host that looks like Slack's", inSecret, `{"url":"https://hooks.slack.com.example.com/services/T0KEN"}`, "refused"},
		{"JSON without a key", inSecret, `{"url":"https://h.example.com/"}`, "refused"},
	} {
		url, _, err := ParseEndpoint(tt.hook, tt.secret)
		if err != nil {
			url = map[bool]string{true: "refused", false: "bad URL"}[errors.Is(err, ErrBadKey)]
			if !errors.Is(err, ErrBadKey) && !errors.Is(err, ErrBadURL) || strings.Contains(err.Error(), "T0KEN") || (tt.secret != "" && strings.Contains(err.Error(), tt.secret)) {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		if url != tt.url {
			t.Errorf("%s: URL %q, want %q", tt.name, url, tt.url)
		}
	}
}

func TestTheKeyPrintsAsAWord(t *testing.T) {
	key := testKey(t)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("signed", "key", key)
	asJSON, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%v %+v %#v %s %x %q", key, key, key, key, key, key) + log.String() + string(asJSON)
	raw, err := base64.StdEncoding.DecodeString(testSecret[6:])
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{testSecret[6:], string(raw), fmt.Sprintf("%x", raw), fmt.Sprintf("%d", raw)} {
		if strings.Contains(all, form) {
			t.Errorf("the key's value is in %s", all)
		}
	}
}

func TestBodiesOfAnAccessWithoutAnID(t *testing.T) {
	p := plan()
	p.NoExternalID, p.SecretARN, p.KeyARN = true, "", ""
	p.Expires = time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC)
	body, err := NewBody(p, facts(events.TypeAccessGranted, nil))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"Access Granted","timestamp":"2026-02-04T03:00:00Z","data":{"grant":"migration","region":"eu-west-1",` +
		`"provider":"hestio","providerAccount":"111122223333","account":"444455556666",` +
		`"roleArn":"arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration","expires":"2026-12-31T23:59:59Z"}}`
	if string(body) != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
}
