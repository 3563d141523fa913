package functions_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/cfn"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// A deploy that is refused is taken back: CloudFormation then asks the resource that refused for what stood before.
func TestARefusedNumberOfShardsRollsBack(t *testing.T) {
	w := stacked(t)
	w.must(w.Stacks.Create(w.ctx, stackName, w.template()))
	_, id := w.labelled(grant.StageCurrent)
	if err := w.Stacks.UpdateLayout(w.ctx, stackName, sim.Layout{Shards: 2}, w.template()); err == nil {
		t.Fatal("deployed with another number of shards")
	}
	if got := w.Stacks.Status(stackName); got != sim.UpdateRolledBack {
		t.Errorf("status %s", got)
	}
	w.lets(id)
	w.must(w.Stacks.UpdateLayout(w.ctx, stackName, sim.Layout{Shards: 2, ReshardedFrom: 1}, w.template()))
	w.lets(id)
}

// audit is a second grant beside the world's.
func (w *world) audit(change ...func(*grant.Plan)) sim.Template {
	t := w.template()
	p := &t.Plan
	p.Grant = "audit"
	p.RoleARN, p.SecretARN = strings.Replace(p.RoleARN, "migration", "audit", 1), strings.Replace(p.SecretARN, "migration", "audit", 1)
	for _, c := range change {
		c(p)
	}
	w.Plans["audit"], w.Grants["audit"] = *p, p.RoleName()
	return t
}

func withoutID(p *grant.Plan) {
	p.NoExternalID, p.SecretARN, p.Prefix, p.RotateEvery, p.Overlap, p.ProviderMay = true, "", "", "", 0, nil
}

// closures close the grant audit, each with one of the marks.
var closures = map[string]func(*world){
	"revoked": func(w *world) {
		_, err := w.Revoke(w.ctx, "audit", "project ended")
		w.must(err)
	},
	"a Deny by hand": func(w *world) {
		w.must(w.IAM.PutInlinePolicy(w.ctx, "ServiceProvider-audit", grant.RevocationPolicy, []byte(grant.DenyRevocation)))
	},
	"a trust policy by hand": func(w *world) {
		want := w.Plans["audit"].Trust()
		want.Gate = trust.Close
		role, err := w.IAM.Role(w.ctx, "ServiceProvider-audit")
		w.must(err)
		doc, err := trust.Parse(role.Trust)
		w.must(err)
		closed, _, err := trust.Apply(doc, want)
		w.must(err)
		w.must(w.IAM.SetTrust(w.ctx, "ServiceProvider-audit", closed.Bytes()))
	},
	"a tag": func(w *world) {
		w.must(w.Secrets.Tag(w.ctx, w.Plans["audit"].SecretARN, map[string]string{grant.TagRevoked: "rv-20260105T090000Z-0123abcd"}))
	},
	"a plan that nobody can read": func(w *world) {
		w.must(w.IAM.PutInlinePolicy(w.ctx, "ServiceProvider-audit", grant.RevocationPolicy, []byte(grant.DenyRevocation)))
		w.must(w.Parameters.Put("/countersign/audit", `{"grant":"audit","newer":true}`))
	},
}

func TestARevokedGrantIsNotRemovedUnlessThatIsSaid(t *testing.T) {
	for name, closes := range closures {
		t.Run(name, func(t *testing.T) {
			w := stacked(t)
			kept, audit := w.template(), w.audit()
			w.must(w.Stacks.Create(w.ctx, stackName, kept, audit))
			closes(w)
			before, err := w.IAM.Role(w.ctx, "ServiceProvider-audit")
			w.must(err)
			w.ResetCalls()
			err = w.Stacks.Update(w.ctx, stackName, w.template(renamed("other")))
			if err == nil || !strings.Contains(err.Error(), "removeRevoked: [audit]") {
				t.Fatalf("deployed without the revoked grant: %v", err)
			}
			if got := w.Stacks.Status(stackName); got != sim.UpdateRolledBack {
				t.Errorf("status %s", got)
			}
			for _, r := range w.Calls("cloudformation") {
				if r.Action != "Invoke" && r.Action != "DescribeStacks" {
					t.Errorf("the refused deploy has written: %s %s", r.Action, r.Resource)
				}
			}
			if after, err := w.IAM.Role(w.ctx, "ServiceProvider-audit"); err != nil || !bytes.Equal(before.Trust, after.Trust) {
				t.Errorf("the refused deploy has touched the trust policy: %v", err)
			}
			w.must(w.Stacks.UpdateLayout(w.ctx, stackName, sim.Layout{RemoveRevoked: []string{"audit"}}, kept))
			if _, err := w.IAM.Role(w.ctx, "ServiceProvider-audit"); !errors.Is(err, grant.ErrNotFound) {
				t.Errorf("its role, removed on purpose: %v", err)
			}
		})
	}
}

