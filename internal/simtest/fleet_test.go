package simtest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

const (
	many      = 400 // grants in one account, in ten stacks
	iamWrites = 5   // a second, by everybody in the account together
	fastest   = many * 2 * time.Second / iamWrites
)

// fleet is an account with many grants, all open, and a small budget of IAM writes.
type fleet struct {
	*simtest.World
	t     *testing.T
	ctx   context.Context
	plans []grant.Plan
	began time.Time
}

func newFleet(t *testing.T, seed uint64) *fleet {
	t.Helper()
	f := &fleet{t: t, ctx: context.Background()}
	f.World = simtest.New(simtest.Config{SDK: true, AWS: sim.Config{Seed: seed, IAMWrites: iamWrites}})
	f.Rotator.Spread = 200 * time.Second // as the stack configures it for so many grants
	for n := range many {
		p := simtest.Migration()
		p.Grant = grant.Name(fmt.Sprintf("grant-%03d", n))
		p.RoleARN = "arn:aws:iam::" + simtest.Customer + ":role/countersign/" + p.Grant.DefaultRole()
		p.SecretARN = strings.Replace(p.SecretARN, "migration", string(p.Grant), 1)
		p.RotateEvery = "never" // a test says when
		f.must(f.Deploy(f.ctx, p))
		f.plans = append(f.plans, p)
	}
	f.Advance(time.Hour)
	f.ResetCalls()
	f.began = f.Now()
	return f
}

func (f *fleet) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// uuid is a version id as Secrets Manager makes it for a scheduled rotation.
func uuid(n int) string { return fmt.Sprintf("%08d-6b7c-4d8e-9f10-213243546576", n) }

// allAtOnce starts a scheduled rotation of every grant at this moment: worse than any schedule of ours, which gives each
// grant an hour of its own.
func (f *fleet) allAtOnce() {
	for n, p := range f.plans {
		f.must(f.Secrets.Rotate(f.ctx, p.SecretARN, uuid(n)))
	}
}

// revokeEvery lets an operator revoke a grant each d, n of them, and gives each one's actor.
func (f *fleet) revokeEvery(d time.Duration, n int) (actors []string) {
	for i := range n {
		name, actor := f.plans[i*many/n].Grant, fmt.Sprintf("operator-%d", i)
		actors = append(actors, actor)
		f.Go(f.ctx, actor, func(ctx context.Context) error {
			if err := f.Wait(ctx, d*time.Duration(i+1)); err != nil {
				return err
			}
			_, err := f.Revoker.Revoke(ctx, name, simtest.Operator, "project ended")
			return err
		})
	}
	return actors
}

// run lets everybody take turns in an order that the seed gives.
func (f *fleet) run(d time.Duration) { f.RunUntil(f.ctx, f.Now().Add(d), f.AnyOrder()) }

// figures are what a run came to.
type figures struct {
	calls, writes, throttled int           // of IAM, by rotations and others
	ended                    time.Duration // from the start to the last write of a trust policy
	firstWrite               time.Duration // the longest that a revocation's Deny took
}

func (f *fleet) measure(operators []string) (m figures) {
	f.t.Helper()
	for _, r := range f.Calls("iam") {
		m.calls++
		if r.Fault == sim.Throttle {
			m.throttled++
			continue
		}
		if strings.HasPrefix(r.Action, "Get") {
			continue
		}
		m.writes++
		m.ended = r.At.Sub(f.began)
	}
	for _, actor := range operators {
		records := f.Calls(actor)
		done := slices.IndexFunc(records, func(r sim.Record) bool { return r.Action == "PutRolePolicy" && r.Err == nil })
		if done < 0 {
			f.t.Fatalf("the Deny of %s was never written", actor)
		}
		if records[0].Action != "PutRolePolicy" {
			f.t.Errorf("the first call of %s is %s", actor, records[0].Action)
		}
		m.firstWrite = max(m.firstWrite, records[done].At.Sub(records[0].At))
	}
	return m
}

