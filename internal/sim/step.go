package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/grant"
)

// Call is one AWS call that somebody is about to make. It never holds a value, only what the call is about.
type Call struct {
	Actor    string // who calls, see As
	Service  string // iam, sts, secretsmanager, ssm, sqs, events, ses, sns, lambda, cloudformation, or what a session uses
	Action   string // as AWS names it: UpdateAssumeRolePolicy
	Resource string // role name, secret ARN, queue name, …
	N        int    // which call of this actor, from 1
}

// String is the call in one line.
func (c Call) String() string {
	return fmt.Sprintf("%s#%d %s:%s %s", c.Actor, c.N, c.Service, c.Action, c.Resource)
}

// Fault is what goes wrong with a call.
type Fault int

// The faults. None is the zero value: the call works.
const (
	None        Fault = iota
	Fail              // nothing happens, and the caller gets an error
	Lose              // it works, but the answer is lost: the caller gets an error
	Throttle          // nothing happens: grant.ErrThrottled
	CrashBefore       // the caller dies before the call
	CrashAfter        // the call works and the caller dies before it knows
)

var faultNames = [...]string{"works", "fails", "loses the answer", "throttled", "crash before", "crash after"}

// String names the fault.
func (f Fault) String() string { return faultNames[f] }

// Outcome is what becomes of a call. The zero value: it works, at once.
type Outcome struct {
	Fault Fault
	Delay time.Duration // virtual time that passes before the service sees the call
	Err   error         // of Fail and Lose; nil is grant.ErrUnavailable
	// Replica is the IAM replica that a read asks, from 1. Zero: GetRole and GetRolePolicy ask the control plane, STS and
	// sessions the first replica.
	Replica int
	// Stale is how far a read of a secret's labels lags behind, up to 2 minutes: DescribeSecret, ListSecretVersionIds, and
	// GetSecretValue by label. What is read by version id is never stale.
	Stale time.Duration
}

// Record is a call that was made, in the order in which the services saw them.
type Record struct {
	Call
	At    time.Time
	Fault Fault
	Err   error // what the caller got
}

// Seen is a call that a service has dealt with.
type Seen struct {
	Call
	Outcome
	Process *Process // whose call it is; nil in direct mode
	Done    bool     // the service did what was asked, whatever the caller hears
	Answer  error    // what the caller hears
}

// Calls lists the calls since the start or the last ResetCalls. Names choose by service or by actor; none means all.
func (w *World) Calls(names ...string) []Record {
	out := make([]Record, 0, len(w.records))
	for _, r := range w.records {
		if len(names) == 0 || slices.Contains(names, r.Service) || slices.Contains(names, r.Actor) {
			out = append(out, r)
		}
	}
	return out
}

// ResetCalls forgets the recorded calls and starts counting anew.
func (w *World) ResetCalls() {
	w.records = w.records[:0:0]
	clear(w.ordinals)
}

// Error is how AWS refuses a call. It wraps the sentinel of package grant that the adapters map the code to, if there is one.
type Error struct {
	Service, Action string
	Code            string // as the service documents it
	Message         string
	kind            error
}

// Error is one line.
func (e *Error) Error() string {
	return fmt.Sprintf("%s %s: %s: %s", e.Service, e.Action, e.Code, e.Message)
}

// ErrorCode is Code. The AWS SDK's errors have the same method.
func (e *Error) ErrorCode() string { return e.Code }

// Unwrap is the sentinel.
func (e *Error) Unwrap() error { return e.kind }

// refuse makes the error of a service. Step adds which call it was.
func refuse(kind error, code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), kind: kind}
}

type actorKey struct{}

type actor struct{ name, arn string }

// As gives calls made with the context an actor's name, by which they are recorded and scheduled.
func As(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor{name: name})
}

// AsPrincipal is As with the ARN whose credentials the actor has: what GetCallerIdentity tells and the account that
// EventBridge writes into its events. As means a role of the customer's account named like the actor.
func AsPrincipal(ctx context.Context, name, arn string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor{name, arn})
}

// actor is who calls. Calls without a name are the test's own.
func (w *World) actor(ctx context.Context) actor {
	a := named(ctx)
	if a.arn == "" {
		a.arn = fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/%s", w.cfg.Account, a.name, a.name)
	}
	return a
}

func named(ctx context.Context) actor {
	a, ok := ctx.Value(actorKey{}).(actor)
	if !ok {
		a.name = "test"
	}
	return a
}

// step is the one way into the world: every AWS call of everybody goes through it.
func step[T any](ctx context.Context, w *World, service, action, resource string, apply func() (T, error)) (T, error) {
	var zero T
	who := named(ctx)
	inv, _ := ctx.Value(invocationKey{}).(*invocation)
	if inv != nil && inv.dead {
		panic(crash{inv}) // deferred functions of the dead
	}
	w.ordinals[who.name]++
	call := Call{who.name, service, action, resource, w.ordinals[who.name]}
	outcome := w.decide(call)

	done := false
	record := func(err error) {
		if !w.cfg.Forget {
			w.records = append(w.records, Record{call, w.now, outcome.Fault, err})
		}
		if w.cfg.Observe != nil {
			w.cfg.Observe(Seen{call, outcome, w.running, done, err})
		}
	}
	fail := func(err error) (T, error) {
		err = attribute(err, service, action)
		record(err)
		return zero, err
	}
	if err := ctx.Err(); err != nil {
		return fail(errors.Join(grant.ErrUnavailable, err)) // not even sent
	}
	w.Advance(w.cfg.Latency + outcome.Delay)
	switch outcome.Fault {
	case Fail:
		return fail(orUnavailable(outcome.Err))
	case Throttle:
		return fail(refuse(grant.ErrThrottled, "ThrottlingException", "Rate exceeded"))
	case CrashBefore:
		record(ErrCrashed)
		w.crash(inv)
	}
	if err := w.throttle(call); err != nil {
		outcome.Fault = Throttle // as it is recorded
		return fail(err)
	}
	w.asked, w.stale = outcome.Replica, outcome.Stale
	out, err := apply()
	done = err == nil
	switch {
	case outcome.Fault == CrashAfter:
		record(ErrCrashed)
		w.crash(inv)
	case outcome.Fault == Lose:
		return fail(orUnavailable(outcome.Err))
	case err != nil:
		return fail(err)
	case ctx.Err() != nil:
		return fail(errors.Join(grant.ErrUnavailable, ctx.Err())) // it came too late
	}
	record(nil)
	return out, nil
}

// do is step for calls that answer nothing.
func do(ctx context.Context, w *World, service, action, resource string, apply func() error) error {
	_, err := step(ctx, w, service, action, resource, func() (struct{}, error) { return struct{}{}, apply() })
	return err
}

// decide asks whoever decides what becomes of a call: the process that makes it waits until it is resumed; without
// processes it is Schedule; without that the call works.
func (w *World) decide(call Call) Outcome {
	switch {
	case w.running != nil:
		return w.running.pause(pending{call: call})
	case w.Schedule != nil:
		return w.Schedule(call)
	}
	return Outcome{}
}

func orUnavailable(err error) error {
	if err != nil {
		return err
	}
	return refuse(grant.ErrUnavailable, "ServiceUnavailable", "no answer")
}

func attribute(err error, service, action string) error {
	if e, ok := err.(*Error); ok {
		one := *e
		one.Service, one.Action = service, action
		return &one
	}
	return fmt.Errorf("%s %s: %w", service, action, err)
}

// clip shortens what a message repeats of the caller's input.
func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}
