package simtest

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// Pair is two things that happen beside each other, to be tried in every order with a crash at every point.
type Pair struct {
	Name    string
	plan    func(*grant.Plan) // changes the usual one; may be nil
	prepare func(*run) error
	acts    []act // each a process; what the engine does about a rotation is one more
}

type act struct {
	name string
	do   func(h *history, ctx context.Context) error
}

// Exploration is what came of a Pair.
type Exploration struct {
	Pair      string
	States    int // distinct ones: of the account, and of what each process has been told so far
	Steps     int // made in them, replays aside
	Ends      int // distinct states in which all processes had ended; from each all must converge
	Took      time.Duration
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
// Pruned are states that were reached before: where the account is the same, the invariants remember the same, and every
// process knows the same, the rest is the same. What a process knows is what its calls were answered, in their order; once a
// function has ended or crashed, only what its caller heard of it (see history.knows). Reads of what somebody else writes in
// between therefore tell orders apart, and orders of calls that don't touch each other come to the same state. Where a process
// stands before a call that nobody else's can touch or be touched by (see private), nobody else is let go first.
//
// One crash on each path, behind every call that changes something, behind the first call after a wait, and before a
// function's first call. Any other crash is one of these: a read that nobody hears of changes nothing.
type explorer struct {
	Exploration
	pair    Pair
	so      *atomic.Uint64
	shop    *Shop
	seen    map[uint64]bool
	ended   map[uint64]bool
	pending [][]choice
	last    []choice // the path of the last walk

	start      *sim.Snapshot // where every path begins
	remembered watch         // and what the invariants remember there
}

// Explore tries all orders of a pair, or as many as fit into limit. so, which may be nil, is told of each state.
func Explore(pair Pair, limit time.Duration, so *atomic.Uint64) Exploration {
	if so == nil {
		so = &atomic.Uint64{}
	}
	e := &explorer{pair: pair, so: so, shop: NewShop(), seen: map[uint64]bool{}, ended: map[uint64]bool{}, pending: [][]choice{nil}}
	e.Pair = pair.Name
	for began := time.Now(); len(e.pending) > 0; {
		if e.Took = time.Since(began); e.Took > limit {
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
		e.so.Add(1)
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
	if e.pair.plan != nil {
		e.pair.plan(&p.plan)
	}
	r := &run{Options: Options{Tell: tell}, shop: e.shop, ctx: context.Background(), profile: p, plan: p.plan, started: map[string]int{}}
	for _, a := range e.pair.acts {
		r.profile.forged = r.profile.forged || a.name == "forger"
	}
	h := &history{run: r, told: map[*sim.Process]uint64{}, waited: map[*sim.Process]bool{}, streams: map[string]io.Reader{}, said: map[string]bool{}}
	r.World = New(Config{AWS: sim.Config{Forget: true, Policies: e.shop.policies, Observe: h.saw}, Period: Period})
	r.employReconcile()
	r.watch = newWatch(r)
	r.looking = r.watch.looks
	if err := e.ready(r); err != nil {
		return r, h, fmt.Errorf("preparing: %w", err)
	}
	r.Rotator.Rand, r.Reconciler.Rand, r.Revoker.Rand, r.Operations.Rand = own{h, "rotate"}, own{h, "reconcile"}, own{h, "revoke"}, own{h, "operate"}
	for _, a := range e.pair.acts {
		h.start(a.name, func(ctx context.Context) error { return a.do(h, ctx) })
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

func (r *run) end() {
	for _, p := range r.Processes() {
		p.Kill()
	}
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
