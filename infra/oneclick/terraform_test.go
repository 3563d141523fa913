package oneclick_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/infra/infratest"
	"github.com/countersign/countersign/infra/oneclick"
	countersign "github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/access/accesstest"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/terraform/terraformtest"
)

// nativeDifferences are where a role of Terraform's own, with the engine beside it, is not what CDK deploys.
var nativeDifferences = []difference{
	{`^Custom::Grant RoleStays$`, "the role outlives the stack, and has to be left closed"},
	{`^Custom::Layout Grants\[0\]\.RoleStays$`, "a role doesn't change hands while its stack stands"},
	{`^AWS::IAM::Role Tags\[[02]\]\.`, "the secret's ARN and the API's address are known once the stack stands, which needs the role: the output tag_roles sets these tags"},
	{`^AWS::IAM::Role DependsOn \w*Layout$`, "the role stands before the stack, and what the stack refuses at its first step leaves a role that lets nobody in"},
}

// planned is what Terraform plans for each access.yaml, by its name: all of them in one plan.
func planned(t *testing.T, files map[string]string, native bool) map[string][]terraformtest.ResourceChange {
	t.Helper()
	files["main.tf"] = fmt.Sprintf(`
module "access" {
  source       = %q
  for_each     = fileset(path.module, "*/access.yaml")
  access_file  = each.value
  native_role  = %t
  template_url = "https://example-countersign-eu-west-1.s3.eu-west-1.amazonaws.com/countersign/v1.0.0/countersign.template.json"
}
`, terraformtest.Module("service-provider-access"), native)
	out := map[string][]terraformtest.ResourceChange{}
	module := regexp.MustCompile(`^module\.access\["(.*?)/access\.yaml"\]\.`)
	for _, c := range terraformtest.New(t, files).Plan().Changes {
		if m := module.FindStringSubmatch(c.Address); m != nil && c.Change.Actions[0] == "create" {
			out[m[1]] = append(out[m[1]], c)
		}
	}
	return out
}

// parametersOf are the parameters that a plan gives the stack.
func parametersOf(t *testing.T, changes []terraformtest.ResourceChange) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, c := range changes {
		if c.Type == "aws_cloudformation_stack" {
			for name, value := range c.Change.After["parameters"].(map[string]any) {
				out[name] = value.(string)
			}
		}
	}
	if len(out) == 0 {
		t.Fatal("the plan has no stack")
	}
	return out
}

// TestTerraformGivesTheSame is TestTheRoutesGiveTheSame for Terraform, with the role as the stack's and as Terraform's own.
func TestTerraformGivesTheSame(t *testing.T) {
	files, folders := map[string]string{}, map[string]string{}
	cases := routeCases()
	for i, name := range slices.Sorted(maps.Keys(cases)) {
		for parameter, p := range template(t).Parameters {
			if _, given := cases[name][parameter]; !given && p.Default != nil {
				cases[name][parameter] = *p.Default
			}
		}
		folders[name] = fmt.Sprintf("case-%02d", i)
		files[folders[name]+"/access.yaml"] = oneclick.AccessYAML(cases[name])
	}
	seen := met{}
	for _, native := range []bool{false, true} {
		plans := planned(t, files, native)
		known := differences
		if native {
			known = slices.Concat(nativeDifferences, differences)
		}
		for _, name := range slices.Sorted(maps.Keys(cases)) {
			t.Run(fmt.Sprintf("%s, native %t", name, native), func(t *testing.T) {
				changes := plans[folders[name]]
				engine, err := template(t).With(parametersOf(t, changes))
				if err != nil {
					t.Fatal(err)
				}
				deployed := infratest.Synth(t, infratest.Access(t, oneclick.AccessYAML(cases[name]), nil))[0]
				unit := access(cases[name]["GrantName"])
				a, b := unit.fields(t, engine), unit.fields(t, deployed)
				if native {
					maps.Copy(a, unit.nativeRole(t, changes, engine, roleKey(t, b)))
				}
				seen.compare(t, "Terraform", a, b, known, 500)
			})
		}
	}
	seen.all(t, nativeDifferences)
}

// roleKey is how the granted role's fields begin: the role that lies under Countersign's path.
func roleKey(t *testing.T, fields map[string]string) string {
	t.Helper()
	for field, value := range fields {
		if key, ok := strings.CutSuffix(field, " Path"); ok && value == grant.DefaultRolePath && strings.HasPrefix(key, "AWS::IAM::Role ") {
			return key
		}
	}
	t.Fatal("no granted role")
	return ""
}

