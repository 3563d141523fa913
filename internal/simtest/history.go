package simtest

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// history is one path.
type history struct {
	*run
	all     []*sim.Process
	told    map[*sim.Process]uint64 // a hash of what a process knows
	waited  map[*sim.Process]bool   // and has made no call since
	streams map[string]io.Reader    // see own
	crashed bool
	said    map[string]bool // events that the bus took: of what, about what
	early   int             // times that the clock moved while somebody stood before a call
	path    []choice
}

// earlyMoves is how often the clock may move while somebody stands before a call: a slow one is overtaken by what others
// waited for.
const earlyMoves = 2

// knows is told by an act what it knows once a function that it called has ended: what went on in there is forgotten. Where
// the act stands in itself is part of it.
func (h *history) knows(what ...any) {
	d := fnv.New64a()
	_, _ = fmt.Fprint(d, what...)
	h.told[h.Running()] = d.Sum64()
}

func (h *history) start(name string, do func(context.Context) error) {
	h.run.start(name, do)
	all := h.Processes()
	h.all = append(h.all, all[len(all)-1])
}

// due starts what AWS does by itself now.
func (h *history) due() {
	for _, task := range h.Due() {
		h.start(task.Name, task.Run)
	}
}

// private says whether the order of a call among those of others makes no difference: the plan says the same all the time, nobody
// takes the stack's protection off, a function that is called has done nothing yet, what goes to bus and queue is a set, and a version's
// value, once it has one, never changes.
func (h *history) private(c sim.Call) bool {
	switch c.Action {
	case "GetParameter", "Invoke", "PutEvents", "SendMessage", "DescribeStacks", "UpdateTerminationProtection":
		return true
	case "GetSecretValue": // functions read by version id
		return !slices.ContainsFunc(h.Secrets.Stored(h.plan.SecretARN), func(v grant.Version) bool { return v.Value == nil })
	}
	return false
}

// choices are all that can happen next. The one that waits shortest goes on when nobody stands before a call, and a few times
// earlier.
func (h *history) choices() (list []choice) {
	wait := -1
	for i, p := range h.all {
		if ended, _ := p.Ended(); ended {
			continue
		}
		if until, waits := p.Waits(); waits {
			if at := until; wait < 0 {
				wait = i
			} else if other, _ := h.all[wait].Waits(); at.Before(other) {
				wait = i
			}
			continue
		}
		call, _ := p.Call()
		alone := h.private(call)
		if alone {
			list = list[:0]
		}
		list = append(list, choice{i, sim.None})
		if !h.crashed && functions[call.Actor] {
			if changes(call) || h.waited[p] {
				list = append(list, choice{i, sim.CrashAfter})
			}
			if call.Action == "GetParameter" || call.Action == "PutRolePolicy" { // a function's first call
				list = append(list, choice{i, sim.CrashBefore})
			}
		}
		if alone {
			return list
		}
	}
	if wait >= 0 && (len(list) == 0 || h.early < earlyMoves) {
		list = append(list, choice{wait, sim.None})
	}
	return list
}

// changes says whether a call may change something.
func changes(c sim.Call) bool {
	for _, verb := range []string{"Get", "Describe", "List"} {
		if strings.HasPrefix(c.Action, verb) {
			return false
		}
	}
	return true
}

func (h *history) take(c choice) error {
	h.path = append(h.path, c)
	h.Steps++
	h.crashed = h.crashed || c.fault != sim.None
	p := h.all[c.process]
	_, h.waited[p] = p.Waits()
	if h.waited[p] && slices.ContainsFunc(h.all, func(p *sim.Process) bool { _, stands := p.Call(); return stands }) {
		h.early++
		h.watch.slowed()
	}
	p.Resume(sim.Outcome{Fault: c.fault})
	h.due()
	return h.watch.check()
}

