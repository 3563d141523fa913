package simtest

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// asking is what operators asked for and were told, and what the functions know when they write.
type asking struct {
	leaked   map[string]bool // versions that an operator was told end a leaked ID
	lastDeny time.Time       // when a Deny of everything was last written

	planned, followed int // steps: when the plan was last written, and which plan a reconciliation has followed

	frozen     time.Time            // until when an operator paused the schedule
	frozenStep int                  // when
	described  map[*sim.Process]int // the step in which a process last read the tags

	plans   map[*sim.Process]grant.Plan // as each process read it last
	rotates map[*sim.Process]string     // the version of the rotation under way when each process of the engine began

	tried     map[*sim.Process]bool // whether a revocation under way has tried to write the Deny
	intent    map[*sim.Process]bool // whether the Deny that a process read last is an intent to restore
	denySince map[*sim.Process]int  // calls of it since then
}

// newAsking remembers of another one what doesn't belong to a process.
func newAsking(o asking) asking {
	a := asking{
		leaked: map[string]bool{}, lastDeny: o.lastDeny, frozen: o.frozen, described: map[*sim.Process]int{}, plans: map[*sim.Process]grant.Plan{}, rotates: map[*sim.Process]string{},
		tried: map[*sim.Process]bool{}, intent: map[*sim.Process]bool{}, denySince: map[*sim.Process]int{},
	}
	maps.Copy(a.leaked, o.leaked)
	return a
}

// attempted is told of every call, whether it worked or not.
func (w *watch) attempted(s sim.Seen) {
	w.denySince[s.Process]++
	w.pauses(s)
	switch {
	case s.Actor != "revoke": // the next request, or the last one is answered
		delete(w.tried, s.Process)
	case s.Action == "PutRolePolicy":
		w.tried[s.Process] = true
	}
	if s.Action == "GetRolePolicy" && s.Done {
		w.denySince[s.Process] = 0
		w.intent[s.Process] = w.deny(s.Replica).RestoreTo != ""
	}
}

// pauses holds the schedule to a pause, and a pause to the schedule (I10): nothing that the schedule began gets an external ID
// while one stands, and what an operator asked for is not refused for it.
func (w *watch) pauses(s sim.Seen) {
	switch s.Action {
	case "TagResource":
		if until := grant.PausedUntil(w.Secrets.Tags(w.plan.SecretARN), w.Now()); s.Actor == "operate" && s.Done && !until.Equal(w.frozen) {
			w.frozen, w.frozenStep = until, w.Steps
			w.Pauses++
		}
	case "DescribeSecret":
		w.described[s.Process] = w.Steps
	case "PutSecretValue":
		for _, v := range w.Secrets.Stored(w.plan.SecretARN) {
			_, known := w.valued[v.ID]
			made := v.Value != nil && !known && s.Actor == "rotate" && grant.BySchedule(v.ID)
			if made && w.Now().Before(w.frozen) && w.described[s.Process] > w.frozenStep {
				_ = w.violated("I10", "the schedule made version %s, although it is paused until %s", v.ID, w.frozen.Format(time.TimeOnly))
			}
		}
	case "GetParameter":
		if rotation, under := w.Secrets.Rotation(w.plan.SecretARN); under && s.Actor == "rotate" && w.rotates[s.Process] == "" {
			w.rotates[s.Process] = rotation.Token
		}
	case "Invoke":
		if errors.Is(s.Answer, grant.ErrPaused) {
			w.PutOff++
			if token := w.rotates[s.Process]; s.Process != nil && s.Process.Name == "secretsmanager" && !grant.BySchedule(token) {
				_ = w.violated("I10", "%s was refused because of a pause, and the schedule didn't begin it", token)
			}
		}
	}
}

// overlapOf is how long the ID before a version may stay, by what an operator was told of it and by the plan that whoever
// promotes it has read.
func (w *watch) overlapOf(version string, p *sim.Process) time.Duration {
	if w.leaked[version] {
		return 0
	}
	return w.planRead(p).OverlapOf(version)
}

// answered is told of a revocation that an operator was told is done: then its Deny was written (I3).
func (w *watch) answered(revokeID string, asked time.Time) {
	w.revokes = append(w.revokes, revoked{revokeID, w.restored, false})
	if w.lastDeny.Before(asked) {
		_ = w.violated(w.forged("I3"), "an operator was told that %s is done, and no Deny was written", revokeID)
	}
}

// unasked holds our writes of the trust policy to what was asked for: a revocation tries the Deny, which ends sessions, before
// anything else, and nobody opens a revoked grant who has not read an operator's intent in its Deny (I3); an ID that stands
// until a date stays until then, unless a cut, a restore or a confirmation ends it (I1).
//
// The last is not asked in a run with the forger, nor of a write by an old read, nor while somebody else's write or a Deny of
// everything stands.
func (w *watch) unasked(s sim.Seen, before, after *verdicts) {
	read := w.reads[s.Process]
	meant := w.intent[s.Process] && w.asked[w.denyRead[s.Process]] // an operator's restore
	switch {
	case s.Actor == "revoke" && after.closed && !before.closed && !w.tried[s.Process]:
		_ = w.violated(w.forged("I3"), "a revocation closed the trust policy before it tried to end sessions")
	case before.closed && !after.closed && read != nil && read.closed && !w.denied.IsZero() && !meant:
		_ = w.violated(w.forged("I3"), "%s opened the trust policy although %s stands", s.Actor, cmp.Or(w.standing, "a revocation"))
	}
	if w.forging() || w.hand || !w.denied.IsZero() || !read.same(before) || before.closed || after.closed || before.born || after.born || w.ending(after) || w.retired() {
		return
	}
	for _, id := range before.accepted {
		m := w.ids[id]
		if until, dated := before.doc.Deadline(id); m != nil && !m.byHand && dated && w.Now().Before(until) && !slices.Contains(after.accepted, id) {
			_ = w.violated("I1", "%s took out the external ID of version %s, which was to stay until %s", s.Actor, m.version, until.Format(time.TimeOnly))
		}
	}
}

// ending says whether a trust policy is that of a cut or a restore, which end the ID before them, or one is under way.
func (w *watch) ending(v *verdicts) bool {
	pending, _ := w.Secrets.Labelled(w.plan.SecretARN, grant.StagePending)
	versions := []string{pending, w.version(w.current)}
	for _, id := range v.accepted {
		versions = append(versions, w.version(id))
	}
	return slices.ContainsFunc(versions, func(v string) bool { return strings.HasPrefix(v, "cut-") || strings.HasPrefix(v, "restore-") })
}
