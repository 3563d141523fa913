package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

const (
	mailA   = "mail a@hestio.example"
	mailB   = "mail b@hestio.example"
	webhook = "webhook https://hooks.hestio.example/migration"
)

func sns(subject string) string { return "sns " + topic + " [Countersign] migration: " + subject }

func TestWhoIsToldOfWhat(t *testing.T) {
	provider := []string{mailA, mailB, webhook}
	for _, tt := range []struct {
		data events.Data
		told []string
	}{
		{events.AccessGranted{VersionID: "birth-4f0c8e1d2b3a49586776859493a2b1c0"}, append(slices.Clone(provider), sns("access granted"))},
		{rotated(scheduled), provider},
		{events.ExternalIDConfirmed{VersionID: scheduled, By: "provider"}, []string{webhook}},
		{events.RotationUnconfirmed{VersionID: scheduled, Reminder: "half"}, append(slices.Clone(provider), sns("external ID not confirmed"))},
		{events.PreviousRetired{VersionID: "birth-4f0c8e1d2b3a49586776859493a2b1c0"}, []string{webhook}},
		{events.AccessRevoked{RevokeID: revocation}, append(slices.Clone(provider), sns("access revoked"))},
		{events.AccessExpired{}, append(slices.Clone(provider), sns("access expired"))},
		{events.RotationFailed{VersionID: scheduled}, []string{sns("rotation failed")}},
		{events.TrustDriftDetected{}, []string{sns("trust drift detected")}},
		{events.TestRequested{}, append(slices.Clone(provider), sns("TEST, nothing has changed"))},
		{events.OperationRequested{}, nil},
		{events.DeliverySucceeded{}, nil},
		{events.DeliveryFailed{}, nil},
	} {
		w := newWorld(t)
		p := w.plans["migration"]
		p.Expires = now.Add(-time.Hour)
		w.plans["migration"] = p
		if failed := w.handle(body(t, event("migration", tt.data))); failed != nil {
			t.Errorf("%s: failed: %s", tt.data.Type(), w.log.String())
		}
		if diff := cmp.Diff(tt.told, w.told()); diff != "" {
			t.Errorf("%s (-want +told):\n%s", tt.data.Type(), diff)
		}
		if len(w.bus) != len(tt.told) {
			t.Errorf("%s: %d outcomes announced, want %d", tt.data.Type(), len(w.bus), len(tt.told))
		}
		for _, e := range w.bus {
			if e.Data.Type() != events.TypeDeliverySucceeded {
				t.Errorf("%s: %q announced", tt.data.Type(), e.Data.Type())
			}
		}
	}
}

// A test takes the way of every other message, and no reader can take it for a change.
func TestATestSaysSoAtEachDestination(t *testing.T) {
	w := newWorld(t)
	e := event("migration", events.TestRequested{Where: where, Reason: "first set-up", By: "arn:aws:iam::444455556666:role/Operations"})
	if failed := w.handle(body(t, e)); failed != nil {
		t.Fatal(w.log.String())
	}
	const subject = "[Countersign] migration: TEST, nothing has changed"
	if diff := cmp.Diff([]string{mailA, mailB, webhook, "sns " + topic + " " + subject}, w.told()); diff != "" {
		t.Fatalf("(-want +told):\n%s", diff)
	}
	for _, m := range w.mail {
		if m.Subject != subject {
			t.Errorf("%v: subject %q", m.To, m.Subject)
		}
	}
	var said deliver.Body
	if err := json.Unmarshal(w.body[0], &said); err != nil {
		t.Fatal(err)
	}
	if said.Type != events.TypeTestRequested || !said.Test || said.Data.RoleARN != w.plans["migration"].RoleARN {
		t.Errorf("the webhook was told %+v", said)
	}
	if diff := cmp.Diff([]string{"mail 1 ok", "mail 2 ok", "webhook 1 ok", "sns 1 ok"}, w.outcomes()); diff != "" {
		t.Errorf("(-want +outcomes):\n%s", diff)
	}
	for _, one := range w.bus {
		if d := one.Data.(events.DeliverySucceeded); d.EventID != e.Metadata.ID || d.Event != events.TypeTestRequested {
			t.Errorf("%s tells of %s %s", d.Destination, d.Event, d.EventID)
		}
	}
}