// rotated asserts that each grant has the version that it was to get, and how often a step failed.
func (f *fleet) rotated(version func(n int) string, failedSteps int) {
	f.t.Helper()
	for n, p := range f.plans {
		got, _, err := f.Read(f.ctx, p.Grant, grant.StageCurrent)
		f.must(err)
		if r, under := f.Secrets.Rotation(p.SecretARN); got != version(n) || under {
			f.t.Errorf("%s has version %s, want %s; the engine is at %+v", p.Grant, got, version(n), r)
		}
	}
	failed := 0
	for _, i := range f.Invocations() {
		if i.Err != nil {
			failed++
			f.t.Logf("%s: %v", i.Function, i.Err)
		}
	}
	if failed != failedSteps {
		f.t.Errorf("%d steps failed, want %d", failed, failedSteps)
	}
}

// Each of these counts is exact: a rotation reads IAM five times and writes it twice, whatever happens around it.
const (
	rotationReads  = 5
	rotationWrites = 2
)

func TestManyGrantsRotateAtTheSameMoment(t *testing.T) {
	for seed := range uint64(2) {
		f := newFleet(t, seed)
		f.allAtOnce()
		f.run(time.Hour)
		f.rotated(uuid, 0)
		m := f.measure(nil)
		if m.writes != many*rotationWrites || m.calls-m.throttled != many*(rotationReads+rotationWrites) {
			t.Errorf("seed %d: %+v, want %d writes and %d reads", seed, m, many*rotationWrites, many*rotationReads)
		}
		if m.ended < fastest-time.Second || m.ended > 5*time.Minute {
			t.Errorf("seed %d: the last write came after %s; %d writes take %s at least", seed, m.ended, m.writes, fastest)
		}
		t.Logf("seed %d: %d rotations, %d calls of IAM, %d of them throttled, %d writes in %s",
			seed, many, m.calls, m.throttled, m.writes, m.ended.Round(time.Second))
	}
}

func TestARevocationAmongManyRotationsHasItsFirstWriteWithinASecond(t *testing.T) {
	for seed := range uint64(3) {
		f := newFleet(t, seed)
		f.allAtOnce()
		operators := f.revokeEvery(5*time.Second, 40)
		f.run(time.Hour)
		f.rotated(uuid, 0)
		m := f.measure(operators)
		if m.firstWrite > time.Second {
			t.Errorf("seed %d: a Deny took %s", seed, m.firstWrite)
		}
		t.Logf("seed %d: %d rotations and %d revocations; the slowest Deny took %s", seed, many, len(operators), m.firstWrite.Round(time.Millisecond))
	}
}

// A day later the previous IDs are over. IAM refuses them by itself; reconcile takes them out, in ten stacks at once, and a
// throttled grant has its turn again at the next timer.
func TestARevocationAmongManyRetirementsHasItsFirstWriteWithinASecond(t *testing.T) {
	f := newFleet(t, 1)
	f.allAtOnce()
	f.run(25 * time.Hour)
	f.rotated(uuid, 0)
	f.ResetCalls()
	f.began = f.Now()
	const stacks = 10
	for stack := range stacks {
		f.Go(f.ctx, fmt.Sprintf("reconcile-%d", stack), func(ctx context.Context) error {
			var failed []error
			for n := stack; n < many; n += stacks {
				_, err := f.Reconciler.Grant(ctx, f.plans[n].Grant)
				failed = append(failed, err)
			}
			return errors.Join(failed...)
		})
	}
	operators := f.revokeEvery(2*time.Second, 40)
	f.run(30 * time.Minute)
	m := f.measure(operators)
	if m.firstWrite > time.Second {
		t.Errorf("a Deny took %s", m.firstWrite)
	}
	if least := many + 2*len(operators) - len(operators); m.writes < least {
		t.Errorf("%d writes, want %d at least", m.writes, least)
	}
	t.Logf("%d retirements and %d revocations: %d writes in %s, %d calls throttled; the slowest Deny took %s",
		many, len(operators), m.writes, m.ended.Round(time.Second), m.throttled, m.firstWrite.Round(time.Millisecond))
}
