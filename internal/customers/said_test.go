package customers_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/customers"
	kit "github.com/countersign/countersign/internal/customers/customerstest"
)

func TestWhatIsTakenFromAnEvent(t *testing.T) {
	m := kit.Event(events.TypeAccessRevoked, kit.Noon, kit.Acme, "migration").With("reason", "project ended").With("by", "arn:aws:iam::444455556666:user/ann").With("revokeId", "rv-1")
	want := customers.Said{
		ID: m.Said(t).ID, Type: events.TypeAccessRevoked, Time: kit.Noon, StackVersion: "1.0.0",
		Binding: customers.Binding{Account: kit.Acme, Grant: "migration", RoleARN: kit.Role(kit.Acme, "migration"), SecretARN: kit.Secret(kit.Acme, "migration")},
		Reason:  "project ended", RevokedBy: "arn:aws:iam::444455556666:user/ann", RevokeID: "rv-1",
	}
	if diff := cmp.Diff(want, m.Said(t)); diff != "" {
		t.Error(diff)
	}
}

func TestEventsThatAreRefused(t *testing.T) {
	const other = "555566667777"
	ok := kit.Event(events.TypeExternalIDRotated, kit.Noon, kit.Acme, "migration").With("versionId", "rotate-2cceb4bacb3b4346d1b78074d13452cf").With("confirmUrl", kit.ConfirmURL("migration"))
	ok.Said(t)
	sent := func(by string) kit.Message { m := ok; m.Sender = by; return m }
	for _, tc := range []struct {
		name    string
		m       kit.Message
		foreign bool
	}{
		{"another account speaks for this one", sent(other), true},
		{"no account", sent(""), false},
		{"another source", func() kit.Message { m := ok; m.Source = "aws.ec2"; return m }(), false},
		{"no time", func() kit.Message { m := ok; m.Time = m.Time.AddDate(-2025, -2, -1).Add(-12 * 3600e9); return m }(), false},
		{"a role of another account", ok.With("roleArn", kit.Role(other, "migration")), true},
		{"no role", ok.With("roleArn", "arn:aws:iam::444455556666:user/ann"), false},
		{"a role with a line break", ok.With("roleArn", kit.Role(kit.Acme, "migration")+"\n"), false},
		{"a secret of another account", ok.With("secretArn", kit.Secret(other, "migration")), true},
		{"the secret of another grant", ok.With("secretArn", kit.Secret(kit.Acme, "audit")), true},
		{"a secret of another partition", ok.With("secretArn", strings.Replace(kit.Secret(kit.Acme, "migration"), "arn:aws:", "arn:aws-cn:", 1)), true},
		{"a confirm URL elsewhere", ok.With("confirmUrl", "https://evil.example/v1/grants/migration/confirm"), true},
		{"a confirm URL of another grant", ok.With("confirmUrl", kit.ConfirmURL("audit")), true},
		{"a version in no form", ok.With("versionId", "$(touch x)"), false},
		{"no name of a grant", func() kit.Message { m := ok; m.Grant = "../x"; return m }(), false},
		{"a number for a role", ok.With("roleArn", 7), false},
	} {
		_, err := customers.Read(tc.m.Body())
		if err == nil || errors.Is(err, customers.ErrForeign) != tc.foreign {
			t.Errorf("%s: error = %v, want one, foreign: %v", tc.name, err, tc.foreign)
		}
	}
	for _, body := range []string{"", "null", "[]", "{", `{"source":"countersign"}`, strings.Repeat(" ", 300<<10)} {
		if _, err := customers.Read([]byte(body)); err == nil {
			t.Errorf("%.20q is taken for an event", body)
		}
	}
}

func TestLongForeignTextsAreCut(t *testing.T) {
	s := kit.Event(events.TypeAccessRevoked, kit.Noon, kit.Acme, "migration").With("reason", strings.Repeat("ä", 4000)).Said(t)
	if s.Reason != strings.Repeat("ä", 250) {
		t.Errorf("%d bytes are kept", len(s.Reason))
	}
}

func FuzzRead(f *testing.F) {
	f.Add(kit.Event(events.TypeAccessRevoked, kit.Noon, kit.Acme, "migration").With("reason", "x").Body())
	f.Add(kit.Event(events.TypeGrantReported, kit.Noon, kit.Acme, "audit").Body())
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := customers.Read(body)
		if err == nil && (s.Binding.Check() != nil || s.Time.IsZero() || len(s.Reason) > 500) {
			t.Errorf("taken: %+v", s)
		}
	})
}

// Whatever a customer's stack hands on to a provider's bus is heard.
func TestWhatIsHandedOnIsHeard(t *testing.T) {
	heard := map[events.Type]bool{}
	for _, typ := range customers.Types() {
		heard[typ] = true
	}
	for _, typ := range events.Types() {
		if typ.Forwarded() != heard[typ] {
			t.Errorf("%s: heard %t", typ, heard[typ])
		}
	}
	if !heard[events.TypeGrantReported] || len(heard) < 9 {
		t.Errorf("heard: %v", heard)
	}
}
