package functions_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/cfn"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// A stack keeps its name. What a refused deploy changed is taken back by CloudFormation with an update of its own, from the new
// name to the old one, which must not be refused too.
func TestAStackKeepsItsName(t *testing.T) {
	w := stacked(t)
	w.must(w.Stacks.Create(w.ctx, stackName, w.template()))
	_, id := w.labelled(grant.StageCurrent)
	asked := []string{}
	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Actor == "reconcile" {
			asked = append(asked, c.Service+":"+c.Action)
		}
		return sim.Outcome{}
	}
	err := w.Stacks.UpdateLayout(w.ctx, stackName, sim.Layout{Name: "review"}) // a stack from a link has one grant, of this name
	if err == nil || !strings.Contains(err.Error(), "set the name back") {
		t.Errorf("another name: %v", err)
	}
	w.Schedule = nil
	if want := []string{"cloudformation:DescribeStacks", "cloudformation:DescribeStacks"}; !slices.Equal(asked, want) {
		t.Errorf("reconcile looked at %v", asked)
	}
	if got := w.Stacks.Status(stackName); got != sim.UpdateRolledBack {
		t.Errorf("status %s", got)
	}
	w.lets(id)
}

func TestWhatANameMayBecome(t *testing.T) {
	w := newWorld(t, 0)
	for _, c := range []struct {
		was, is string
		refused bool
	}{
		{"", "", false},
		{"audit", "audit", false},
		{"", "review", true},
		{"audit", "", true},
		{"audit", "review", true},
	} {
		_, _, err := w.Reconciler.CloudFormation(w.ctx, cfn.Event{
			RequestType: cfn.RequestUpdate, ResourceType: "Custom::Layout", PhysicalResourceID: "countersign-layout",
			OldResourceProperties: map[string]any{"Shards": "1", "Name": c.was}, ResourceProperties: map[string]any{"Shards": "1", "Name": c.is},
		})
		if refused := err != nil && strings.Contains(err.Error(), "set the name back"); refused != c.refused || !refused && err != nil {
			t.Errorf("from %q to %q: %v", c.was, c.is, err)
		}
	}
}

// A role is the stack's or somebody else's for as long as the stack stands. CloudFormation doesn't get to the role.
func TestARoleDoesNotChangeHands(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		w := stacked(t)
		before := w.template(func(t *sim.Template) { t.RoleStays = foreign })
		if foreign {
			_, err := w.IAM.CreateRole(w.plan.RoleName(), []byte(trust.BornDocument), sim.RoleOptions{Path: grant.DefaultRolePath})
			w.must(err)
		}
		w.must(w.Stacks.Create(w.ctx, stackName, before))
		_, id := w.labelled(grant.StageCurrent)
		after := w.template(func(t *sim.Template) { t.RoleStays = !foreign })
		if err := w.Stacks.Update(w.ctx, stackName, after); err == nil || !strings.Contains(err.Error(), "set CreateRole back") {
			t.Errorf("elsewhere %t, then not: %v", foreign, err)
		}
		if got := w.Stacks.Status(stackName); got != sim.UpdateRolledBack {
			t.Errorf("status %s", got)
		}
		w.lets(id)
	}
}
