package terraform_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/access/accesstest"
	"github.com/countersign/countersign/terraform/terraformtest"
)

const customersTemplateURL = "https://example-countersign-eu-west-1.s3.eu-west-1.amazonaws.com/countersign/v1.0.0/countersign-customers.template.json"

// provider is a configuration of the module customer-access, with these lines more, for a customers.yaml.
func provider(customersYAML string, lines ...string) map[string]string {
	return map[string]string{
		"customers.yaml": customersYAML,
		"main.tf": fmt.Sprintf(`
module "customers" {
  source         = %q
  customers_file = "${path.root}/customers.yaml"
  template_url   = %q
  %s
}
output "customers" { value = module.customers }
`, terraformtest.Module("customer-access"), customersTemplateURL, strings.Join(lines, "\n  ")),
	}
}

// twoTeams is the first file of the corpus: two teams, a registrar, an address, customers of each kind.
func twoTeams(t *testing.T) string {
	t.Helper()
	return rosters(t)[0].Source
}

// Edit customers.yaml, init, plan -out, apply. The plan shows who enters whom.
func TestThePlanShowsWhoEntersWhom(t *testing.T) {
	d := terraformtest.New(t, provider(twoTeams(t)))
	d.Must("validate")
	want := []string{
		`module.customers.aws_cloudformation_stack.engine create`,
		`module.customers.aws_iam_policy.engineers["CountersignEngineer-blue-1"] create`,
		`module.customers.aws_iam_policy.engineers["CountersignEngineer-red-1"] create`,
		`module.customers.aws_iam_role.engineers["CountersignEngineer-blue"] create`,
		`module.customers.aws_iam_role.engineers["CountersignEngineer-red"] create`,
		`module.customers.aws_iam_role.registrar["CountersignRegistrar"] create`,
		`module.customers.aws_iam_role_policy.registrar["CountersignRegistrar"] create`,
		`module.customers.aws_iam_role_policy_attachment.engineers["CountersignEngineer-blue-1"] create`,
		`module.customers.aws_iam_role_policy_attachment.engineers["CountersignEngineer-red-1"] create`,
		`module.customers.aws_sns_topic_subscription.alerts["ops@example.com"] create`,
	}
	if got := d.Plan().Changing(); !slices.Equal(got, want) {
		t.Errorf("the plan makes %q, want %q", got, want)
	}
	shown := d.Must("show", "-no-color", "customer.plan")
	for _, line := range []string{
		`AWSReservedSSO_Blue_`, `arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration`, `"sts:ExternalId" = "false"`,
		`CountersignEngineer-blue += "arn:aws:iam::444455556666:role/CountersignEngineer-blue"`,
	} {
		if !regexp.MustCompile(line).MatchString(shown) {
			t.Errorf("the plan doesn't show %s:\n%s", line, shown)
		}
	}
	d.Apply()
	if changing := d.Plan().Changing(); len(changing) > 0 {
		t.Errorf("applied, and the next plan changes %q", changing)
	}
	if out := d.Must("output", "-json"); !strings.Contains(out, `:event-bus/countersign-customers"`) {
		t.Errorf("no bus to give to customers: %s", out)
	}
}

// Another customer changes its teams' policies, and nothing else; a team that goes takes its role with it.
func TestACustomerMore(t *testing.T) {
	d := terraformtest.New(t, provider(twoTeams(t)))
	d.Plan()
	d.Apply()
	for _, c := range []struct {
		name, yaml string
		want       []string
	}{
		{"one is accepted", twoTeams(t) + `  - {name: more, account: "888899990000", kind: none, role: "arn:aws:iam::888899990000:role/Vendor", teams: [red]}` + "\n",
			[]string{`module.customers.aws_iam_policy.engineers["CountersignEngineer-red-1"] update`}},
		{"one is invited", twoTeams(t) + `  - {name: more, account: "888899990000", prefix: more, teams: [red]}` + "\n", nil},
		{"a team goes", strings.NewReplacer("  - name: red\n", "", "[blue, red]", "[blue]", "teams: [red]", "teams: [blue]").Replace(twoTeams(t)), []string{
			`module.customers.aws_iam_policy.engineers["CountersignEngineer-blue-1"] update`,
			`module.customers.aws_iam_policy.engineers["CountersignEngineer-red-1"] delete`,
			`module.customers.aws_iam_role.engineers["CountersignEngineer-red"] delete`,
			`module.customers.aws_iam_role_policy_attachment.engineers["CountersignEngineer-red-1"] delete`,
		}},
	} {
		d.Write("customers.yaml", c.yaml)
		if got := d.Plan().Changing(); !slices.Equal(got, c.want) {
			t.Errorf("%s: the plan changes %q, want %q", c.name, got, c.want)
		}
	}
}

// A mistake in the file makes and ends nothing, whatever part of a plan is asked for, and doesn't keep anybody from taking all away.
func TestAMistakeOfAProviderChangesNothing(t *testing.T) {
	d := terraformtest.New(t, provider(twoTeams(t)))
	d.Plan()
	d.Apply()
	d.Write("customers.yaml", strings.Replace(twoTeams(t), "teams: [blue]", "teams: [green]", 1))
	for _, args := range [][]string{
		nil, {"-refresh=false"}, {"-target=module.customers.aws_cloudformation_stack.engine"}, {"-target=module.customers.aws_iam_role.engineers"},
		{"-target=module.customers.aws_iam_policy.engineers"}, {"-target=module.customers.aws_iam_role.registrar"}, {"-target=module.customers.aws_sns_topic_subscription.alerts"},
	} {
		out, err := d.Run(append([]string{"plan", "-no-color", "-input=false"}, args...)...)
		if err == nil || !strings.Contains(out, "customers[0].teams[0]: there is no such team above") {
			t.Errorf("plan %v: %v\n%s", args, err, out)
		}
	}
	d.Must("destroy", "-auto-approve", "-no-color", "-input=false")
}

