package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

// to is a delivery of a revocation to a destination of the plan, by its name.
func (w *world) to(name string, change func(*deliver.Queued)) string {
	w.t.Helper()
	e := event("migration", events.AccessRevoked{RevokeID: revocation})
	d := deliver.Queued{
		Said:    deliver.Said{ID: e.Metadata.ID, Kind: events.TypeAccessRevoked, Grant: "migration", RevokeID: revocation},
		Attempt: 1, FirstTried: now,
	}
	for _, one := range w.plans["migration"].Destinations() {
		if one.Name == name {
			d.Destination = deliver.IDOf(one)
		}
	}
	if change != nil {
		change(&d)
	}
	body, err := d.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	return string(body)
}

func TestADeliveryThatIsTooEarlyWaits(t *testing.T) {
	for _, tt := range []struct {
		name     string
		left     time.Duration
		receives int
		did      string // to the queue
		stays    bool
	}{
		{"now", 0, 1, "", false},
		{"the past", -time.Hour, 3, "", false},
		{"once: hidden", 20 * time.Minute, 1, "hide 20m0s", true},
		{"for longer than SQS hides: for as long as it does", 20 * time.Hour, 1, "hide 11h0m0s", true},
		{"once more: sent anew", 9 * time.Hour, 2, "send 15m0s", false},
		{"and exactly, where little is left", 5 * time.Minute, 3, "send 5m0s", false},
	} {
		w := newWorld(t)
		body := w.to("mail 1", func(d *deliver.Queued) { d.Attempt, d.NotBefore = 3, now.Add(tt.left) })
		failed := w.failures(t.Context(), lambdaevents.SQSEvent{Records: []lambdaevents.SQSMessage{message("m1", body, tt.receives)}})
		if (failed != nil) != tt.stays {
			t.Errorf("%s: failed %v", tt.name, failed)
		}
		if early := tt.did != ""; early != (w.told() == nil) {
			t.Errorf("%s: told %v", tt.name, w.told())
		} else if early && (strings.Join(w.did, ", ") != tt.did || w.bus != nil) {
			t.Errorf("%s: did %v, announced %v", tt.name, w.did, w.bus)
		}
		for _, s := range w.sent {
			if s.body != body {
				t.Errorf("%s: it changed: %s", tt.name, s.body)
			}
		}
	}
}

// Trouble of ours spends no attempt: the message comes again, later each time.
func TestTroubleComesAgainLaterEachTime(t *testing.T) {
	for _, act := range []string{"plan", "send"} {
		w := newWorld(t)
		w.status = 500
		w.fail[act] = grant.ErrUnavailable
		body := w.to("webhook 1", nil)
		for receives := range 12 {
			failed := w.failures(t.Context(), lambdaevents.SQSEvent{Records: []lambdaevents.SQSMessage{message("m1", body, receives+1)}})
			if failed == nil || len(w.sent)+len(w.dead)+len(w.bus) > 0 {
				t.Errorf("%s: failed %v, on the queue %v, dead %v, announced %v", act, failed, w.sent, w.dead, w.bus)
			}
		}
		want := "[5s 10s 20s 40s 1m20s 2m40s 5m20s 10m40s 21m20s 30m0s 30m0s 30m0s]"
		if got := fmt.Sprint(w.hid); got != want {
			t.Errorf("%s: came again after %s, want %s", act, got, want)
		}
	}
}

func TestTheLastAttemptLeavesTheMessageWithTheDead(t *testing.T) {
	w := newWorld(t)
	w.status = 500
	body := w.to("webhook 1", func(d *deliver.Queued) { d.Attempt = 10 })
	if failed := w.handle(body); failed != nil || len(w.sent) > 0 {
		t.Errorf("failed %v, on the queue %v", failed, w.sent)
	}
	letter := w.to("webhook 1", func(d *deliver.Queued) { d.Attempt, d.Reason = 10, "the endpoint answered 500" })
	if diff := cmp.Diff([]string{letter}, w.dead); diff != "" {
		t.Errorf("(-want +dead):\n%s", diff)
	}
	if said := w.bus[0].Data.(events.DeliveryFailed); !said.Next.IsZero() || said.Attempt != 10 {
		t.Errorf("announced %+v", said)
	}
	// It isn't lost where the dead letters take nothing.
	w = newWorld(t)
	w.status, w.fail["bury"] = 500, grant.ErrUnavailable
	if failed := w.handleWithin(t.Context(), body); failed == nil || w.bus != nil {
		t.Errorf("failed %v, announced %v", failed, w.bus)
	}
}

