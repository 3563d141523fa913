package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// decision is what has to happen to a grant without any mark of a closed one.
type decision struct {
	state  State
	trust  *trust.Plan // what the trust policy shall be; nil: left as it is
	end    gate.End    // of the previous ID
	ending grant.ID    // the previous ID, if there is one
	older  bool        // the trust policy, with an ID that is over, seems to be an older one; IAM may just show it late
	fault  error       // why the grant can't be brought to what the plan asks; a person has to look
	drift  []string    // what stands beside the plan
}

// decide is what follows from the facts, and from them alone.
func decide(f facts) decision {
	switch {
	case f.docErr != nil:
		return decision{state: Open, fault: f.docErr}
	case f.plan.NoExternalID:
		return decision{state: Open, trust: new(f.plan.Trust())}
	case errors.Is(f.current.err, grant.ErrNotFound), errors.Is(f.current.err, grant.ErrOtherRole):
		return unborn(f)
	case f.current.err != nil:
		return decision{state: Open, fault: fmt.Errorf("current version %s: %w", f.current.versionID, f.current.err)}
	case f.previous.created.Truncate(time.Second).After(f.current.created.Truncate(time.Second)):
		return decision{state: Open, fault: fmt.Errorf("version %s is current, the younger %s previous: %w",
			f.current.versionID, f.previous.versionID, grant.ErrBackwards)}
	}
	if other := overtaken(f); other != "" {
		return decision{state: Open, fault: fmt.Errorf("the trust policy accepts the younger version %s and not the current one, %s: %w",
			other, f.current.versionID, grant.ErrBackwards)}
	}
	if _, leaving := f.current.id.DeadlineIn(f.doc); leaving {
		return decision{state: Open, fault: fmt.Errorf("version %s is current, but the trust policy ends its external ID: %w",
			f.current.versionID, grant.ErrBackwards)}
	}
	if before, older := f.older(); older {
		ids := f.beside(before, f.current.id)
		switch third := f.previous.err == nil && f.previous.id != before; {
		case third && f.stays(): // it comes first: the next looks take the oldest one out, and let the current one in
			ids = f.beside(before, f.previous.id)
		case third:
			ids.Retired = append(ids.Retired, f.previous.id) // it had its end
		}
		over := !f.now.Before(f.current.created.Add(f.plan.OverlapOf(f.current.versionID)))
		return decision{state: Open, trust: new(f.plan.TrustWith(ids)), older: over}
	}
	ids, end := wanted(f)
	return decision{state: Open, trust: new(f.plan.TrustWith(ids)), end: end, ending: f.previous.id}
}

// older says whether the owner of an adopted role put back a document from before the current ID, and which of ours stands there.
func (f facts) older() (before grant.ID, older bool) {
	before = f.before()
	return before, f.plan.Adopted && !before.IsZero() && !f.current.id.AcceptedBy(f.doc)
}

// beside lets an ID in beside the one that shows where it belongs, as a rotation has it. The next look takes that one out, if it is
// over.
func (f facts) beside(before, id grant.ID) grant.IDs {
	return grant.IDs{Current: before, Pending: id, Retired: f.over(before, id)}
}

// before is an ID of ours from before the current one that the trust policy accepts without an end: the previous one, or one
// that the secret's history knows. Zero: there is none.
func (f facts) before() grant.ID {
	if f.previous.err == nil && undated(f.previous.id, f.doc) {
		return f.previous.id
	}
	for _, s := range f.strays {
		if undated(s.ID, f.doc) {
			return s.ID
		}
	}
	return grant.ID{}
}

// over are the IDs of ours that a trust policy must not accept: those of rotations that were given up, by labels or without.
func (f facts) over(kept ...grant.ID) (ids []grant.ID) {
	for _, s := range f.strays {
		if !slices.Contains(kept, s.ID) {
			ids = append(ids, s.ID)
		}
	}
	if f.pending.err == nil && !slices.Contains(kept, f.pending.id) {
		ids = append(ids, f.pending.id)
	}
	return ids
}

