package customers_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/customers"
	kit "github.com/countersign/countersign/internal/customers/customerstest"
)

// at is a time after the invitation.
func at(d time.Duration) time.Time { return kit.Noon.Add(d) }

func TestAnAccountsWordBecomesARow(t *testing.T) {
	granted := kit.Event(events.TypeAccessGranted, at(time.Hour), kit.Acme, "migration")
	rotated := kit.Event(events.TypeExternalIDRotated, at(2*time.Hour), kit.Acme, "migration")
	revoked := kit.Event(events.TypeAccessRevoked, at(3*time.Hour), kit.Acme, "migration").With("by", "ann").With("reason", "project ended")
	restored := kit.Event(events.TypeAccessRestored, at(4*time.Hour), kit.Acme, "migration")
	expired := kit.Event(events.TypeAccessExpired, at(5*time.Hour), kit.Acme, "migration")
	sameSecond := kit.Event(events.TypeAccessRestored, at(3*time.Hour), kit.Acme, "migration")
	for _, tc := range []struct {
		name  string
		entry customers.Entry
		said  []kit.Message
		state customers.State
		since time.Time
	}{
		{"nothing said", kit.Invited("acme", kit.Acme), nil, customers.StateInvited, kit.Noon},
		{"granted, nobody accepted", kit.Invited("acme", kit.Acme), []kit.Message{granted}, customers.StatePending, at(time.Hour)},
		{"revoked before anybody accepted", kit.Invited("acme", kit.Acme), []kit.Message{granted, revoked}, customers.StatePending, at(3 * time.Hour)},
		{"accepted", kit.Accepted(t, "acme", kit.Acme, "migration"), []kit.Message{granted, rotated}, customers.StateAccepted, at(time.Minute)},
		{"revoked", kit.Accepted(t, "acme", kit.Acme, "migration"), []kit.Message{granted, revoked}, customers.StateRevoked, at(3 * time.Hour)},
		{"revoked and restored", kit.Accepted(t, "acme", kit.Acme, "migration"), []kit.Message{granted, revoked, restored}, customers.StateAccepted, at(time.Minute)},
		{"revoked and restored, the other way round", kit.Accepted(t, "acme", kit.Acme, "migration"), []kit.Message{restored, revoked}, customers.StateAccepted, at(time.Minute)},
		{"revoked and restored at the same second", kit.Accepted(t, "acme", kit.Acme, "migration"), []kit.Message{revoked, sameSecond}, customers.StateRevoked, at(3 * time.Hour)},
		{"over", kit.Accepted(t, "acme", kit.Acme, "migration"), []kit.Message{granted, expired}, customers.StateExpired, at(5 * time.Hour)},
		{"another grant revoked", kit.Accepted(t, "acme", kit.Acme, "migration"), []kit.Message{kit.Event(events.TypeAccessRevoked, at(time.Hour), kit.Acme, "audit")}, customers.StateAccepted, at(time.Minute)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var h customers.Heard
			for _, m := range tc.said {
				var err error
				if h, err = tc.entry.Hear(h, m.Said(t), at(24*time.Hour)); err != nil {
					t.Fatal(err)
				}
			}
			c := customers.Join(tc.entry, h)
			if c.State != tc.state || !c.Since.Equal(tc.since) {
				t.Errorf("%s since %s, want %s since %s", c.State, c.Since, tc.state, tc.since)
			}
			if (c.MayEnter() == nil) != (tc.state == customers.StateAccepted) {
				t.Errorf("MayEnter: %v", c.MayEnter())
			}
			if c.State == customers.StateRevoked && (c.RevokedBy != "ann" || c.Reason != "project ended") {
				t.Errorf("revoked by %q because %q", c.RevokedBy, c.Reason)
			}
		})
	}
}

