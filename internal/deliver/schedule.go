package deliver

import (
	"time"

	"github.com/countersign/countersign/events"
)

// steps are the waits between attempts, as Standard Webhooks lists them: the last attempt comes three days after the first.
var steps = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// spread is how much of a wait chance adds at most: a receiver that comes back isn't met by all senders at once.
const spread = 0.1

// lastCall is how long before its end people hear of an ID once more that nobody has taken note of.
const lastCall = time.Hour

// Next says when the attempt after attempt n (from 1) comes, which failed at now, or that none follows.
//
// It is a step after now, lengthened by chance (jitter, from 0 up to 1) and by what the receiver asked for (retryAfter), the
// latter up to the step after it. A rotation's deadline goes first: one attempt comes at LastCall, and one at the deadline,
// which says that it has passed. Then none follows.
func Next(f Facts, n int, now time.Time, retryAfter time.Duration, jitter float64) (at time.Time, again bool) {
	if n >= 1 && n <= len(steps) {
		wait := time.Duration(float64(steps[n-1]) * (1 + spread*jitter))
		longest := steps[min(n, len(steps)-1)]
		at, again = now.Add(max(wait, min(retryAfter, longest))), true
	}
	deadline, warning := f.deadline(), f.LastCall()
	switch {
	case deadline.IsZero():
		return at, again
	case now.Before(warning) && (!again || at.After(warning)):
		return warning, true
	case now.Before(deadline) && (!again || at.After(deadline)):
		return deadline, true
	case !now.Before(deadline):
		return time.Time{}, false
	}
	return at, again
}

// LastCall is an hour before the ID before a rotated one ends, or half-way where the overlap is under two hours. Zero: there is
// no such moment.
func (f Facts) LastCall() time.Time {
	deadline := f.deadline()
	if deadline.IsZero() {
		return deadline
	}
	return deadline.Add(-min(lastCall, deadline.Sub(f.At)/2)).Truncate(time.Second)
}

// deadline is when an event isn't worth telling any more. Only a rotation that leaves the ID before for a while has one.
func (f Facts) deadline() time.Time {
	if f.Kind != events.TypeExternalIDRotated {
		return time.Time{}
	}
	return f.PreviousUntil
}
