package grant_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
)

const scheduled, before = "8c1e5f0a-6b7c-4d8e-9f10-213243546576", "11111111-6b7c-4d8e-9f10-213243546576"

func TestOnlyASessionNamedAfterTheVersionConfirmsIt(t *testing.T) {
	for _, tt := range []struct {
		session, version, says string // empty: it confirms
	}{
		{"confirm-" + scheduled, scheduled, ""},
		{"confirm-birth-0123456789abcdef0123456789abcdef", "birth-0123456789abcdef0123456789abcdef", ""},
		{"session", scheduled, "only one called confirm-"},
		{"", scheduled, "only one called confirm-"},
		{"Confirm-" + scheduled, scheduled, "only one called confirm-"},
		{"xconfirm-" + scheduled, scheduled, "only one called confirm-"},
		{"confirm-" + before, scheduled, "another version"},
		{"confirm-" + scheduled + "x", scheduled, "another version"},
		{"confirm-" + strings.ToUpper(scheduled), scheduled, "another version"},
		{"confirm-", scheduled, "another version"},
		{"confirm-", "", "no version id"},
		{"confirm-x", "x", "no version id"},
		{"confirm-../" + scheduled, "../" + scheduled, "no version id"},
		{"confirm-" + scheduled + " ", scheduled + " ", "no version id"},
	} {
		err := grant.CheckConfirmSession(tt.session, tt.version)
		if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("session %q, version %q: %v", tt.session, tt.version, err)
		}
		if tt.says == "" && grant.ConfirmSession(tt.version) != tt.session {
			t.Errorf("the session of %q is %q", tt.version, grant.ConfirmSession(tt.version))
		}
	}
}

func TestATagThatWasNotWrittenByUsConfirmsNothing(t *testing.T) {
	at := time.Date(2026, 2, 4, 3, 27, 4, 0, time.UTC)
	want := grant.Confirmation{VersionID: scheduled, RetireAt: at, By: grant.ByProvider}
	if got := grant.ConfirmationOf(map[string]string{grant.FactConfirmed.Tag(): want.String()}); got != want {
		t.Fatalf("read %v, want %v", got, want)
	}
	for _, tag := range []string{
		"", "none", scheduled, scheduled + " 2026-02-04T03:27:04Z", scheduled + " 2026-02-04T03:27:04Z somebody",
		scheduled + " 2026-02-04T03:27:04+00:00 provider", scheduled + " 2026-02-04T04:27:04+01:00 provider", scheduled + "  provider",
		scheduled + " 2026-02-04T03:27:04.5Z provider", "x 2026-02-04T03:27:04Z provider", scheduled + " 2026-02-04T03:27:04Z provider x",
		" " + want.String(), want.String() + " ", " 2026-02-04T03:27:04Z provider",
	} {
		if got := grant.ConfirmationOf(map[string]string{grant.FactConfirmed.Tag(): tag}); got != (grant.Confirmation{}) {
			t.Errorf("%q was read as %v", tag, got)
		}
	}
	if (grant.Confirmation{}).Of("") {
		t.Error("nothing confirms nothing")
	}
}

