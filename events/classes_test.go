package events_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/events"
)

const (
	provider, operators         = events.Provider, events.Operators
	action, revoke, all, digest = events.Action, events.Revoke, events.All, events.Digest
)

// A new event needs an entry in the table of classes, and a line in docs/events.md that says the same.
func TestEveryEventHasItsClassesAndTheDocsSayWhich(t *testing.T) {
	page, err := os.ReadFile("../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[events.Type][2]string{}
	row := regexp.MustCompile("(?m)^\\| (`[A-Z][^|]*`) \\|[^|]*\\|[^|]*\\|([^|]*)\\|([^|]*)\\|$")
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		for name := range strings.SplitSeq(m[1], ", ") {
			rows[events.Type(strings.Trim(name, "`"))] = [2]string{strings.TrimSpace(m[2]), strings.TrimSpace(m[3])}
		}
	}
	for _, typ := range events.Types() {
		if !typ.Classified() {
			t.Errorf("%q is in no class: say whom it concerns, and why", typ)
		}
		for i, to := range []events.Audience{provider, operators} {
			var words []string
			for _, c := range typ.Classes(to) {
				words = append(words, string(c))
			}
			want := strings.Join(words, ", ")
			if len(words) == len(events.Classes()) {
				want = "always"
			}
			if got := rows[typ][i]; got != want {
				t.Errorf("docs/events.md: %q to %s is %q, the table of classes says %q", typ, to, got, want)
			}
		}
	}
	if len(rows) != len(events.Types()) {
		t.Errorf("docs/events.md has %d events, want %d", len(rows), len(events.Types()))
	}
}

// A provider's bus is handed what the provider is told of, and beside that signs of life, of which nobody else hears.
func TestAProvidersBusHearsSignsOfLifeToo(t *testing.T) {
	for _, typ := range events.Types() {
		if want := typ.Concerns(provider) || typ == events.TypeGrantReported; typ.Forwarded() != want {
			t.Errorf("%q: forwarded %t", typ, typ.Forwarded())
		}
	}
	if events.TypeGrantReported.Concerns(provider) || events.TypeGrantReported.Concerns(operators) {
		t.Error("people are told each day that nothing has changed")
	}
}

func TestWhoAskedForAClassIsToldOfItsEventsAndOfNoOthers(t *testing.T) {
	byDefault := []events.Class{action, revoke}
	for _, c := range []struct {
		to    events.Audience
		asked []events.Class
		told  string // the first letters of the events
	}{
		{provider, byDefault, "AG AX AR AS XR RU TR"},
		{provider, []events.Class{action}, "AG AS XR RU TR"},
		{provider, []events.Class{revoke}, "AX AR AS TR"},
		{provider, []events.Class{all}, "AG AX AR AS XR XC RU PR TR"},
		{provider, []events.Class{digest}, "WD TR"},
		{provider, []events.Class{revoke, digest}, "AX AR AS WD TR"},
		{provider, nil, ""},
		{operators, byDefault, "AG AX AR AS RF RU TD DD MU TR"},
		{operators, []events.Class{action}, "AG RF RU TD DD MU TR"},
		{operators, []events.Class{revoke}, "AX AR AS TR"},
		{operators, []events.Class{all}, "AG AX AR AS RF RU XC TD DD MU XR PR TR"},
		{operators, []events.Class{all, digest}, "AG AX AR AS RF RU XC TD DD MU XR PR WD TR"},
		{"strangers", []events.Class{all, digest}, ""},
	} {
		short := map[string]events.Type{
			"AG": events.TypeAccessGranted, "AX": events.TypeAccessExpired, "AR": events.TypeAccessRevoked, "AS": events.TypeAccessRestored,
			"XR": events.TypeExternalIDRotated, "XC": events.TypeExternalIDConfirmed, "RU": events.TypeRotationUnconfirmed, "PR": events.TypePreviousRetired, "RF": events.TypeRotationFailed,
			"TD": events.TypeTrustDriftDetected, "DD": events.TypeDestinationDisabled, "MU": events.TypeMailUndelivered,
			"TR": events.TypeTestRequested, "WD": events.WeeklyDigest,
		}
		var want, got []string
		for code := range strings.FieldsSeq(c.told) {
			want = append(want, string(short[code]))
		}
		for _, typ := range append(events.Types(), events.WeeklyDigest, "Something Else") {
			if typ.Among(c.asked, c.to) {
				got = append(got, string(typ))
			}
			if typ.Among(c.asked, c.to) && !typ.Concerns(c.to) {
				t.Errorf("%q concerns %s and doesn't", typ, c.to)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if fmt.Sprint(want) != fmt.Sprint(got) {
			t.Errorf("%s, on %v: told of %q, want %q", c.to, c.asked, got, want)
		}
	}
}
