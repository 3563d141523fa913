package functions_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/cfn"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

const stackName = "ServiceProviderAccess"

// template is what the stack says of the world's grant.
func (w *world) template(change ...func(*sim.Template)) sim.Template {
	t := sim.Template{Plan: w.plan, Policies: []sim.Policy{
		{Name: "s3", Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`}}}
	for _, c := range change {
		c(&t)
	}
	return t
}

// stacked is a world whose stack CloudFormation made, Custom::Grant included.
func stacked(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, 0)
	w.Plans["migration"], w.Grants["migration"] = w.plan, w.plan.RoleName()
	t.Cleanup(func() { w.nothingLeaked() })
	return w
}

func renamed(text string) func(*sim.Template) { return func(t *sim.Template) { t.Description = text } }

func TestAStackOfCloudFormationOpensWithItsFirstID(t *testing.T) {
	w := stacked(t)
	w.must(w.Stacks.Create(w.ctx, stackName, w.template()))
	_, id := w.labelled(grant.StageCurrent)
	if id == "" {
		t.Fatal("no first ID")
	}
	w.lets(id)
}

func TestADeployThatChangesTheRoleShutsAnOpenGrantOnlyUntilCustomGrantRan(t *testing.T) {
	w := stacked(t)
	w.must(w.Stacks.Create(w.ctx, stackName, w.template()))
	_, id := w.labelled(grant.StageCurrent)
	shut := 0
	w.Schedule = func(sim.Call) sim.Outcome {
		if !w.enters(provider, id) {
			shut++
		}
		return sim.Outcome{}
	}
	w.must(w.Stacks.Update(w.ctx, stackName, w.template(renamed("other"))))
	w.Schedule = nil
	w.lets(id)
	if shut == 0 {
		t.Error("the role was never put back to its birth document: this tests nothing")
	}
}

func TestADeployLeavesARevokedGrantClosed(t *testing.T) {
	for name, deploy := range map[string]func(*world) error{
		"another role": func(w *world) error { return w.Stacks.Update(w.ctx, stackName, w.template(renamed("other"))) },
		"drift reverted": func(w *world) error {
			return w.Stacks.RevertDrift(w.ctx, stackName, w.template())
		},
		"drift reverted and reconciled": func(w *world) error {
			err := w.Stacks.RevertDrift(w.ctx, stackName, w.template())
			w.looks()
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := stacked(t)
			w.must(w.Stacks.Create(w.ctx, stackName, w.template()))
			w.revoked()
			w.must(deploy(w))
			w.lets()
			if !w.denied() {
				t.Error("the Deny is gone")
			}
		})
	}
}

func TestRevertedDriftIsMendedByTheNextLook(t *testing.T) {
	w := stacked(t)
	w.must(w.Stacks.Create(w.ctx, stackName, w.template()))
	_, id := w.labelled(grant.StageCurrent)
	w.must(w.Stacks.RevertDrift(w.ctx, stackName, w.template()))
	w.lets() // Custom::Grant's properties did not change: nobody called it
	w.looks()
	w.lets(id)
}

func TestARolledBackDeployEndsWithWhatStoodBefore(t *testing.T) {
	w := stacked(t)
	w.must(w.Stacks.Create(w.ctx, stackName, w.template()))
	_, id := w.labelled(grant.StageCurrent)
	refused := errors.New("refused")
	calls := 0
	w.Stacks.OnCustom("reconcile", func(ctx context.Context, e cfn.Event) (string, map[string]any, error) {
		if calls++; calls == 1 {
			return e.PhysicalResourceID, nil, refused
		}
		return w.Reconciler.CloudFormation(ctx, e)
	})
	longer := w.template(renamed("other"))
	longer.Plan.Overlap = grant.Duration(48 * time.Hour)
	w.fails(w.Stacks.Update(w.ctx, stackName, longer), refused)
	if w.Stacks.Status(stackName) != sim.UpdateRolledBack {
		t.Errorf("status %s", w.Stacks.Status(stackName))
	}
	if p, err := w.Parameters.Plan(w.ctx, "migration"); err != nil || p.Overlap != w.plan.Overlap {
		t.Errorf("plan %+v, %v", p, err)
	}
	w.lets(id)
}

func TestADeletedStackClosesFirst(t *testing.T) {
	w := stacked(t)
	w.must(w.Stacks.Create(w.ctx, stackName, w.template()))
	_, id := w.labelled(grant.StageCurrent)
	session, err := w.STS.AssumeRole(w.ctx, provider, w.plan.RoleARN, id, "jdoe")
	w.must(err)
	var alive []string // calls of the deletion before which the session still could act
	w.ResetCalls()
	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Actor == "cloudformation" && session.Allowed("s3:GetObject", "arn:aws:s3:::data/x", 0) {
			alive = append(alive, c.Action)
		}
		return sim.Outcome{}
	}
	w.deletes()
	w.Schedule = nil
	if !slices.Equal(alive, []string{"Invoke"}) {
		t.Errorf("a session from before acted until after %q, want only before Custom::Grant", alive)
	}
	if w.enters(provider, id) {
		t.Error("the provider still enters")
	}
}