// Without a secret the role has the tag.
func TestARevokedGrantWithoutAnIDIsNotRemovedEither(t *testing.T) {
	w := stacked(t)
	audit := w.audit(withoutID)
	w.must(w.Stacks.Create(w.ctx, stackName, w.template(), audit))
	w.must(w.IAM.TagRole(w.ctx, audit.Plan.RoleName(), map[string]string{grant.TagRevoked: "rv-20260105T090000Z-0123abcd"}))
	if err := w.Stacks.Update(w.ctx, stackName, w.template()); err == nil || !strings.Contains(err.Error(), "grant audit is revoked, and this deploy removes it") {
		t.Errorf("deployed without the revoked grant: %v", err)
	}
}

// An adopted role stays when its grant goes, and stays closed: nothing is forgotten.
func TestARevokedGrantOfAnAdoptedRoleMayGo(t *testing.T) {
	w, _ := adopted(t)
	w.Plans["migration"], w.Grants["migration"] = w.plan, w.plan.RoleName()
	w.Stacks.Stands(stackName, sim.Template{Plan: w.plan})
	w.revoked()
	w.gone = w.allIDs()
	w.must(w.Stacks.Update(w.ctx, stackName))
	kept, err := w.IAM.InlinePolicy(w.ctx, w.plan.RoleName(), grant.KeptClosedPolicy)
	if err != nil || !grant.ReadRevocation(kept).Denies {
		t.Errorf("the role that stays: %v", err)
	}
}

func TestARevokedGrantDoesNotMoveToAnotherStack(t *testing.T) {
	w := stacked(t)
	w.must(w.Stacks.Create(w.ctx, stackName, w.template(), w.audit()))
	resharded := sim.Layout{Shards: 2, ReshardedFrom: 1}
	closures["revoked"](w)
	err := w.Stacks.UpdateLayout(w.ctx, stackName, resharded, w.template())
	if err == nil || !strings.Contains(err.Error(), "would leave this stack, and open again in its new one") || w.Stacks.Status(stackName) != sim.UpdateRolledBack {
		t.Errorf("%v, %s", err, w.Stacks.Status(stackName))
	}
}

// current is a grant's external ID.
func (w *world) current(name grant.Name) string {
	_, id, err := w.Read(w.ctx, name, grant.StageCurrent)
	w.must(err)
	return id
}

func TestAnOpenGrantIsRemovedAndARenamedOneIsAnother(t *testing.T) {
	w := stacked(t)
	w.must(w.Stacks.Create(w.ctx, stackName, w.template(), w.audit()))
	old, stays := w.current("audit"), w.current("migration")
	review := w.audit(func(p *grant.Plan) {
		p.Grant = "review"
		p.RoleARN, p.SecretARN = strings.Replace(p.RoleARN, "audit", "review", 1), strings.Replace(p.SecretARN, "audit", "review", 1)
	})
	w.Plans["review"], w.Grants["review"] = review.Plan, review.Plan.RoleName()
	w.must(w.Stacks.Update(w.ctx, stackName, w.template(), review))
	if w.current("review") == old || w.current("migration") != stays {
		t.Error("a renamed grant has the old one's external ID, or another grant lost its own")
	}
	if w.Enters(provider, "review", old) || !w.Enters(provider, "review", w.current("review")) {
		t.Error("the new grant opens to the old external ID, or not to its own")
	}
	if _, err := w.IAM.Role(w.ctx, "ServiceProvider-audit"); !errors.Is(err, grant.ErrNotFound) {
		t.Errorf("the old grant's role: %v", err)
	}
}

// A grant that a deploy adds may be revoked before that deploy fails. Taking it back must not fail over it.
func TestADeployIsTakenBackAlthoughWhatItAddedWasRevoked(t *testing.T) {
	w := stacked(t)
	w.must(w.Stacks.Create(w.ctx, stackName, w.template()))
	id := w.current("migration")
	refused := errors.New("refused")
	w.Stacks.OnCustom("reconcile", func(ctx context.Context, e cfn.Event) (string, map[string]any, error) {
		physicalID, data, err := w.Reconciler.CloudFormation(ctx, e)
		if e.RequestType == cfn.RequestCreate {
			closures["revoked"](w)
			err = refused
		}
		return physicalID, data, err
	})
	w.fails(w.Stacks.Update(w.ctx, stackName, w.template(), w.audit()), refused)
	if got := w.Stacks.Status(stackName); got != sim.UpdateRolledBack {
		t.Errorf("status %s", got)
	}
	w.lets(id)
	if _, err := w.IAM.Role(w.ctx, "ServiceProvider-audit"); !errors.Is(err, grant.ErrNotFound) {
		t.Errorf("the role that was added: %v", err)
	}
}

