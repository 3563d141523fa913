package trust_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

func TestADeadlineIsTheLatest(t *testing.T) {
	const sooner, later = "2026-02-05T12:00:00Z", "2026-02-06T12:00:00Z"
	// copyUntil is a CountersignPrevious of the vendor's ID under dates; without any it has no end.
	copyUntil := func(sid, dates string) string {
		s := strings.Replace(vendor(us, "StringEquals", vendorID), `{"Effect"`, `{"Sid":"CountersignPrevious`+sid+`","Effect"`, 1)
		if dates == "" {
			return s
		}
		return strings.Replace(s, `"Condition":{`, `"Condition":{"DateLessThan":{"aws:CurrentTime":[`+quoted(dates)+`]},`, 1)
	}
	end := deadline.Add(24 * time.Hour)
	for name, c := range map[string]struct {
		src   string
		until time.Time
	}{
		"one copy":                    {statements(copyUntil("", sooner)), deadline},
		"the first copy ends sooner":  {statements(copyUntil("", sooner), copyUntil("2", later)), end},
		"the second copy ends sooner": {statements(copyUntil("", later), copyUntil("2", sooner)), end},
		"the first copy has no end":   {statements(copyUntil("", ""), copyUntil("2", later)), time.Time{}},
		"the second copy has no end":  {statements(copyUntil("", later), copyUntil("2", "")), time.Time{}},
		"several dates are OR-ed":     {statements(copyUntil("", later+" "+sooner)), end},
		"in whatever order":           {statements(copyUntil("", sooner+" "+later)), end},
	} {
		d := parse(t, c.src)
		if until, ok := d.Deadline(vendorID); !ok || !until.Equal(c.until) {
			t.Errorf("%s: deadline %s, want %s", name, until, c.until)
		}
		if list := d.Accepted(); len(list) != 1 || !list[0].Until.Equal(c.until) {
			t.Errorf("%s: accepted %v, want until %s", name, list, c.until)
		}
		at := end.Add(-time.Second)
		if c.until.Equal(deadline) {
			at = deadline.Add(-time.Second)
		}
		allow(t, d, call(ourUser, vendorID, at))
	}
}

func TestADateIsNeverRoundedUp(t *testing.T) {
	p := promoted()
	p.Previous.Until = deadline.Add(999 * time.Millisecond)
	d := apply(t, parse(t, trust.BornDocument), p)
	if until, ok := d.Deadline(idOld); !ok || !until.Equal(deadline) {
		t.Errorf("deadline %s, want %s", until, deadline)
	}
}
