package simtest

import (
	"time"

	"github.com/countersign/countersign/internal/sim"
)

// keeping is what the invariants remember of the stack's termination protection (I13): from a look that ended well behind a
// revocation's first Deny on the stack can't be deleted, until somebody takes the protection off, as cdk deploy does; then from the next
// such look on. Who deletes it all the same would take the Deny away, and that is I3.
//
// Not asked: of an adopted role, which stays closed without its stack; and of a look that a replica of IAM answered.
type keeping struct {
	guarded bool // it can't be deleted

	// CloudFormation does one thing with a stack at a time: what comes beside it, it refuses.
	deploying int  // deploys under way
	leaving   bool // it is being deleted, or gone
	meddled   bool // somebody has written the trust policy by hand since
}

// protected is told when somebody, not reconcile, sets the protection.
func (w *watch) protected(s sim.Seen) {
	if s.Done && s.Actor != "reconcile" {
		w.guarded = false
		for _, l := range w.under {
			l.exposed = true
		}
	}
}

// keeps is told of a look by the timer that has ended well.
func (w *watch) keeps(l *look) {
	if !l.denied.IsZero() && l.denied.Equal(w.denied) && !l.lagged && !l.exposed && !w.plan.Adopted {
		w.guarded = true
		if !w.Stacks.Protected(StackName) {
			_ = w.violated("I13", "the timer has looked at a revoked grant, and its stack can be deleted")
		}
	}
}

// janitor deletes stacks that nobody seems to need, and deploys what turns out to be needed again. He is the one who should have
// asked: whether a revoked grant opens by that is for the invariants to see.
func (a *acting) janitor() error {
	ctx := sim.As(a.ctx, "janitor")
	for a.rest(20*time.Minute, 2*time.Hour) {
		_, _ = a.Stacks.Deletable(ctx, StackName)
		if !a.watch.guarded || a.watch.denied.IsZero() || a.watch.deploying > 0 {
			continue // nothing is promised
		}
		a.watch.leaving = true
		if a.Stacks.Delete(ctx, StackName) == nil {
			p := a.Plans[a.plan.Grant]
			_ = a.Stacks.Create(ctx, StackName, sim.Template{Plan: p, Policies: []sim.Policy{{Name: "everything", Document: allowAll}}})
		} else {
			a.Refused++
		}
		a.watch.leaving = false
	}
	return nil
}
