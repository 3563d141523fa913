package simtest

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// Pair is two things that happen beside each other, to be tried in every order with a crash at every point.
type Pair struct {
	Name    string
	prepare func(*run) error
	acts    []act // each a process; what the engine does about a rotation is one more
}

type act struct {
	name string
	do   func(r *run, ctx context.Context) error
}

// Exploration is what came of a Pair.
type Exploration struct {
	Pair      string
	States    int // distinct ones: of the account, and of what each process has been told so far
	Steps     int // made in them, replays aside
	Ends      int // distinct states in which all processes had ended; from each all must converge
	Complete  bool
	Violation *Violation
	Story     []Line // of the violation
}

// choice is whose turn it is and what becomes of the call.
type choice struct {
	process int // in the order of their start
	fault   sim.Fault
}

// explorer walks through all orders, depth first. It can't step back: to try another choice it plays its path again from the
// start.
//
// Pruned are states that were reached before: where the account is the same, and every process has been told the same in the
// same order, the rest is the same. A process's state is what its calls were answered; reads of what somebody else writes in
// between therefore tell orders apart, and orders of calls that don't touch each other come to the same state. Where a process
// stands before a call that nobody else's can touch or be touched by (see private), nobody else is let go first. A crash
// behind a call is the crash before the next one. One crash on each path.
type explorer struct {
	Exploration
	pair    Pair
	shop    *Shop
	seen    map[uint64]bool
	ended   map[uint64]bool
	pending [][]choice
	last    []choice // the path of the last walk

	start      *sim.Snapshot // where every path begins
	remembered watch         // and what the invariants remember there
}

// Explore tries all orders of a pair, or as many as fit into limit.
func Explore(pair Pair, limit time.Duration) Exploration {
	e := &explorer{pair: pair, shop: NewShop(), seen: map[uint64]bool{}, ended: map[uint64]bool{}, pending: [][]choice{nil}}
	e.Pair = pair.Name
	for began := time.Now(); len(e.pending) > 0; {
		if time.Since(began) > limit {
			return e.Exploration
		}
		path := e.pending[len(e.pending)-1]
		e.pending = e.pending[:len(e.pending)-1]
		if err := e.walk(path); err != nil {
			e.tell(err)
			return e.Exploration
		}
	}
	e.Complete = true
	return e.Exploration
}

// walk plays a path and goes on from its end, always with the first choice that there is, until it comes to a state that was
// seen before or to the end. The other choices are left for later.
func (e *explorer) walk(path []choice) error {
	r, h, err := e.begin(nil)
	if err != nil {
		return err
	}
	defer r.end()
	defer func() { e.last = h.path }()
	for _, c := range path {
		if err := h.take(c); err != nil {
			return err
		}
	}
	for {
		state := h.state()
		if e.seen[state] {
			return nil
		}
		e.seen[state] = true
		e.States++
		choices := h.choices()
		if len(choices) == 0 {
			return e.rest(r, h)
		}
		for _, c := range choices[1:] {
			e.pending = append(e.pending, append(path[:len(path):len(path)], c))
		}
		path = append(path[:len(path):len(path)], choices[0])
		e.Steps++
		if err := h.take(choices[0]); err != nil {
			return err
		}
	}
}

// rest lets the account come to rest where nobody acts any more.
func (e *explorer) rest(r *run, h *history) error {
	if account := h.account(); !e.ended[account] {
		e.ended[account] = true
		e.Ends++
	} else if r.Tell == nil {
		return nil
	}
	r.over = true
	r.Sleep(r.ctx, 2*Period+10*time.Minute)
	if err := r.watch.check(); err != nil {
		return err
	}
	return r.watch.converged()
}

// begin makes the account of the pair and starts its processes.
func (e *explorer) begin(tell func(Line)) (*run, *history, error) {
	p := profile{plan: Migration()}
	p.plan.Overlap, p.plan.RotateEvery = grant.Duration(time.Hour), "never"
	r := &run{Options: Options{Tell: tell}, shop: e.shop, ctx: context.Background(), profile: p, plan: p.plan, turns: map[*sim.Process]*turn{}, started: map[string]int{}}
	for _, a := range e.pair.acts {
		r.profile.forged = r.profile.forged || a.name == "forger"
	}
	h := &history{run: r, told: map[*sim.Process]uint64{}}
	r.World = New(Config{AWS: sim.Config{Forget: true, Policies: e.shop.policies, Observe: h.saw}, Period: Period})
	r.employReconcile()
	r.watch = newWatch(r)
	r.looking = r.watch.looks
	if err := e.ready(r); err != nil {
		return r, h, fmt.Errorf("preparing: %w", err)
	}
	r.Rotator.Rand, r.Reconciler.Rand, r.Revoker.Rand, r.Operations.Rand = stream(1), stream(2), stream(3), stream(4)
	for _, a := range e.pair.acts {
		h.start(a.name, func(ctx context.Context) error { return a.do(r, ctx) })
	}
	h.due()
	return r, h, nil
}