func TestAnEndpointThatIsGoneIsToldNothingMore(t *testing.T) {
	w := newWorld(t)
	w.status = 410
	first := w.to("webhook 1", nil)
	if failed := w.handle(first); failed != nil || len(w.sent)+len(w.dead) > 0 {
		t.Errorf("failed %v, on the queue %v, dead %v", failed, w.sent, w.dead)
	}
	mark := grant.TagDisabled + deliver.Fingerprint("https://hooks.hestio.example/migration")
	said, ok := w.bus[0].Data.(events.DestinationDisabled)
	if !ok || said.Destination != "webhook 1" || said.Tag != mark || said.SecretARN != signingSecret || w.tags[mark] == "" {
		t.Fatalf("announced %+v, tags %v", w.bus[0], w.tags)
	}
	w.status = 200
	other := w.to("webhook 1", func(d *deliver.Queued) { d.ID = strings.Repeat("0", 32) })
	w.handle(other)
	if n := len(w.hook); n != 1 {
		t.Errorf("told %d times", n)
	}
	if diff := cmp.Diff([]string{"webhook 1 the endpoint answered 410: it wants no messages any more", "webhook 1 the endpoint answered 410: it wants no messages any more"}, w.outcomes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// The announcement comes back, and the operators hear of it. A forged one changes nothing.
	w.did = nil
	w.handle(body(t, w.bus[0]))
	if diff := cmp.Diff([]string{sns("webhook 1 disabled")}, w.told()); diff != "" {
		t.Errorf("(-want +told):\n%s", diff)
	}
	delete(w.tags, mark)
	w.did = nil
	w.handle(body(t, w.bus[0]))
	if w.told() != nil {
		t.Errorf("a webhook that isn't disabled is told as such: %v", w.told())
	}

	// Another address is another endpoint, and without the mark it is told again.
	w.tags[mark] = strings.Repeat("1", 32)
	w.plans["migration"].Notify[2].Address = "https://hooks.hestio.example/new"
	w.handle(w.to("webhook 1", nil))
	if n := len(w.hook); n != 2 {
		t.Errorf("told %d times", n)
	}
}

// The mark is there before the announcement, and a crash in between must not silence it.
func TestADisabledDestinationIsAnnouncedAtLeastOnce(t *testing.T) {
	w := newWorld(t)
	w.status, w.fail["event Destination Disabled"] = 410, grant.ErrUnavailable
	one := w.to("webhook 1", nil)
	if failed := w.handleWithin(t.Context(), one); failed == nil || len(w.tags) != 1 {
		t.Errorf("failed %v, tags %v", failed, w.tags)
	}
	delete(w.fail, "event Destination Disabled")
	if failed := w.handleWithin(t.Context(), one); failed != nil || len(w.hook) != 1 {
		t.Errorf("failed %v, told %d times", failed, len(w.hook))
	}
	if a, b := w.bus[0], w.bus[1]; a.Metadata.ID != b.Metadata.ID || b.Data.Type() != events.TypeDestinationDisabled {
		t.Errorf("announced %+v and %+v", a, b)
	}
	// A mark that could not be set is no mark.
	w = newWorld(t)
	w.status, w.fail["tag"] = 410, grant.ErrDenied
	if failed := w.handleWithin(t.Context(), one); failed == nil || w.bus != nil {
		t.Errorf("failed %v, announced %v", failed, w.bus)
	}
}

func TestTheLastCallIsMailedToo(t *testing.T) {
	w := newWorld(t)
	w.status = 500
	until := created.Add(24 * time.Hour).Truncate(time.Second)
	call := until.Add(-time.Hour)
	rotation := func(at time.Time) string {
		return w.to("webhook 1", func(d *deliver.Queued) {
			d.Kind, d.Version, d.RevokeID, d.Attempt, d.NotBefore = events.TypeExternalIDRotated, scheduled, "", 8, at
		})
	}
	w.Now = func() time.Time { return call }
	w.handle(rotation(call))
	if diff := cmp.Diff([]string{webhook, mailA, mailB}, w.told()); diff != "" {
		t.Errorf("(-want +told):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"webhook 1 attempt 9 in 1h0m0s"}, w.waiting()); diff != "" {
		t.Errorf("(-want +waiting):\n%s", diff)
	}
	if s := w.mail[0].Subject; s != "[Countersign] migration: reminder: act before 5 Feb 03:00 UTC" {
		t.Errorf("subject %q", s)
	}
	for name, change := range map[string]func(){
		"the attempt before":   func() { w.Now = func() time.Time { return call.Add(-6 * time.Hour) } },
		"the one that says it": func() { w.Now = func() time.Time { return until } },
		"a webhook that takes": func() { w.Now, w.status = func() time.Time { return call }, 200 },
	} {
		w.mail, w.sent = nil, nil
		change()
		w.handle(rotation(w.Now()))
		if len(w.mail) > 0 {
			t.Errorf("%s: %d mails", name, len(w.mail))
		}
	}
}

func TestDeliveriesThatAreDropped(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*deliver.Queued)
	}{
		{"to an address", func(d *deliver.Queued) { d.Destination = "mail-eve@example.com" }},
		{"to nobody", func(d *deliver.Queued) { d.Destination = "" }},
		{"to somebody whom the plan doesn't know", func(d *deliver.Queued) { d.Destination = "mail-0123456789abcdef" }},
		{"of an event that its destination isn't told of", func(d *deliver.Queued) { d.Kind, d.RevokeID = events.TypeTrustDriftDetected, "" }},
		{"of an unknown event", func(d *deliver.Queued) { d.Kind = "Access Opened" }},
		{"of an outcome", func(d *deliver.Queued) { d.Kind, d.RevokeID = events.TypeDeliveryFailed, "" }},
		{"of a grant of another stack", func(d *deliver.Queued) { d.Grant = "elsewhere" }},
		{"without an attempt", func(d *deliver.Queued) { d.Attempt = 0 }},
		{"with a negative one", func(d *deliver.Queued) { d.Attempt = -1 }},
		{"with more of them than there are", func(d *deliver.Queued) { d.Attempt = 1 << 30 }},
		{"with an event id of words", func(d *deliver.Queued) { d.ID = "call +1 555 0100" }},
		{"with a revoke id of words", func(d *deliver.Queued) { d.RevokeID = "call +1 555 0100" }},
		{"with a version of words", func(d *deliver.Queued) { d.Version = "call +1 555 0100" }},
		{"with a rotation that never was", func(d *deliver.Queued) { d.Kind, d.RevokeID, d.Version = events.TypeExternalIDRotated, "", leaked }},
		{"that waits for ever", func(d *deliver.Queued) { d.NotBefore = now.AddDate(100, 0, 0) }},
	} {
		w := newWorld(t)
		if failed := w.handle(w.to("mail 1", tt.change)); failed != nil {
			t.Errorf("%s: tried again", tt.name)
		}
		if w.told() != nil || len(w.bus)+len(w.sent)+len(w.dead) > 0 {
			t.Errorf("%s: told %v, announced %d", tt.name, w.told(), len(w.bus))
		}
		if !strings.Contains(w.log.String(), "message dropped") {
			t.Errorf("%s: log\n%s", tt.name, w.log.String())
		}
	}
}

