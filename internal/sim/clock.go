package sim

import (
	"context"
	"slices"
	"time"
)

// Task is something that AWS does by itself at a moment: an attempt at a rotation, a batch for a queue's consumer, a timer.
type Task struct {
	Name string // the actor
	At   time.Time
	take func()
	run  func(context.Context) error
}

// Run does it, once. A task that was given out by Due is taken already.
func (t Task) Run(ctx context.Context) error {
	if t.take != nil {
		t.take()
	}
	return t.run(As(ctx, t.Name))
}

type timer struct {
	w     *World
	name  string
	every time.Duration
	run   func(context.Context) error
	hands
}

// hands are where a timer stands.
type hands struct {
	next   time.Time
	again  time.Time // when a run that failed comes again; zero: none does
	failed int       // runs, one behind the other
}

// retries are how long Lambda waits until it runs a function again that was called asynchronously and failed.
var retries = []time.Duration{time.Minute, 2 * time.Minute}

// Every runs a function regularly, as an EventBridge schedule does, and twice more if it fails, as Lambda does. The first time
// is one period from now.
func (w *World) Every(function string, period time.Duration, run func(context.Context) error) {
	w.timers, w.acting = append(w.timers, &timer{w: w, name: function, every: period, run: run, hands: hands{next: w.now.Add(period)}}), nil
}

// source is something of AWS's that acts by itself.
type source interface {
	due() (time.Time, bool) // when next; false: not at all
	task() Task             // what it does then; asked only where something is due
}

// sources are all that there are, in a fixed order.
func (w *World) sources() []source {
	if w.acting == nil {
		for _, s := range w.Secrets.order {
			w.acting = append(w.acting, rotating{w.Secrets, s})
		}
		for _, name := range sortedKeys(w.queues) {
			w.acting = append(w.acting, w.queues[name])
		}
		for _, t := range w.timers {
			w.acting = append(w.acting, t)
		}
	}
	return w.acting
}

func (t *timer) due() (time.Time, bool) {
	if !t.again.IsZero() && t.again.Before(t.next) {
		return t.again, true
	}
	return t.next, true
}

func (t *timer) task() Task {
	at, _ := t.due()
	return Task{Name: t.name, At: at, take: t.take, run: func(ctx context.Context) error {
		err := t.w.Invoke(ctx, t.name, t.run)
		switch {
		case err == nil:
			t.failed = 0
		case t.failed < len(retries):
			t.again = t.w.now.Add(retries[t.failed])
			t.failed++
		}
		return err
	}}
}

// take is a turn of the timer's own, which starts anew, or of a run that failed.
func (t *timer) take() {
	if at, _ := t.due(); at.Equal(t.next) {
		t.hands = hands{next: t.next.Add(t.every)}
	} else {
		t.again = time.Time{}
	}
}

// Due takes what AWS does now, in a fixed order. Whoever takes it must run it.
func (w *World) Due() []Task {
	var out []Task
	for _, s := range w.sources() {
		if at, ok := s.due(); !ok || at.After(w.now) {
			continue
		}
		t := s.task()
		t.take()
		t.take = nil
		out = append(out, t)
	}
	return out
}

// NextDue is when AWS will do something next by itself.
func (w *World) NextDue() (at time.Time, ok bool) {
	for _, s := range w.sources() {
		if next, acts := s.due(); acts && (!ok || next.Before(at)) {
			at, ok = next, true
		}
	}
	return at, ok
}

// Sleep moves the virtual clock by d and runs what falls due on the way, at its time and to its end. Failed runs are in
// Invocations.
func (w *World) Sleep(ctx context.Context, d time.Duration) {
	end := w.now.Add(d)
	for {
		at, ok := w.NextDue()
		if !ok || at.After(end) {
			break
		}
		if at.After(w.now) {
			w.Advance(at.Sub(w.now))
		}
		for _, t := range w.Due() {
			_ = t.Run(ctx) // kept in Invocations
		}
	}
	if left := end.Sub(w.now); left > 0 {
		w.Advance(left)
	}
}

// WaitRunning is Wait for direct mode where AWS shall go on meanwhile: what falls due runs at its time, as something apart
// from the caller. A function that waits for a rotation needs it as its seam Wait.
func (w *World) WaitRunning(ctx context.Context, d time.Duration) error {
	if w.running != nil {
		return w.Wait(ctx, d) // others take turns anyway
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if at, ok := ctx.Deadline(); ok {
		d = min(d, at.Sub(w.now))
	}
	w.Sleep(context.WithValue(context.WithoutCancel(ctx), invocationKey{}, (*invocation)(nil)), d)
	return ctx.Err()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
