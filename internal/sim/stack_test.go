package sim_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/cfn"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

const stackName = "ServiceProviderAccess"

// custom is a Custom::Grant that opens the role on create and update and closes it on delete.
type custom struct {
	w      *sim.World
	events []cfn.Event
	fail   func(cfn.Event) error
}

func (c *custom) handle(ctx context.Context, e cfn.Event) (string, map[string]any, error) {
	if e.ResourceType == "Custom::Layout" {
		return "countersign-layout", nil, nil
	}
	c.events = append(c.events, e)
	if c.fail != nil {
		if err := c.fail(e); err != nil {
			return "countersign-migration", nil, err
		}
	}
	document := trusting(providerRoot, currentID)
	if e.RequestType == cfn.RequestDelete {
		document = []byte(trust.BornDocument)
	}
	return "countersign-migration", nil, c.w.IAM.SetTrust(ctx, roleName, document)
}

func (c *custom) kinds() (kinds []string) {
	for _, e := range c.events {
		kinds = append(kinds, string(e.RequestType))
	}
	return kinds
}

func template(change ...func(*sim.Template)) sim.Template {
	t := sim.Template{Plan: plan(), Policies: []sim.Policy{
		{Name: grant.GuardPolicy, Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"iam:*","Resource":"*"}]}`},
		{Name: "AmazonS3FullAccess", ARN: "arn:aws:iam::aws:policy/AmazonS3FullAccess", Document: s3Full},
	}}
	for _, c := range change {
		c(&t)
	}
	return t
}

func described(text string) func(*sim.Template) {
	return func(t *sim.Template) { t.Description = text }
}
func overlapping(d time.Duration) func(*sim.Template) {
	return func(t *sim.Template) { t.Plan.Overlap = grant.Duration(d) }
}

// stacked is a world with the stack of one grant.
func stacked(t *testing.T) (*sim.World, *custom) {
	t.Helper()
	w := sim.New(sim.Config{})
	c := &custom{w: w}
	w.Stacks.OnCustom("reconcile", c.handle)
	must(t, w.Stacks.Create(t.Context(), stackName, template()))
	c.events = nil
	w.ResetCalls()
	return w, c
}

// wrote are CloudFormation's own calls.
func wrote(w *sim.World) (lines []string) {
	for _, r := range w.Calls("cloudformation") {
		lines = append(lines, r.Action+" "+r.Resource)
	}
	return lines
}

func trustIs(t *testing.T, w *sim.World, open bool) {
	t.Helper()
	v := w.STS.Verdict(providerRole, roleARN, currentID, "session", sim.Assume{})
	if (v.Effect == trust.Allow) != open {
		t.Errorf("the provider enters: %s, want open %t", v.Effect, open)
	}
}

func TestAStackIsMadeInOrderAndCustomGrantComesLast(t *testing.T) {
	w := sim.New(sim.Config{})
	c := &custom{w: w}
	w.Stacks.OnCustom("reconcile", c.handle)
	must(t, w.Stacks.Create(t.Context(), stackName, template()))
	want := []string{
		"Invoke reconcile Custom::Layout Create", "CreatePolicy arn:aws:iam::aws:policy/AmazonS3FullAccess", "CreateRole " + roleName, "PutRolePolicy " + roleName + " CountersignRevocation",
		"PutRolePolicy " + roleName + " CountersignGuard", "CreateSecret " + secretARN, "PutParameter /countersign/migration",
		"RotateSecret " + secretARN, "Invoke reconcile Custom::Grant Create",
	}
	if got := wrote(w); !slices.Equal(got, want) {
		t.Errorf("calls\n%s", strings.Join(got, "\n"))
	}
	trustIs(t, w, true)
	if e := c.events[0]; e.ResourceProperties["Grant"] != "migration" || e.ResourceProperties["Digest"] == "" || e.PhysicalResourceID != "" || e.OldResourceProperties != nil {
		t.Errorf("event %+v", e)
	}
	if w.Stacks.Status(stackName) != sim.CreateComplete || w.Stacks.Create(t.Context(), stackName, template()) == nil {
		t.Error("the stack is not there, or was made twice")
	}
}

func TestADeployWritesWhatChangedInTheTemplateAndNothingElse(t *testing.T) {
	const role, plan, custom = "UpdateAssumeRolePolicy " + roleName, "PutParameter /countersign/migration", "Invoke reconcile Custom::Grant Update"
	for _, c := range []struct {
		name   string
		change func(*sim.Template)
		want   []string
	}{
		{"a property of the role", described("other"), []string{role, custom}},
		{"the plan", overlapping(time.Hour), []string{plan, custom}},
		{"the schedule", func(t *sim.Template) { t.Plan.RotateEvery = "weekly" }, []string{plan, "RotateSecret " + secretARN, custom}},
		{"the guard", func(t *sim.Template) { t.Policies[0].Document = s3Full }, []string{"PutRolePolicy " + roleName + " CountersignGuard", custom}},
		{"a policy more", func(t *sim.Template) { t.Policies = append(t.Policies, sim.Policy{Name: "More", Document: s3Full}) }, []string{"PutRolePolicy " + roleName + " More", custom}},
		{"a policy less", func(t *sim.Template) { t.Policies = t.Policies[1:] }, []string{custom, "DeleteRolePolicy " + roleName + " CountersignGuard"}},
		{"the frozen body of CountersignRevocation", func(t *sim.Template) { t.Revocation = strings.Replace(grant.OpenRevocation, "1970", "1971", 1) },
			[]string{"PutRolePolicy " + roleName + " CountersignRevocation", custom}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, g := stacked(t)
			must(t, w.IAM.PutInlinePolicy(t.Context(), roleName, grant.RevocationPolicy, []byte(grant.DenyRevocation)))
			must(t, w.Secrets.PutVersion(t.Context(), secretARN, token, []byte("v")))
			w.ResetCalls()
			must(t, w.Stacks.Update(t.Context(), stackName, template(c.change)))
			if got := wrote(w); !slices.Equal(got, c.want) {
				t.Errorf("calls\n%s", strings.Join(got, "\n"))
			}
			inline, err := w.IAM.InlinePolicy(t.Context(), roleName, grant.RevocationPolicy)
			must(t, err)
			value, err := w.Secrets.SecretString(t.Context(), secretARN)
			must(t, err)
			if denies := grant.ReadRevocation(inline).Denies; denies == strings.Contains(c.name, "frozen") || value != "v" {
				t.Errorf("the Deny stands: %t; the value is %q", denies, value)
			}
			e := g.events[0]
			if e.PhysicalResourceID != "countersign-migration" || e.OldResourceProperties["Grant"] != "migration" || e.OldResourceProperties["Digest"] == e.ResourceProperties["Digest"] {
				t.Errorf("event %+v", e)
			}
		})
	}
	w, _ := stacked(t)
	if err := w.Stacks.Update(t.Context(), stackName, template()); err == nil || len(wrote(w)) != 0 {
		t.Errorf("a deploy without changes: %v, %v", err, wrote(w))
	}
}

func TestRevertingDriftPutsRoleAndPlanBackAndLeavesTheDeny(t *testing.T) {
	w, g := stacked(t)
	must(t, w.IAM.PutInlinePolicy(t.Context(), roleName, grant.RevocationPolicy, []byte(grant.DenyRevocation)))
	must(t, w.Parameters.Put("/countersign/migration", "{}"))
	w.ResetCalls()
	must(t, w.Stacks.RevertDrift(t.Context(), stackName, template()))
	if got, want := wrote(w), []string{"UpdateAssumeRolePolicy " + roleName, "PutParameter /countersign/migration"}; !slices.Equal(got, want) || len(g.events) != 0 {
		t.Errorf("calls %q, %d of Custom::Grant: its properties did not change", got, len(g.events))
	}
	trustIs(t, w, false)
	if inline, err := w.IAM.InlinePolicy(t.Context(), roleName, grant.RevocationPolicy); err != nil || !grant.ReadRevocation(inline).Denies {
		t.Errorf("the Deny is gone: %s, %v", inline, err)
	}
}

func TestAFailedDeployPutsTheEarlierTemplateBack(t *testing.T) {
	w, g := stacked(t)
	refused := errors.New("the first ID is not in")
	g.fail = func(e cfn.Event) error {
		if len(g.events) == 1 {
			return refused
		}
		return nil
	}
	err := w.Stacks.Update(t.Context(), stackName, template(described("other"), overlapping(time.Hour), func(t *sim.Template) {
		t.Policies = append(t.Policies, sim.Policy{Name: "More", Document: s3Full})
	}))
	if !errors.Is(err, refused) || w.Stacks.Status(stackName) != sim.UpdateRolledBack {
		t.Errorf("%v, %s", err, w.Stacks.Status(stackName))
	}
	want := []string{
		"UpdateAssumeRolePolicy " + roleName, "PutRolePolicy " + roleName + " More", "PutParameter /countersign/migration", "Invoke reconcile Custom::Grant Update",
		"UpdateAssumeRolePolicy " + roleName, "PutParameter /countersign/migration", "Invoke reconcile Custom::Grant Update", "DeleteRolePolicy " + roleName + " More",
	}
	if got := wrote(w); !slices.Equal(got, want) {
		t.Errorf("calls\n%s", strings.Join(got, "\n"))
	}
	p, err := w.Parameters.Plan(t.Context(), "migration")
	if err != nil || p.Overlap != plan().Overlap {
		t.Errorf("plan %+v, %v", p, err)
	}
	trustIs(t, w, true)
	if back, there := g.events[1], g.events[0]; fmt.Sprint(back.ResourceProperties) != fmt.Sprint(there.OldResourceProperties) || back.RequestID == there.RequestID {
		t.Errorf("rolled back with %+v", back)
	}
	must(t, w.Stacks.Update(t.Context(), stackName, template(described("third"))))
}

func TestARollbackThatFailsHasToBeContinued(t *testing.T) {
	w, g := stacked(t)
	g.fail = func(cfn.Event) error { return errors.New("no") }
	if err := w.Stacks.Update(t.Context(), stackName, template(described("other"))); err == nil || w.Stacks.Status(stackName) != sim.UpdateRollbackFailed {
		t.Fatalf("%v, %s", err, w.Stacks.Status(stackName))
	}
	trustIs(t, w, false)
	if err := w.Stacks.Update(t.Context(), stackName, template(described("third"))); err == nil {
		t.Error("a stack whose rollback failed was updated")
	}
	g.fail = nil
	must(t, w.Stacks.ContinueRollback(t.Context(), stackName))
	trustIs(t, w, true)
	if w.Stacks.Status(stackName) != sim.UpdateRolledBack {
		t.Errorf("status %s", w.Stacks.Status(stackName))
	}
}

func TestAFirstDeployThatFailsLeavesNothing(t *testing.T) {
	w := sim.New(sim.Config{})
	refused := errors.New("no")
	c := &custom{w: w, fail: func(e cfn.Event) error {
		if e.RequestType == cfn.RequestCreate {
			return refused
		}
		return nil
	}}
	w.Stacks.OnCustom("reconcile", c.handle)
	if err := w.Stacks.Create(t.Context(), stackName, template()); !errors.Is(err, refused) || w.Stacks.Status(stackName) != sim.CreateRolledBack {
		t.Errorf("%v, %s", err, w.Stacks.Status(stackName))
	}
	if got := c.kinds(); !slices.Equal(got, []string{"Create", "Delete"}) {
		t.Errorf("Custom::Grant was called %q", got)
	}
	if _, err := w.IAM.Role(t.Context(), roleName); !errors.Is(err, grant.ErrNotFound) {
		t.Errorf("the role: %v", err)
	}
	if s, err := w.Secrets.Describe(t.Context(), secretARN); !errors.Is(err, grant.ErrNotFound) {
		t.Errorf("the secret: %+v, %v", s, err)
	}
	must(t, w.Stacks.Delete(t.Context(), stackName))
	if w.Stacks.Status(stackName) != "" {
		t.Error("the stack is still there")
	}
}

func TestAStackClosesBeforeItIsTakenApart(t *testing.T) {
	w, g := stacked(t)
	s := func() *sim.Session {
		s, err := w.STS.AssumeRole(t.Context(), providerRole, roleARN, currentID, "session")
		must(t, err)
		return s
	}()
	w.ResetCalls()
	must(t, w.Stacks.Delete(t.Context(), stackName))
	want := []string{
		"DeleteStack " + stackName, "Invoke reconcile Custom::Grant Delete", "DeleteRolePolicy " + roleName + " CountersignGuard", "DeleteRolePolicy " + roleName + " CountersignRevocation",
		"DeleteRole " + roleName, "CancelRotateSecret " + secretARN, "DeleteParameter /countersign/migration", "DeleteSecret " + secretARN,
		"Invoke reconcile Custom::Layout Delete",
	}
	if got := wrote(w); !slices.Equal(got, want) || len(g.events) != 1 {
		t.Errorf("calls\n%s", strings.Join(got, "\n"))
	}
	if s.Allowed("s3:GetObject", "arn:aws:s3:::data/x", 0) {
		t.Error("a session of the deleted role still works")
	}
	if secret, err := w.Secrets.Describe(t.Context(), secretARN); !errors.Is(err, grant.ErrNotFound) {
		t.Errorf("secret %+v, %v", secret, err)
	}
	if _, err := w.Stacks.Outputs(t.Context(), stackName); !errors.Is(err, grant.ErrNotFound) {
		t.Errorf("the stack: %v", err)
	}
}

func TestAForeignInlinePolicyKeepsTheRoleUntilItIsGone(t *testing.T) {
	w, g := stacked(t)
	must(t, w.IAM.PutInlinePolicy(t.Context(), roleName, "Foreign", []byte(s3Full)))
	if err := w.Stacks.Delete(t.Context(), stackName); !errors.Is(err, grant.ErrConflict) || w.Stacks.Status(stackName) != sim.DeleteFailed {
		t.Fatalf("%v, %s", err, w.Stacks.Status(stackName))
	}
	trustIs(t, w, false)
	w.IAM.DeleteRole(roleName)
	must(t, w.Stacks.Delete(t.Context(), stackName))
	if got := g.kinds(); !slices.Equal(got, []string{"Delete"}) {
		t.Errorf("Custom::Grant was called %q: what is deleted is not deleted again", got)
	}
}
