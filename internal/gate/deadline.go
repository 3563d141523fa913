package gate

import (
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// Promotion is what decides until when the ID before the current one stays accepted.
type Promotion struct {
	Previous grant.ID
	Current  grant.ID      // a document without it is from before it; adopted roles: zero, for where an ID belongs only they know
	Created  time.Time     // of the current version, by AWS
	Overlap  time.Duration // that the current version's id stands for; zero: a cut
	Now      bool          // AWSCURRENT moves to it just now, by the caller; else it moved before, nobody knows when
	Extended bool          // the overlap has no end until somebody confirms the current version
	RetireAt time.Time     // the current version is confirmed, and the previous ID ends then at the latest; zero: it isn't
}

// End says whether the previous ID stays accepted, and until when. A zero time with Keep: until somebody confirms.
type End struct {
	Keep  bool
	Until time.Time
}

// Before says whether an end comes before another one.
func (e End) Before(o End) bool {
	if !e.Keep || !o.Keep {
		return !e.Keep && o.Keep
	}
	return !e.Until.IsZero() && (o.Until.IsZero() || e.Until.Before(o.Until))
}

// longestRun is Lambda's limit: so old may be the time that somebody who looks takes for now.
const longestRun = 15 * time.Minute

// Deadline is until when a document may accept the previous ID, to the second.
//
// What the document says is only ever shortened. An ID with a deadline keeps it, and never gets to be one without. The step
// that promotes gives the overlap from now on. Whoever comes later works the deadline out from the version's date, which is
// never later than the first one: the document may be an older one that was put back, and tells nothing then. An ID that
// the document doesn't accept stays out, but where the birth document, or one from before the current ID, was put back; and
// even there once the current version is confirmed.
func Deadline(doc *trust.Document, p Promotion, now time.Time) End {
	if p.Previous.IsZero() || p.Overlap <= 0 {
		return End{}
	}
	full := now.Add(p.Overlap)
	stands, dated := PreviousIn(doc, p.Previous)
	end := End{Keep: true}
	switch {
	case dated && !stands.IsZero():
		end.Until = stands
	case !p.Previous.AcceptedBy(doc) && (!p.lost(doc) || !p.RetireAt.IsZero()):
		return End{}
	case p.Extended && p.RetireAt.IsZero():
		return end
	case p.Extended && p.RetireAt.Before(full.Add(longestRun)):
		// The end that the confirmation names, the same with each look: it is at most an overlap behind the confirmation, which may
		// have come while this was looking.
		end.Until, full = p.RetireAt, p.RetireAt
	case p.Extended, p.Now && p.Previous.AcceptedBy(doc):
		end.Until = full
	default:
		end.Until = p.Created.Add(p.Overlap)
	}
	if full.Before(end.Until) { // the overlap is shorter now, or a version is from the future
		end.Until = full
	}
	if !p.RetireAt.IsZero() && p.RetireAt.Before(end.Until) {
		end.Until = p.RetireAt
	}
	end.Until = end.Until.UTC().Truncate(time.Second)
	if !end.Until.After(now) {
		return End{}
	}
	return end
}

// lost says whether a document tells nothing of the previous ID: it is the birth document; or, where the previous ID is to stay
// until somebody confirms, one from before the current ID.
func (p Promotion) lost(doc *trust.Document) bool {
	return doc.Born() || p.Extended && !p.Current.IsZero() && !p.Current.AcceptedBy(doc)
}

// PreviousIn is until when a document accepts an ID as a previous one, zero without an end of its own; ok is false where it
// isn't a previous one.
func PreviousIn(doc *trust.Document, id grant.ID) (until time.Time, ok bool) {
	until, ok = id.DeadlineIn(doc)
	return OwnEnd(doc, until), ok
}

// OwnEnd leaves out an end that an ID has too which isn't a previous one: it is that of the grant or of the statement.
func OwnEnd(doc *trust.Document, until time.Time) time.Time {
	if until.IsZero() {
		return until
	}
	for _, a := range doc.Accepted() {
		if _, previous := doc.Deadline(a.ID); !previous && a.Until.Equal(until) {
			return time.Time{}
		}
	}
	return until
}

// Overlapping is the latest deadline of a previous ID that the document still accepts. A previous ID without a deadline
// counts, with the zero time.
func Overlapping(doc *trust.Document, now time.Time) (until time.Time, open bool) {
	endless := false
	for _, a := range doc.Accepted() {
		t, ok := doc.Deadline(a.ID)
		if t = OwnEnd(doc, t); !ok || !a.Until.IsZero() && !a.Until.After(now) || !t.IsZero() && !t.After(now) {
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
