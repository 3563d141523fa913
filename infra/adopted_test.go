package infra_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/infra/infratest"
	"github.com/countersign/countersign/internal/grant"
)

// adopting is an access.yaml with a role that was there before, beside one of ours.
const adopting = `
version: 1
providers:
  - name: hestio
    account: "111122223333"
    principals: [role/Engineers-*]
    grants:
      - name: migration
        permissions: [ReadOnlyAccess]
      - name: backups
        role: {name: VendorBackups, path: /vendors/, adopted: true}
      - name: metrics
        role: {name: VendorMetrics, adopted: true}
        pickUp: [account]
`

// The template names an adopted role in permissions, and adds to it the policy for a revocation's Deny, and the one by which
// its sessions read the external ID. Nothing else of it.
func TestWhatTheTemplateMakesOfAnAdoptedRole(t *testing.T) {
	tmpl := infratest.Synth(t, infratest.Access(t, adopting, nil))[0]
	for _, r := range tmpl.OfType(t, "AWS::IAM::Role") {
		if name, _ := r.Properties["RoleName"].(string); strings.HasPrefix(name, "Vendor") {
			t.Errorf("the template makes the role %s", name)
		}
	}
	attached := map[string][]string{}
	for _, resourceType := range []string{"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"} {
		for _, r := range tmpl.OfType(t, resourceType) {
			roles, _ := r.Properties["Roles"].([]any)
			for _, role := range roles {
				if name, _ := role.(string); strings.HasPrefix(name, "Vendor") {
					attached[name] = append(attached[name], strings.Trim(tmpl.Text([]any{r.Properties["PolicyName"], r.Properties["Description"]}), `[]"`))
				}
			}
		}
	}
	revoked, pickUp := grant.RevocationPolicy+`",null`, `null,"`+grant.PickUpDescription
	for role, want := range map[string][]string{"VendorBackups": {revoked, pickUp}, "VendorMetrics": {revoked}} {
		if !slices.Equal(attached[role], want) {
			t.Errorf("%s gets %q, want %q", role, attached[role], want)
		}
	}
	revocation, _ := inline(t, tmpl, "VendorBackups", grant.RevocationPolicy)
	if body := tmpl.Text(revocation.Properties["PolicyDocument"]); grant.ReadRevocation([]byte(body)).Denies {
		t.Error("the template's policy denies something")
	}
	for _, name := range []grant.Name{"backups", "metrics"} {
		plan := planOf(t, tmpl, name)
		if !plan.Adopted || plan.Conditions != nil || plan.SecretARN == "" {
			t.Errorf("plan of %s: adopted %v, conditions %v, secret %s", name, plan.Adopted, plan.Conditions, plan.SecretARN)
		}
	}
	if got := planOf(t, tmpl, "backups").RoleARN; got != "arn:aws:iam::444455556666:role/vendors/VendorBackups" {
		t.Errorf("the plan's role is %s", got)
	}
	for function, action := range map[string]string{"rotate": "iam:UpdateAssumeRolePolicy", "reconcile": "iam:PutRolePolicy", "revoke": "iam:PutRolePolicy"} {
		reaches := false
		for _, s := range statementsOf(t, tmpl, function) {
			reaches = reaches || slices.Contains(s.Action, action) && slices.Contains(s.Resource, "arn:aws:iam::444455556666:role/vendors/VendorBackups")
		}
		if !reaches {
			t.Errorf("%s may not %s on the adopted role", function, action)
		}
	}
	secret := tmpl.Text(tmpl.One(t, "AWS::SecretsManager::ResourcePolicy", "SecretId",
		"arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/backups-AbCdEf").Properties["ResourcePolicy"])
	if !strings.Contains(secret, "Engineers-*") || !strings.Contains(secret, "role/vendors/VendorBackups") {
		t.Error("the secret's policy doesn't name the provider's principals and the adopted role")
	}
}

// planOf reads a grant's plan from the template.
func planOf(t *testing.T, tmpl *infratest.Template, name grant.Name) grant.Plan {
	t.Helper()
	parameter := tmpl.One(t, "AWS::SSM::Parameter", "Name", name.Parameter())
	plan, err := grant.ParsePlan([]byte(tmpl.Text(parameter.Properties["Value"])), name)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}