// TestADeliveryHoldsNoAddress: whoever may read the queue learns names and ids.
func TestADeliveryHoldsNoAddress(t *testing.T) {
	w := newWorld(t)
	w.status = 500
	w.fail["mail"], w.fail["sns"] = errors.New("refused"), errors.New("refused")
	w.handle(body(t, event("migration", events.AccessRevoked{RevokeID: revocation})))
	for _, s := range w.sent {
		for _, word := range []string{"hestio.example", "https", "arn:", "ops-alerts", signingKey} {
			if strings.Contains(s.body, word) {
				t.Errorf("%q in %s", word, s.body)
			}
		}
		var shown map[string]map[string]any
		if err := json.Unmarshal([]byte(s.body), &shown); err != nil || len(shown) != 1 || shown["deliver"]["attempt"] != 2.0 {
			t.Errorf("%s: %v", s.body, err)
		}
	}
	if len(w.sent) != 4 {
		t.Errorf("%d on the queue", len(w.sent))
	}
}

// A dead letter that a person sends again begins anew: ten attempts, each an event of its own, and the webhook's id is the same.
func TestALetterThatIsSentAgainStartsAnew(t *testing.T) {
	w := newWorld(t)
	w.status = 500
	w.handle(w.to("webhook 1", func(d *deliver.Queued) { d.Attempt = 10 }))
	_, letter, err := deliver.ReadQueued(w.dead[0])
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{w.bus[0].Metadata.ID: true}
	later := now.Add(40 * time.Hour)
	w.Now = func() time.Time { return later }
	body, err := letter.Again(later).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 10; n++ {
		w.bus, w.dead, w.sent = nil, nil, nil
		w.handleWithin(t.Context(), string(body))
		said := w.bus[0].Data.(events.DeliveryFailed)
		if said.Attempt != n || !said.SentAgain.Equal(later) || seen[w.bus[0].Metadata.ID] {
			t.Errorf("announced %+v as %s", said, w.bus[0].Metadata.ID)
		}
		seen[w.bus[0].Metadata.ID] = true
		if n == 10 {
			break
		}
		_, next, err := deliver.ReadQueued(w.sent[0].body)
		if err != nil {
			t.Fatal(err)
		}
		body = []byte(w.sent[0].body)
		w.Now = func() time.Time { return next.NotBefore }
	}
	if len(w.dead) != 1 || len(w.sent) > 0 {
		t.Errorf("%d dead, %d waiting", len(w.dead), len(w.sent))
	}
	for _, r := range w.hook {
		if got := r.Header.Get("webhook-id"); got != letter.ID {
			t.Errorf("webhook-id %s, want %s", got, letter.ID)
		}
	}
}
