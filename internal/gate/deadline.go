package gate

import (
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// Promotion is what decides until when the ID before the current one stays accepted.
type Promotion struct {
	Previous grant.ID
	Created  time.Time     // of the current version, by AWS
	Overlap  time.Duration // that the current version's id stands for; zero: a cut
	Now      bool          // AWSCURRENT moves to it just now, by the caller; else it moved before, nobody knows when
}

// Deadline is until when a document may accept the previous ID, to the second. keep is false where it ends now, or ended.
//
// What the document says is only ever shortened. An ID with a deadline keeps it. The step that promotes gives the overlap
// from now on. Whoever comes later works the deadline out from the version's date, which is never later than the first
// one: the document may be an older one that was put back, and tells nothing then. An ID that the document doesn't accept
// stays out, but where the birth document was put back.
func Deadline(doc *trust.Document, p Promotion, now time.Time) (until time.Time, keep bool) {
	if p.Previous.IsZero() || p.Overlap <= 0 {
		return time.Time{}, false
	}
	full := now.Add(p.Overlap)
	stands, dated := p.Previous.DeadlineIn(doc)
	switch {
	case dated && !stands.IsZero():
		until = stands
		if full.Before(until) {
			until = full
		}
	case p.Now && p.Previous.AcceptedBy(doc):
		until = full
	case p.Previous.AcceptedBy(doc), doc.Born():
		until = p.Created.Add(p.Overlap)
		if full.Before(until) {
			until = full // a version from the future
		}
	default:
		return time.Time{}, false
	}
	until = until.UTC().Truncate(time.Second)
	return until, until.After(now)
}

// Overlapping is the latest deadline of a previous ID that the document still accepts. A previous ID without a deadline
// counts, with the zero time.
func Overlapping(doc *trust.Document, now time.Time) (until time.Time, open bool) {
	endless := false
	for _, a := range doc.Accepted() {
		t, ok := doc.Deadline(a.ID)
		if !ok || !t.IsZero() && !t.After(now) {
			continue
		}
		open, endless = true, endless || t.IsZero()
		if t.After(until) {
			until = t
		}
	}
	if endless {
		until = time.Time{}
	}
	return until, open
}

// Standing is the plan that a document follows as it stands, whatever its IDs are: what accepts without a deadline as
// current and pending, the rest as previous. Of an adopted role, whose document holds other people's IDs too, it takes
// only known, as the current one.
func Standing(doc *trust.Document, p grant.Plan, known grant.ID) trust.Plan {
	if p.Adopted {
		return p.TrustWith(grant.IDs{Current: known})
	}
	t := p.Trust()
	if p.NoExternalID {
		return t
	}
	for _, a := range doc.Accepted() {
		until, previous := doc.Deadline(a.ID)
		switch {
		case previous:
			t.Previous = trust.Previous{ID: a.ID, Until: until}
		case t.Current == "":
			t.Current = a.ID
		case t.Pending == "":
			t.Pending = a.ID
		}
	}
	return t
}
