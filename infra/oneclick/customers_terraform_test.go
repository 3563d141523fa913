package oneclick_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/infra/infratest"
	"github.com/countersign/countersign/terraform/terraformtest"
)

// customersDifferences are where the provider's side by Terraform is not what CDK deploys, and why.
var customersDifferences = []difference{
	ofVersions[1],
	{`^AWS::Lambda::Version `, "the published archive is pinned; CDK's asset is named by its hash, and who deploys it built it"},
	{`^AWS::Lambda::Function Code\.`, "the published archives lie in the publisher's bucket of that Region, CDK's in the account's own"},
	{` DependsOn \w+Version$`, "no trigger exists before the archive has been found to be the published one"},
}

// providersCases are customers.yaml: each form of the engineers' roles, what may be left out, and a team that fills ten policies.
func providersCases() map[string]string {
	everything := strings.Replace(infratest.Customers, "identityCenter: arn:aws:sso:::instance/ssoins-0123456789abcdef\n", "", 1)
	return map[string]string{
		"everything":           everything,
		"one role a customer":  strings.Replace(everything, "engineers: teams", "engineers: customers", 1),
		"by tags":              "version: 1\nengineers: tags\nsamlProvider: arn:aws:iam::111122223333:saml-provider/corp\nalerts: [ops@example.com, second@example.com]\ncustomers: []\n",
		"nobody":               "version: 1\ncustomers: []\n",
		"a team, no customers": "version: 1\nprincipals: [role/a, user/b]\nregistrars: [role/a, \"arn:aws:iam::111122223333:role/b\"]\nteams: [{name: blue}]\n",
		"a full team":          infratest.ManyCustomers(245, "registrars: [role/a]\n"),
		"names of all lengths": ofAllLengths(120),
	}
}

// ofAllLengths is a customers.yaml whose customers take between 70 and 700 characters of a policy, every fifth without a secret.
func ofAllLengths(n int) string {
	var out strings.Builder
	out.WriteString("version: 1\nprincipals: [role/Engineers]\nteams: [{name: blue}, {name: red}]\ncustomers:\n")
	for i := range n {
		account, kind, secret := fmt.Sprintf("%012d", 100000000000+i), "static", fmt.Sprintf(", secret: \"arn:aws:secretsmanager:eu-west-1:111122223333:secret:s/%d%s-AbCdEf\"", i, strings.Repeat("s", i*7%90))
		if i%5 == 0 {
			kind, secret = "none", ""
		}
		fmt.Fprintf(&out, "  - {name: customer-%d, account: %q, kind: %s, teams: [%s], role: \"arn:aws:iam::%s:role/%sVendor\"%s}\n",
			i, account, kind, []string{"blue", "blue, red"}[i%3%2], account, strings.Repeat("path/", i*i%41), secret)
	}
	return out.String()
}

// TestTerraformGivesTheSameToAProvider compares what the module makes of a customers.yaml, the published engine and roles of its own,
// with CDK's stack: resource by resource and field by field, as an account would see them.
func TestTerraformGivesTheSameToAProvider(t *testing.T) {
	cases := providersCases()
	files := map[string]string{"main.tf": fmt.Sprintf(`
module "customers" {
  source         = %q
  for_each       = fileset(path.module, "*/customers.yaml")
  customers_file = each.value
  template_url   = "https://example-countersign-eu-west-1.s3.eu-west-1.amazonaws.com/countersign/v1.0.0/countersign-customers.template.json"
}
`, terraformtest.Module("customer-access"))}
	names := slices.Sorted(maps.Keys(cases))
	for i, name := range names {
		files[fmt.Sprintf("case-%02d/customers.yaml", i)] = cases[name]
	}
	plans := map[string][]terraformtest.ResourceChange{}
	module := regexp.MustCompile(`^module\.customers\["case-(\d\d)/customers\.yaml"\]\.`)
	for _, c := range terraformtest.New(t, files).Plan().Changes {
		if m := module.FindStringSubmatch(c.Address); m != nil && c.Change.Actions[0] == "create" {
			plans[m[1]] = append(plans[m[1]], c)
		}
	}
	engine, err := infratest.Read(t, customersMade()).With(nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := met{}
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			deployed, _ := infratest.SynthProvider(t, infratest.Roster(t, cases[name]))
			a, b := providersFields(t, engine), providersFields(t, deployed)
			maps.Copy(a, besides(t, engine, plans[fmt.Sprintf("%02d", i)]))
			seen.compare(t, "Terraform", a, b, customersDifferences, 150)
		})
	}
	seen.all(t, customersDifferences)
}

