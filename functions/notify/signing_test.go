package notify

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

func TestWhichKeysSign(t *testing.T) {
	const (
		older  = "whsec_T0xER1I5cjhHS1lxclR3alVQRDhJTFBaSW8yTGFMYVN3"
		inside = `{"url":"https://hooks.hestio.example/T0KEN","key":"` + older + `"}`
		before = signingSecret + " " + grant.StagePrevious
	)
	for _, tt := range []struct {
		name   string
		change func(*world)
		signs  string // the keys' names; empty: tried again
	}{
		{"one that never changed", func(w *world) {}, "current"},
		{"rotated now", func(w *world) { w.keyed, w.secrets[before] = now, older }, "current older"},
		{"rotated by a clock that is ahead", func(w *world) { w.keyed, w.secrets[before] = now.Add(time.Minute), older }, "current older"},
		{"the last moment of the overlap", func(w *world) { w.keyed, w.secrets[before] = now.Add(1-deliver.KeyOverlap), older }, "current older"},
		{"the overlap is over", func(w *world) { w.keyed, w.secrets[before] = now.Add(-deliver.KeyOverlap), older }, "current"},
		{"new, and the first", func(w *world) { w.keyed = now }, "current"},
		{"only the URL changed", func(w *world) { w.keyed, w.secrets[before] = now, signingKey }, "current"},
		{"the one before held its URL too", func(w *world) { w.keyed, w.secrets[before] = now, inside }, "current older"},
		{"a mistake that was mended", func(w *world) { w.keyed, w.secrets[before] = now, "T0KEN" }, "current"},
		{"the one before can't be decrypted any more", func(w *world) {
			w.keyed, w.secrets[before], w.fail["AWSPREVIOUS"] = now, older, fmt.Errorf("decrypting: %w", grant.ErrDenied)
		}, "current"},
		{"the one before can't be read now", func(w *world) {
			w.keyed, w.secrets[before], w.fail["AWSPREVIOUS"] = now, older, fmt.Errorf("reading: %w", grant.ErrThrottled)
		}, ""},
	} {
		w := newWorld(t)
		tt.change(w)
		w.handle(body(t, event("migration", events.AccessRevoked{RevokeID: revocation})))
		if again := w.waiting() != nil; again != (tt.signs == "") {
			t.Errorf("%s: tried again: %t", tt.name, again)
		}
		if len(w.hook) == 0 {
			if tt.signs != "" {
				t.Errorf("%s: not sent", tt.name)
			}
			continue
		}
		var want []string
		for _, name := range strings.Fields(tt.signs) {
			key, err := deliver.ParseKey(map[string]string{"current": signingKey, "older": older}[name])
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, key.Sign(w.hook[0].Header.Get("webhook-id"), now, w.body[0]))
		}
		if got := w.hook[0].Header.Get("webhook-signature"); got != strings.Join(want, " ") {
			t.Errorf("%s: signed %q, want %q", tt.name, got, want)
		}
		if strings.Contains(w.log.String(), "T0KEN") {
			t.Errorf("%s: the log holds a secret's value", tt.name)
		}
	}
}