func TestARotationIsToldWithThePlansWords(t *testing.T) {
	w := newWorld(t)
	e := event("migration", rotated(scheduled))
	if failed := w.handle(body(t, e)); failed != nil {
		t.Fatal(w.log.String())
	}
	mail := w.mail[0]
	if mail.Subject != "[Countersign] migration: new external ID, act before 5 Feb 03:00 UTC" {
		t.Errorf("subject %q", mail.Subject)
	}
	if mail.From != "countersign@example.com" || len(mail.To) != 1 {
		t.Errorf("from %s to %v", mail.From, mail.To)
	}
	verifier, err := standardwebhooks.NewWebhook(signingKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.VerifyIgnoringTimestamp(w.body[0], w.hook[0].Header); err != nil {
		t.Error(err)
	}
	if id := w.hook[0].Header.Get("webhook-id"); id != e.Metadata.ID {
		t.Errorf("webhook-id %s, want the event's %s", id, e.Metadata.ID)
	}
	var said deliver.Body
	if err := json.Unmarshal(w.body[0], &said); err != nil {
		t.Fatal(err)
	}
	want := deliver.Body{
		Type: events.TypeExternalIDRotated, Timestamp: created.Truncate(time.Second),
		Data: deliver.BodyData{
			Grant: "migration", Region: "eu-west-1", Where: w.plans["migration"].Where(), VersionID: scheduled, Cause: "scheduled",
			PreviousUntil: created.Add(24 * time.Hour).Truncate(time.Second),
		},
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("(-want +said):\n%s", diff)
	}
}

func TestDeadlines(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version string
		stages  []string
		subject string
	}{
		{"overlap", scheduled, []string{grant.StageCurrent}, "act before 5 Feb 03:00 UTC"},
		{"cut", leaked, []string{grant.StageCurrent}, "act now"},
		{"followed by another, which may have cut the overlap", scheduled, []string{grant.StagePrevious}, "act now"},
	} {
		w := newWorld(t)
		w.versions = []grant.VersionInfo{{ID: tt.version, Stages: tt.stages, Created: created}}
		if failed := w.handle(body(t, event("migration", rotated(tt.version)))); failed != nil {
			t.Errorf("%s: failed: %s", tt.name, w.log.String())
			continue
		}
		if !strings.HasSuffix(w.mail[0].Subject, tt.subject) {
			t.Errorf("%s: subject %q", tt.name, w.mail[0].Subject)
		}
	}
}