// nativeRole are the fields of the role that Terraform makes with its attachments, as CloudFormation names them.
func (g access) nativeRole(t *testing.T, changes []terraformtest.ResourceChange, engine *infratest.Template, key string) map[string]string {
	t.Helper()
	props := map[string]any{}
	var policies []any
	for _, c := range changes {
		after := c.Change.After
		switch {
		case c.Type == "aws_iam_role":
			var trust any
			if err := json.Unmarshal([]byte(after["assume_role_policy"].(string)), &trust); err != nil {
				t.Fatal(err)
			}
			props = map[string]any{
				"RoleName": after["name"], "Path": after["path"], "Description": after["description"], "AssumeRolePolicyDocument": trust,
				"MaxSessionDuration": after["max_session_duration"],
				"Tags":               []any{map[string]any{}, map[string]any{"Key": grant.TagGrant, "Value": after["tags"].(map[string]any)[grant.TagGrant]}}, // as sorted
			}
			if after["permissions_boundary"] != nil {
				props["PermissionsBoundary"] = after["permissions_boundary"]
			}
			if n := len(after["tags"].(map[string]any)); n != 1 {
				t.Errorf("the role has %d tags", n)
			}
		case strings.Contains(c.Address, "aws_iam_role_policy_attachment.permission"):
			policies = append(policies, after["policy_arn"])
		case strings.Contains(c.Address, "aws_iam_role_policy_attachment.pick_up"):
			if c.Change.Unknown["policy_arn"] != true {
				t.Errorf("%s is known before the stack stands: %v", c.Address, after["policy_arn"])
			}
			policies = append(policies, engine.Resolve(engine.Outputs["PickUpPolicyArn"].Value))
		}
	}
	// A plan is sorted by address and access.yaml by its author: attachments have no order.
	pickUp := policies[len(policies)-1]
	written := strings.Split(parametersOf(t, changes)["Permissions"], ",")
	ordered := []any{}
	for _, arn := range written {
		if !slices.Contains(policies, any(arn)) {
			t.Errorf("%s is not attached", arn)
		}
		ordered = append(ordered, arn)
	}
	if len(policies) != len(written)+1 {
		t.Errorf("attached %v, and access.yaml has %v", policies, written)
	}
	props["ManagedPolicyArns"] = append(ordered, pickUp)
	out := map[string]string{key + " DeletionPolicy": "", key + " UpdateReplacePolicy": ""}
	flatten(out, key+" ", normal(t, g, props))
	return out
}

// A policy file of access.yaml is the same policy by either route, attached to the same role.
func TestAPolicyFileIsTheSame(t *testing.T) {
	text := "version: 1\nproviders:\n  - {name: hestio, account: \"111122223333\", grants: [{name: migration, permissions: [upload.json]}]}\n"
	changes := planned(t, map[string]string{"case/access.yaml": text, "case/upload.json": infratest.UploadPolicy["upload.json"]}, false)["case"]
	tmpl := infratest.Synth(t, infratest.Access(t, text, infratest.UploadPolicy))[0]
	description := grant.PolicyDescription("upload.json", "migration")
	var document, arn any
	for _, c := range changes {
		if c.Type != "aws_iam_policy" {
			continue
		}
		if c.Change.After["description"] != description {
			t.Errorf("description %v, want %s", c.Change.After["description"], description)
		}
		if err := json.Unmarshal([]byte(c.Change.After["policy"].(string)), &document); err != nil {
			t.Fatal(err)
		}
		arn = "arn:aws:iam::444455556666:policy" + c.Change.After["path"].(string) + c.Change.After["name"].(string)
	}
	if got := parametersOf(t, changes)["Permissions"]; got != arn {
		t.Errorf("the stack attaches %s, and the policy is %v", got, arn)
	}
	for _, p := range tmpl.OfType(t, "AWS::IAM::ManagedPolicy") {
		if p.Properties["Description"] != description {
			continue
		}
		a, b := map[string]string{}, map[string]string{}
		flatten(a, "", normal(t, "migration", document))
		flatten(b, "", normal(t, "migration", tmpl.Resolve(p.Properties["PolicyDocument"])))
		if len(a) == 0 || !maps.Equal(a, b) {
			t.Errorf("Terraform: %v\nCDK: %v", a, b)
		}
		return
	}
	t.Error("CDK's stack has no such policy")
}

// What the module takes the published template takes, whatever is written: its own conditions are no looser.
func TestTheTemplateTakesWhatTerraformPlans(t *testing.T) {
	files := map[string]string{}
	stacks := 0
	for i, c := range accesstest.Cases(t, "../../terraform/testdata/deployable.txt") {
		loaded, err := countersign.Parse("access.yaml", []byte(c.Source), accesstest.Policies(), time.Now())
		if err != nil {
			t.Fatalf("%s: %v", c.Pos, err)
		}
		stacks += len(loaded.Entries())
		folder := fmt.Sprintf("case-%02d/", i)
		files[folder+"access.yaml"] = c.Source
		files[folder+"policies/custom.json"] = infratest.UploadPolicy["upload.json"]
	}
	for folder, changes := range planned(t, files, false) {
		for _, c := range changes {
			if c.Type != "aws_cloudformation_stack" {
				continue
			}
			if _, err := template(t).With(parametersOf(t, []terraformtest.ResourceChange{c})); err != nil {
				t.Errorf("%s: %v\n%s", folder, err, files[folder+"/access.yaml"])
			}
			stacks--
		}
	}
	if stacks != 0 {
		t.Errorf("%d grants more than stacks", stacks)
	}
}
