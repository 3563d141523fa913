package simtest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

const (
	many      = 400 // grants in one account, in ten stacks
	iamWrites = 5   // a second, by everybody in the account together
	fastest   = many * 2 * time.Second / iamWrites
)

// fleets is how many seeds the tests with scheduled rotations take, from 0 on.
var fleets = flag.Uint64("fleets", 1, "seeds of the tests with many grants")

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

// rotated asserts that each grant has the version that it was to get, and that no rotation is left over or given up.
func (f *fleet) rotated(version func(n int) string) {
	f.t.Helper()
	for n, p := range f.plans {
		got, _, err := f.Read(f.ctx, p.Grant, grant.StageCurrent)
		f.must(err)
		if r, under := f.Secrets.Rotation(p.SecretARN); got != version(n) || under {
			f.t.Errorf("%s has version %s, want %s; the engine is at %+v", p.Grant, got, version(n), r)
		}
	}
}

// failedSteps counts the runs of functions that failed: Secrets Manager then tries the rotation again, from its first step on.
func (f *fleet) failedSteps() (n int) {
	for _, i := range f.Invocations() {
		if i.Err != nil {
			n++
		}
	}
	return n
}

// These counts are exact: what a rotation and a revocation ask of IAM, whatever happens around them, throttling aside.
const (
	rotationReads    = 5
	rotationWrites   = 2
	revocationWrites = 2
)

func TestManyGrantsRotateAtTheSameMoment(t *testing.T) {
	for seed := range *fleets {
		f := newFleet(t, seed)
		f.allAtOnce()
		f.run(time.Hour)
		f.rotated(uuid)
		m := f.measure(nil)
		if n := f.failedSteps(); n != 0 {
			t.Errorf("seed %d: %d steps failed and had to be tried again", seed, n)
		}
		// A throttled write is compared before it is tried again: one more read each.
		if want := many*(rotationReads+rotationWrites) + 2*m.throttled; m.writes != many*rotationWrites || m.calls != want {
			t.Errorf("seed %d: %+v, want %d writes and %d calls", seed, m, many*rotationWrites, want)
		}
		if m.ended < fastest-time.Second || m.ended > 5*time.Minute {
			t.Errorf("seed %d: the last write came after %s; %d writes take %s at least", seed, m.ended, m.writes, fastest)
		}
		t.Logf("seed %d: %d rotations, %d calls of IAM, %d of them throttled, %d writes in %s",
			seed, many, m.calls, m.throttled, m.writes, m.ended.Round(time.Second))
	}
}

func TestARevocationAmongManyRotationsHasItsFirstWriteWithinASecond(t *testing.T) {
	for seed := range *fleets {
		f := newFleet(t, seed)
		f.allAtOnce()
		operators := f.revokeEvery(5*time.Second, 40)
		f.run(time.Hour)
		f.rotated(uuid)
		m := f.measure(operators)
		if n := f.failedSteps(); n != 0 {
			t.Errorf("seed %d: %d steps failed and had to be tried again", seed, n)
		}
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
	f.rotated(uuid)
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

// What the command line does with --all: a rotation each half second, which is four writes of five a second.
func TestARevocationAmongPacedRotationsHasItsFirstWriteWithinASecond(t *testing.T) {
	f := newFleet(t, 1)
	refused := 0
	f.Go(f.ctx, "command", func(ctx context.Context) error {
		for _, p := range f.plans {
			err := f.Ask(ctx, simtest.Operator, http.MethodPost, "/grants/"+string(p.Grant)+"/rotate", api.RotateRequest{Run: "4f2a9c01d3e7"}, nil)
			if _, ok := errors.AsType[*simtest.Refused](err); ok {
				refused++
			} else if err != nil {
				return err
			}
			if err := f.Wait(ctx, 500*time.Millisecond); err != nil {
				return err
			}
		}
		return nil
	})
	operators := f.revokeEvery(7*time.Second, 20)
	f.run(time.Hour)
	const early = 17 // the revocation of each 20th grant, every 7 s, outruns the command's 10 s from the fourth one on
	rotated := 0
	for _, p := range f.plans {
		version, _, err := f.Read(f.ctx, p.Grant, grant.StageCurrent)
		f.must(err)
		if grant.InRun(version, grant.OnDemand, "4f2a9c01d3e7") {
			rotated++
		}
	}
	if refused != early || rotated != many-early || f.failedSteps() != 0 {
		t.Errorf("%d refused, %d rotated, %d steps failed; want %d, %d and none", refused, rotated, f.failedSteps(), early, many-early)
	}
	m := f.measure(operators)
	const amid = 3 // grants closed between the two writes of their rotation, which then has nothing to end
	if want := rotated*rotationWrites - amid + len(operators)*revocationWrites; m.writes != want || m.firstWrite > time.Second {
		t.Errorf("%d writes, want %d; the slowest Deny took %s", m.writes, want, m.firstWrite)
	}
	t.Logf("%d rotations and %d revocations: %d writes in %s, %d calls throttled; the slowest Deny took %s",
		rotated, len(operators), m.writes, m.ended.Round(time.Second), m.throttled, m.firstWrite.Round(time.Millisecond))
}

// What the command line does with revoke --provider, while everything rotates besides: the Denies of all first, at the whole
// budget's rate, then Deny and trust policy of each. Rotations get what is left: some find no room within their function's
// five minutes, and none is given up.
func TestManyGrantsAreDeniedBeforeAnyIsClosed(t *testing.T) {
	f := newFleet(t, 1)
	f.allAtOnce()
	var denied time.Duration
	f.Go(f.ctx, "command", func(ctx context.Context) error {
		for _, pass := range []struct {
			denyOnly bool
			every    time.Duration
		}{{true, time.Second / iamWrites}, {false, revocationWrites * time.Second / iamWrites}} {
			for _, p := range f.plans {
				body := api.RevokeRequest{Reason: "contract ended", DenyOnly: pass.denyOnly}
				if err := f.Ask(ctx, simtest.Operator, http.MethodPost, "/grants/"+string(p.Grant)+"/revoke", body, nil); err != nil {
					return err
				}
				if pass.denyOnly {
					denied = f.Now().Sub(f.began)
				}
				if err := f.Wait(ctx, pass.every); err != nil {
					return err
				}
			}
		}
		return nil
	})
	f.run(time.Hour)
	for _, p := range f.plans {
		if s, err := f.Status(f.ctx, p.Grant); err != nil || s.State != api.Closed || len(s.Missing) > 0 {
			t.Errorf("%s is %s, missing %v, %v", p.Grant, s.State, s.Missing, err)
		}
	}
	f.rotated(uuid)
	if least := many * time.Second / iamWrites; denied < least-time.Second || denied > 2*least {
		t.Errorf("the last Deny alone came after %s, want %s to %s", denied, least, 2*least)
	}
	m := f.measure(nil)
	t.Logf("%d revocations beside %d rotations: all denied after %s, the last write after %s, %d writes, %d calls throttled, %d steps tried again later",
		many, many, denied.Round(time.Second), m.ended.Round(time.Second), m.writes, m.throttled, f.failedSteps())
}
