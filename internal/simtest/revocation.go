package simtest

import (
	"slices"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// revocation is what the invariants remember of revocations and restores (I3), by their own account.
type revocation struct {
	denied   time.Time       // when the Deny of the revocation that stands was first written; zero: none stands
	shut     time.Time       // when the grant was closed that wasn't before
	standing string          // its revoke id, as the Deny says it
	restored time.Time       // when the last restore lifted a Deny
	asked    map[string]bool // revoke ids that an operator asked to restore
	opens    string          // the intent to restore that stands in the Deny: the revoke id that it undoes

	denyRead    map[*sim.Process]string // the revoke id that each process read last
	overwritten time.Time               // see revocationSticks
}

// between is how many calls may lie between a last read of the Deny and the write, tries after a throttled one included.
const between = 3

// denyWritten is told of every write of CountersignRevocation (I3).
func (w *watch) denyWritten(s sim.Seen) {
	r := w.deny(0)
	if r.Denies {
		w.lastDeny = w.Now()
		if w.denied.IsZero() {
			w.shut = w.Now()
		}
		if r.RestoreTo != "" && w.standing != r.RevokeID && (w.denyRead[s.Process] == w.standing || w.denySince[s.Process] > between) {
			_ = w.violated(w.forged("I3"), "%s wrote the intent to restore %s over %s", s.Actor, r.RevokeID, w.standing)
		}
		if w.denied.IsZero() || w.standing != r.RevokeID && r.RestoreTo == "" {
			w.denied = w.Now()
		}
		w.standing, w.overwritten, w.opens = r.RevokeID, time.Time{}, ""
		if r.RestoreTo != "" {
			w.opens = r.RevokeID
			if s.Actor != "revoke" || !w.asked[r.RevokeID] {
				_ = w.violated(w.forged("I3"), "%s wrote an intent to restore that no operator asked for", s.Actor)
			}
		}
		return
	}
	switch {
	case w.denied.IsZero():
	case w.opens != "" && w.asked[w.opens]:
		w.Restores++
		if w.fromBefore(w.current) && !w.mislabelled {
			_ = w.violated("I3", "%s restored %s, and the current external ID is from before it", s.Actor, w.opens)
		}
		w.denied, w.restored, w.opens = time.Time{}, w.Now(), ""
		w.excuse(Propagation)
		for id, m := range w.ids {
			followed := id == w.before && w.Now().Before(m.promise) // made by the restore, or behind it: a rotation came on top
			ended := w.fromBefore(id) || !slices.Contains(w.views[0].accepted, id) && !followed
			m.over = m.over || m.current && id != w.current && ended && !w.mislabelled
		}
	case w.denyRead[s.Process] != w.standing && w.denySince[s.Process] <= between:
		w.Overwritten++
		w.denied, w.restored, w.overwritten = time.Time{}, w.Now(), w.Now()
	default:
		_ = w.violated(w.forged("I3"), "%s lifted the Deny of %s, which nobody asked to restore", s.Actor, w.standing)
	}
}

// fromBefore says whether an external ID was made before the revocation that stands.
func (w *watch) fromBefore(id string) bool {
	return slices.ContainsFunc(w.Secrets.Stored(w.plan.SecretARN), func(v grant.Version) bool {
		return w.valued[v.ID] == id && v.Created.Before(w.shut.Truncate(time.Second))
	})
}

// revocationSticks is I3 where it can be seen at any moment: from the first Deny of a revocation on the control plane never
// shows anything but a Deny for everybody, the replicas not once the propagation time has passed, until a restore of this
// very revocation that an operator asked for. So whatever session calls is denied; GetCallerIdentity aside, which nothing
// denies.
//
// Not asked: where a restore, in the single step between its last read and its write, overwrote a revocation that had come
// in between. That is counted (Coverage.Overwritten), and the Deny must stand again within two periods.
func (w *watch) revocationSticks() {
	if !w.overwritten.IsZero() && w.Now().Sub(w.overwritten) > 2*Period {
		_ = w.violated(w.forged("I3"), "a restore overwrote a revocation at %s, and nobody has put the Deny back", w.overwritten.Format(time.TimeOnly))
	}
	if w.denied.IsZero() {
		return
	}
	for i := range w.views {
		if (i == 0 || w.Now().Sub(w.denied) > Propagation) && !w.denies(i) {
			_ = w.violated(w.forged("I3"), "revoked at %s, and the Deny doesn't stand (view %d)", w.denied.Format(time.TimeOnly), i)
		}
	}
}

// used is told how a call with a session of the provider's went: none works behind a revocation, and none from before a
// restore ever works again; for the propagation time behind the revocation a replica may know of neither.
func (w *watch) used(s *sim.Session, err error) {
	switch {
	case err != nil:
	case !w.denied.IsZero() && w.Now().Sub(w.denied) > Propagation:
		_ = w.violated(w.forged("I3"), "a session issued at %s acts %s after the revocation", s.Issued.Format(time.TimeOnly), w.Now().Sub(w.denied))
	case !w.restored.IsZero() && s.Issued.Before(w.restored.Add(-Propagation)) && w.Now().Sub(w.shut) > Propagation:
		_ = w.violated(w.forged("I3"), "a session issued at %s acts again after the restore at %s", s.Issued.Format(time.TimeOnly), w.restored.Format(time.TimeOnly))
	}
}
