package functions_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/cfn"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// notReplaced is a stack whose deploy with another role for its grant failed behind Custom::Grant, and was taken back.
func notReplaced(t *testing.T) (w *world, id string, vendor sim.Template) {
	t.Helper()
	w = stacked(t)
	w.must(w.Stacks.Create(w.ctx, stackName, w.template()))
	_, id = w.labelled(grant.StageCurrent)
	broken := errors.New("broken")
	w.Stacks.OnCustom("reconcile", func(ctx context.Context, e cfn.Event) (string, map[string]any, error) {
		physicalID, data, err := w.Reconciler.CloudFormation(ctx, e)
		if broken != nil && err == nil && e.ResourceType == "Custom::Grant" {
			err, broken = broken, nil
		}
		return physicalID, data, err
	})
	vendor = w.template(func(t *sim.Template) {
		t.Plan.RoleARN = strings.Replace(t.Plan.RoleARN, "ServiceProvider-migration", "Vendor", 1)
	})
	if err := w.Stacks.Update(w.ctx, stackName, vendor); err == nil || w.Stacks.Status(stackName) != sim.UpdateRolledBack {
		t.Fatalf("status %s: %v", w.Stacks.Status(stackName), err)
	}
	return w, id, vendor
}

// The old role still stands, with its external ID. The labels tell of the other role's by then.
func TestARoleThatIsNotReplacedAfterAllLetsItsProviderIn(t *testing.T) {
	w, id, vendor := notReplaced(t)
	w.lets(id)
	_, other := w.labelled(grant.StageCurrent)
	w.must(w.Stacks.Update(w.ctx, stackName, vendor)) // once more, and now nothing fails
	if w.STS.Verdict(provider, vendor.Plan.RoleARN, other, "jdoe", sim.Assume{}).Effect != trust.Allow {
		t.Error("the new role doesn't open to its ID")
	}
}

func TestARoleThatIsNotReplacedAfterAllGetsANewIDByARestore(t *testing.T) {
	w, id, _ := notReplaced(t)
	w.revoked()
	w.looks()
	w.lets()
	w.begun(w.revokeID())
	w.must(w.RunRotations(w.ctx))
	w.looks()
	_, now := w.labelled(grant.StageCurrent)
	if now == id {
		t.Error("no new ID")
	}
	w.lets(now)
}
