package functions_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/cfn"
	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// checks takes a message of the check queue, as one comes a minute behind a revocation. It says whether the message is done.
func (w *world) checks(name grant.Name) bool {
	w.t.Helper()
	out, err := w.Reconciler.Queue(sim.As(w.ctx, "reconcile"), lambdaevents.SQSEvent{Records: []lambdaevents.SQSMessage{{MessageId: "1", Body: `{"grant":"` + string(name) + `"}`}}})
	w.must(err)
	return len(out.BatchItemFailures) == 0
}

// asked are reconcile's calls of CloudFormation from now on.
func (w *world) asked() func() []string {
	w.ResetCalls()
	return func() (out []string) {
		for _, r := range w.Calls("reconcile") {
			if r.Service == "cloudformation" {
				out = append(out, r.Action)
			}
		}
		return out
	}
}

// refusesToGo asserts that the stack can't be deleted, and that trying touches nothing.
func (w *world) refusesToGo() {
	w.t.Helper()
	before := w.document()
	w.ResetCalls()
	err := w.Stacks.Delete(sim.As(w.ctx, "terraform"), stackName)
	if err == nil || !strings.Contains(err.Error(), "cannot be deleted while TerminationProtection is enabled") {
		w.t.Fatalf("the stack of a revoked grant is deleted by the way: %v", err)
	}
	if calls := w.Calls("cloudformation"); len(calls) != 1 || w.document() != before || !w.denied() {
		w.t.Errorf("the refused deletion touched something: %v", calls)
	}
}

func TestTheStackOfARevokedGrantIsNotDeletedByTheWay(t *testing.T) {
	for mark, closes := range closures {
		if mark == "a plan that nobody can read" {
			continue // then the look fails
		}
		t.Run(mark, func(t *testing.T) {
			w := stacked(t)
			w.must(w.Stacks.Create(w.ctx, stackName, w.template(), w.audit()))
			closes(w)
			if w.Stacks.Protected(stackName) {
				t.Fatal("protected before anybody looked")
			}
			if !w.checks("audit") || !w.Stacks.Protected(stackName) {
				t.Fatal("looked at, and not protected")
			}
			err := w.Stacks.Delete(w.ctx, stackName)
			if err == nil || w.Enters(provider, "audit", w.current("audit")) {
				t.Errorf("deleted by the way: %v", err)
			}
			// Deployed again it would open. Whoever wants that takes the protection off first.
			w.gone = append(w.allIDs(), w.current("audit"))
			w.must(w.Stacks.Unprotect(w.ctx, stackName))
			w.must(w.Stacks.Delete(w.ctx, stackName))
		})
	}
}

