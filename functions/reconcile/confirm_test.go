package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// Version ids as Secrets Manager makes them, the older first.
const (
	first  = "11111111-2222-4333-8444-555555555555"
	second = "66666666-7777-4888-9999-aaaaaaaaaaaa"
)

func externalID(t *testing.T, value string) grant.ID {
	t.Helper()
	id, err := grant.ParseID(value)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestThePreviousIDStaysUntilTheCurrentOneIsConfirmed is the table of whenUnconfirmed: the same facts, and what a look makes of
// the previous ID.
func TestThePreviousIDStaysUntilTheCurrentOneIsConfirmed(t *testing.T) {
	id := func(value string) grant.ID { return externalID(t, value) }
	born := parse(t, trust.BornDocument)
	undated := document(t, accepts{trust.SidCurrent, []string{b}, ""}, accepts{trust.SidPrevious, []string{a}, ""})
	dated := document(t, accepts{trust.SidCurrent, []string{b}, ""}, accepts{trust.SidPrevious, []string{a}, "2026-02-05T03:00:00Z"})
	unfinished := document(t, accepts{trust.SidCurrent, []string{a, b}, ""})
	older := document(t, accepts{trust.SidCurrent, []string{c}, ""})
	without := document(t, accepts{trust.SidCurrent, []string{b}, ""})
	confirmed := func(version string, at time.Time, by grant.Confirmer) string {
		return grant.Confirmation{VersionID: version, RetireAt: at, By: by}.String()
	}
	const never, out, deadline = "until confirmed", "", "2026-02-05T03:00:00Z"
	soon := now.Add(15 * time.Minute)
	for _, test := range []struct {
		name, confirmed string
		when            grant.Unconfirmed
		doc             *trust.Document
		age             time.Duration // of the current version
		want            string
		reminder        grant.Reminder
	}{
		{"never confirmed", "", grant.UnconfirmedAuto, undated, 9 * time.Hour, never, ""},
		{"half of the overlap is over", "", grant.UnconfirmedAuto, undated, 12 * time.Hour, never, grant.Half},
		{"nine tenths of it are", "", grant.UnconfirmedAuto, undated, 22 * time.Hour, never, grant.NineTenths},
		{"all of it is", "", grant.UnconfirmedAuto, undated, 24 * time.Hour, never, grant.Over},
		{"a year has passed", "", grant.UnconfirmedAuto, undated, 365 * 24 * time.Hour, never, grant.Over},
		{"the function died behind the label", "", grant.UnconfirmedAuto, unfinished, 9 * time.Hour, never, ""},
		{"the birth document was put back", "", grant.UnconfirmedAuto, born, 48 * time.Hour, never, grant.Over},
		{"a document from before was put back", "", grant.UnconfirmedAuto, older, 48 * time.Hour, never, grant.Over},
		{"a document from before was put back, and the rotation before was confirmed", confirmed(first, now, grant.ByProvider), grant.UnconfirmedAuto, older, 9 * time.Hour, out, ""},
		{"a document from before was put back, and it is confirmed", confirmed(second, soon, grant.ByProvider), grant.UnconfirmedAuto, older, 9 * time.Hour, out, ""},
		{"somebody took it out", "", grant.UnconfirmedAuto, without, 9 * time.Hour, out, ""},
		{"it has a deadline, and keeps it", "", grant.UnconfirmedAuto, dated, 9 * time.Hour, deadline, ""},
		{"extend", confirmed(first, now, grant.ByProvider), grant.UnconfirmedExtend, undated, 48 * time.Hour, never, grant.Over},

		{"the rotation before was confirmed", confirmed(first, now, grant.ByProvider), grant.UnconfirmedAuto, dated, 13 * time.Hour, deadline, grant.Half},
		{"and the function died behind the label", confirmed(first, now, grant.ByProvider), grant.UnconfirmedAuto, unfinished, 9 * time.Hour, deadline, ""},
		{"and somebody took the date out", confirmed(first, now, grant.ByProvider), grant.UnconfirmedAuto, undated, 9 * time.Hour, deadline, ""},
		{"and the birth document was put back behind the deadline", confirmed(first, now, grant.ByProvider), grant.UnconfirmedAuto, born, 25 * time.Hour, out, ""},
		{"it was confirmed by an operator", confirmed(first, now, grant.ByOperator), grant.UnconfirmedAuto, undated, 25 * time.Hour, never, grant.Over},
		{"one long ago was", confirmed("00000000-7777-4888-9999-aaaaaaaaaaaa", now, grant.ByProvider), grant.UnconfirmedAuto, undated, 25 * time.Hour, never, grant.Over},

		{"confirmed", confirmed(second, soon, grant.ByProvider), grant.UnconfirmedAuto, undated, 13 * time.Hour, "2026-02-04T12:15:00Z", ""},
		{"confirmed by an operator", confirmed(second, soon, grant.ByOperator), grant.UnconfirmedAuto, undated, 13 * time.Hour, "2026-02-04T12:15:00Z", ""},
		{"confirmed, and its time is over", confirmed(second, now, grant.ByProvider), grant.UnconfirmedAuto, undated, 13 * time.Hour, out, ""},
		{"confirmed under extend", confirmed(second, soon, grant.ByProvider), grant.UnconfirmedExtend, undated, 48 * time.Hour, "2026-02-04T12:15:00Z", ""},
		{"confirmed under cut", confirmed(second, soon, grant.ByProvider), grant.UnconfirmedCut, dated, 9 * time.Hour, "2026-02-04T12:15:00Z", ""},
		{"confirmed later than the deadline", confirmed(second, now.Add(48*time.Hour), grant.ByProvider), grant.UnconfirmedAuto, dated, 9 * time.Hour, deadline, ""},
		{"confirmed for longer than an overlap", confirmed(second, now.Add(480*time.Hour), grant.ByProvider), grant.UnconfirmedAuto, undated, 9 * time.Hour, "2026-02-05T12:00:00Z", ""},
		{"confirmed, and the birth document was put back", confirmed(second, soon, grant.ByProvider), grant.UnconfirmedAuto, born, 9 * time.Hour, out, ""},
		{"a tag that can't be read", second + " now provider", grant.UnconfirmedAuto, undated, 9 * time.Hour, never, ""},

		{"cut", "", grant.UnconfirmedCut, dated, 22 * time.Hour, deadline, ""},
		{"auto became cut behind the overlap", "", grant.UnconfirmedCut, undated, 25 * time.Hour, out, ""},
		{"cut became auto (not noted)", "", grant.UnconfirmedAuto, dated, 9 * time.Hour, deadline, ""},
		{"cut became auto, and the birth document was put back (not noted)", "", grant.UnconfirmedAuto, born, 25 * time.Hour, out, ""},
		{"somebody took the note away (not noted)", "", grant.UnconfirmedAuto, undated, 9 * time.Hour, deadline, ""},
	} {
		f := facts{
			plan: grant.Plan{
				Grant: "migration", Provider: "hestio", Principals: []string{"111122223333"}, SecretARN: "s", Overlap: grant.Duration(24 * time.Hour),
				WhenUnconfirmed: test.when,
			},
			now: now, doc: test.doc, pending: version{err: grant.ErrNotFound},
			tags:     map[string]string{grant.FactConfirmed.Tag(): test.confirmed, grant.FactConfirmed.AnnouncedTag(): test.confirmed},
			current:  version{versionID: second, created: now.Add(-test.age), id: id(b)},
			previous: version{versionID: first, created: now.Add(-test.age - 720*time.Hour), id: id(a)},
		}
		if f.plan.Outlook(first, f.confirmation()).Extended && !strings.HasSuffix(test.name, "(not noted)") {
			f.tags[grant.TagExtended] = second
		}
		d := decide(f)
		got := out
		if d.trust != nil && d.trust.Previous.ID != "" {
			got = never
			if until := d.trust.Previous.Until; !until.IsZero() {
				got = until.Format(time.RFC3339)
			}
		}
		if got != test.want {
			t.Errorf("%s: it stays %q, want %q", test.name, got, test.want)
		}
		reminder := grant.NoReminder
		for _, one := range f.confirmations(d.end) {
			if data, ok := one.data.(events.RotationUnconfirmed); ok {
				reminder = grant.Reminder(data.Reminder)
				if data.Extended != (test.want == never) {
					t.Errorf("%s: extended %t", test.name, data.Extended)
				}
			}
		}
		if reminder != test.reminder {
			t.Errorf("%s: reminder %q, want %q", test.name, reminder, test.reminder)
		}
		if waits := unconfirmed(Open, f); waits != (test.doc == undated && test.age >= 24*time.Hour) {
			t.Errorf("%s: waits behind its overlap: %t", test.name, waits)
		}
	}
}

// A cut ends the ID before the current one first, and may be given up then. Whoever puts an older document back brings that ID
// back, which no deadline ends.
func TestWhatIsNotedToBeRetiredStaysOut(t *testing.T) {
	id := func(value string) grant.ID { return externalID(t, value) }
	undated := document(t, accepts{trust.SidCurrent, []string{b}, ""}, accepts{trust.SidPrevious, []string{a}, ""})
	for _, announced := range []string{"", first} {
		f := facts{
			plan: grant.Plan{
				Grant: "migration", Provider: "hestio", Principals: []string{"111122223333"}, SecretARN: "s", Overlap: grant.Duration(24 * time.Hour),
				WhenUnconfirmed: grant.UnconfirmedAuto,
			},
			now: now, doc: undated, pending: version{err: grant.ErrNotFound},
			tags:     map[string]string{grant.TagExtended: second, grant.FactRetired.Tag(): first, grant.FactRetired.AnnouncedTag(): announced},
			current:  version{versionID: second, created: now.Add(-9 * time.Hour), id: id(b)},
			previous: version{versionID: first, created: now.Add(-720 * time.Hour), id: id(a)},
		}
		if d := decide(f); d.trust == nil || d.trust.Previous.ID != "" || d.end.Keep {
			t.Errorf("announced %q: it is let in: %+v", announced, d.end)
		}
	}
}