func TestWhetherThePreviousIDIsExtended(t *testing.T) {
	at := time.Date(2026, 2, 4, 3, 0, 0, 0, time.UTC)
	by := func(version string, who grant.Confirmer) grant.Confirmation {
		return grant.Confirmation{version, at, who}
	}
	none := grant.Confirmation{}
	const requested, birth, cut, restored, adopted = "rotate-0123456789abcdef0123456789abcdef", "birth-0123456789abcdef0123456789abcdef",
		"cut-0123456789abcdef0123456789abcdef", "restore-20260901T160200Z-5d0c2e9a-0a77b3c4", "adopted-0123456789abcdef0123456789abcdef"
	for _, tt := range []struct {
		when      grant.Unconfirmed
		previous  string
		confirmed grant.Confirmation
		extended  bool
	}{
		{grant.UnconfirmedAuto, before, none, true},
		{grant.UnconfirmedAuto, before, by(before, grant.ByProvider), false},
		{grant.UnconfirmedAuto, requested, by(requested, grant.ByProvider), false},
		{grant.UnconfirmedAuto, before, by(before, grant.ByOperator), true},
		{grant.UnconfirmedAuto, before, by(requested, grant.ByProvider), true},
		{grant.UnconfirmedAuto, birth, by(birth, grant.ByProvider), true}, // brought by hand, perhaps
		{grant.UnconfirmedAuto, cut, by(cut, grant.ByProvider), true},
		{grant.UnconfirmedAuto, restored, by(restored, grant.ByProvider), true},
		{grant.UnconfirmedAuto, adopted, none, true},
		{grant.UnconfirmedCut, before, none, false},
		{grant.UnconfirmedCut, birth, none, false},
		{grant.UnconfirmedExtend, before, by(before, grant.ByProvider), true},
		{"", before, none, false},
		{"whatever", before, none, false},
	} {
		p := grant.Plan{Provider: "hestio", Overlap: grant.Duration(24 * time.Hour), WhenUnconfirmed: tt.when}
		o := p.Outlook(tt.previous, tt.confirmed)
		if o.Extended != tt.extended || o.Why == "" || o.Extended && !p.MayExtend() {
			t.Errorf("%q, %s before, confirmed %v: %+v", tt.when, tt.previous, tt.confirmed, o)
		}
	}
}

func TestAConfirmationNeverLengthens(t *testing.T) {
	now := time.Date(2026, 2, 4, 12, 0, 0, 500, time.UTC)
	p := grant.Plan{Overlap: grant.Duration(24 * time.Hour)}
	for _, tt := range []struct {
		version  string
		age      time.Duration
		extended bool
		in       time.Duration
		want     string
	}{
		{scheduled, time.Hour, false, 15 * time.Minute, "2026-02-04T12:15:00Z"},
		{scheduled, time.Hour, false, 0, "2026-02-04T12:00:00Z"},
		{scheduled, 24*time.Hour - 5*time.Minute, false, 15 * time.Minute, "2026-02-04T12:05:00Z"},
		{scheduled, 25 * time.Hour, false, 15 * time.Minute, "2026-02-04T12:00:00Z"},
		{scheduled, 25 * time.Hour, true, 15 * time.Minute, "2026-02-04T12:15:00Z"},
		{scheduled, 25 * time.Hour, true, 48 * time.Hour, "2026-02-05T12:00:00Z"},
		{"cut-0123456789abcdef0123456789abcdef", time.Minute, false, 15 * time.Minute, "2026-02-04T12:00:00Z"},
	} {
		got := p.RetireAt(tt.version, now.Add(-tt.age), tt.extended, tt.in, now)
		if got.Format(time.RFC3339Nano) != tt.want {
			t.Errorf("%s of %s, extended %t, in %s: %s, want %s", tt.version, tt.age, tt.extended, tt.in, got, tt.want)
		}
	}
}

func TestReminders(t *testing.T) {
	now := time.Date(2026, 2, 4, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		passed   time.Duration
		extended bool
		want     grant.Reminder
	}{
		{0, true, ""}, {30*time.Minute - 1, true, ""}, {30 * time.Minute, true, grant.Half}, {54*time.Minute - 1, false, grant.Half},
		{54 * time.Minute, false, grant.NineTenths}, {time.Hour - 1, true, grant.NineTenths}, {time.Hour, true, grant.Over}, {time.Hour, false, ""},
		{-time.Hour, true, ""},
	} {
		if got := grant.ReminderAt(now.Add(-tt.passed), time.Hour, tt.extended, now); got != tt.want {
			t.Errorf("after %s of an hour, extended %t: %q, want %q", tt.passed, tt.extended, got, tt.want)
		}
	}
	if got := grant.ReminderAt(now, 0, true, now.Add(time.Hour)); got != "" {
		t.Errorf("a cut is reminded of: %q", got)
	}
}