func TestEachDestinationHasItsOwnFate(t *testing.T) {
	const ses, key = "SES did not take the mail: see that the sender is verified, and the log of countersign-notify",
		"the signing secret can't be read: see that it exists and that countersign-notify may read it"
	const header = "the sender or the recipient is not one line of ASCII: correct mailFrom and notify in access.yaml"
	later := func(names ...string) (out []string) {
		for _, n := range names {
			out = append(out, n+" attempt 2 in 5s")
		}
		return out
	}
	for _, tt := range []struct {
		name     string
		change   func(*world)
		outcomes []string
		waiting  []string
		dead     int
	}{
		{"webhook answers 503", func(w *world) { w.status = 503 },
			[]string{"mail 1 ok", "mail 2 ok", "webhook 1 the endpoint answered 503", "sns 1 ok"}, later("webhook 1"), 0},
		{"webhook redirects", func(w *world) { w.status = 302 },
			[]string{"mail 1 ok", "mail 2 ok", "webhook 1 the endpoint redirects: give its final URL", "sns 1 ok"}, later("webhook 1"), 0},
		{"one mail refused", func(w *world) { w.fail[mailA] = errors.New("MessageRejected: a@hestio.example is not verified") },
			[]string{"mail 1 " + ses, "mail 2 ok", "webhook 1 ok", "sns 1 ok"}, later("mail 1"), 0},
		{"mail throttled", func(w *world) { w.fail["mail"] = fmt.Errorf("sending: %w", grant.ErrThrottled) },
			[]string{"mail 1 AWS: throttled", "mail 2 AWS: throttled", "webhook 1 ok", "sns 1 ok"}, later("mail 1", "mail 2"), 0},
		{"topic refused", func(w *world) { w.fail["sns"] = fmt.Errorf("publishing: %w", grant.ErrDenied) },
			[]string{"mail 1 ok", "mail 2 ok", "webhook 1 ok", "sns 1 AWS: access denied"}, later("sns 1"), 0},
		{"topic fails otherwise", func(w *world) { w.fail["sns"] = errors.New("InvalidParameter") },
			[]string{"mail 1 ok", "mail 2 ok", "webhook 1 ok", "sns 1 SNS did not take the message: see the log of countersign-notify"}, later("sns 1"), 0},
		{"signing secret can't be read", func(w *world) { w.fail["secret"] = grant.ErrNotFound },
			[]string{"mail 1 ok", "mail 2 ok", "webhook 1 " + key, "sns 1 ok"}, later("webhook 1"), 0},
		{"its tags can't be read", func(w *world) { w.fail["describe"] = grant.ErrDenied },
			[]string{"mail 1 ok", "mail 2 ok", "webhook 1 " + key, "sns 1 ok"}, later("webhook 1"), 0},
		{"no sender", func(w *world) { w.MailFrom = "" },
			[]string{"mail 1 " + errNoSender.Error(), "mail 2 " + errNoSender.Error(), "webhook 1 ok", "sns 1 ok"}, nil, 2},
		{"a mail address with a line break after it", func(w *world) { w.plans["migration"].Notify[0].Address = "a@hestio.example\n" },
			[]string{"mail 1 " + errBadAddress.Error(), "mail 2 ok", "webhook 1 ok", "sns 1 ok"}, nil, 1},
		{"a sender with a header after it", func(w *world) { w.MailFrom = "countersign@example.com\r\nBcc: all@example.com" },
			[]string{"mail 1 " + header, "mail 2 " + header, "webhook 1 ok", "sns 1 ok"}, nil, 2},
		{"an address that is none", func(w *world) { w.plans["migration"].Notify[0].Address = "a@hestio.example\r\nBcc: x@example.com" },
			[]string{"mail 1 " + errBadAddress.Error(), "mail 2 ok", "webhook 1 ok", "sns 1 ok"}, nil, 1},
		{"an address with a name", func(w *world) { w.plans["migration"].Notify[1].Address = "Ops <b@hestio.example>" },
			[]string{"mail 1 ok", "mail 2 " + errBadAddress.Error(), "webhook 1 ok", "sns 1 ok"}, nil, 1},
		{"webhook at a private address", func(w *world) { w.fail["webhook"] = deliver.ErrForbiddenAddress },
			[]string{"mail 1 ok", "mail 2 ok", "webhook 1 " + deliver.Reason(deliver.ErrForbiddenAddress), "sns 1 ok"}, nil, 1},
		{"no signing key", func(w *world) { w.secrets[signingSecret] = "hunter2" },
			[]string{"mail 1 ok", "mail 2 ok", "webhook 1 " + deliver.Reason(deliver.ErrBadKey), "sns 1 ok"}, nil, 1},
		{"the bus is down", func(w *world) { w.fail["event"] = grant.ErrUnavailable },
			[]string{"mail 1 ok", "mail 2 ok", "webhook 1 ok", "sns 1 ok"}, nil, 0},
	} {
		w := newWorld(t)
		tt.change(w)
		failed := w.handle(body(t, event("migration", events.AccessRevoked{Where: where, RevokeID: revocation})))
		if diff := cmp.Diff(tt.outcomes, w.outcomes()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(tt.waiting, w.waiting()); diff != "" || failed != nil || len(w.dead) != tt.dead {
			t.Errorf("%s: failed %v, %d dead (-want +waiting):\n%s", tt.name, failed, len(w.dead), diff)
		}
	}
}

func TestOneMessageFailsNoOther(t *testing.T) {
	w := newWorld(t)
	w.fail["plan audit"] = grant.ErrUnavailable
	failed := w.handleWithin(t.Context(),
		body(t, event("migration", events.AccessRevoked{RevokeID: revocation})),
		body(t, event("audit", events.AccessRevoked{RevokeID: revocation})),
		`not JSON`,
		body(t, event("migration", rotated(scheduled))),
	)
	if diff := cmp.Diff([]string{"m2"}, failed); diff != "" {
		t.Errorf("(-want +failed):\n%s", diff)
	}
	if len(w.sent) != 7 {
		t.Errorf("%d deliveries of two events", len(w.sent))
	}
	var deleted []string
	for _, did := range w.did {
		if strings.HasPrefix(did, "delete") {
			deleted = append(deleted, did)
		}
	}
	if diff := cmp.Diff([]string{"delete receipt of m1", "delete receipt of m3"}, deleted); diff != "" {
		t.Errorf("Lambda deletes the last one (-want +got):\n%s", diff)
	}
}

// TestARepeatInABatchIsToldOnce: SQS and the bus both deliver at least once.
func TestARepeatInABatchIsToldOnce(t *testing.T) {
	w := newWorld(t)
	same := body(t, event("migration", rotated(scheduled)))
	w.handleWithin(t.Context(), same, same)
	if len(w.sent) != 3 {
		t.Fatalf("%d deliveries", len(w.sent))
	}
	mail, hook := w.sent[0].body, w.sent[2].body
	w.handleWithin(t.Context(), mail, hook, mail, hook)
	if diff := cmp.Diff([]string{mailA, webhook}, w.told()); diff != "" {
		t.Errorf("(-want +told):\n%s", diff)
	}
}

func TestEveryAttemptSaysTheSame(t *testing.T) {
	w := newWorld(t)
	w.status = 500
	w.handle(body(t, event("migration", rotated(scheduled))))
	w.status = 200
	again := w.sent[0].body
	w.sent = nil
	w.Now = func() time.Time { return now.Add(5 * time.Second) }
	if failed := w.handle(again); failed != nil {
		t.Error(failed)
	}
	if diff := cmp.Diff([]string{mailA, mailB, webhook, webhook}, w.told()); diff != "" {
		t.Errorf("(-want +told):\n%s", diff)
	}
	if one, two := w.hook[0].Header.Get("webhook-id"), w.hook[1].Header.Get("webhook-id"); one != two {
		t.Errorf("webhook-id changed from %s to %s", one, two)
	}
	if !bytes.Equal(w.body[0], w.body[1]) {
		t.Error("the body changed")
	}
}

func TestOutcomesOfEachAttemptAreEventsOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	w.fail["sns"] = grant.ErrUnavailable
	w.handle(body(t, event("migration", events.TrustDriftDetected{})))
	second := w.sent[0].body
	w.Now = func() time.Time { return now.Add(5 * time.Second) }
	w.handleWithin(t.Context(), second)
	w.handleWithin(t.Context(), second)
	one, two, repeat := w.bus[0].Metadata.ID, w.bus[1].Metadata.ID, w.bus[2].Metadata.ID
	if one == two || two != repeat {
		t.Errorf("ids %s, %s and of a repeat %s", one, two, repeat)
	}
	said := w.bus[1].Data.(events.DeliveryFailed)
	if said.Attempt != 2 || !said.Next.Equal(now.Add(5*time.Minute+5*time.Second).Truncate(time.Second)) {
		t.Errorf("said %+v", said)
	}
}

