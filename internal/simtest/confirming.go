package simtest

import (
	"slices"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// confirming is what the invariants remember of confirmations, by their own account: the calls of functions/confirm, and not
// what a tag says later.
type confirming struct {
	confirmed map[string]grant.Confirmer // versions, and who confirmed them first
	retire    map[string]time.Time       // from when on the ID before each may be over

	confirmedStep map[string]int
	owed          string // the previous ID, which stays until somebody confirms: I1

	extended      string            // the version before which rotate noted last that an ID stays
	extendedUnder grant.Unconfirmed // what the plan said then: that is decided once
	extendedAfter int               // the step in which it had read the tags for that

	replanned        bool // a deploy changed whenUnconfirmed since the label moved
	shortened        bool // a deploy changed the overlap
	lostConfirmation bool // a slow confirmation of an older version took the tag of the current one's
}

func newConfirming(o confirming) confirming {
	c := confirming{confirmed: map[string]grant.Confirmer{}, retire: map[string]time.Time{}, owed: o.owed, confirmedStep: map[string]int{}}
	c.extended, c.extendedUnder = o.extended, o.extendedUnder // what it had read for that was before
	for v, by := range o.confirmed {
		c.confirmed[v] = by
	}
	for v, at := range o.retire {
		c.retire[v] = at
	}
	return c
}

// owes decides, when rotate moves the label from one version to another, whether the ID before is to stay until somebody
// confirms: the plan that rotate read says so, unless the provider confirmed the version before, which was a rotation.
func (w *watch) owes(from, to string, p *sim.Process) {
	plan := w.planRead(p)
	if w.owed != "" && w.overlapOf(to, p) > 0 && w.confirmed[from] == "" && !w.hand && !w.forging() && !w.closed() && !w.expired() {
		_ = w.violated("I12", "version %s was promoted while nobody had confirmed %s, and the ID before that was to stay", to, from)
	}
	w.owed, w.replanned, w.shortened, w.lostConfirmation = "", false, false, false
	id := w.valued[from]
	if id == "" || w.overlapOf(to, p) == 0 || !plan.MayExtend() {
		return
	}
	followed := w.confirmed[from] == grant.ByProvider && plan.OverlapOf(from) > 0
	noted := w.Secrets.Tags(w.plan.SecretARN)[grant.TagExtended] == to
	if w.closed() {
		if noted {
			w.ids[id].promise = time.Time{} // who reopens lets it stay, too
		}
		return
	}
	if noted && followed && !w.mistagged && !w.mislabelled && w.extendedUnder == grant.UnconfirmedAuto && w.confirmedStep[from] < w.extendedAfter {
		_ = w.violated("I2", "the ID of version %s is to stay until somebody confirms, and the provider confirmed that version", from)
	}
	if plan.WhenUnconfirmed == grant.UnconfirmedExtend || !followed || noted {
		w.owed = id
		w.ids[id].promise = time.Time{} // there is no deadline, until somebody confirms
		w.Extended++
	}
}

// planRead is the plan that a function has read, or the one that stands.
func (w *watch) planRead(p *sim.Process) grant.Plan {
	if read, ok := w.plans[p]; ok {
		return read
	}
	return w.plan
}

// noted is told of every tag that functions/confirm writes, and of rotate's.
func (w *watch) noted(s sim.Seen) {
	if s.Actor == "rotate" && s.Action == "TagResource" && s.Done {
		if to := w.Secrets.Tags(w.plan.SecretARN)[grant.TagExtended]; to != w.extended {
			w.extended, w.extendedUnder, w.extendedAfter = to, w.planRead(s.Process).WhenUnconfirmed, w.described[s.Process]
		}
	}
	if s.Actor != "confirm" || s.Action != "TagResource" || !s.Done {
		return
	}
	c := grant.ConfirmationOf(w.Secrets.Tags(w.plan.SecretARN))
	if c.VersionID == "" {
		_ = w.violated("I12", "confirm wrote a tag that can't be read")
		return
	}
	if w.confirmed[c.VersionID] == "" || c.By == grant.ByProvider {
		w.confirmed[c.VersionID] = c.By
	}
	w.confirmedStep[c.VersionID] = w.Steps
	if at, known := w.retire[c.VersionID]; !known || c.RetireAt.Before(at) {
		w.retire[c.VersionID] = c.RetireAt
	}
	w.Confirmed++
	switch c.VersionID {
	case w.version(w.current):
		w.owed = ""
	}
	if late := c.VersionID != w.version(w.current); late && w.confirmed[w.version(w.current)] != "" {
		w.lostConfirmation = true // a slow confirmation of an older version took its tag: counted
		w.Lateness++
	}
}

// kept is I1 for who never confirms: while the grant is open, the ID that is to stay until somebody confirms gets in, at the
// control plane and every replica. Not asked where I1 isn't.
func (w *watch) kept() {
	if w.owed == "" || !w.plan.MayExtend() {
		return
	}
	for i, v := range w.views {
		if i > 0 && w.Now().Before(w.lapses[i]) || w.denies(i) {
			continue
		}
		if !v.lets(w.owed, w.Now()) {
			_ = w.violated("I1", "nobody has confirmed version %s, and the external ID of %s, which was to stay, doesn't get in (view %d)",
				w.version(w.current), w.version(w.owed), i)
			return
		}
	}
}

// dropped holds our writes to the same: whoever has read a trust policy that accepts the ID that is to stay, whoever wrote it and in
// whatever place it has it, leaves it in. Not asked in a run with the forger, nor of a cut or a restore, which end it.
func (w *watch) dropped(s sim.Seen, after *verdicts) {
	read := w.reads[s.Process]
	switch {
	case w.owed == "" || w.forging() || w.expired() || read == nil || !slices.Contains(read.accepted, w.owed):
	case slices.Contains(after.accepted, w.owed) || after.closed || w.ending(after):
	default:
		_ = w.violated("I1", "%s took out the external ID of version %s, which was to stay until somebody confirms", s.Actor, w.version(w.owed))
	}
}

// unended holds our writes to the plan (I2): a previous ID has no end only where it is to stay until somebody confirms.
//
// Not asked of a plan that the process had read before it changed, nor where the provider confirms between a rotation's last
// look at the tags and its write.
func (w *watch) unended(s sim.Seen, after *verdicts) {
	plan := w.planRead(s.Process)
	if w.owed != "" && !slices.Contains(after.accepted, w.owed) && w.ending(after) {
		w.owed = "" // by a cut, before its own ID is let in
	}
	for _, id := range after.accepted {
		until, previous := after.doc.Deadline(id)
		if previous && until.IsZero() && !after.closed && !plan.MayExtend() && !w.plan.MayExtend() {
			_ = w.violated("I2", "%s lets the external ID of version %s in without an end, and the plan says cut", s.Actor, w.version(id))
		}
	}
	if after.confirmable && !after.closed {
		_ = w.violated("I12", "%s wrote a trust policy in which a previous external ID opens sessions that confirm", s.Actor)
	}
}

// retired says whether somebody confirmed the current version so that the ID before it is over by now.
func (w *watch) retired() bool {
	at, known := w.retire[w.version(w.current)]
	return known && !w.Now().Before(at)
}

// endless says, once all is quiet, whether an ID may stand without an end.
func (w *watch) endless(id string) bool {
	may := id == w.owed || w.lostConfirmation || w.replanned && w.plan.MayExtend() && w.confirmed[w.version(w.current)] == ""
	return id == w.before && may && slices.Contains(w.views[0].accepted, id)
}
