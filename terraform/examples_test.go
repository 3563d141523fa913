package terraform_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/terraform/terraformtest"
)

// examples are the folders with their variables, and what a plan makes of them.
var examples = map[string]struct {
	variables []string
	makes     []string
}{
	"plain": {
		[]string{"template_url=" + templateURL},
		[]string{`module.service_provider_access.aws_cloudformation_stack.grant["migration"] create`},
	},
	"plain/provider": {[]string{"template_url=" + customersTemplateURL}, ofAProvider},
	"scalr/provider": {[]string{"template_url=" + customersTemplateURL, "service_role_arn=arn:aws:iam::444455556666:role/cloudformation"}, ofAProvider},
	"scalr/customer": {
		[]string{"template_url=" + templateURL, "service_role_arn=arn:aws:iam::444455556666:role/cloudformation"},
		[]string{`module.service_provider_access.aws_cloudformation_stack.grant["migration"] create`},
	},
	"scalr/own-access": {
		[]string{"template_url=" + templateURL},
		[]string{`module.service_provider_access.aws_cloudformation_stack.grant["scalr-runs"] create`},
	},
	"scalr/workspace": {workspace, ofAWorkspace},
}

// workspace are the variables of a workspace, and ofAProvider and ofAWorkspace what plans make.
var (
	workspace = []string{
		"repository=acme/access", "vcs_provider_id=vcs-1", "scalr_account_id=acc-1", "scalr_account_name=acme", "scalr_environment_id=env-1",
		"scalr_environment_name=production", "service_role_arn=arn:aws:iam::444455556666:role/cloudformation", "release_bucket=example-countersign",
	}
	ofAProvider = []string{
		`module.customer_access.aws_cloudformation_stack.engine create`,
		`module.customer_access.aws_iam_policy.engineers["CountersignEngineer-blue-1"] create`,
		`module.customer_access.aws_iam_role.engineers["CountersignEngineer-blue"] create`,
		`module.customer_access.aws_iam_role.registrar["CountersignRegistrar"] create`,
		`module.customer_access.aws_iam_role_policy.registrar["CountersignRegistrar"] create`,
		`module.customer_access.aws_iam_role_policy_attachment.engineers["CountersignEngineer-blue-1"] create`,
		`module.customer_access.aws_sns_topic_subscription.alerts["ops@example.com"] create`,
	}
	ofAWorkspace = []string{
		"aws_iam_openid_connect_provider.scalr create", "aws_iam_policy.runs create", "aws_iam_role.runs create", "aws_iam_role_policy_attachment.runs create",
		"scalr_provider_configuration.aws create", "scalr_workspace.access create",
	}
)

// A workspace of either side may do what its module makes, under the names that the module gives, and may not do the other side's.
func TestAWorkspaceMayWhatItsModuleMakes(t *testing.T) {
	d := terraformtest.In(t, filepath.Join(tree(t), "examples", "scalr", "workspace"))
	plan := func(side string) []string {
		args := []string{"plan", "-input=false", "-no-color", "-out=customer.plan", "-var", "side=" + side}
		for _, v := range workspace {
			args = append(args, "-var", v)
		}
		return args
	}
	for side, want := range map[string]struct{ may, mayNot string }{
		"customer": {"policy/countersign/*", "role/Countersign"},
		"provider": {"role/CountersignEngineer*", "policy/countersign/*"},
	} {
		d.Must(plan(side)...)
		for _, p := range d.Read("customer.plan").Of("aws_iam_policy") {
			policy := p.Change.After["policy"].(string)
			if !strings.Contains(policy, want.may) || strings.Contains(policy, want.mayNot) || !strings.Contains(policy, "stack/countersign-*") {
				t.Errorf("%s: %s", side, policy)
			}
		}
	}
	if out, err := d.Run(plan("both")...); err == nil || !strings.Contains(out, "side: must be customer or provider") {
		t.Errorf("%v: %s", err, out)
	}
}

// tree is a copy of the modules and examples, so that nothing is written into the repository.
func tree(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, part := range []string{"modules", "examples"} {
		if err := os.CopyFS(filepath.Join(folder, part), os.DirFS(filepath.Join(terraformtest.Root(), part))); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestExamples(t *testing.T) {
	folder := tree(t)
	found, err := filepath.Glob(filepath.Join(folder, "examples", "*", "*.tf"))
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob(filepath.Join(folder, "examples", "*", "*", "*.tf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(found, deeper...) {
		name, _ := filepath.Rel(filepath.Join(folder, "examples"), filepath.Dir(file))
		if _, known := examples[name]; !known {
			t.Errorf("example %s is not tried", name)
		}
	}
	for name, e := range examples {
		t.Run(name, func(t *testing.T) {
			d := terraformtest.In(t, filepath.Join(folder, "examples", name))
			d.Must("validate")
			args := []string{"plan", "-input=false", "-no-color", "-out=customer.plan"}
			for _, v := range e.variables {
				args = append(args, "-var", v)
			}
			d.Must(args...)
			if got := d.Read("customer.plan").Changing(); !slices.Equal(got, e.makes) {
				t.Errorf("the plan makes %q, want %q", got, e.makes)
			}
		})
	}
}

// Scalr injects the provider's configuration: a block in a module, even an empty one, would stand in its way.
func TestModulesConfigureNoProvider(t *testing.T) {
	looked := 0
	for _, pattern := range []string{"modules/*/*.tf", "modules/*/*/*.tf", "examples/scalr/*/*.tf"} {
		files, err := filepath.Glob(filepath.Join(terraformtest.Root(), pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.Contains(file, "own-access") {
				continue // run by the customer's own Terraform
			}
			looked++
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(src)) {
				if strings.HasPrefix(line, "provider ") {
					t.Errorf("%s configures a provider", file)
				}
			}
		}
	}
	if looked < 10 {
		t.Errorf("looked at %d files", looked)
	}
}

// The module's own tests, which anybody can run: terraform test.
func TestTerraformTest(t *testing.T) {
	d := terraformtest.In(t, filepath.Join(tree(t), "modules", "service-provider-access"))
	if out := d.Must("test", "-no-color"); !strings.Contains(out, "5 passed, 0 failed") {
		t.Error(out)
	}
}

// Files are written as terraform fmt writes them.
func TestFormat(t *testing.T) {
	d := terraformtest.New(t, map[string]string{"main.tf": "# nothing\n"})
	if out, err := d.Run("fmt", "-check", "-recursive", terraformtest.Root()); err != nil {
		t.Errorf("terraform fmt -recursive terraform would change:\n%s", out)
	}
}
