package reconcile

import "github.com/countersign/countersign/internal/grant"

// overdue says whether the schedule should have given the grant another external ID by now. Nobody waits for a rotation of a
// grant that was revoked, has ended or was never opened, nor while an operator holds the schedule back or it waits for the provider to confirm. A grant that could not
// be looked at is overdue: nobody can say that it isn't.
func overdue(state State, f facts) bool {
	switch {
	case f.plan.Grant == "":
		return true
	case f.plan.NoExternalID, state == Unborn, f.closure.Closed():
		return false
	case !f.plan.Expires.IsZero() && !f.now.Before(f.plan.Expires):
		return false
	case !grant.PausedUntil(f.tags, f.now).IsZero(), f.waits():
		return false
	}
	since := f.current.created
	if over := grant.PauseOver(f.tags, f.now); over.After(since) {
		since = over // what a pause held back isn't made up for: the next window counts
	}
	if c := f.confirmation(); c.Of(f.current.versionID) && c.RetireAt.After(since) && !c.RetireAt.After(f.now) {
		since = c.RetireAt // nor what waited for the provider
	}
	due := f.plan.DueBy(since)
	return !due.IsZero() && f.now.After(due)
}
