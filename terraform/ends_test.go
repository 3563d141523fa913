package terraform_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/terraform/terraformtest"
)

// protected is what the account says once reconcile has seen that the grant audit is revoked.
var protected = map[string]map[string]map[string]string{
	"protected_stacks": {"countersign-audit": {"grant": "revoked"}},
}

// A revoked grant that is taken out of the file isn't deleted: CloudFormation refuses, apply says so, and the next plan wants the same
// again.
func TestARevokedGrantTakenOutOfTheFileIsNotDeleted(t *testing.T) {
	d := terraformtest.New(t, customer(two))
	d.Plan()
	d.Apply()
	d.Account = protected
	d.Write("access.yaml", seed)
	d.Plan()
	out, err := d.Run("apply", "-input=false", "-no-color", "customer.plan")
	if err == nil || !strings.Contains(strings.Join(strings.Fields(strings.ReplaceAll(out, "│", "")), " "), "cannot be deleted while TerminationProtection is enabled") {
		t.Errorf("applied without the revoked grant: %v\n%s", err, out)
	}
	deletes := func() bool {
		return slices.Contains(d.Plan().Changing(), `module.access.aws_cloudformation_stack.grant["audit"] delete`)
	}
	if !deletes() {
		t.Error("Terraform has forgotten the stack")
	}
	out, err = d.Run("destroy", "-auto-approve", "-no-color", "-input=false")
	if err == nil {
		t.Errorf("destroyed:\n%s", out)
	}

	// Written back it is as it was; with the protection off it goes.
	d.Write("access.yaml", two)
	d.Plan()
	d.Apply()
	d.Account = nil
	d.Write("access.yaml", seed)
	d.Plan()
	d.Apply()
	if deletes() {
		t.Error("the stack is still there")
	}
}

// A stack that goes leaves CountersignClosed on a role that it did not make. Terraform, whose role it is, takes that off and then the
// role.
func TestANativeRoleGoesWithWhatTheStackLeftOnIt(t *testing.T) {
	d := terraformtest.New(t, customer(seed, "native_role = true"))
	d.Plan()
	d.Apply()
	d.Account = map[string]map[string]map[string]string{
		"inline_policies": {"ServiceProvider-migration": {"CountersignClosed": "{}"}},
	}
	d.Must("destroy", "-auto-approve", "-no-color", "-input=false")
}

// The stub would have refused: a role without force_detach_policies keeps its undeclared policy, and stays.
func TestTheStubKeepsARoleThatHasPolicies(t *testing.T) {
	d := terraformtest.New(t, map[string]string{"main.tf": `
resource "aws_iam_role" "plain" {
  name               = "plain"
  assume_role_policy = "{}"
}
`})
	d.Plan()
	d.Apply()
	d.Account = map[string]map[string]map[string]string{"inline_policies": {"plain": {"Undeclared": "{}"}}}
	out, err := d.Run("destroy", "-auto-approve", "-no-color", "-input=false")
	if err == nil || !strings.Contains(out, "DeleteConflict") {
		t.Errorf("%v\n%s", err, out)
	}
}
