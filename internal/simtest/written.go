package simtest

import (
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// written is told of every write of the trust policy.
func (w *watch) written(s sim.Seen) {
	before := w.views[0]
	w.view()
	after := w.views[0]
	if !functions[s.Actor] {
		w.wrote(s.Actor)
		for _, id := range after.accepted {
			if m := w.ids[id]; m != nil {
				m.let, m.byHand = true, m.byHand || m.over || w.mislabelled
			}
		}
		return
	}
	switch read := w.reads[s.Process]; {
	case read == nil || read.same(before):
	case w.readStale[s.Process]:
		w.wrote(s.Actor)
	default:
		w.overtaken(s)
	}
	doubtful := before.born || w.hand || w.misled(before) // only labels and dates say which ID is current
	if doubtful {
		w.mislead(after)
		w.forget(after)
	}
	if before.closed && !after.closed {
		w.excuse(Propagation)
	}
	w.documents = append(w.documents, after.doc.Bytes())
	w.foreignLost(s, before, after)
	w.unasked(s, before, after)
	w.dropped(s, after)
	w.unended(s, after)
	w.early(s, after, doubtful)
	for _, id := range after.accepted {
		m := w.ids[id]
		if m == nil {
			continue
		}
		until, dated := after.ownEnd(id)
		stands, _ := after.doc.Deadline(id)
		ended := !stands.IsZero() && !w.Now().Before(stands)
		switch {
		case m.over && w.readStale[s.Process] && dated && !until.IsZero() && !until.After(m.promise):
			// An old reading of IAM gave a previous ID back what it had been promised, and no more.
			m.over = false
			w.Returned++
		case m.over && !m.byHand && !w.hand && !stood(before, id) && !ended:
			_ = w.violated("I2", "%s wrote the retired external ID of version %s back into the trust policy", s.Actor, m.version)
		case dated && !until.IsZero() && !m.limit().IsZero() && until.After(m.limit()) && !m.byHand:
			_ = w.violated("I2", "%s moved the deadline of version %s from %s to %s", s.Actor, m.version, m.limit().Format(time.TimeOnly), until.Format(time.TimeOnly))
		case dated && !until.IsZero() && (m.ends.IsZero() || until.Before(m.ends)):
			m.ends = until
		}
	}
	if n := len(after.accepted); n > 2 {
		_ = w.violated("I8", "%s wrote a trust policy with %d external IDs of ours", s.Actor, n)
	}
	if !after.closed && !after.born {
		for _, id := range before.accepted {
			if m := w.ids[id]; m != nil && m.current && !slices.Contains(after.accepted, id) && id != w.current {
				m.over = true
				if pending, _ := w.Secrets.Labelled(w.plan.SecretARN, grant.StagePending); strings.HasPrefix(pending, "cut-") {
					m.cutBy = pending
				}
			}
		}
	}
}

// early holds everybody but rotations to letting no ID in that wasn't current yet: one that its rotation hasn't let in may be that of
// a rotation that was given up (I2). Known limit: see mislead.
func (w *watch) early(s sim.Seen, after *verdicts, doubtful bool) {
	for _, id := range after.accepted {
		m := w.ids[id]
		switch {
		case m == nil || m.let || m.current || s.Actor == "rotate":
		case doubtful && w.mislabelled && !w.backwards():
			m.byHand = true
			w.Mislabelled++
		default:
			_ = w.violated(w.forged("I2"), "%s let the external ID of version %s in, which no rotation had", s.Actor, m.version)
		}
		if m != nil {
			m.let = true
		}
	}
}

// mislead excuses what moved labels let in. Known limit: with the trust policy gone, or an older one back, only labels and dates say
// which ID is current, and both were moved. Once that has happened, moving them on is enough.
func (w *watch) mislead(v *verdicts) {
	if w.mislabelled && !w.backwards() {
		w.Mislabelled += w.excuseIDs(v, func(_ string, m *made) bool { return m.over || !m.limit().IsZero() }) // over, or soon
	}
}

// backwards says whether the version at AWSPREVIOUS is younger than the one at AWSCURRENT: nobody who sees the two believes that.
func (w *watch) backwards() bool {
	made := map[string]time.Time{}
	for _, v := range w.Secrets.Stored(w.plan.SecretARN) {
		if v.Value != nil { // of one without a value nobody reads the date
			made[v.ID] = v.Created.Truncate(time.Second)
		}
	}
	current, _ := w.Secrets.Labelled(w.plan.SecretARN, grant.StageCurrent)
	previous, _ := w.Secrets.Labelled(w.plan.SecretARN, grant.StagePrevious)
	return made[previous].After(made[current])
}

// excuseIDs takes IDs that a trust policy accepts for somebody else's work from now on, and counts them.
func (w *watch) excuseIDs(v *verdicts, which func(id string, m *made) bool) (n int) {
	for _, id := range v.accepted {
		if m := w.ids[id]; m != nil && !m.byHand && which(id, m) {
			m.byHand = true
			n++
		}
	}
	return n
}

// forgets says whether nobody knows any more when the previous ID ends, with the trust policy gone or an older one back. Known
// limit: only tags say who confirmed, which the forger had; and only the plan as it is now, whether there is an end and how long
// the overlap is, which a deploy had changed since the ID got one.
func (w *watch) forgets() bool {
	_, confirmed := w.retire[w.version(w.current)]
	return w.mistagged || w.replanned && w.plan.MayExtend() || w.shortened && confirmed
}

// forget excuses the previous ID where nobody knows any more when it ends.
func (w *watch) forget(v *verdicts) {
	if w.forgets() {
		w.Forgotten += w.excuseIDs(v, func(id string, m *made) bool { return id == w.before && !m.limit().IsZero() })
	}
}

// stood says whether a trust policy accepted an ID without an end.
func stood(v *verdicts, id string) bool {
	_, dated := v.doc.Deadline(id)
	return slices.Contains(v.accepted, id) && !dated
}

// foreignLost holds us to leaving foreign statements alone (I4).
func (w *watch) foreignLost(s sim.Seen, before, after *verdicts) {
	for _, item := range before.foreign {
		if slices.Contains(after.foreign, item) {
			continue
		}
		read := w.reads[s.Process]
		switch {
		case read != nil && slices.Contains(read.foreign, item):
			_ = w.violated("I4", "%s took out what isn't ours: %.60s", s.Actor, item)
		case w.readStale[s.Process]:
			w.Stale++
		default:
			w.Lost++
		}
	}
}

// misled says whether a trust policy already accepts what moved labels alone had let in.
func (w *watch) misled(v *verdicts) bool {
	return slices.ContainsFunc(v.accepted, func(id string) bool { return w.ids[id] != nil && w.ids[id].byHand })
}