// saw adds to what a process was told.
func (h *history) saw(s sim.Seen) {
	h.watch.saw(s)
	if detail, ok := h.Bus(BusName).Last(); ok && s.Done && s.Action == "PutEvents" {
		var event struct {
			Data struct{ VersionID, RevokeID string }
		}
		_ = json.Unmarshal(detail, &event)
		h.said[s.Resource+event.Data.VersionID+event.Data.RevokeID] = true
	}
	d := fnv.New64a()
	if s.Action == "Invoke" { // it has ended: whoever called knows that it did, and whether well
		_, _ = fmt.Fprint(d, s.Resource, s.Answer == nil)
		h.told[s.Process] = d.Sum64()
		return
	}
	_, _ = fmt.Fprintf(d, "%x %s %v %v ", h.told[s.Process], s.Action, s.Fault, s.Answer)
	switch s.Action {
	case "DescribeStacks":
		_, _ = fmt.Fprint(d, h.Stacks.Protected(StackName))
	case "GetRole":
		if doc := h.IAM.Shown(h.plan.RoleName(), 0); doc != nil {
			_, _ = d.Write(doc.Bytes())
		}
	case "GetRolePolicy":
		_, _ = d.Write(h.IAM.ShownPolicy(h.plan.RoleName(), grant.RevocationPolicy, 0))
	case "DescribeSecret":
		_, _ = fmt.Fprint(d, h.Secrets.Labels(h.plan.SecretARN), h.Secrets.Tags(h.plan.SecretARN))
	case "ListSecretVersionIds":
		_, _ = fmt.Fprint(d, h.Secrets.Labels(h.plan.SecretARN))
		for _, v := range h.Secrets.Stored(h.plan.SecretARN) {
			_, _ = fmt.Fprint(d, v.ID)
		}
	}
	h.told[s.Process] = d.Sum64()
}

// account is a hash of everything that stands in the account.
func (h *history) account() uint64 {
	d := fnv.New64a()
	arn, role := h.plan.SecretARN, h.plan.RoleName()
	if doc := h.IAM.Shown(role, 0); doc != nil {
		_, _ = d.Write(doc.Bytes())
	}
	_, _ = d.Write(h.IAM.ShownPolicy(role, grant.RevocationPolicy, 0))
	_, _ = fmt.Fprint(d, h.Secrets.Labels(arn), h.Secrets.Tags(arn), h.IAM.RoleTags(role), h.Stacks.Protected(StackName), h.Now().Unix())
	for _, v := range h.Secrets.Stored(arn) {
		_, _ = fmt.Fprint(d, v.ID, v.Created.Unix())
		_, _ = d.Write(v.Value)
	}
	rotation, _ := h.Secrets.Rotation(arn)
	_, _ = fmt.Fprint(d, rotation)
	for _, at := range h.Queue(CheckQueue).Visible() {
		_, _ = fmt.Fprint(d, " ", at.Unix())
	}
	_, _ = fmt.Fprint(d, slices.Sorted(maps.Keys(h.said)))
	return d.Sum64()
}

// state is a hash of the account and of every process.
func (h *history) state() uint64 {
	d := fnv.New64a()
	_, _ = fmt.Fprint(d, h.account(), h.crashed, h.early)
	h.watch.memory(d)
	for _, p := range h.all {
		if ended, _ := p.Ended(); ended {
			continue
		}
		until, waits := p.Waits()
		call, _ := p.Call()
		_, _ = fmt.Fprint(d, p.Name, h.told[p], waits, until.Unix(), call.Action, h.waited[p], h.watch.tried[p])
		if l := h.watch.under[p]; l != nil {
			_, _ = fmt.Fprint(d, l.behind(h.watch.handStep), l.stale, l.hindered)
		}
	}
	return d.Sum64()
}

// memory adds what the invariants remember to a state: two ways to the same account are one only if the same may follow.
func (w *watch) memory(d io.Writer) {
	for _, at := range []time.Time{w.denied, w.shut, w.restored, w.overwritten, w.lastDeny} {
		_, _ = fmt.Fprint(d, at.Unix(), " ")
	}
	_, _ = fmt.Fprint(d, w.owed, w.lostConfirmation, w.replanned, w.shortened, w.confirmed, w.retire)
	_, _ = fmt.Fprint(d, w.guarded, w.hand, w.rough, w.standing, w.opens, w.current, w.before, w.promoted)
	for _, r := range w.revokes {
		_, _ = fmt.Fprint(d, r.id, r.at.Unix(), r.due)
	}
	for _, id := range slices.Sorted(maps.Keys(w.ids)) {
		m := w.ids[id]
		_, _ = fmt.Fprint(d, m.version, m.current, m.over, m.byHand, m.ends.Unix(), m.promise.Unix())
	}
}

// own is a function's randomness for the process it runs in: what it draws doesn't depend on who came first.
type own struct {
	h        *history
	function string
}

// Read draws.
func (o own) Read(b []byte) (int, error) {
	key := o.function
	if p := o.h.Running(); p != nil { // in the end nobody else acts
		key += " " + p.Name
	}
	if o.h.streams[key] == nil {
		var seed [32]byte
		copy(seed[:], key)
		o.h.streams[key] = rand.NewChaCha8(seed)
	}
	return o.h.streams[key].Read(b)
}
