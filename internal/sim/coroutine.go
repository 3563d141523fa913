package sim

import (
	"context"
	"iter"
	"runtime"
	"slices"
	"time"
)

// Process is an actor that takes turns with others: it stands still before each of its AWS calls, and before it waits,
// until it is resumed. Whoever resumes decides the order of everything, so a run is fully given by those decisions.
type Process struct {
	Name string

	w       *World
	next    func() (pending, bool)
	stop    func()
	yield   func(pending) bool
	at      pending
	outcome Outcome
	ended   bool
	killed  bool
	err     error
}

// pending is what a process stands before: a call, or a wait until a moment.
type pending struct {
	call  Call
	wait  bool
	until time.Time
}

// death unwinds a process that is killed.
type death struct{ of *Process }

// Go starts a process and runs it up to its first call or wait. A crash ends it with ErrCrashed. It has no deadline: what
// AWS Lambda runs is wrapped into Invoke.
func (w *World) Go(ctx context.Context, name string, run func(context.Context) error) *Process {
	p := &Process{Name: name, w: w}
	p.next, p.stop = iter.Pull(func(yield func(pending) bool) {
		roomy()
		p.yield = yield
		defer func() {
			if r := recover(); r != nil {
				if d, ok := r.(death); !ok || d.of != p {
					panic(r)
				}
				p.err = ErrCrashed
			}
		}()
		p.err = survive(As(ctx, name), run)
	})
	w.processes = append(w.processes, p)
	p.proceed()
	return p
}

// roomy grows the stack at once to what most processes come to need: grown step by step, all frames of a deep stack are
// copied each time.
//
//go:noinline
func roomy() {
	var frame [16 << 10]byte
	runtime.KeepAlive(&frame)
}

// Call is what the process stands before; false where it waits for the clock or has ended.
func (p *Process) Call() (Call, bool) { return p.at.call, !p.ended && !p.at.wait }

// Waits is until when the process waits; false where it stands before a call or has ended.
func (p *Process) Waits() (time.Time, bool) { return p.at.until, !p.ended && p.at.wait }

// Ended says whether the process is over, and with what error.
func (p *Process) Ended() (bool, error) { return p.ended, p.err }

// Resume gives the call that the process stands before its outcome and lets the process go on to the next one. A process
// that waits goes on when its time has come; if that is later than now, the clock moves there.
func (p *Process) Resume(outcome Outcome) {
	if p.ended {
		return
	}
	p.outcome = outcome
	p.proceed()
}

// Kill ends the process where it stands, before its call.
func (p *Process) Kill() {
	if p.ended {
		return
	}
	p.killed = true
	before := p.w.running
	p.w.running = p // what it defers meets the same end
	defer func() { p.w.running = before }()
	p.stop()
	p.end()
}

func (p *Process) proceed() {
	before := p.w.running
	p.w.running = p
	defer func() { p.w.running = before }()
	at, more := p.next()
	p.at = at
	if !more {
		p.end()
	}
}

func (p *Process) end() {
	p.ended = true
	p.w.processes = slices.DeleteFunc(p.w.processes, func(other *Process) bool { return other == p })
}

// pause is called on the process's own stack: it stands still until Resume or Kill.
func (p *Process) pause(at pending) Outcome {
	if p.killed || !p.yield(at) {
		p.killed = true
		panic(death{p})
	}
	return p.outcome
}

// Running is the process whose turn it is; nil between turns and in direct mode.
func (w *World) Running() *Process { return w.running }

// Processes lists the processes that have not ended, in the order of their start.
func (w *World) Processes() []*Process { return slices.Clone(w.processes) }

// Choose picks one of the processes that can go on. There is always at least one.
type Choose func(ready []*Process) *Process

// AnyOrder picks by the world's seed.
func (w *World) AnyOrder() Choose {
	return func(ready []*Process) *Process { return ready[w.random.IntN(len(ready))] }
}

// RunUntil lets processes take turns until the virtual clock shows end, starting what falls due (see Due) as processes of
// their own. Choose picks the order; Schedule decides what becomes of each call. The clock moves when nothing else can go on.
// Processes that wait beyond end stay.
func (w *World) RunUntil(ctx context.Context, end time.Time, choose Choose) {
	for {
		for _, task := range w.Due() {
			w.Go(ctx, task.Name, task.Run)
		}
		var ready []*Process
		wake := end
		for _, p := range w.processes {
			until, waits := p.Waits()
			switch {
			case !waits || !until.After(w.now):
				ready = append(ready, p)
			case until.Before(wake):
				wake = until
			}
		}
		if len(ready) == 0 {
			if at, ok := w.NextDue(); ok && at.Before(wake) {
				wake = at
			}
			if !wake.After(w.now) {
				return
			}
			w.Advance(wake.Sub(w.now))
			continue
		}
		p := choose(ready)
		var outcome Outcome
		if call, ok := p.Call(); ok && w.Schedule != nil {
			outcome = w.Schedule(call)
		}
		p.Resume(outcome)
	}
}