func TestTroubleOfOursIsTriedAgain(t *testing.T) {
	for _, act := range []string{"plan", "versions"} {
		w := newWorld(t)
		w.fail[act] = fmt.Errorf("reading: %w", grant.ErrUnavailable)
		if failed := w.handle(body(t, event("migration", rotated(scheduled)))); failed == nil || w.told() != nil || w.bus != nil {
			t.Errorf("%s unavailable: failed %v, told %v, announced %v", act, failed, w.told(), w.bus)
		}
	}
	w := newWorld(t)
	w.versions[0].Stages = []string{grant.StagePending}
	if failed := w.handle(body(t, event("migration", rotated(scheduled)))); failed == nil || w.told() != nil {
		t.Errorf("version not current yet: failed %v, told %v", failed, w.told())
	}
}

// TestABatchEndsInTime: an invocation that is killed would have all its messages delivered again.
func TestABatchEndsInTime(t *testing.T) {
	w := newWorld(t)
	w.Now = time.Now
	ctx, cancel := context.WithTimeout(t.Context(), margin-time.Second)
	defer cancel()
	one := body(t, event("migration", events.TrustDriftDetected{}))
	if diff := cmp.Diff([]string{"m1", "m2"}, w.handleWithin(ctx, one, one)); diff != "" {
		t.Errorf("(-want +failed):\n%s", diff)
	}
	if w.told() != nil || ctx.Err() != nil {
		t.Errorf("told %v, context %v", w.told(), ctx.Err())
	}
}

func TestTheURLOfAWebhookIsNotLogged(t *testing.T) {
	w := newWorld(t)
	w.secrets[signingSecret] = `{"url":"https://hooks.example.com/T0KEN","key":"` + signingKey + `"}`
	w.plans["migration"].Notify[2].Address = ""
	w.fail["webhook https://hooks.example.com/T0KEN"] = errors.New(`Post "https://hooks.example.com/T0KEN": EOF`)
	w.handle(body(t, event("migration", rotated(scheduled))))
	if w.waiting() == nil {
		t.Error("not failed")
	}
	said := w.sent[0].body + fmt.Sprint(w.outcomes()) + w.log.String()
	for _, word := range []string{"T0KEN", signingKey, signingKey[6:]} {
		if strings.Contains(said, word) {
			t.Errorf("%s is in %s", word, said)
		}
	}
}