// providersFields are the fields of a template for a provider's account. Roles, policies and addresses have the names that people
// know them by; who is attached to what is a field of the role.
func providersFields(t *testing.T, tmpl *infratest.Template) map[string]string {
	t.Helper()
	out := map[string]string{}
	for id, r := range tmpl.Resources {
		key := r.Type + " " + logicalHash.FindStringSubmatch(id)[1]
		props := tmpl.Resolve(r.Properties).(map[string]any)
		for kind, name := range map[string]string{"AWS::IAM::Role": "RoleName", "AWS::IAM::ManagedPolicy": "ManagedPolicyName", "AWS::SNS::Subscription": "Endpoint"} {
			if named, ok := props[name].(string); ok && r.Type == kind {
				key = kind + " " + named
			}
		}
		flatten(out, key+" ", normal(t, "", props))
		out[key+" DeletionPolicy"], out[key+" UpdateReplacePolicy"] = r.DeletionPolicy, r.UpdateReplacePolicy
		for _, on := range r.DependsOn {
			out[key+" DependsOn "+logicalHash.FindStringSubmatch(on)[1]] = "yes"
		}
	}
	for name, o := range tmpl.Outputs {
		flatten(out, "Outputs "+name, tmpl.Resolve(o.Value))
	}
	for field, value := range out {
		if value == tmpl.Resolve(map[string]any{"Ref": "AWS::StackName"}) || value == "CustomerAccess" { // CDK writes its name out
			out[field] = "(the stack's name)"
		}
	}
	return out
}

// The stub's stacks have the outputs that the published templates have.
func TestTheStubHasTheTemplatesOutputs(t *testing.T) {
	const url = "https://example-countersign-eu-west-1.s3.eu-west-1.amazonaws.com/countersign/v1.0.0/"
	d := terraformtest.New(t, map[string]string{"main.tf": fmt.Sprintf(`
resource "aws_cloudformation_stack" "of" {
  for_each     = { customer = "countersign.template.json", provider = "countersign-customers.template.json" }
  name         = each.key
  template_url = "%s${each.value}"
  parameters   = { GrantName = "migration" }
}
output "names" { value = { for name, s in aws_cloudformation_stack.of : name => keys(s.outputs) } }
`, url)})
	d.Must("apply", "-auto-approve", "-input=false", "-no-color")
	var got map[string][]string
	if err := json.Unmarshal([]byte(d.Must("output", "-json", "names")), &got); err != nil {
		t.Fatal(err)
	}
	for side, raw := range map[string][]byte{"customer": made(), "provider": customersMade()} {
		tmpl := infratest.Read(t, raw)
		if len(tmpl.Parameters) > 0 {
			var err error
			if tmpl, err = tmpl.With(least()); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range got[side] {
			if _, ok := tmpl.Outputs[name]; !ok {
				t.Errorf("a %s's template has no output %s", side, name)
			}
		}
	}
	if len(got["provider"]) != len(infratest.Read(t, customersMade()).Outputs) {
		t.Errorf("a provider's stack has %v", got["provider"])
	}
}

// besides are the fields of what Terraform makes beside the engine, as CloudFormation names them.
func besides(t *testing.T, engine *infratest.Template, changes []terraformtest.ResourceChange) map[string]string {
	t.Helper()
	parts := map[string]map[string]any{}
	part := func(kind, name string) map[string]any {
		key := kind + " " + name
		if parts[key] == nil {
			parts[key] = map[string]any{}
		}
		return parts[key]
	}
	parse := func(src any) (doc any) {
		if err := json.Unmarshal([]byte(src.(string)), &doc); err != nil {
			t.Fatal(err)
		}
		return doc
	}
	stacks := 0
	for _, c := range changes {
		after := c.Change.After
		switch c.Type {
		case "aws_iam_role":
			maps.Copy(part("AWS::IAM::Role", after["name"].(string)), map[string]any{
				"RoleName": after["name"], "Description": after["description"], "AssumeRolePolicyDocument": parse(after["assume_role_policy"]),
			})
			if after["path"] != nil || after["max_session_duration"] != nil || after["permissions_boundary"] != nil {
				t.Errorf("%s has what CDK's has not", c.Address)
			}
		case "aws_iam_role_policy":
			part("AWS::IAM::Role", after["role"].(string))["Policies"] = []any{
				map[string]any{"PolicyName": after["name"], "PolicyDocument": parse(after["policy"])},
			}
		case "aws_iam_policy":
			maps.Copy(part("AWS::IAM::ManagedPolicy", after["name"].(string)), map[string]any{
				"ManagedPolicyName": after["name"], "Description": after["description"], "PolicyDocument": parse(after["policy"]),
			})
			if n := len(after["policy"].(string)); n > 6144 || after["path"] != nil {
				t.Errorf("%s has %d characters, path %v", c.Address, n, after["path"])
			}
		case "aws_iam_role_policy_attachment":
			part("AWS::IAM::ManagedPolicy", c.Index.(string))["Roles"] = []any{after["role"]}
		case "aws_sns_topic_subscription":
			topic := engine.Resolve(engine.Outputs["AlertsTopic"].Value)
			if after["topic_arn"] != nil { // known once the stack stands
				topic = after["topic_arn"]
			}
			maps.Copy(part("AWS::SNS::Subscription", after["endpoint"].(string)), map[string]any{
				"TopicArn": topic, "Protocol": after["protocol"], "Endpoint": after["endpoint"],
			})
		case "aws_cloudformation_stack":
			stacks++
			if after["parameters"] != nil {
				t.Errorf("parameters %v", after["parameters"])
			}
		default:
			t.Errorf("%s is not compared", c.Address)
		}
	}
	if stacks != 1 {
		t.Errorf("%d stacks", stacks)
	}
	out := map[string]string{}
	for key, props := range parts {
		flatten(out, key+" ", normal(t, "", props))
		out[key+" DeletionPolicy"], out[key+" UpdateReplacePolicy"] = "", ""
	}
	return out
}
