package simtest

import (
	"errors"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// byHand is what the invariants remember of writes of the trust policy by others than Countersign. From such a write until a
// reconciliation that began behind it has ended well nobody promises anything of the trust policy (I1, I2).
type byHand struct {
	hand     bool // it is somebody else's now
	handAt   time.Time
	handStep int
	handBy   string // an actor
	rough    bool   // something has gone wrong for anybody since

	under map[*sim.Process]*look // reconciliations under way
}

// look is a reconciliation under way.
type look struct {
	began    int       // step
	denied   time.Time // when the revocation was that stood then
	lagged   bool      // a replica of IAM answered one of its calls
	exposed  bool      // somebody took the stack's protection off meanwhile
	stale    bool      // it read from a replica that may lag
	hindered bool      // one of its calls didn't work, or somebody else changed something meanwhile
	unborn   bool      // the forger had AWSCURRENT on the template's constant, if only for a while
}

// behind says whether a reconciliation began behind a step. One that doesn't run didn't.
func (l *look) behind(step int) bool { return l != nil && l.began >= step }

// soon is how long the trust policy stands as CloudFormation wrote it where nothing goes wrong: Custom::Grant follows at once.
// Only where an adopted role seems to hold an older document, or any role a closed one a moment behind a restore, it first makes
// sure that IAM doesn't show one late.
func (w *watch) soon() time.Duration {
	if w.plan.Adopted || w.handAt.Before(w.restored.Add(grant.RestoreMargin)) {
		return 3 * time.Minute
	}
	return time.Minute
}

// wrote is told of a write of the trust policy that Countersign did not make, or made by what it had read before another one.
func (w *watch) wrote(actor string) {
	w.hand, w.handAt, w.handStep, w.handBy, w.rough = true, w.Now(), w.Steps, actor, false
}

// stall is how late a call may be until that counts as a hindrance for everybody: the clock is one, and waits run out.
const stall = 20 * time.Second

// hinders is told of every call: who is hindered by it?
func (w *watch) hinders(s sim.Seen) {
	if !w.hand && len(w.under) == 0 {
		return
	}
	wrong := s.Fault != sim.None || s.Delay > 0 || s.Replica > 0 || s.Answer != nil && !errors.Is(s.Answer, grant.ErrNotFound)
	w.rough = w.rough || wrong
	for p, l := range w.under {
		l.unborn = l.unborn || w.forging() && w.current == ""
		l.lagged = l.lagged || p == s.Process && s.Replica > 0
		l.stale = l.stale || p == s.Process && s.Action == "GetRole" && s.Replica > 0
		l.hindered = l.hindered || p == s.Process && wrong || p != s.Process && s.Done && changes(s.Call) || s.Delay > stall
	}
}

// slowed is told when time passes that nobody waited for.
func (w *watch) slowed() {
	w.rough = true
	for _, l := range w.under {
		l.hindered = true
	}
}

// looks is told of every reconciliation by the timer or by a deploy. One that ended well, and that read nothing stale, has
// seen what others wrote before it began. One that nothing got in the way of must end well: then the trust policy stands as
// somebody else wrote it until the first quiet look, and behind a deploy only for a moment, see soon.
//
// In a run with the forger a deploy doesn't count: it ends well beside labels that run backwards, and leaves all as it is; so it
// does where two versions of the same second leave it to a person which is current. Nor does anything while the forger has
// AWSCURRENT on the template's constant: then the grant counts as unborn; or while its tag calls the revocation undone that
// stands: then reconcile leaves all as it is, under the Deny.
func (w *watch) looks(deploy bool, act func() error) error {
	p, l, known := w.Running(), &look{began: w.Steps, denied: w.denied}, len(w.revokes)
	w.under[p] = l
	defer delete(w.under, p)
	err := act()
	if err == nil && !deploy {
		w.keeps(l)
	}
	if !w.denied.IsZero() && w.Secrets.Tags(w.plan.SecretARN)[grant.TagRestored] == w.standing {
		return err
	}
	for i, r := range w.revokes[:known] {
		w.revokes[i].due = r.due || err == nil && w.Secrets.Tags(w.plan.SecretARN)[grant.TagRevoked] == r.id // else another followed
	}
	if err == nil && l.behind(w.planned) && !l.stale {
		w.followed = w.planned
	}
	mislabelled := w.forging() && (deploy || l.unborn || w.current == "") || deploy && w.denied.IsZero() && w.tied()
	switch {
	case !w.hand || mislabelled || l.stale || !l.behind(w.handStep):
	case err == nil:
		w.settled()
	case l.hindered || w.forging() || w.deleted || w.locked:
	case errors.Is(err, grant.ErrNotYetVisible): // what it read may still be from before a restore
	case errors.Is(err, grant.ErrBackwards) && w.tied():
	case w.plan.Adopted && errors.Is(err, trust.ErrRefused): // its owner took out every ID of ours: where one belongs nobody guesses
	default:
		_ = w.violated("I1", "%s wrote the trust policy, and a reconciliation that nothing got in the way of failed: %v", w.handBy, err)
	}
	return err
}

// tied says whether the current version and the one before were made in the same second, and the trust policy doesn't accept
// the current one. AWS dates versions no finer: labels that were swapped look the same, and only a person may say which it is.
func (w *watch) tied() bool {
	if v := w.views[0]; v == nil || slices.Contains(v.accepted, w.current) { // nil: nothing has been seen yet
		return false
	}
	var at [2]int64
	for i, stage := range []string{grant.StageCurrent, grant.StagePrevious} {
		id, _ := w.Secrets.Labelled(w.plan.SecretARN, stage)
		for _, v := range w.Secrets.Stored(w.plan.SecretARN) {
			if v.ID == id {
				at[i] = v.Created.Unix()
			}
		}
	}
	return at[0] == at[1]
}

// settled ends what wrote began.
func (w *watch) settled() {
	w.hand = false
	w.mislead(w.views[0]) // labels may say that what somebody else wrote is as it should be
	w.forget(w.views[0])  // or tags
	gap := w.Now().Sub(w.handAt)
	w.Hand.add(HandGap{1, gap, gap})
	if w.handBy == "cloudformation" && !w.rough && !w.forging() {
		w.Deployed.add(HandGap{1, gap, gap})
		if gap > w.soon() {
			_ = w.violated("I1", "nothing went wrong, and the trust policy stood for %s as a deploy wrote it", gap)
		}
	}
	w.excuse(Propagation)
}

// overtaken is told of a write of ours by what was read before somebody else wrote: IAM has no compare-and-swap. The other
// write is lost until a reconciliation that begins behind it has ended well, as if it were somebody else's. That can happen
// only in the few calls between our last read and our write.
func (w *watch) overtaken(s sim.Seen) {
	w.Overtaken++
	most := 3
	if w.plan.Adopted {
		most = 20 // it looks for IDs of rotations that were given up
	}
	if n := w.since[s.Process]; n > most {
		_ = w.violated("I4", "%s wrote the trust policy %d calls after it read it, and overwrote somebody", s.Actor, n)
	}
	w.wrote(s.Actor)
}