// ready brings the account to where the pair begins: the first time by deploying and preparing it, then from a snapshot.
func (e *explorer) ready(r *run) error {
	if e.start == nil {
		if err := r.profile.found(r); err != nil {
			return err
		}
		r.watch.begin()
		r.Sleep(r.ctx, 3*time.Hour+time.Minute)
		if err := e.pair.prepare(r); err != nil {
			return err
		}
		e.start = r.Snapshot()
		e.remembered.remember(r.watch)
		return nil
	}
	r.Plans[r.plan.Grant], r.Grants[r.plan.Grant], r.Notifier.Grants[r.plan.Grant] = r.plan, r.plan.RoleName(), true
	r.watch.remember(&e.remembered)
	r.World.World.Restore(e.start)
	return nil
}

// stream is a function's own randomness, so that it doesn't depend on who came first.
func stream(n byte) io.Reader { return rand.NewChaCha8([32]byte{n}) }

func (r *run) end() {
	for _, p := range r.Processes() {
		p.Kill()
	}
}

// history is one path.
type history struct {
	*run
	all     []*sim.Process
	told    map[*sim.Process]uint64 // a hash of all that a process's calls were answered
	crashed bool
	path    []choice
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

// private are calls whose order among those of others makes no difference: the plan says the same all the time, a function that
// is called has done nothing yet, and what goes to bus and queue is a set.
var private = map[string]bool{"GetParameter": true, "Invoke": true, "PutEvents": true, "SendMessage": true}

// choices are all that can happen next. One that waits goes on when nobody else would stand before a call: time doesn't
// pass while somebody can act, but for a crash.
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
		alone := private[call.Action]
		if alone {
			list = list[:0]
		}
		list = append(list, choice{i, sim.None})
		if !h.crashed && functions[call.Actor] {
			list = append(list, choice{i, sim.CrashAfter})
			if call.Action == "GetParameter" || call.Action == "PutRolePolicy" { // a function's first call
				list = append(list, choice{i, sim.CrashBefore})
			}
		}
		if alone {
			return list
		}
	}
	if wait >= 0 {
		list = append(list, choice{wait, sim.None})
	}
	return list
}

func (h *history) take(c choice) error {
	h.path = append(h.path, c)
	h.Steps++
	h.crashed = h.crashed || c.fault != sim.None
	h.all[c.process].Resume(sim.Outcome{Fault: c.fault})
	h.due()
	return h.watch.check()
}

// saw adds to what a process was told.
func (h *history) saw(s sim.Seen) {
	h.watch.saw(s)
	d := fnv.New64a()
	_, _ = fmt.Fprintf(d, "%x %s %v %v ", h.told[s.Process], s.Action, s.Fault, s.Answer)
	switch s.Action {
	case "GetRole":
		if doc := h.IAM.Shown(h.plan.RoleName(), 0); doc != nil {
			_, _ = d.Write(doc.Bytes())
		}
	case "GetRolePolicy":
		_, _ = d.Write(h.IAM.ShownPolicy(h.plan.RoleName(), grant.RevocationPolicy, 0))
	case "DescribeSecret":
		_, _ = fmt.Fprint(d, h.Secrets.Labels(h.plan.SecretARN), h.Secrets.Tags(h.plan.SecretARN))
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
	_, _ = fmt.Fprint(d, h.Secrets.Labels(arn), h.Secrets.Tags(arn), h.IAM.RoleTags(role), h.Now().Unix())
	for _, v := range h.Secrets.Stored(arn) {
		_, _ = fmt.Fprint(d, v.ID, v.Created.Unix())
		_, _ = d.Write(v.Value)
	}
	rotation, _ := h.Secrets.Rotation(arn)
	_, _ = fmt.Fprint(d, rotation)
	_, _ = fmt.Fprintf(d, "%d %d %v %v", len(h.Queue(CheckQueue).Messages()), len(h.Bus(BusName).Events()), h.watch.hand, h.watch.denied.IsZero())
	return d.Sum64()
}

// state is a hash of the account and of every process.
func (h *history) state() uint64 {
	d := fnv.New64a()
	_, _ = fmt.Fprint(d, h.account(), h.crashed)
	for _, p := range h.all {
		ended, _ := p.Ended()
		until, waits := p.Waits()
		call, _ := p.Call()
		_, _ = fmt.Fprint(d, h.told[p], ended, waits, until.Unix(), call.Action)
	}
	return d.Sum64()
}

// tell plays the path of a violation once more, for its story.
func (e *explorer) tell(err error) {
	v, ok := err.(*Violation)
	if !ok {
		v = &Violation{Invariant: "exploring", What: err.Error()}
	}
	e.Violation = v
	r, h, err := e.begin(func(l Line) { e.Story = append(e.Story, l) })
	if err != nil {
		return
	}
	defer r.end()
	for _, c := range e.last {
		if h.take(c) != nil {
			return
		}
	}
	if len(h.choices()) == 0 {
		_ = e.rest(r, h)
	}
}
