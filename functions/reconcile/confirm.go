package reconcile

import (
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
)

// overlapEnd is when the overlap of the current version ends by its date.
func (f facts) overlapEnd() time.Time {
	return f.current.created.Add(f.plan.OverlapOf(f.current.versionID)).UTC().Truncate(time.Second)
}

// endless says whether a previous ID is accepted until somebody confirms.
func endless(e gate.End) bool { return e.Keep && e.Until.IsZero() }

// rotated is the event of a promotion that was not announced.
func (f facts) rotated(end gate.End) events.ExternalIDRotated {
	version := f.current.versionID
	out := events.ExternalIDRotated{Where: f.plan.Where(), VersionID: version, Cause: grant.CauseOf(version), PreviousUntil: end.Until, ConfirmURL: f.plan.ConfirmURL}
	if endless(end) {
		out.PreviousUntil, out.Extended = f.overlapEnd(), true
	}
	return out
}

// confirmations is what was confirmed and nobody was told of, or the reminder that is due where nothing was.
func (f facts) confirmations(end gate.End) (out []item) {
	version, c := f.current.versionID, f.confirmation()
	if f.plan.NoExternalID || version == "" {
		return nil
	}
	if (c.Of(version) || c.Of(f.previous.versionID)) && f.tags[grant.FactConfirmed.AnnouncedTag()] != c.String() {
		data := events.ExternalIDConfirmed{Where: f.plan.Where(), VersionID: c.VersionID, By: string(c.By)}
		if c.Of(version) {
			data.PreviousUntil = end.Until
		}
		out = append(out, item{grant.FactConfirmed, c.String(), data, true})
	}
	if c.Of(version) {
		return out
	}
	due := grant.ReminderAt(f.current.created, f.plan.OverlapOf(version), endless(end), f.now)
	if due == grant.NoReminder || !end.Keep || !f.plan.MayExtend() { // who says cut expects nobody to confirm
		return out
	}
	change := version + " " + string(due)
	if f.tags[grant.FactUnconfirmed.AnnouncedTag()] == change {
		return out
	}
	return append(out, item{grant.FactUnconfirmed, change, events.RotationUnconfirmed{
		Where: f.plan.Where(), VersionID: version, Reminder: string(due), PreviousUntil: f.overlapEnd(), Extended: endless(end),
	}, false})
}

// unconfirmed says whether the previous ID is still accepted behind its overlap, because nobody has confirmed the current one.
func unconfirmed(state State, f facts) bool {
	return state == Open && f.waits() && !f.now.Before(f.overlapEnd())
}

// waits says whether the trust policy accepts the previous ID until somebody confirms. Scheduled rotations pause meanwhile.
func (f facts) waits() bool {
	if f.doc == nil || f.doc.Closed() || f.previous.err != nil || f.current.err != nil {
		return false
	}
	until, previous := gate.PreviousIn(f.doc, f.previous.id)
	return previous && until.IsZero()
}
