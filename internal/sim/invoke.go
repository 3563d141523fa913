package sim

import (
	"context"
	"errors"
	"time"
)

// ErrCrashed is what the invoker of a function gets when the function died in the middle.
var ErrCrashed = errors.New("the function crashed")

type invocationKey struct{}

// invocation is one run of a function: what a crash ends.
type invocation struct{ dead bool }

// crash unwinds an invocation. What the dying function defers finds every AWS call dead as well.
type crash struct{ of *invocation }

// Error is what a test prints that let somebody crash whom nobody started.
func (crash) Error() string { return "a crash outside of World.Invoke and World.Go" }

func (w *World) crash(inv *invocation) {
	if inv != nil {
		inv.dead = true
	}
	panic(crash{inv})
}

// Invocation is a function's run that has ended.
type Invocation struct {
	Function string
	Start    time.Time
	End      time.Time
	Err      error // ErrCrashed where it died
}

// Invoke runs a function as AWS Lambda does: under its name, with a deadline on the virtual clock, and so that a crash ends
// it alone, with ErrCrashed. Crash faults outside of any Invoke or Go end the test.
func (w *World) Invoke(ctx context.Context, function string, run func(context.Context) error) error {
	start := w.now
	ctx, cancel := w.WithTimeout(As(ctx, function), w.cfg.Timeout)
	defer cancel()
	err := survive(ctx, run)
	if !w.cfg.Forget {
		w.invocations = append(w.invocations, Invocation{function, start, w.now, err})
	}
	return err
}

// survive runs something that a crash ends, and nothing around it.
func survive(ctx context.Context, run func(context.Context) error) (err error) {
	inv := &invocation{}
	defer func() {
		if r := recover(); r != nil {
			if c, ok := r.(crash); !ok || c.of != inv {
				panic(r)
			}
			err = ErrCrashed
		}
	}()
	return run(context.WithValue(ctx, invocationKey{}, inv))
}

// Invocations lists the runs that have ended, in that order.
func (w *World) Invocations() []Invocation { return append([]Invocation(nil), w.invocations...) }

// deadline is a context that ends on the virtual clock. Behind it stands one of the standard library's: what a function
// derives from it then ends at the same moment. Of a context of another kind the library would learn it in a goroutine,
// sometime, and a seed would not do the same again.
type deadline struct {
	context.Context
	w    *World
	at   time.Time
	end  context.CancelFunc
	over bool
}

// WithTimeout is context.WithTimeout on the virtual clock.
func (w *World) WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	inner, end := context.WithCancel(parent)
	c := &deadline{Context: inner, w: w, at: w.now.Add(d), end: end}
	if at, ok := parent.Deadline(); ok && at.Before(c.at) {
		c.at = at
	}
	w.deadlines = append(w.deadlines, c)
	return c, func() {
		for i, other := range w.deadlines {
			if other == c {
				w.deadlines = append(w.deadlines[:i:i], w.deadlines[i+1:]...)
				break
			}
		}
		end()
	}
}

// Deadline is when the context ends, in virtual time.
func (c *deadline) Deadline() (time.Time, bool) { return c.at, true }

// Err is context.DeadlineExceeded once the virtual clock has reached the deadline.
func (c *deadline) Err() error {
	if c.over || !c.w.now.Before(c.at) {
		return context.DeadlineExceeded
	}
	return c.Context.Err()
}

// expire ends the context if it is time, and says whether it was.
func (c *deadline) expire() bool {
	if c.over || c.w.now.Before(c.at) {
		return c.over
	}
	c.over = true
	c.end()
	return true
}

// Wait lets virtual time pass: the functions' seam Wait. It ends early, with the context's error, at the context's deadline.
func (w *World) Wait(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	until := w.now.Add(max(d, 0))
	if at, ok := ctx.Deadline(); ok && at.Before(until) {
		until = at
	}
	if w.running != nil {
		w.running.pause(pending{wait: true, until: until})
	}
	if left := until.Sub(w.now); left > 0 {
		w.Advance(left)
	}
	return ctx.Err()
}
