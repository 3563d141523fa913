package sim_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

func TestFaultsSayWhetherTheCallWorkedAndWhatTheCallerLearns(t *testing.T) {
	own := errors.New("own")
	for _, c := range []struct {
		name    string
		outcome sim.Outcome
		applied bool
		err     error
	}{
		{"works", sim.Outcome{}, true, nil},
		{"fails", sim.Outcome{Fault: sim.Fail}, false, grant.ErrUnavailable},
		{"fails with an error of one's choice", sim.Outcome{Fault: sim.Fail, Err: own}, false, own},
		{"loses the answer", sim.Outcome{Fault: sim.Lose}, true, grant.ErrUnavailable},
		{"is throttled", sim.Outcome{Fault: sim.Throttle}, false, grant.ErrThrottled},
		{"crash before", sim.Outcome{Fault: sim.CrashBefore}, false, sim.ErrCrashed},
		{"crash after", sim.Outcome{Fault: sim.CrashAfter}, true, sim.ErrCrashed},
		{"is late", sim.Outcome{Delay: time.Minute}, true, nil},
		{"comes after the caller's deadline", sim.Outcome{Delay: time.Hour}, true, context.DeadlineExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := deployed(t, sim.Config{})
			w.Schedule = func(sim.Call) sim.Outcome { return c.outcome }
			err := w.Invoke(t.Context(), "revoke", func(ctx context.Context) error {
				return w.IAM.TagRole(ctx, roleName, map[string]string{"done": "yes"})
			})
			if !is(err, c.err) {
				t.Errorf("error %v, want %v", err, c.err)
			}
			w.Schedule = nil
			role, err := w.IAM.Role(t.Context(), roleName)
			must(t, err)
			if got := role.Tags["done"] == "yes"; got != c.applied {
				t.Errorf("applied %t, want %t", got, c.applied)
			}
			if calls := w.Calls("revoke"); len(calls) != 1 || calls[0].Fault != c.outcome.Fault || calls[0].Action != "TagRole" {
				t.Errorf("recorded %v", calls)
			}
		})
	}
}

func TestACrashedFunctionMakesNoFurtherCallNotEvenADeferredOne(t *testing.T) {
	w := deployed(t, sim.Config{Schedule: func(c sim.Call) sim.Outcome {
		if c.Actor == "revoke" && c.N == 2 {
			return sim.Outcome{Fault: sim.CrashBefore}
		}
		return sim.Outcome{}
	}})
	reached := false
	err := w.Invoke(t.Context(), "revoke", func(ctx context.Context) error {
		defer func() { _ = w.IAM.TagRole(ctx, roleName, map[string]string{"deferred": "yes"}) }()
		_, _ = w.IAM.Role(ctx, roleName)
		_, _ = w.IAM.Role(ctx, roleName)
		reached = true
		return nil
	})
	if !errors.Is(err, sim.ErrCrashed) || reached {
		t.Errorf("error %v, went on %t", err, reached)
	}
	if got := len(w.Calls("revoke")); got != 2 {
		t.Errorf("%d calls, want the one that worked and the one it died at:\n%s", got, story(w.Calls()))
	}
	if runs := w.Invocations(); len(runs) != 1 || runs[0].Function != "revoke" || !errors.Is(runs[0].Err, sim.ErrCrashed) {
		t.Errorf("invocations %v", runs)
	}
}

func TestACallAfterTheDeadlineIsNotSent(t *testing.T) {
	w := deployed(t, sim.Config{})
	ctx, cancel := w.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := w.Wait(ctx, 2*time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting past the deadline: %v", err)
	}
	if got := w.Now().Sub(sim.New(sim.Config{}).Now()); got != time.Minute {
		t.Errorf("waited %s, want to the deadline", got)
	}
	select {
	case <-ctx.Done():
	default:
		t.Error("the context is not done")
	}
	err := w.IAM.TagRole(ctx, roleName, map[string]string{"done": "yes"})
	if !errors.Is(err, grant.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	role, err := w.IAM.Role(t.Context(), roleName)
	must(t, err)
	if role.Tags["done"] != "" {
		t.Error("the call was made")
	}
}

func TestCallsAreCountedByServiceAndByActor(t *testing.T) {
	w := deployed(t, sim.Config{Latency: 100 * time.Millisecond})
	if got := len(w.Calls()); got != 0 {
		t.Fatalf("deploying recorded %d calls", got)
	}
	for _, name := range []string{"rotate", "revoke", "rotate"} {
		_, err := w.IAM.Role(sim.As(t.Context(), name), roleName)
		must(t, err)
	}
	_, err := w.Secrets.Describe(sim.As(t.Context(), "rotate"), secretARN)
	must(t, err)
	for name, want := range map[string]int{"iam": 3, "secretsmanager": 1, "rotate": 3, "revoke": 1, "sqs": 0} {
		if got := len(w.Calls(name)); got != want {
			t.Errorf("Calls(%q) are %d, want %d", name, got, want)
		}
	}
	const want = "rotate#1 iam:GetRole " + roleName + " works\nrevoke#1 iam:GetRole " + roleName + " works\n" +
		"rotate#2 iam:GetRole " + roleName + " works\nrotate#3 secretsmanager:DescribeSecret " + secretARN + " works\n"
	if got := story(w.Calls()); got != want {
		t.Errorf("recorded\n%s\nwant\n%s", got, want)
	}
	if last := w.Calls()[3].At.Sub(sim.New(sim.Config{}).Now()); last != 400*time.Millisecond {
		t.Errorf("the fourth call was made after %s", last)
	}
	w.ResetCalls()
	_, err = w.IAM.Role(sim.As(t.Context(), "rotate"), roleName)
	must(t, err)
	if calls := w.Calls(); len(calls) != 1 || calls[0].N != 1 {
		t.Errorf("after ResetCalls: %v", calls)
	}
}

func TestAnswersAreCopies(t *testing.T) {
	w := deployed(t, sim.Config{})
	role, err := w.IAM.Role(t.Context(), roleName)
	must(t, err)
	role.Tags["planted"], role.Trust[0] = "yes", 'x'
	secret, err := w.Secrets.Describe(t.Context(), secretARN)
	must(t, err)
	secret.Tags["planted"] = "yes"
	version, err := w.Secrets.Version(t.Context(), secretARN, secret.At(grant.StageCurrent))
	must(t, err)
	version.Value[0] = 'x'

	again, err := w.IAM.Role(t.Context(), roleName)
	must(t, err)
	described, err := w.Secrets.Describe(t.Context(), secretARN)
	must(t, err)
	value, err := w.Secrets.SecretString(t.Context(), secretARN)
	must(t, err)
	if again.Tags["planted"] != "" || again.Trust[0] == 'x' || described.Tags["planted"] != "" || value != grant.BornSecret {
		t.Error("changing an answer changed the world")
	}
}
