package customerstest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/customers"
)

// Store is the registry as people and functions/enroll use it.
type Store interface {
	customers.Registry
	customers.Hearings
}

// Contract holds a store to what Registry and Hearings promise. empty makes a new one.
func Contract(t *testing.T, empty func(*testing.T) Store) {
	t.Run("what is added is there", func(t *testing.T) {
		s := empty(t)
		e := Invited("acme", Acme)
		e.Teams = []string{"blue", "red"}
		add(t, s, e, Invited("globex", "555566667777"))
		got, h, err := s.Load(t.Context(), "acme")
		e.Revision = got.Revision
		if diff := cmp.Diff(e, got); diff != "" || err != nil || h != (customers.Heard{}) {
			t.Errorf("%v %+v (-added +there):\n%s", err, h, diff)
		}
		all, err := s.All(t.Context())
		if err != nil || len(all) != 2 || all[0].Name != "acme" || all[1].Name != "globex" {
			t.Errorf("%+v, %v", all, err)
		}
		guests, err := s.Guests(t.Context())
		if diff := cmp.Diff(customers.Guests{Acme: {{Name: "acme"}}, "555566667777": {{Name: "globex"}}}, guests); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
	})
	t.Run("an unknown one is unknown", func(t *testing.T) {
		s := empty(t)
		add(t, s, Invited("acme", Acme))
		if _, _, err := s.Load(t.Context(), "acne"); !errors.Is(err, customers.ErrUnknown) {
			t.Error(err)
		}
		if _, err := s.Get(t.Context(), "acne"); !errors.Is(err, customers.ErrUnknown) || err.Error() != `customer "acne": no such customer; did you mean acme?` {
			t.Error(err)
		}
	})
	t.Run("accepted and heard", func(t *testing.T) {
		s := empty(t)
		add(t, s, Invited("acme", Acme))
		was, _, _ := s.Load(t.Context(), "acme")
		now := Accepted(t, "acme", Acme, "migration")
		must(t, s.Change(t.Context(), was, now))
		said := Event(events.TypeAccessRevoked, Noon.Add(time.Hour), Acme, "migration").With("reason", "over").With("by", "ann").Said(t)
		e, h, _ := s.Load(t.Context(), "acme")
		h, err := e.Hear(h, said, Noon.Add(time.Hour))
		must(t, err)
		must(t, s.Note(t.Context(), "acme", h))
		if err := s.Note(t.Context(), "acme", h); !errors.Is(err, customers.ErrChanged) {
			t.Errorf("noted over a newer row: %v", err)
		}
		stored, back, err := s.Load(t.Context(), "acme")
		h.Revision, now.Revision = back.Revision, stored.Revision
		if diff := cmp.Diff(now, stored) + cmp.Diff(h, back); diff != "" || err != nil {
			t.Errorf("%v (-written +read):\n%s", err, diff)
		}
		c, err := s.Get(t.Context(), "acme")
		if err != nil || c.State != customers.StateRevoked || c.Reason != "over" || c.RoleARN != Role(Acme, "migration") {
			t.Errorf("%+v, %v", c, err)
		}
		guests, _ := s.Guests(t.Context())
		if diff := cmp.Diff(customers.Guests{Acme: {{Name: "acme", Grant: "migration"}}}, guests); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("two people at once", func(t *testing.T) {
		s := empty(t)
		add(t, s, Invited("acme", Acme))
		was, _, _ := s.Load(t.Context(), "acme")
		must(t, s.Change(t.Context(), was, was.Dismiss(customers.Customer{}, Noon)))
		for what, err := range map[string]error{
			"changes": s.Change(t.Context(), was, Accepted(t, "acme", Acme, "migration")), "removes": s.Remove(t.Context(), was),
		} {
			if !errors.Is(err, customers.ErrChanged) {
				t.Errorf("the second one %s: %v", what, err)
			}
		}
		if err := s.Add(t.Context(), Invited("acme", Acme)); !errors.Is(err, customers.ErrExists) {
			t.Errorf("added again: %v", err)
		}
	})
	t.Run("what belongs to another", func(t *testing.T) {
		s := empty(t)
		add(t, s, Accepted(t, "acme", Acme, "migration"), Accepted(t, "globex", "555566667777", "migration"))
		other := func(change func(*customers.Entry)) customers.Entry {
			e := Invited("other", "666677778888")
			change(&e)
			return e
		}
		static := func(e *customers.Entry) {
			e.Account, e.Prefix, e.Kind, e.StaticSecretARN = Acme, "", customers.KindStatic, Secret("111122223333", "static/old")
			e.Offered = customers.Binding{Account: Acme, RoleARN: Role(Acme, "other")}
		}
		add(t, s, other(static))
		for _, tc := range []struct {
			name  string
			entry customers.Entry
			taken customers.Taken
		}{
			{"a grant", other(func(e *customers.Entry) {
				e.Name, e.Account, e.Prefix, e.Grant = "x", Acme, "pacme", "migration"
			}), customers.Taken{Claim: customers.Claim{Field: customers.FieldGrant, Value: Acme + "/migration"}, By: "acme"}},
			{"a prefix", other(func(e *customers.Entry) { e.Name, e.Prefix = "x", "pacme" }),
				customers.Taken{Claim: customers.Claim{Field: customers.FieldPrefix, Value: "pacme"}, By: "account " + Acme}},
			{"a second prefix", other(func(e *customers.Entry) { e.Name, e.Account, e.Prefix = "x", Acme, "zzzz" }),
				customers.Taken{Claim: customers.Claim{Field: customers.FieldPrefix, Value: "pacme"}, By: "account " + Acme}},
			{"a secret", other(func(e *customers.Entry) {
				static(e)
				e.Name, e.Offered.RoleARN = "x", Role(Acme, "third")
				e.RoleARN, e.Offered, e.Accepted, e.By = Role(Acme, "third"), customers.Binding{}, Noon, "ann"
				e.StaticSecretARN = Secret(Acme, "migration")
			}), customers.Taken{Claim: customers.Claim{Field: customers.FieldSecret, Value: Secret(Acme, "migration")}, By: "acme"}},
		} {
			err := s.Add(t.Context(), tc.entry)
			taken, ok := errors.AsType[*customers.Taken](err)
			if !ok || *taken != tc.taken {
				t.Errorf("%s: %v, want %v", tc.name, err, &tc.taken)
			}
			if _, _, err := s.Load(t.Context(), "x"); !errors.Is(err, customers.ErrUnknown) {
				t.Errorf("%s: half of it is there: %v", tc.name, err)
			}
		}
	})
	t.Run("what is removed is free, the prefix aside", func(t *testing.T) {
		s := empty(t)
		add(t, s, Accepted(t, "acme", Acme, "migration"))
		must(t, s.Note(t.Context(), "acme", customers.Heard{Reason: "x"}))
		e, _, _ := s.Load(t.Context(), "acme")
		must(t, s.Remove(t.Context(), e))
		if _, _, err := s.Load(t.Context(), "acme"); !errors.Is(err, customers.ErrUnknown) {
			t.Error(err)
		}
		thief := Invited("globex", "555566667777")
		thief.Prefix = "pacme"
		if err := s.Add(t.Context(), thief); !errors.Is(err, customers.ErrTaken) {
			t.Errorf("the prefix goes to another account: %v", err)
		}
		said := Event(events.TypeAccessRevoked, Noon.Add(time.Hour), Acme, "migration").Said(t).Binding
		said.Prefix = "pacme"
		must(t, s.Note(t.Context(), "acme2", customers.Heard{Invitation: Noon.Add(-time.Hour), Revoked: Noon.Add(time.Hour), Of: said, Proposed: said, ProposedAt: Noon.Add(time.Hour)}))
		again := Accepted(t, "acme2", Acme, "migration")
		again.Prefix = "pacme"
		add(t, s, again)
		got, h, err := s.Load(t.Context(), "acme2")
		if diff := cmp.Diff(customers.Join(got, customers.Heard{}), customers.Join(got, h)); diff != "" || err != nil {
			t.Errorf("what was said of another invitation counts: %v\n%s", err, diff)
		}
	})
}

func add(t *testing.T, s Store, entries ...customers.Entry) {
	t.Helper()
	for _, e := range entries {
		must(t, s.Add(t.Context(), e))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