// overtaken is a version that the trust policy shows to have been current after the one that has the label now: it is
// accepted without an end, and the labelled one isn't at all.
func overtaken(f facts) (versionID string) {
	if f.doc.Born() || f.current.id.AcceptedBy(f.doc) {
		return ""
	}
	if f.previous.err == nil && undated(f.previous.id, f.doc) {
		if notOlder(f.previous.created, f.current.created) {
			return f.previous.versionID
		}
		return "" // what stands beside the one before, without an end either, was let in and perhaps never promoted
	}
	others := f.strays
	if f.pending.err == nil {
		others = append([]gate.Stray{{ID: f.pending.id, VersionID: f.pending.versionID, Created: f.pending.created}}, others...)
	}
	for _, s := range others {
		if notOlder(s.Created, f.current.created) && undated(s.ID, f.doc) {
			return s.VersionID
		}
	}
	return ""
}

// notOlder compares as AWS dates versions: to the second.
func notOlder(created, than time.Time) bool {
	return !created.Truncate(time.Second).Before(than.Truncate(time.Second))
}

// stays says whether the previous ID is to stay until somebody confirms the current one, and nobody has.
func (f facts) stays() bool {
	return f.promotion().Extended && !f.confirmation().Of(f.current.versionID) && !f.overBefore()
}

// undated says whether a trust policy accepts an ID, and not as one that ends.
func undated(id grant.ID, doc *trust.Document) bool {
	_, leaving := id.DeadlineIn(doc)
	return id.AcceptedBy(doc) && !leaving
}

// wanted are the IDs that the trust policy shall accept: the current one, the previous one until its end, and a pending one
// only if a rotation has put it there.
func wanted(f facts) (grant.IDs, gate.End) {
	ids := grant.IDs{Current: f.current.id}
	if f.pending.err == nil && f.pending.id != f.current.id && notOlder(f.pending.created, f.current.created) && undated(f.pending.id, f.doc) {
		ids.Pending = f.pending.id
	}
	if f.previous.err != nil || f.previous.id == ids.Current || f.previous.id == ids.Pending {
		ids.Retired = f.over(ids.Current, ids.Pending, f.previous.id)
		return ids, gate.End{}
	}
	end := f.endOfPrevious()
	if end.Keep {
		ids.Pending = grant.ID{} // never three: its rotation lets it in again
		ids.Previous, ids.Until, ids.Endless = f.previous.id, end.Until, f.promotion().Extended
	}
	ids.Retired = f.over(ids.Current, ids.Pending, f.previous.id)
	if !end.Keep {
		ids.Retired = append(ids.Retired, f.previous.id)
	}
	return ids, end
}

// endOfPrevious is until when the trust policy shall accept the previous ID.
func (f facts) endOfPrevious() gate.End {
	if f.overBefore() {
		return gate.End{}
	}
	end := gate.Deadline(f.doc, f.promotion(), f.now)
	if written, known := f.ends[f.previous.id]; known && written.Before(end) {
		end = written // IAM shows a document from before our own write
		end.Keep = end.Keep && (end.Until.IsZero() || end.Until.After(f.now))
	}
	if !end.Keep {
		return gate.End{}
	}
	return end
}

// overBefore says whether the previous ID is over, whatever a document says that was put back or written by an old read: it was
// noted to be retired; or a cut is under way, which ends it first.
func (f facts) overBefore() bool {
	if f.tags[grant.FactRetired.Tag()] == f.previous.versionID {
		return true
	}
	cut := f.pending.versionID != "" && f.plan.OverlapOf(f.pending.versionID) == 0
	made := f.pending.err == nil && notOlder(f.pending.created, f.current.created)
	return cut && (made || !f.previous.id.AcceptedBy(f.doc))
}

// promotion is what decides about the previous ID, besides the trust policy.
func (f facts) promotion() gate.Promotion {
	p := gate.Promotion{
		Previous: f.previous.id, Created: f.current.created, Overlap: f.plan.OverlapOf(f.current.versionID),
		Extended: f.plan.Extended(f.current.versionID, f.tags),
	}
	if !f.plan.Adopted {
		p.Current = f.current.id
	}
	if c := f.confirmation(); c.Of(f.current.versionID) {
		p.RetireAt = c.RetireAt
	}
	return p
}

func (f facts) confirmation() grant.Confirmation { return grant.ConfirmationOf(f.tags) }

// unborn is a grant whose role has no external ID yet: its document stays as it is, which should be the birth document,
// or what the first rotation is just making of it. An adopted role has a document of its own from the beginning.
func unborn(f facts) decision {
	d := decision{state: Unborn}
	if !f.plan.Adopted && !f.doc.Born() && (f.pending.err != nil || !f.pending.id.AcceptedBy(f.doc)) {
		d.drift = []string{"the role has a trust policy of its own although there is no external ID yet"}
	}
	return d
}
