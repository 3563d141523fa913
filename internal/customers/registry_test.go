package customers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/customers"
	kit "github.com/countersign/countersign/internal/customers/customerstest"
)

func TestWhichCustomerAnEventIsAbout(t *testing.T) {
	static := customers.Guest{Name: "old", Role: "arn:aws:iam::444455556666:role/Vendor"}
	for _, tc := range []struct {
		name   string
		guests []customers.Guest
		grant  string
		role   string
		want   string
	}{
		{"nobody invited it", nil, "migration", kit.Role(kit.Acme, "migration"), ""},
		{"invited without a grant", []customers.Guest{{Name: "acme"}}, "migration", kit.Role(kit.Acme, "migration"), "acme"},
		{"by its grant", []customers.Guest{{Name: "one", Grant: "audit"}, {Name: "two", Grant: "migration"}}, "migration", kit.Role(kit.Acme, "migration"), "two"},
		{"its grant before an open invitation", []customers.Guest{{Name: "open"}, {Name: "two", Grant: "migration"}}, "migration", kit.Role(kit.Acme, "migration"), "two"},
		{"an open invitation for the rest", []customers.Guest{{Name: "open"}, {Name: "two", Grant: "audit"}}, "migration", kit.Role(kit.Acme, "migration"), "open"},
		{"a static one that moves over, by its role", []customers.Guest{{Name: "two", Grant: "audit"}, static}, "migration", static.Role, "old"},
		{"the only one: a change", []customers.Guest{{Name: "acme", Grant: "audit"}}, "migration", kit.Role(kit.Acme, "migration"), "acme"},
		{"two others: nobody's", []customers.Guest{{Name: "one", Grant: "audit"}, static}, "migration", kit.Role(kit.Acme, "migration"), ""},
	} {
		g := customers.Guests{kit.Acme: tc.guests, "555566667777": {{Name: "stranger"}}}
		if got := g.Find(customers.Binding{Account: kit.Acme, Grant: tc.grant, RoleARN: tc.role}); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestEntriesThatAreRefused(t *testing.T) {
	good := kit.Invited("acme", kit.Acme)
	for name, change := range map[string]func(*customers.Entry){
		"a name with a slash":     func(e *customers.Entry) { e.Name = "a/b" },
		"a name that is a flag":   func(e *customers.Entry) { e.Name = "-rf" },
		"no name":                 func(e *customers.Entry) { e.Name = "" },
		"a long name":             func(e *customers.Entry) { e.Name = strings.Repeat("a", 41) },
		"a short account":         func(e *customers.Entry) { e.Account = "4444" },
		"a prefix with a hyphen":  func(e *customers.Entry) { e.Prefix = "ac-me" },
		"no prefix":               func(e *customers.Entry) { e.Prefix = "" },
		"an unknown kind":         func(e *customers.Entry) { e.Kind = "other" },
		"static without a secret": func(e *customers.Entry) { e.Kind = customers.KindStatic },
		"none with a secret": func(e *customers.Entry) {
			e.Kind, e.StaticSecretARN = customers.KindNone, kit.Secret("111122223333", "x")
		},
		"a team with a line break": func(e *customers.Entry) { e.Teams = []string{"blue\n"} },
	} {
		e := good
		change(&e)
		if e.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
}

func TestAnUnknownNameIsToldWithThoseThatAreMeant(t *testing.T) {
	var m customers.Memory
	for i, name := range []string{"acme", "acme-audit", "globex", "initech"} {
		if err := m.Add(t.Context(), kit.Invited(name, fmt.Sprintf("%012d", i))); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"acne": "did you mean acme?", "acm": "acme or acme-audit", "glob": "globex?", "zzz": "no such customer"} {
		if _, err := m.Get(t.Context(), name); !errors.Is(err, customers.ErrUnknown) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPrefixIsOneAccountsForGood(t *testing.T) {
	var m customers.Memory
	ctx := t.Context()
	if err := m.Add(ctx, kit.Invited("acme", kit.Acme)); err != nil {
		t.Fatal(err)
	}
	e, _, _ := m.Load(ctx, "acme")
	if err := m.Remove(ctx, e); err != nil {
		t.Fatal(err)
	}
	other := kit.Invited("globex", "555566667777")
	other.Prefix = "pacme"
	if err := m.Add(ctx, other); !errors.Is(err, customers.ErrTaken) {
		t.Errorf("another account gets it: %v", err)
	}
	if err := m.Add(ctx, kit.Invited("acme", kit.Acme)); err != nil {
		t.Error(err)
	}
}

// One customer, one account with its prefix, one role, one secret: whatever people and accounts do, in whatever order.
func TestTheBindingIsOneToOne(t *testing.T) {
	accounts := []string{kit.Acme, "555566667777"}
	grants := []string{"migration", "audit"}
	names := []string{"a", "b", "c"}
	rapid.Check(t, func(rt *rapid.T) {
		ctx := context.Background()
		var m customers.Memory
		now := kit.Noon
		bound := map[string]customers.Binding{} // as a person accepted it
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 90).Draw(rt, "seconds")) * time.Second)
			name := rapid.SampledFrom(names).Draw(rt, "name")
			account := rapid.SampledFrom(accounts).Draw(rt, "account")
			grant := rapid.SampledFrom(grants).Draw(rt, "grant")
			e, h, err := m.Load(ctx, name)
			there := err == nil
			switch rapid.SampledFrom([]string{"add", "hear", "hear", "accept", "accept", "dismiss", "remove"}).Draw(rt, "act") {
			case "add":
				e := customers.Entry{Name: name, Account: account, Prefix: rapid.SampledFrom([]string{"aaaa", "bbbb", account}).Draw(rt, "prefix"), Kind: customers.KindCountersign, Invited: now}
				if rapid.Bool().Draw(rt, "with grant") {
					e.Grant = grant
				}
				if m.Add(ctx, e) == nil {
					delete(bound, name)
				}
			case "hear":
				msg := kit.Event(rapid.SampledFrom([]events.Type{events.TypeExternalIDRotated, events.TypeAccessRevoked}).Draw(rt, "type"), now, account, grant)
				if rapid.Bool().Draw(rt, "other role") { // of the same account, as the account may say what it wants
					msg = msg.With("roleArn", kit.Role(account, rapid.SampledFrom(grants).Draw(rt, "role")))
				}
				s := msg.Said(t)
				guests, _ := m.Guests(ctx)
				if of := guests.Find(s.Binding); of != "" {
					e, h, _ := m.Load(ctx, of)
					if h, err := e.Hear(h, s, now); err == nil {
						_ = m.Note(ctx, of, h)
					}
				}
			case "accept":
				c := customers.Join(e, h)
				if !there || c.Proposed == nil {
					continue
				}
				then, err := e.Accept(c, "ann", now)
				if err == nil && m.Change(ctx, e, then) == nil {
					bound[name] = *c.Proposed
				}
			case "dismiss":
				if there {
					_ = m.Change(ctx, e, e.Dismiss(customers.Join(e, h), now))
				}
			case "remove":
				if there && m.Remove(ctx, e) == nil {
					delete(bound, name)
				}
			}
			all, _ := m.All(ctx)
			checkOneToOne(rt, all, bound)
		}
	})
}

func checkOneToOne(t interface{ Fatalf(string, ...any) }, all []customers.Customer, bound map[string]customers.Binding) {
	by := map[string]string{}
	one := func(what, value, owner string) {
		if value == "" {
			return
		}
		if was, ok := by[what+value]; ok && was != owner {
			t.Fatalf("%s %s belongs to %s and to %s", what, value, was, owner)
		}
		by[what+value] = owner
	}
	for _, c := range all {
		one("role ", c.RoleARN, c.Name)
		one("secret ", c.SecretARN, c.Name)
		one("account of prefix ", c.Prefix, c.Account)
		one("prefix of account ", c.Account, c.Prefix)
		if c.RoleARN != "" {
			one("grant ", c.Account+"/"+c.Grant, c.Name)
		}
		if want, ok := bound[c.Name]; ok != (c.RoleARN != "") || ok && !want.Same(c.Binding()) {
			t.Fatalf("%s is bound to %+v, a person accepted %+v", c.Name, c.Binding(), want)
		}
		if c.RoleARN != "" && c.Binding().Check() != nil {
			t.Fatalf("%+v: %v", c.Binding(), c.Binding().Check())
		}
	}
}
