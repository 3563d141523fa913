package terraform_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/trust"
	"github.com/countersign/countersign/terraform/terraformtest"
)

const templateURL = "https://example-countersign-eu-west-1.s3.eu-west-1.amazonaws.com/countersign/v1.0.0/countersign.template.json"

// customer is a configuration of the module, with these lines more, for an access.yaml.
func customer(accessYAML string, lines ...string) map[string]string {
	return map[string]string{
		"access.yaml": accessYAML,
		"main.tf": fmt.Sprintf(`
module "access" {
  source       = %q
  access_file  = "${path.root}/access.yaml"
  template_url = %q
  %s
}
output "access" { value = module.access }
`, terraformtest.Module("service-provider-access"), templateURL, strings.Join(lines, "\n  ")),
		"upload.json": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::uploads/*"}]}`,
	}
}

const (
	seed = `
version: 1
providers:
  - name: hestio
    account: "111122223333"
    grants:
      - name: migration
        permissions: [AmazonS3FullAccess, AmazonEC2ReadOnlyAccess]
`
	two = seed + `
      - name: audit
        permissions: [SecurityAudit, ./upload.json]
        expires: "2099-12-31T23:59:59Z"
`
)

// The seed's flow: edit access.yaml, init, plan -out, apply. What the plan shows is what a customer decides on.
func TestThePlanShowsThePermissions(t *testing.T) {
	d := terraformtest.New(t, customer(two))
	d.Must("validate")
	plan := d.Plan()
	if want, got := []string{
		`module.access.aws_cloudformation_stack.grant["audit"] create`,
		`module.access.aws_cloudformation_stack.grant["migration"] create`,
		`module.access.aws_iam_policy.file["audit ./upload.json"] create`,
	}, plan.Changing(); !slices.Equal(got, want) {
		t.Errorf("the plan makes %q, want %q", got, want)
	}
	shown := d.Must("show", "-no-color", "customer.plan")
	for _, line := range []string{
		`arn:aws:iam::aws:policy/AmazonS3FullAccess,arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess`,
		`"ProviderAccount" += "111122223333"`, `"Expires" += "2099-12-31T23:59:59Z"`, `s3:PutObject`,
		`migration += "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration"`,
	} {
		if !regexp.MustCompile(line).MatchString(shown) {
			t.Errorf("the plan doesn't show %s:\n%s", line, shown)
		}
	}
	for _, stack := range plan.Of("aws_cloudformation_stack") {
		if params := stack.Change.Unknown["parameters"]; params != nil && params != false && len(params.(map[string]any)) > 0 {
			t.Errorf("%s: parameters that the plan doesn't know: %v", stack.Address, params)
		}
	}
	d.Apply()
	if changing := d.Plan().Changing(); len(changing) > 0 {
		t.Errorf("applied, and the next plan changes %q", changing)
	}
}

func TestOneGrantOfAFile(t *testing.T) {
	d := terraformtest.New(t, customer(two, `grants = ["audit"]`))
	if got := d.Plan().Of("aws_cloudformation_stack"); len(got) != 1 || got[0].Index != "audit" {
		t.Errorf("stacks: %+v", got)
	}
	d.Write("main.tf", customer(two, `grants = ["audit", "absent"]`)["main.tf"])
	if out, err := d.Run("plan", "-no-color", "-input=false"); err == nil || !strings.Contains(out, "the file has no grant absent; it has migration, audit") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A grant that is taken out of the file goes, and no other changes.
func TestTakingAGrantOut(t *testing.T) {
	d := terraformtest.New(t, customer(two))
	d.Plan()
	d.Apply()
	d.Write("access.yaml", seed)
	if got, want := d.Plan().Changing(), []string{
		`module.access.aws_cloudformation_stack.grant["audit"] delete`, `module.access.aws_iam_policy.file["audit ./upload.json"] delete`,
	}; !slices.Equal(got, want) {
		t.Errorf("the plan changes %q, want %q", got, want)
	}
}

// A mistake in the file ends no grant, whatever part of a plan is asked for, and doesn't keep anybody from taking all away.
func TestAMistakeEndsNoGrant(t *testing.T) {
	d := terraformtest.New(t, customer(two))
	d.Plan()
	d.Apply()
	d.Write("access.yaml", strings.Replace(two, "AmazonS3FullAccess", "s3:*", 1))
	for _, args := range [][]string{nil, {`-target=module.access.aws_cloudformation_stack.grant`}, {`-target=module.access.aws_iam_policy.file`}, {"-refresh=false"}} {
		out, err := d.Run(append([]string{"plan", "-no-color", "-input=false"}, args...)...)
		if err == nil || !strings.Contains(out, "providers[0].grants[0].permissions[0]: not a permission; write") {
			t.Errorf("plan %v: %v\n%s", args, err, out)
		}
	}
	d.Must("destroy", "-auto-approve", "-no-color", "-input=false")
}

func TestVariablesNameTheFieldAndTheFix(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"no template", `template_url = "template.json"`, "template_url: must be"},
		{"a template elsewhere", `template_url = "https://example.com/template.json"`, "template_url: must be"},
		{"a grant's name", `grants = ["Migration"]`, `write grants = ["migration"]`},
		{"another type", `native_role = "perhaps"`, "native_role"},
		{"a prefix", `stack_prefix = "a b"`, `stack_prefix: must be`},
		{"a service role", `service_role_arn = "cloudformation"`, "service_role_arn: must be"},
		{"a tag of ours", `tags = { "countersign:revoked" = "" }`, "tags: keys must not begin"},
		{"no YAML", `access_file = "access.json"`, "access_file: must be"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := customer(seed, c.line)
			key, _, _ := strings.Cut(c.line, " ")
			lines := strings.Split(files["main.tf"], "\n")
			seen := 0
			lines = slices.DeleteFunc(lines, func(line string) bool { // the one that is replaced
				if strings.HasPrefix(strings.TrimSpace(line), key+" ") {
					seen++
				}
				return strings.HasPrefix(strings.TrimSpace(line), key+" ") && seen == 1 && strings.Count(files["main.tf"], "  "+key+" ") > 1
			})
			files["main.tf"] = strings.Join(lines, "\n")
			d := terraformtest.New(t, files)
			if out, err := d.Run("plan", "-no-color", "-input=false"); err == nil || !strings.Contains(strings.Join(strings.Fields(out), " "), c.want) {
				t.Errorf("%v, want %q\n%s", err, c.want, out)
			}
		})
	}
}

// The birth document is the one that every route has.
func TestNativeRolesAreBornClosed(t *testing.T) {
	src, err := os.ReadFile(filepath.Join(terraformtest.Module("service-provider-access"), "born.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(src)); got != trust.BornDocument {
		t.Errorf("born.json is %s, want %s", got, trust.BornDocument)
	}
}

// The stack attaches a policy file's policy by an ARN that is worked out: that it is there first is order alone.
func TestPolicyFilesStandBeforeTheirStack(t *testing.T) {
	d := terraformtest.New(t, customer(two, `grants = ["audit"]`))
	d.Plan()
	made := d.Must("apply", "-no-color", "-parallelism=1", "customer.plan")
	gone := d.Must("destroy", "-no-color", "-auto-approve", "-parallelism=1")
	for _, c := range []struct{ out, first, then string }{
		{made, `aws_iam_policy.file["audit ./upload.json"]: Creation complete`, `aws_cloudformation_stack.grant["audit"]: Creating`},
		{gone, `aws_cloudformation_stack.grant["audit"]: Destruction complete`, `aws_iam_policy.file["audit ./upload.json"]: Destroying`},
	} {
		if i, j := strings.Index(c.out, c.first), strings.Index(c.out, c.then); i < 0 || j < i {
			t.Errorf("%s at %d, %s at %d:\n%s", c.first, i, c.then, j, c.out)
		}
	}
}

// Order is all there is between a role and what binds it: first the role, then the stack with the guard, then permissions;
// and back.
func TestNativePermissionsComeAfterTheGuard(t *testing.T) {
	d := terraformtest.New(t, customer(seed, "native_role = true"))
	d.Plan()
	for _, c := range []struct {
		out   string
		order []string
	}{
		{d.Must("apply", "-no-color", "-parallelism=1", "customer.plan"), []string{
			`aws_iam_role.grant["migration"]: Creation complete`, `aws_cloudformation_stack.grant["migration"]: Creation complete`,
			`aws_iam_role_policy_attachment.permission["migration arn:aws:iam::aws:policy/AmazonS3FullAccess"]: Creating`,
		}},
		{d.Must("destroy", "-no-color", "-auto-approve", "-parallelism=1"), []string{
			`aws_iam_role_policy_attachment.permission["migration arn:aws:iam::aws:policy/AmazonS3FullAccess"]: Destruction complete`,
			`aws_iam_role_policy_attachment.pick_up["migration"]: Destruction complete`,
			`aws_cloudformation_stack.grant["migration"]: Destroying`, `aws_iam_role.grant["migration"]: Destroying`,
		}},
	} {
		at := -1
		for _, step := range c.order {
			i := strings.Index(c.out, step)
			if step == `aws_iam_role_policy_attachment.pick_up["migration"]: Destruction complete` {
				if i < 0 || i > strings.Index(c.out, `aws_cloudformation_stack.grant["migration"]: Destroying`) {
					t.Errorf("%s at %d:\n%s", step, i, c.out)
				}
				continue
			}
			if i <= at {
				t.Errorf("%s at %d, after %d:\n%s", step, i, at, c.out)
			}
			at = i
		}
	}
}