func TestEventsThatChangeNoRow(t *testing.T) {
	e := kit.Accepted(t, "acme", kit.Acme, "migration")
	now := at(time.Hour)
	h, err := e.Hear(customers.Heard{}, kit.Event(events.TypeExternalIDRotated, at(30*time.Minute), kit.Acme, "migration").Said(t), now)
	if h == (customers.Heard{}) || err != nil {
		t.Fatal(h, err)
	}
	for _, tc := range []struct {
		name string
		m    kit.Message
		err  error
	}{
		{"the same once more", kit.Event(events.TypeExternalIDRotated, at(30*time.Minute), kit.Acme, "migration"), nil},
		{"an older one", kit.Event(events.TypeExternalIDRotated, at(10*time.Minute), kit.Acme, "migration"), nil},
		{"an older proposal", kit.Event(events.TypeExternalIDRotated, at(time.Minute), kit.Acme, "audit"), nil},
		{"from before the invitation", kit.Event(events.TypeAccessRevoked, at(-time.Second), kit.Acme, "migration"), customers.ErrBefore},
		{"from next year", kit.Event(events.TypeAccessRestored, at(365*24*time.Hour), kit.Acme, "migration"), customers.ErrAhead},
		{"just too far ahead", kit.Event(events.TypeAccessRestored, now.Add(customers.Ahead+time.Second), kit.Acme, "migration"), customers.ErrAhead},
	} {
		got, err := e.Hear(h, tc.m.Said(t), now)
		if got != h || !errors.Is(err, tc.err) {
			t.Errorf("%s: %v\n%s", tc.name, err, cmp.Diff(h, got))
		}
	}
}