// What can't be read is not taken for open.
func TestAGrantThatCannotBeLookedAtIsNotRemoved(t *testing.T) {
	w := stacked(t)
	w.must(w.Stacks.Create(w.ctx, stackName, w.template(), w.audit()))
	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Actor == "reconcile" && c.Action == "GetRolePolicy" {
			return sim.Outcome{Fault: sim.Fail}
		}
		return sim.Outcome{}
	}
	w.fails(w.Stacks.Update(w.ctx, stackName, w.template()), grant.ErrUnavailable)
	w.Schedule = nil
	if !w.Enters(provider, "audit", w.current("audit")) {
		t.Error("the grant was closed")
	}
}

func movedTo(role string) func(*grant.Plan) {
	return func(p *grant.Plan) { p.RoleARN = strings.Replace(p.RoleARN, "ServiceProvider-audit", role, 1) }
}

// The secret's tag carries a revocation over to another role. Without a secret nothing does.
func TestARevokedGrantKeepsWhatSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		before, after []func(*grant.Plan)
		refused       bool
	}{
		"another role":                        {nil, []func(*grant.Plan){movedTo("Vendor")}, false},
		"another role without an ID":          {[]func(*grant.Plan){withoutID}, []func(*grant.Plan){withoutID, movedTo("Vendor")}, true},
		"another role and no ID any more":     {nil, []func(*grant.Plan){withoutID, movedTo("Vendor")}, true},
		"another role and an ID from now on":  {[]func(*grant.Plan){withoutID}, []func(*grant.Plan){movedTo("Vendor")}, true},
		"the same role without an ID":         {nil, []func(*grant.Plan){withoutID}, false},
		"the same role with an ID henceforth": {[]func(*grant.Plan){withoutID}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := stacked(t)
			before := w.audit(c.before...)
			w.must(w.Stacks.Create(w.ctx, stackName, w.template(), before))
			closures["revoked"](w)
			after := w.audit(c.after...)
			err := w.Stacks.Update(w.ctx, stackName, w.template(), after)
			if refused := err != nil; refused != c.refused {
				t.Fatalf("deployed: %v", err)
			}
			if c.refused && !strings.Contains(err.Error(), "leave its role as it is") {
				t.Error(err)
			}
			standing := after
			if c.refused {
				standing = before
			}
			w.Plans["audit"] = standing.Plan
			role := standing.Plan.RoleARN
			if w.STS.Verdict(provider, role, w.idOf(standing.Plan), "jdoe", sim.Assume{}).Effect == trust.Allow {
				t.Error("the revoked grant is open")
			}
			if inline, err := w.IAM.InlinePolicy(w.ctx, standing.Plan.RoleName(), grant.RevocationPolicy); err != nil || !grant.ReadRevocation(inline).Denies {
				t.Errorf("its role has no Deny: %v", err)
			}
			w.must(w.Reconciler.Timer(w.ctx))
			if w.STS.Verdict(provider, role, w.idOf(standing.Plan), "jdoe", sim.Assume{}).Effect == trust.Allow {
				t.Error("the next look has opened it")
			}
		})
	}
}

// idOf is the newest external ID that lies in the grant's secret, "" where it has none.
func (w *world) idOf(p grant.Plan) string {
	if p.NoExternalID {
		return ""
	}
	_, id, err := w.Read(w.ctx, p.Grant, grant.StageCurrent)
	w.must(err)
	return id
}

func TestCountersignDoesNotFollowOnAProvidersOwnIDs(t *testing.T) {
	byProvider := func(t *sim.Template) { t.Plan.IssuedBy, t.Plan.RotateEvery = grant.IssuedByProvider, "never" }
	w := stacked(t)
	w.must(w.Stacks.Create(w.ctx, stackName, w.template()))
	_, id := w.labelled(grant.StageCurrent)
	w.must(w.Stacks.Update(w.ctx, stackName, w.template(byProvider)))
	w.lets(id)
	if err := w.Stacks.Update(w.ctx, stackName, w.template()); err == nil || !strings.Contains(err.Error(), "leave issuedBy: provider") {
		t.Errorf("deployed: %v", err)
	}
	if got := w.Stacks.Status(stackName); got != sim.UpdateRolledBack {
		t.Errorf("status %s", got)
	}
	w.lets(id)
}
