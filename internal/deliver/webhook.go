package deliver

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// Body is what a webhook says. Type is the event's detail type.
type Body struct {
	Type      events.Type `json:"type"`
	Timestamp time.Time   `json:"timestamp"`      // of the change, UTC to the second
	Test      bool        `json:"test,omitempty"` // Test Requested: nothing has changed
	Data      BodyData    `json:"data"`
}

// BodyData names the grant's objects and the version that changed.
type BodyData struct {
	Grant  grant.Name `json:"grant"`
	Region string     `json:"region"`
	events.Where
	VersionID     string    `json:"versionId,omitempty"`
	Cause         string    `json:"cause,omitempty"`        // External ID Rotated: scheduled, requested, leaked or restored
	PreviousUntil time.Time `json:"previousUntil,omitzero"` // absent: the previous ID ended with the rotation
	RevokeID      string    `json:"revokeId,omitempty"`
	Expires       time.Time `json:"expires,omitzero"` // end of the grant
}

// NewBody is the webhook's body: the same bytes for the same facts.
func NewBody(p grant.Plan, f Facts) ([]byte, error) {
	data := BodyData{
		Grant: p.Grant, Region: p.Region, Where: p.Where(), VersionID: f.VersionID, RevokeID: f.RevokeID,
		PreviousUntil: f.PreviousUntil, Expires: p.Expires,
	}
	if f.Kind == events.TypeExternalIDRotated {
		data.Cause = CauseOf(f.VersionID)
	}
	out, err := json.Marshal(Body{Type: f.Kind, Test: f.Kind == events.TypeTestRequested, Timestamp: f.At.UTC().Truncate(time.Second), Data: data})
	if err != nil {
		return nil, fmt.Errorf("writing webhook of %s: %w", p.Grant, err)
	}
	return out, nil
}

// ErrBadKey says that a secret holds no signing key. It never carries what the secret holds.
var ErrBadKey = errors.New("no signing key in the form of Standard Webhooks")

// KeyOverlap is how long after a rotation the key before signs beside the new one. Receivers have so long to change theirs.
const KeyOverlap = 7 * 24 * time.Hour

// Key signs webhooks by the Standard Webhooks scheme, with one secret or, while it is rotated, with two. It prints as a
// fixed word.
type Key struct{ secrets [][]byte }

// And is a key that signs with this one's secrets and then the other's.
func (k Key) And(other Key) Key {
	all := slices.Clone(k.secrets)
	for _, secret := range other.secrets {
		if !slices.ContainsFunc(all, func(s []byte) bool { return bytes.Equal(s, secret) }) {
			all = append(all, secret)
		}
	}
	return Key{all}
}

// Format prints the word whatever the verb.
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "key") }

// LogValue is the word.
func (Key) LogValue() slog.Value { return slog.StringValue("key") }

// MarshalText is the word; encoding/json uses it too.
func (Key) MarshalText() ([]byte, error) { return []byte("key"), nil }

// ParseKey reads "whsec_" and the base64 of 24 to 64 bytes.
func ParseKey(s string) (Key, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(s), "whsec_")
	if !ok {
		return Key{}, ErrBadKey
	}
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(b) < 24 || len(b) > 64 {
		return Key{}, ErrBadKey
	}
	return Key{[][]byte{b}}, nil
}

// ParseEndpoint reads a webhook's secret: the bare key, or {"url","key"} where the URL is a credential itself; of Slack's
// the key may be left out. The URL of the plan goes first. Only that one may name a port other than 443: it was reviewed, a secret is written by the way.
func ParseEndpoint(hook grant.Destination, secret string) (string, Key, error) {
	var both struct {
		URL string `json:"url"`
		Key string `json:"key"`
	}
	both.Key = secret
	if strings.HasPrefix(strings.TrimSpace(secret), "{") {
		both.Key = ""
		if json.Unmarshal([]byte(secret), &both) != nil {
			return "", Key{}, ErrBadKey
		}
	}
	var key Key
	if unsigned := both.Key == "" && hook.Address == "" && isSlack(both.URL); !unsigned {
		var err error
		if key, err = ParseKey(both.Key); err != nil {
			return "", Key{}, err
		}
	}
	if hook.Address != "" {
		return hook.Address, key, nil
	}
	u, err := url.Parse(both.URL)
	if err != nil || u.Port() != "" && u.Port() != "443" && !isLoopback(u.Hostname()) {
		return "", Key{}, ErrBadURL
	}
	return both.URL, key, nil
}

// Sign is the value of the header webhook-signature for one attempt: a signature a secret, with spaces between them.
func (k Key) Sign(id string, at time.Time, body []byte) string {
	var signatures []string
	for _, secret := range k.secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write(fmt.Appendf(nil, "%s.%d.", id, at.Unix()))
		mac.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(signatures, " ")
}

// NewRequest is one attempt to deliver a body. id is the event's, the same for every attempt; at is the attempt's time.
// Its errors don't name the URL.
func NewRequest(ctx context.Context, endpoint string, key Key, id string, at time.Time, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, ErrBadURL
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Countersign")
	r.Header.Set("webhook-id", id)
	r.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	if signatures := key.Sign(id, at, body); signatures != "" {
		r.Header.Set("webhook-signature", signatures)
	}
	return r, nil
}