// There is no external ID on this side that a state could hold: no resource or data source reads a secret, and the only thing said
// of external IDs is that there has to be one. One that somebody writes into the file is refused and not repeated.
func TestTheProvidersStateHoldsNoID(t *testing.T) {
	d := terraformtest.New(t, provider(twoTeams(t)))
	plan := d.Plan()
	d.Apply()
	shown := d.Must("show", "-json")
	if found := ids(t, d, plan.Raw); len(found) > 0 {
		t.Errorf("the state, a plan or what is printed holds %q", found)
	}
	said := regexp.MustCompile(`sts:ExternalId[\\"]*:[\\"]*([\w-]*)`).FindAllStringSubmatch(shown, -1)
	for _, m := range said {
		if m[1] != "false" {
			t.Errorf("the state says %s", m[0])
		}
	}
	if len(said) < 2 {
		t.Errorf("the state says of external IDs: %q", said)
	}
	for _, m := range regexp.MustCompile(`"type": ?"(aws_\w+)"`).FindAllStringSubmatch(shown, -1) {
		if !slices.Contains([]string{
			"aws_caller_identity", "aws_partition", "aws_region", "aws_cloudformation_stack", "aws_iam_role", "aws_iam_role_policy", "aws_iam_policy",
			"aws_iam_role_policy_attachment", "aws_sns_topic_subscription",
		}, m[1]) {
			t.Errorf("%s is in the state: does it hold an external ID?", m[1])
		}
	}
	d.Write("customers.yaml", strings.Replace(twoTeams(t), "prefix: acmeco", "externalId: "+sample("A"), 1))
	if out, err := d.Run("plan", "-no-color", "-input=false"); err == nil || strings.Contains(out, sample("A")) || !strings.Contains(out, "customers[0].externalId: a customer has no such key") {
		t.Errorf("an external ID in the file: %v\n%s", err, out)
	}
}

func TestAProvidersVariablesNameTheFieldAndTheFix(t *testing.T) {
	for _, c := range []struct{ name, was, line, want string }{
		{"no YAML", `"${path.root}/customers.yaml"`, `"customers.csv"`, "customers_file: must be"},
		{"a customer's template", customersTemplateURL, templateURL, "countersign-customers.template.json in S3; write template_url"},
		{"a template elsewhere", customersTemplateURL, "https://example.com/countersign-customers.template.json", "template_url: must be"},
		{"a stack's name", "", `stack_name = "a b"`, "stack_name: must be"},
		{"a service role", "", `service_role_arn = "cloudformation"`, "service_role_arn: must be"},
		{"a tag that names a customer", "", `tags = { CountersignEngineer1 = "444455556666" }`, "tags: keys must not begin"},
	} {
		files := provider(twoTeams(t))
		if c.was == "" {
			files = provider(twoTeams(t), c.line)
		} else {
			files["main.tf"] = strings.Replace(files["main.tf"], c.was, c.line, 1)
		}
		d := terraformtest.New(t, files)
		if out, err := d.Run("plan", "-no-color", "-input=false"); err == nil || !strings.Contains(strings.Join(strings.Fields(out), " "), c.want) {
			t.Errorf("%s: %v, want %q\n%s", c.name, err, c.want, out)
		}
	}
}

// More customers than a role's ten policies hold are refused before anything is made, and far more without reckoning for long.
func TestTooManyCustomersOfATeam(t *testing.T) {
	of := func(n int) accesstest.Case {
		var out strings.Builder
		out.WriteString(rosterHead + "customers:\n")
		for i := range n {
			account := fmt.Sprintf("%012d", 100000000000+i)
			fmt.Fprintf(&out, "  - {name: customer-%d, account: %q, prefix: prefix%d, grant: migration, teams: [blue],\n     role: %q,\n     secret: %q}\n", i, account, i,
				"arn:aws:iam::"+account+":role/countersign/ServiceProvider-migration", "arn:aws:secretsmanager:eu-central-1:"+account+":secret:countersign/migration-Ab3dEf")
		}
		return accesstest.Case{Pos: fmt.Sprint(n), Source: out.String()}
	}
	began := time.Now()
	verdicts := ofRosters(t, []accesstest.Case{of(245), of(250), of(700)})
	t.Logf("%.0f ms a customer", time.Since(began).Seconds()*1000/(245+250+700))
	for i, v := range verdicts {
		const want = "teams[0]: its %d customers need more than 10 managed policies of 6,144 characters, and a role has 10; make smaller teams, or write engineers: tags"
		if n := []int{0, 250, 700}[i]; v.refused != "" || (n == 0) != (v.route == "") || n > 0 && strings.TrimSpace(v.route) != fmt.Sprintf(want, n) {
			t.Errorf("%d: %q %q", i, v.refused, v.route)
		}
	}
}

// The module's own tests, which anybody can run: terraform test.
func TestTerraformTestOfAProvider(t *testing.T) {
	d := terraformtest.In(t, filepath.Join(tree(t), "modules", "customer-access"))
	if out := d.Must("test", "-no-color"); !strings.Contains(out, "4 passed, 0 failed") {
		t.Error(out)
	}
}
