package simtest

import (
	"slices"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// The invariants. check asks after every step what can be seen at any moment; written, told and used (watch.go) are asked
// at the call that they are about; converged is asked once all is quiet.
//
//	I1 no lock-out            check, unasked, dropped
//	I2 no widening            check, written, early
//	I3 revocation sticks      check, used
//	I4 foreign things stay    written
//	I5 announced at least once  converged
//	I6 converges in two periods  converged
//	I7 IDs stay where they belong  told, converged
//	I8 never more than two IDs  written
//	I9 the forger can't open or lengthen: I2, I3 and I8 in a run with the forger
//	I10 a pause holds back what the schedule begins, and nothing else  pauses
//	I11 every destination is told, until it wants no more  posted, delivered
//	I12 confirmations count only in sessions of the current ID's, and end what they say  noted, owes, unended
//	I13 the stack of a revoked grant is not deleted by the way  keeps, protected; who deletes it takes the Deny away, which is I3
//	I14 a role that outlives its stack stays closed  leave

// check asks I1, I2 and I3. It is asked after every call and whenever the clock moves.
func (w *watch) check() error {
	if w.violation != nil {
		return w.violation
	}
	w.view()
	w.noWidening()
	w.revocationSticks()
	w.noLockOut()
	if w.violation != nil {
		return w.violation
	}
	return nil
}

// noLockOut is I1: while the grant is open, a provider that tries the ID at AWSCURRENT and then the one at AWSPREVIOUS gets
// in, at the control plane and at every replica.
//
// Not asked: while any mark of a closed grant stands; once the grant has expired; from a write of the trust policy by
// somebody else until a reconciliation that began behind it has ended well (measured: Coverage.Hand); of a replica, for the
// propagation time behind that and behind a rotation without an overlap; in a run with the forger, who may close.
func (w *watch) noLockOut() {
	if w.hand || w.forging() || w.expired() || w.closed() {
		return
	}
	for i, v := range w.views {
		if i > 0 && w.Now().Before(w.lapses[i]) || w.denies(i) {
			continue
		}
		if !v.lets(w.current, w.Now()) && !v.lets(w.before, w.Now()) {
			_ = w.violated("I1", "the provider gets in neither with the current nor with the previous external ID (view %d)", i)
			return
		}
	}
	w.kept()
}

func (w *watch) expired() bool {
	return !w.plan.Expires.IsZero() && !w.Now().Before(w.plan.Expires)
}

// noWidening is I2, at the control plane: only whom the plan lets in enters, and only with an ID that Countersign made and
// that isn't over. Over is an ID whose deadline, once we wrote one, has passed, and one that was current and that we took
// out of an open trust policy. We never move a deadline beyond the overlap that began when the label moved.
// No ID, a wrong one and those of others never enter.
//
// Not asked: from a write of the trust policy by somebody else until a reconciliation that began behind it has ended well.
// On an adopted role an ID that is over and that somebody else wrote back stays theirs; what a foreign statement allows is
// counted (Coverage.Foreign).
func (w *watch) noWidening() {
	now := w.Now()
	for _, e := range w.views[0].enters(now) {
		m := w.ids[e.id]
		switch {
		case w.hand:
		case e.who > 0:
			_ = w.violated(w.forged("I2"), "%s gets in", askers[e.who])
		case m == nil && w.plan.Adopted && e.id != "" && e.id != wrong:
			w.Foreign++
		case m == nil:
			_ = w.violated(w.forged("I2"), "the provider gets in with an external ID that nobody made (%d characters)", len(e.id))
		case m.byHand:
		case w.expired() && w.followed == w.planned:
			_ = w.violated(w.forged("I2"), "the provider gets in with the external ID of version %s, and the grant has ended", m.version)
		case m.over, !m.ends.IsZero() && !now.Before(m.limit()):
			_ = w.violated(w.forged("I2"), "the provider gets in with the external ID of version %s, which is over", m.version)
		}
	}
	for _, m := range w.ids {
		m.over = m.over || !m.ends.IsZero() && !now.Before(m.limit())
	}
}

func (w *watch) forging() bool { return w.profile.forged && !w.Without["forger"] }

// forged names an invariant in a run with the forger: there it is I9.
func (w *watch) forged(invariant string) string {
	if w.forging() {
		return "I9 (" + invariant + ")"
	}
	return invariant
}

// converged is I5, I6 and for mails I7, asked when for two periods nothing went wrong and nobody acted: everybody who should gets in,
// nobody else does, every mark of a closed grant stands or none, nothing waits to be announced and nothing is left to mend.
//
// Not asked in a run with the forger, nor where somebody whom a foreign statement names was deleted: IAM then takes no
// write at all until a person decides.
func (w *watch) converged() error {
	w.told(w.logged)
	for _, l := range w.Letters() {
		w.told([]byte(l.Subject + l.Text + l.HTML))
	}
	if w.violation != nil {
		return w.violation
	}
	if w.forging() {
		return nil
	}
	said := w.Bus(BusName).Events()
	if err := w.delivered(said); err != nil || w.deleted {
		return err
	}
	w.view()
	tags := w.Secrets.Tags(w.plan.SecretARN)
	closure := grant.ClosureOf(w.IAM.ShownPolicy(w.plan.RoleName(), grant.RevocationPolicy, 0), w.documentOf(), tags)
	if !closure.Closed() && w.hand && w.tied() {
		return nil // a person has to decide, and is told of nothing else before
	}
	for _, f := range []grant.Fact{grant.FactGranted, grant.FactRotated, grant.FactFailed, grant.FactRetired, grant.FactRevoked, grant.FactRestored, grant.FactExpired, grant.FactDrift} {
		change := f.Unannounced(tags)
		overtaken := f == grant.FactRotated && change != w.version(w.current)
		if change != "" && change != "none" && !overtaken && (f == grant.FactRevoked || !closure.Closed()) {
			return w.violated("I5", "%s of %s is not announced", f, change)
		}
	}
	switch {
	case closure.Closed() && len(closure.Missing()) > 0:
		return w.violated("I6", "closed, but these marks are missing: %v", closure.Missing())
	case closure.Closed():
		for _, e := range w.views[0].enters(w.Now()) {
			return w.violated("I6", "closed, and %s gets in", askers[e.who])
		}
		return w.announced(said)
	case w.hand:
		return w.violated("I6", "no reconciliation has ended well since the trust policy was written at %s", w.handAt.Format(time.DateTime))
	case w.expired():
		return nil
	}
	for i, v := range w.views {
		if !v.lets(w.current, w.Now()) {
			return w.violated("I6", "the current external ID doesn't get in (view %d)", i)
		}
	}
	for _, id := range w.views[0].accepted {
		_, dated := w.documentOf().Deadline(id)
		pending, _ := w.Secrets.Labelled(w.plan.SecretARN, grant.StagePending) // of a rotation that the engine gave up
		ending := id == w.before && dated
		if id != w.current && !ending && !w.endless(id) && w.version(id) != pending {
			return w.violated("I6", "the trust policy still accepts the external ID of version %s", w.version(id))
		}
	}
	return w.announced(said)
}

func (w *watch) version(id string) string {
	if m := w.ids[id]; m != nil {
		return m.version
	}
	return "?"
}

// announced is I5 by the archive of the bus: every revocation that an operator was told of, and the version that is current
// if it was promoted while nothing said closed.
//
// Not asked for a change that another one of its kind followed before the bus took it: a promotion would call an ID current
// that isn't, and a later revocation says all. Of two revocations of a closed grant one says all, too.
func (w *watch) announced(said []events.Event) error {
	told, lastRevoked := map[string]bool{}, time.Time{}
	for _, e := range said {
		switch d := e.Data.(type) {
		case *events.ExternalIDRotated:
			told[d.VersionID] = true
		case *events.AccessGranted:
			told[d.VersionID] = true
		case *events.AccessRevoked:
			told[d.RevokeID], lastRevoked = true, later(lastRevoked, e.Metadata.Time)
		}
	}
	if version := w.version(w.current); !w.closed() && slices.Contains(w.promoted, version) && !told[version] {
		return w.violated("I5", "nobody was told of version %s", version)
	}
	for _, r := range w.revokes {
		another := w.closed() && told[w.standing] // is what stands, and was told of
		for _, other := range w.revokes {
			another = another || told[other.id] && other.at.Equal(r.at)
		}
		if !told[r.id] && !another && (r.due || lastRevoked.Before(r.at)) {
			return w.violated("I5", "nobody was told of revocation %s", r.id)
		}
	}
	return nil
}
