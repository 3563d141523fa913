package sim_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/sim"
)

func inRole(name string) func(*sim.Template) {
	return func(t *sim.Template) { t.Plan.RoleARN = strings.Replace(t.Plan.RoleARN, roleName, name, 1) }
}

func withoutID(t *sim.Template) { t.Plan.NoExternalID, t.Plan.SecretARN = true, "" }

func TestARoleOfAnotherNameIsMadeFirstAndTheOldOneGoesLast(t *testing.T) {
	w, _ := stacked(t)
	must(t, w.Stacks.Update(t.Context(), stackName, template(inRole("Other"))))
	want := []string{
		"Invoke reconcile Custom::Layout Update", "CreateRole Other", "PutRolePolicy Other CountersignRevocation", "PutRolePolicy Other CountersignGuard",
		"PutParameter /countersign/migration", "Invoke reconcile Custom::Grant Update",
		"DeleteRolePolicy " + roleName + " CountersignGuard", "DeleteRolePolicy " + roleName + " CountersignRevocation", "DeleteRole " + roleName,
	}
	if got := wrote(w); !slices.Equal(got, want) {
		t.Errorf("calls\n%s", strings.Join(got, "\n"))
	}
}

// IAM knows a name once, whatever the path: CloudFormation makes the new role first, fails, and leaves the old one alone.
func TestARoleOfTheSameNameOnAnotherPathIsRefused(t *testing.T) {
	w, _ := stacked(t)
	err := w.Stacks.Update(t.Context(), stackName, template(func(t *sim.Template) {
		t.Plan.RoleARN = strings.Replace(t.Plan.RoleARN, ":role/", ":role/elsewhere/", 1)
	}))
	if err == nil || w.Stacks.Status(stackName) != sim.UpdateRolledBack {
		t.Errorf("%v, %s", err, w.Stacks.Status(stackName))
	}
	trustIs(t, w, true)
}

func TestAGrantGainsAndLosesItsSecret(t *testing.T) {
	w, _ := stacked(t)
	must(t, w.Stacks.Update(t.Context(), stackName, template(withoutID)))
	want := []string{
		"Invoke reconcile Custom::Layout Update", "PutParameter /countersign/migration", "Invoke reconcile Custom::Grant Update",
		"CancelRotateSecret " + secretARN, "DeleteSecret " + secretARN,
	}
	if got := wrote(w); !slices.Equal(got, want) {
		t.Errorf("loses it:\n%s", strings.Join(got, "\n"))
	}

	other := sim.New(sim.Config{})
	c := &custom{w: other}
	other.Stacks.OnCustom("reconcile", c.handle)
	must(t, other.Stacks.Create(t.Context(), stackName, template(withoutID)))
	other.ResetCalls()
	must(t, other.Stacks.Update(t.Context(), stackName, template()))
	want = []string{
		"Invoke reconcile Custom::Layout Update", "CreateSecret " + secretARN, "PutParameter /countersign/migration", "RotateSecret " + secretARN,
		"Invoke reconcile Custom::Grant Update",
	}
	if got := wrote(other); !slices.Equal(got, want) {
		t.Errorf("gains it:\n%s", strings.Join(got, "\n"))
	}
}