// Another role, secret or grant is proposed, once, and what was accepted stays.
func TestAChangeWaitsForAPerson(t *testing.T) {
	e := kit.Accepted(t, "acme", kit.Acme, "migration")
	h, _ := e.Hear(customers.Heard{}, kit.Event(events.TypeExternalIDRotated, at(time.Hour), kit.Acme, "migration").Said(t), at(24*time.Hour))
	other := func(d time.Duration) customers.Said {
		return kit.Event(events.TypeExternalIDRotated, at(d), kit.Acme, "migration").With("roleArn", "arn:aws:iam::444455556666:role/Evil").Said(t)
	}
	h, err := e.Hear(h, other(2*time.Hour), at(24*time.Hour))
	if !e.Rings(h) || err != nil {
		t.Fatalf("%v %+v", err, h)
	}
	h.Rang = h.ProposedAt
	if h, _ = e.Hear(h, other(3*time.Hour), at(24*time.Hour)); e.Rings(h) {
		t.Errorf("it rings twice: %+v", h)
	}
	c := customers.Join(e, h)
	if c.State != customers.StateAccepted || c.RoleARN != kit.Role(kit.Acme, "migration") || !c.Rotated.Equal(at(time.Hour)) {
		t.Errorf("%+v", c)
	}
	if c.Proposed == nil || c.Proposed.RoleARN != "arn:aws:iam::444455556666:role/Evil" || c.Proposed.Prefix != e.Prefix {
		t.Errorf("proposed: %+v", c.Proposed)
	}

	dismissed := e.Dismiss(c, at(3*time.Hour))
	if c := customers.Join(dismissed, h); c.Proposed != nil {
		t.Errorf("dismissed, and still there: %+v", c.Proposed)
	}
	if dismissed.Rings(h) {
		t.Error("dismissed, and it rings")
	}
	if again, _ := dismissed.Hear(h, other(4*time.Hour), at(24*time.Hour)); !dismissed.Rings(again) {
		t.Errorf("said again after it was dismissed: %+v", again)
	}

	taken, err := e.Accept(c, "ann", at(5*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if c := customers.Join(taken, h); c.RoleARN != "arn:aws:iam::444455556666:role/Evil" || c.Proposed != nil || !c.Rotated.IsZero() {
		t.Errorf("accepted: %+v", c)
	}
	if got, _ := taken.Hear(h, kit.Event(events.TypeExternalIDRotated, at(4*time.Hour), kit.Acme, "migration").Said(t), at(24*time.Hour)); got != h {
		t.Errorf("an event from before proposes the old role again: %+v", got)
	}
}

func TestAcceptingNeedsTheInvitedAccount(t *testing.T) {
	e := kit.Invited("acme", kit.Acme)
	b := customers.Binding{Account: kit.Acme, Prefix: e.Prefix, Grant: "migration", RoleARN: kit.Role(kit.Acme, "migration"), SecretARN: kit.Secret(kit.Acme, "migration")}
	for name, change := range map[string]func(*customers.Binding){
		"another account":           func(b *customers.Binding) { b.Account = "555566667777" },
		"another prefix":            func(b *customers.Binding) { b.Prefix = "other" },
		"a role elsewhere":          func(b *customers.Binding) { b.RoleARN = kit.Role("555566667777", "migration") },
		"a secret elsewhere":        func(b *customers.Binding) { b.SecretARN = kit.Secret("555566667777", "migration") },
		"the secret of other grant": func(b *customers.Binding) { b.SecretARN = kit.Secret(kit.Acme, "audit") },
	} {
		wrong := b
		change(&wrong)
		if _, err := e.Accept(customers.Customer{Proposed: &wrong}, "ann", kit.Noon); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	b.SecretARN = ""
	if e, err := e.Accept(customers.Customer{Proposed: &b}, "ann", kit.Noon); err != nil || e.Kind != customers.KindNone {
		t.Errorf("a grant without an external ID: %v %v", e.Kind, err)
	}
}

// What an account said of one binding is the same in whatever order, and however often, it comes; and at no point on the way does
// a fact go back in time.
func TestTheOrderOfEventsDoesNotMatter(t *testing.T) {
	types := []events.Type{
		events.TypeAccessGranted, events.TypeExternalIDRotated, events.TypeAccessRevoked, events.TypeAccessRestored,
		events.TypeAccessExpired, events.TypeGrantReported, events.TypePreviousRetired,
	}
	rapid.Check(t, func(rt *rapid.T) {
		e := kit.Accepted(t, "acme", kit.Acme, "migration")
		if rapid.Bool().Draw(rt, "pending") {
			e = kit.Invited("acme", kit.Acme)
		}
		var all []customers.Said
		for range rapid.IntRange(1, 12).Draw(rt, "events") {
			m := kit.Event(rapid.SampledFrom(types).Draw(rt, "type"), at(time.Duration(rapid.IntRange(61, 90).Draw(rt, "second"))*time.Second), kit.Acme, "migration")
			m.Stack = rapid.SampledFrom([]string{"1.0.0", "1.1.0", ""}).Draw(rt, "stack")
			m = m.With("reason", rapid.SampledFrom([]string{"", "over", "leak"}).Draw(rt, "reason"))
			if rapid.Bool().Draw(rt, "ends") {
				m = m.With("expires", at(time.Duration(rapid.IntRange(2, 4).Draw(rt, "hours"))*time.Hour).Format(time.RFC3339))
			}
			if rapid.Bool().Draw(rt, "url") {
				m = m.With("confirmUrl", kit.ConfirmURL("migration"))
			}
			all = append(all, m.Said(t))
		}
		hear := func(said []customers.Said) (h customers.Heard) {
			for _, s := range said {
				was := h
				var err error
				if h, err = e.Hear(h, s, at(time.Hour)); err != nil {
					rt.Fatal(err)
				}
				for _, pair := range [][2]time.Time{
					{was.Reported, h.Reported}, {was.Rotated, h.Rotated}, {was.Revoked, h.Revoked}, {was.Restored, h.Restored},
					{was.Granted, h.Granted}, {was.Ended, h.Ended}, {was.Dated, h.Dated}, {was.Confirmable, h.Confirmable}, {was.ProposedAt, h.ProposedAt},
				} {
					if pair[1].Before(pair[0]) {
						rt.Fatalf("%+v\nbecame\n%+v", was, h)
					}
				}
			}
			return h
		}
		want := hear(all)
		again := append(append([]customers.Said(nil), all...), all...)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		rng.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		if diff := cmp.Diff(want, hear(again)); diff != "" {
			rt.Fatalf("in another order (-first +other):\n%s", diff)
		}
	})
}
