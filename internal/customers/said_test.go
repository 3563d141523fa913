package customers_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/customers"
)

func TestWhatIsTakenFromAnEvent(t *testing.T) {
	m := event(events.TypeAccessRevoked, noon, acme, "migration").with("reason", "project ended").with("by", "arn:aws:iam::444455556666:user/ann").with("revokeId", "rv-1")
	want := customers.Said{
		ID: m.said(t).ID, Type: events.TypeAccessRevoked, Time: noon, StackVersion: "1.0.0",
		Binding: customers.Binding{Account: acme, Grant: "migration", RoleARN: role(acme, "migration"), SecretARN: secret(acme, "migration")},
		Reason:  "project ended", RevokedBy: "arn:aws:iam::444455556666:user/ann", RevokeID: "rv-1",
	}
	if diff := cmp.Diff(want, m.said(t)); diff != "" {
		t.Error(diff)
	}
}

func TestEventsThatAreRefused(t *testing.T) {
	const other = "555566667777"
	ok := event(events.TypeExternalIDRotated, noon, acme, "migration").with("versionId", "rotate-2cceb4bacb3b4346d1b78074d13452cf").with("confirmUrl", confirmURL("migration"))
	ok.said(t)
	sent := func(by string) message { m := ok; m.sender = by; return m }
	for _, tc := range []struct {
		name    string
		m       message
		foreign bool
	}{
		{"another account speaks for this one", sent(other), true},
		{"no account", sent(""), false},
		{"another source", func() message { m := ok; m.source = "aws.ec2"; return m }(), false},
		{"no time", func() message { m := ok; m.time = m.time.AddDate(-2025, -2, -1).Add(-12 * 3600e9); return m }(), false},
		{"a role of another account", ok.with("roleArn", role(other, "migration")), true},
		{"no role", ok.with("roleArn", "arn:aws:iam::444455556666:user/ann"), false},
		{"a role with a line break", ok.with("roleArn", role(acme, "migration")+"\n"), false},
		{"a secret of another account", ok.with("secretArn", secret(other, "migration")), true},
		{"the secret of another grant", ok.with("secretArn", secret(acme, "audit")), true},
		{"a secret of another partition", ok.with("secretArn", strings.Replace(secret(acme, "migration"), "arn:aws:", "arn:aws-cn:", 1)), true},
		{"a confirm URL elsewhere", ok.with("confirmUrl", "https://evil.example/v1/grants/migration/confirm"), true},
		{"a confirm URL of another grant", ok.with("confirmUrl", confirmURL("audit")), true},
		{"a version in no form", ok.with("versionId", "$(touch x)"), false},
		{"no name of a grant", func() message { m := ok; m.grant = "../x"; return m }(), false},
		{"a number for a role", ok.with("roleArn", 7), false},
	} {
		_, err := customers.Read(tc.m.body())
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
	s := event(events.TypeAccessRevoked, noon, acme, "migration").with("reason", strings.Repeat("ä", 4000)).said(t)
	if s.Reason != strings.Repeat("ä", 250) {
		t.Errorf("%d bytes are kept", len(s.Reason))
	}
}

func FuzzRead(f *testing.F) {
	f.Add(event(events.TypeAccessRevoked, noon, acme, "migration").with("reason", "x").body())
	f.Add(event(customers.TypeGrantReported, noon, acme, "audit").body())
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
		if typ.Concerns(events.Provider) && !heard[typ] {
			t.Errorf("%s is not heard", typ)
		}
	}
	if !heard[customers.TypeGrantReported] || len(heard) < 9 {
		t.Errorf("heard: %v", heard)
	}
}