// Looking costs one read of CloudFormation while a grant is closed, and nothing while it is open.
func TestWhatALookAsksOfCloudFormation(t *testing.T) {
	w := opened(t)
	for _, c := range []struct {
		name   string
		before func()
		want   []string
	}{
		{"an open grant", func() {}, nil},
		{"a revoked one", w.revoked, []string{"DescribeStacks", "UpdateTerminationProtection"}},
		{"the next look", func() {}, []string{"DescribeStacks"}},
		{"somebody took the protection off", func() { w.must(w.Stacks.Unprotect(w.ctx, stackName)) }, []string{"DescribeStacks", "UpdateTerminationProtection"}},
		{"the one behind that", func() {}, []string{"DescribeStacks"}},
	} {
		c.before()
		asked := w.asked()
		w.must(w.round())
		if got := asked(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	w.refusesToGo()
}

// A hundred revoked grants of one stack cost no more: CloudFormation throttles at few calls a second. Where the first of them gets no
// answer, the next asks again.
func TestARoundAsksCloudFormationOnce(t *testing.T) {
	w := stacked(t)
	w.must(w.Stacks.Create(w.ctx, stackName, w.template(), w.audit()))
	for _, name := range []grant.Name{"migration", "audit"} {
		_, err := w.Revoke(w.ctx, name, "project ended")
		w.must(err)
	}
	for n, want := range [][]string{{"DescribeStacks", "UpdateTerminationProtection"}, {"DescribeStacks"}} {
		asked := w.asked()
		w.must(w.round())
		if got := asked(); !slices.Equal(got, want) {
			t.Errorf("round %d: %v, want %v", n+1, got, want)
		}
	}
	failed := false
	w.Schedule = func(call sim.Call) sim.Outcome {
		if call.Action == "DescribeStacks" && !failed {
			failed = true
			return sim.Outcome{Fault: sim.Fail, Err: grant.ErrThrottled}
		}
		return sim.Outcome{}
	}
	w.must(w.Stacks.Unprotect(w.ctx, stackName))
	w.fails(w.round(), grant.ErrThrottled)
	if !w.Stacks.Protected(stackName) {
		t.Error("one call that was throttled, and the stack can be deleted until the next round")
	}
}

// No failure of the protection keeps a revocation from being closed and told. What may pass is tried again with the message, what
// may not by the timer.
func TestARevocationDoesNotWaitForTheProtection(t *testing.T) {
	for name, c := range map[string]struct {
		action string
		fails  error
		done   bool // the message
	}{
		"no answer to the look":     {"DescribeStacks", grant.ErrUnavailable, false},
		"no answer to the call":     {"UpdateTerminationProtection", grant.ErrUnavailable, false},
		"throttled":                 {"UpdateTerminationProtection", grant.ErrThrottled, false},
		"denied, by an SCP perhaps": {"UpdateTerminationProtection", grant.ErrDenied, true},
		"refused, as nested":        {"UpdateTerminationProtection", errors.New("ValidationError"), true},
	} {
		t.Run(name, func(t *testing.T) {
			w := opened(t)
			w.must(w.IAM.PutInlinePolicy(w.ctx, w.plan.RoleName(), grant.RevocationPolicy, []byte(grant.DenyRevocation))) // by hand
			w.Schedule = func(call sim.Call) sim.Outcome {
				if call.Action == c.action {
					return sim.Outcome{Fault: sim.Fail, Err: c.fails}
				}
				return sim.Outcome{}
			}
			if done := w.checks("migration"); done != c.done {
				t.Errorf("the message is done: %t", done)
			}
			w.Schedule = nil
			w.lets()
			if told := w.told(); !slices.Contains(told, "Access Revoked") {
				t.Errorf("told %v", told)
			}
			if !strings.Contains(w.log.String(), "termination protection not turned on") {
				t.Error("nothing is logged")
			}
			if !w.checks("migration") || !w.Stacks.Protected(stackName) {
				t.Error("the next look doesn't protect")
			}
		})
	}
}

// cdk deploy takes off what its app doesn't ask for, before it changes anything. Custom::Grant of the same deploy puts it back; that
// it can't fails no deploy.
func TestADeployThatTakesTheProtectionOffPutsItBack(t *testing.T) {
	w := stacked(t)
	w.must(w.Stacks.Create(w.ctx, stackName, w.template()))
	w.revoked()
	w.must(w.round())
	w.must(w.Stacks.Unprotect(w.ctx, stackName))
	w.must(w.Stacks.Update(w.ctx, stackName, w.template(renamed("other"))))
	w.refusesToGo()

	w.must(w.Stacks.Unprotect(w.ctx, stackName))
	w.Schedule = func(call sim.Call) sim.Outcome {
		if call.Action == "UpdateTerminationProtection" {
			return sim.Outcome{Fault: sim.Throttle}
		}
		return sim.Outcome{}
	}
	w.must(w.Stacks.Update(w.ctx, stackName, w.template(renamed("third"))))
	w.Schedule = nil
	if w.Stacks.Protected(stackName) {
		t.Fatal("protected by a throttled call")
	}
	w.must(w.round())
	w.refusesToGo()
}

// A deletion that somebody wanted and that failed can be tried again: the grants that it reached are closed, but nobody revoked them.
func TestADeletionThatFailedCanBeTriedAgain(t *testing.T) {
	w := stacked(t)
	w.must(w.Stacks.Create(w.ctx, stackName, w.template()))
	w.gone = w.allIDs()
	w.must(w.IAM.PutInlinePolicy(w.ctx, w.plan.RoleName(), "theirs", []byte(grant.OpenRevocation)))
	if err := w.Stacks.Delete(w.ctx, stackName); err == nil {
		t.Fatal("deleted a role with a foreign policy")
	}
	w.checks("migration")
	if w.Stacks.Protected(stackName) {
		t.Error("protected from the person who is deleting it")
	}
	w.must(w.IAM.DeleteInlinePolicy(w.ctx, w.plan.RoleName(), "theirs"))
	w.must(w.Stacks.Delete(w.ctx, stackName))
}

// A restore leaves the protection on: somebody may have turned it on for another reason.
func TestARestoreLeavesTheProtectionOn(t *testing.T) {
	w := opened(t)
	w.revoked()
	w.must(w.round())
	w.begun(w.revokeID())
	w.must(w.RunRotations(w.ctx))
	w.must(w.round())
	w.Sleep(w.ctx, 10*time.Minute)
	if w.denied() || !w.Stacks.Protected(stackName) {
		t.Errorf("denied %t, protected %t", w.denied(), w.Stacks.Protected(stackName))
	}
}

// What never opened is no revocation to keep: a creation that fails for it can be deleted.
func TestAStackThatNeverStoodIsNotProtected(t *testing.T) {
	w := stacked(t)
	w.Stacks.OnCustom("reconcile", func(ctx context.Context, e cfn.Event) (string, map[string]any, error) {
		if e.RequestType == cfn.RequestCreate && e.ResourceType == "Custom::Grant" {
			w.must(w.IAM.PutInlinePolicy(w.ctx, w.plan.RoleName(), grant.RevocationPolicy, []byte(grant.DenyRevocation)))
		}
		return w.Reconciler.CloudFormation(ctx, e)
	})
	if err := w.Stacks.Create(w.ctx, stackName, w.template()); !errors.Is(err, grant.ErrClosed) {
		t.Fatalf("created: %v", err)
	}
	w.gone = []string{}
	if w.Stacks.Protected(stackName) {
		t.Error("protected")
	}
	w.must(w.Stacks.Delete(w.ctx, stackName))
}

// An adopted role stays closed without its stack.
func TestTheStackOfARevokedAdoptedRoleMayGo(t *testing.T) {
	w, _ := adopted(t)
	w.revoked()
	asked := w.asked()
	w.must(w.round())
	if got := asked(); len(got) > 0 || w.Stacks.Protected(stackName) {
		t.Errorf("asked %v", got)
	}
}
