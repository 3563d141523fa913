package sim_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

const signingKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// post sends one signed webhook to a receiver.
func post(t *testing.T, w *sim.World, r *sim.Receiver, key, id string, signed time.Time) error {
	t.Helper()
	k, err := deliver.ParseKey(key)
	must(t, err)
	request, err := deliver.NewRequest(sim.As(t.Context(), "notify"), "https://hooks.example.com/countersign", k, id, signed, []byte(`{"type":"Access Revoked"}`))
	must(t, err)
	return deliver.Post(r, request)
}

func TestAReceiverTakesWhatIsSignedNowAndByItsKey(t *testing.T) {
	w := sim.New(sim.Config{})
	r, err := w.NewReceiver(signingKey)
	must(t, err)
	other := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 24)))
	for _, c := range []struct {
		name, key string
		signed    time.Time
		status    int // 0: taken
	}{
		{"signed now", signingKey, w.Now(), 0},
		{"signed 5 minutes ago", signingKey, w.Now().Add(-5 * time.Minute), 0},
		{"signed 6 minutes ago", signingKey, w.Now().Add(-6 * time.Minute), http.StatusUnauthorized},
		{"signed 6 minutes ahead", signingKey, w.Now().Add(6 * time.Minute), http.StatusUnauthorized},
		{"signed by another key", other, w.Now(), http.StatusUnauthorized},
	} {
		err := post(t, w, r, c.key, "id-1", c.signed)
		refused := (*deliver.StatusError)(nil)
		if c.status == 0 && err != nil || c.status != 0 && (!errors.As(err, &refused) || refused.Code != c.status) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	got := r.Deliveries()
	if len(got) != 5 || got[0].ID != "id-1" || got[0].Verified != nil || got[2].Verified == nil || string(got[0].Body) != `{"type":"Access Revoked"}` {
		t.Errorf("deliveries %+v", got)
	}
	if calls := w.Calls("webhook"); len(calls) != 5 || calls[0].Actor != "notify" || calls[0].Resource != "hooks.example.com" {
		t.Errorf("calls %v", calls)
	}
	if _, err := w.NewReceiver("no key"); err == nil {
		t.Error("a key that is none was taken")
	}
}

func TestAReceiverAsksForTime(t *testing.T) {
	w := sim.New(sim.Config{})
	r, err := w.NewReceiver(signingKey)
	must(t, err)
	r.Behave = func(int, sim.Delivery) sim.Behaviour {
		return sim.Behaviour{Status: http.StatusTooManyRequests, RetryAfter: "120"}
	}
	var status *deliver.StatusError
	if err := post(t, w, r, signingKey, "id", w.Now()); !errors.As(err, &status) || status.Wait(w.Now()) != 2*time.Minute {
		t.Errorf("got %v", err)
	}
}

func TestAReceiverMisbehavesAsItIsTold(t *testing.T) {
	for _, c := range []struct {
		name    string
		behave  sim.Behaviour
		fault   sim.Fault
		reason  string // of the failure; empty: taken
		took    time.Duration
		arrived int
	}{
		{"well", sim.Behaviour{}, sim.None, "", 0, 1},
		{"with a status", sim.Behaviour{Status: http.StatusServiceUnavailable}, sim.None, "the endpoint answered 503", 0, 1},
		{"with a redirect", sim.Behaviour{Status: http.StatusFound}, sim.None, "the endpoint redirects: give its final URL", 0, 1},
		{"slowly", sim.Behaviour{Slow: 9 * time.Second}, sim.None, "", 9 * time.Second, 1},
		{"too slowly", sim.Behaviour{Slow: time.Minute}, sim.None, "the endpoint did not answer in time", deliver.Timeout, 1},
		{"not at all", sim.Behaviour{Hang: true}, sim.None, "the endpoint did not answer in time", deliver.Timeout, 1},
		{"by breaking the connection", sim.Behaviour{Err: sim.ErrReset}, sim.None, "the connection failed", 0, 1},
		{"with a certificate that nobody trusts", sim.Behaviour{Err: sim.ErrBadTLS}, sim.None, "the endpoint's certificate is not trusted", 0, 1},
		{"with an endless answer", sim.Behaviour{Giant: true}, sim.None, "", 0, 1},
		{"with an endless refusal", sim.Behaviour{Status: http.StatusInternalServerError, Giant: true}, sim.None, "the endpoint answered 500", 0, 1},
		{"well, but the answer is lost", sim.Behaviour{}, sim.Lose, "the connection failed", 0, 1},
		{"well, but nothing gets there", sim.Behaviour{}, sim.Fail, "the connection failed", 0, 0},
	} {
		w := sim.New(sim.Config{Schedule: func(sim.Call) sim.Outcome { return sim.Outcome{Fault: c.fault} }})
		r, err := w.NewReceiver(signingKey)
		must(t, err)
		r.Behave = func(int, sim.Delivery) sim.Behaviour { return c.behave }
		start := w.Now()
		err = post(t, w, r, signingKey, "id", start)
		reason := ""
		if err != nil {
			reason = deliver.Reason(err)
		}
		if reason != c.reason || w.Now().Sub(start) != c.took || len(r.Deliveries()) != c.arrived {
			t.Errorf("%s: %q after %s, %d arrived", c.name, reason, w.Now().Sub(start), len(r.Deliveries()))
		}
		if n := r.Poured(); c.behave.Giant != (n > 0) || n > 64<<10 {
			t.Errorf("%s: %d bytes of the answer were read", c.name, n)
		}
		if c.fault != sim.None && !errors.Is(err, grant.ErrUnavailable) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
