package sim_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/cfn"

	"github.com/countersign/countersign/internal/sim"
)

func TestAProtectedStackIsNotTouched(t *testing.T) {
	w, c := stacked(t)
	arn := w.Stacks.ARN(stackName)
	deletable := func(want bool) {
		t.Helper()
		if got, err := w.Stacks.Deletable(t.Context(), arn); err != nil || got != want {
			t.Errorf("deletable: %t, %v", got, err)
		}
	}
	deletable(true)
	must(t, w.Stacks.Protect(t.Context(), arn))
	must(t, w.Stacks.Protect(t.Context(), arn)) // on is on
	deletable(false)
	w.ResetCalls()
	err := w.Stacks.Delete(t.Context(), stackName)
	if err == nil || !strings.Contains(err.Error(), "cannot be deleted while TerminationProtection is enabled") || w.Stacks.Status(stackName) != sim.CreateComplete {
		t.Errorf("%v, %s", err, w.Stacks.Status(stackName))
	}
	if len(c.events) > 0 || len(wrote(w)) != 1 {
		t.Errorf("the refused deletion did %v", wrote(w))
	}

	// An update is taken, and leaves the protection on; whoever takes it off may delete.
	must(t, w.Stacks.Update(t.Context(), stackName, template(described("other"))))
	deletable(false)
	must(t, w.Stacks.Unprotect(t.Context(), arn))
	must(t, w.Stacks.Delete(t.Context(), stackName))
	if w.Stacks.Status(stackName) != "" || w.Stacks.Protect(t.Context(), arn) == nil {
		t.Error("the stack is still there")
	}
}

// The answer to DeleteStack tells nothing of the deletion: it goes on without it.
func TestADeletionGoesOnWithoutItsAnswer(t *testing.T) {
	w, _ := stacked(t)
	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Action == "DeleteStack" {
			return sim.Outcome{Fault: sim.Lose}
		}
		return sim.Outcome{}
	}
	_ = w.Stacks.Delete(t.Context(), stackName)
	if got := w.Stacks.Status(stackName); got != "" {
		t.Errorf("status %s", got)
	}
}

// What is being taken apart, or can only be deleted, is beyond protection.
func TestWhatCanOnlyBeDeletedIsNotCalledDeletable(t *testing.T) {
	w, c := stacked(t)
	arn := w.Stacks.ARN(stackName)
	var within []bool
	c.fail = func(cfn.Event) error { return errors.New("no") }
	w.Schedule = func(call sim.Call) sim.Outcome {
		if call.Action == "Invoke" {
			w.Schedule = nil // it asks once
			got, err := w.Stacks.Deletable(t.Context(), arn)
			must(t, err)
			within = append(within, got)
		}
		return sim.Outcome{}
	}
	if err := w.Stacks.Delete(t.Context(), stackName); err == nil || w.Stacks.Status(stackName) != sim.DeleteFailed {
		t.Fatalf("%v, %s", err, w.Stacks.Status(stackName))
	}
	got, err := w.Stacks.Deletable(t.Context(), arn)
	must(t, err)
	if within = append(within, got); len(within) != 2 || within[0] || within[1] {
		t.Errorf("deletable while it is deleted, and once that has failed: %v", within)
	}
}
