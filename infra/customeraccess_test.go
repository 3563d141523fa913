package infra_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/infra/infratest"
)

const (
	acmeRole    = "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration"
	acmeSecret  = "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-Ab3dEf"
	oldRole     = "arn:aws:iam::666677778888:role/Vendor"
	oldSecret   = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:static/old-Ab3dEf"
	openRole    = "arn:aws:iam::777788889999:role/Vendor"
	theRegistry = "arn:aws:dynamodb:eu-west-1:444455556666:table/countersign-customers"
)

// The provider's template, to be read by a person at every change.
func TestTheTemplateOfAProvider(t *testing.T) {
	own, sets := infratest.SynthProvider(t, infratest.Roster(t, infratest.Customers))
	for file, tmpl := range map[string]*infratest.Template{"customers.template.json": own, "identitycenter.template.json": sets} {
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, assetHash.ReplaceAll(tmpl.Raw, []byte("HASH.zip")), "", " "); err != nil {
			t.Fatal(err)
		}
		pretty.WriteByte('\n')
		golden(t, "testdata/"+file, pretty.Bytes())
	}
}

// engineer gives all statements of an engineers' role.
func engineer(t *testing.T, tmpl *infratest.Template, name string) (out []infratest.Statement) {
	t.Helper()
	role := tmpl.One(t, "AWS::IAM::Role", "RoleName", name)
	if role.Properties["Policies"] != nil || role.Properties["ManagedPolicyArns"] != nil {
		t.Errorf("%s has policies from elsewhere", name)
	}
	for _, p := range tmpl.OfType(t, "AWS::IAM::ManagedPolicy") {
		if strings.Contains(mention(p.Properties["Roles"]), `"`+role.ID+`"`) {
			out = append(out, tmpl.Policy(t, p.Properties["PolicyDocument"]).Statement...)
		}
	}
	return out
}

// allowed is what statements allow, by action.
func allowed(statements []infratest.Statement) map[string][]string {
	out := map[string][]string{}
	for _, s := range statements {
		if s.Effect == "Allow" {
			for _, a := range s.Action {
				out[a] = append(out[a], s.Resource...)
			}
		}
	}
	return out
}

func TestWhatEngineersMayDo(t *testing.T) {
	tmpl, _ := infratest.SynthProvider(t, infratest.Roster(t, infratest.Customers))
	const keys = "arn:aws:kms:*:*:key/*"
	for role, want := range map[string]map[string][]string{
		"CountersignEngineer-blue": {
			"sts:AssumeRole": {acmeRole, oldRole}, "sts:SetSourceIdentity": {acmeRole, oldRole}, "secretsmanager:GetSecretValue": {acmeSecret, oldSecret},
			"kms:Decrypt": {keys}, "dynamodb:BatchGetItem": {theRegistry}, "dynamodb:Query": {theRegistry},
		},
		"CountersignEngineer-red": {
			"sts:AssumeRole": {oldRole, openRole}, "sts:SetSourceIdentity": {oldRole, openRole}, "secretsmanager:GetSecretValue": {oldSecret},
			"kms:Decrypt": {keys}, "dynamodb:BatchGetItem": {theRegistry}, "dynamodb:Query": {theRegistry},
		},
	} {
		statements := engineer(t, tmpl, role)
		if diff := cmp.Diff(want, allowed(statements)); diff != "" {
			t.Errorf("%s (-want +may):\n%s", role, diff)
		}
		for _, s := range statements {
			for _, r := range s.Resource {
				needs := s.Effect == "Allow" && slices.Contains(s.Action, "sts:AssumeRole") && r != openRole
				if got := slices.Equal(s.Condition["Null"]["sts:ExternalId"], []string{"false"}); got != needs {
					t.Errorf("%s: %s on %s: external ID a condition: %v", role, s.Sid, r, got)
				}
			}
			if slices.Contains(s.Action, "kms:Decrypt") && len(s.Condition["StringLike"]["kms:ViaService"]) == 0 {
				t.Errorf("%s may decrypt without Secrets Manager", role)
			}
		}
		if !slices.ContainsFunc(statements, func(s infratest.Statement) bool {
			return s.Effect == "Deny" && slices.Contains(s.Action, "dynamodb:PutItem") && slices.Contains(s.Resource, theRegistry) && s.Condition == nil
		}) {
			t.Errorf("%s: nothing denies writing the registry", role)
		}
	}
}

func TestWhoMayUseWhichRole(t *testing.T) {
	tmpl, _ := infratest.SynthProvider(t, infratest.Roster(t, infratest.Customers))
	for role, want := range map[string][]string{
		"CountersignEngineer-blue": {"arn:aws:iam::444455556666:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Blue_*"},
		"CountersignEngineer-red":  {"arn:aws:iam::444455556666:role/Engineers-*"},
		"CountersignRegistrar":     {"arn:aws:iam::444455556666:role/Registrars"},
	} {
		p := tmpl.Policy(t, tmpl.One(t, "AWS::IAM::Role", "RoleName", role).Properties["AssumeRolePolicyDocument"])
		got := []string(p.Find(t, "Own").Condition["ArnLike"]["aws:PrincipalArn"])
		if !slices.Equal(got, want) || len(p.Statement) != 1 || slices.Contains(p.Statement[0].Action, "sts:TagSession") {
			t.Errorf("%s: %v, want %v", role, got, want)
		}
	}
}

// Who may write which rows is a matter of partition keys: enroll can't accept, engineers can't write, nobody gives a prefix away.
func TestWhoMayWriteWhichRows(t *testing.T) {
	tmpl, _ := infratest.SynthProvider(t, infratest.Roster(t, infratest.Customers))
	of := func(property, value string) (out map[string]string) {
		out = map[string]string{}
		role := tmpl.One(t, "AWS::IAM::Role", property, value)
		for _, p := range role.Properties["Policies"].([]any) {
			for _, s := range tmpl.Policy(t, p.(map[string]any)["PolicyDocument"]).Statement {
				for _, a := range s.Action {
					if strings.HasPrefix(a, "dynamodb:") && s.Effect == "Allow" {
						if len(s.Condition) > 0 && !slices.Equal(s.Condition["Null"]["dynamodb:LeadingKeys"], []string{"false"}) {
							t.Errorf("%s: a request without keys passes", s.Sid)
						}
						out[a] = strings.Join(s.Condition["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"], " ")
					}
				}
			}
		}
		return out
	}
	if diff := cmp.Diff(map[string]string{"dynamodb:Query": "grant", "dynamodb:BatchGetItem": "customer heard", "dynamodb:PutItem": "heard"},
		of("Description", "Countersign: functions/enroll")); diff != "" {
		t.Errorf("enroll (-want +may):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{
		"dynamodb:Query": "", "dynamodb:BatchGetItem": "", "dynamodb:PutItem": "customer grant role secret prefix account", "dynamodb:DeleteItem": "customer grant role secret heard",
	}, of("RoleName", "CountersignRegistrar")); diff != "" {
		t.Errorf("the registrar (-want +may):\n%s", diff)
	}
}

func TestTheBusIsOpenForOurEventsOnly(t *testing.T) {
	tmpl, _ := infratest.SynthProvider(t, infratest.Roster(t, infratest.Customers))
	policies := tmpl.OfType(t, "AWS::Events::EventBusPolicy")
	var s infratest.Statement
	if err := json.Unmarshal([]byte(tmpl.Text(policies[0].Properties["Statement"])), &s); err != nil || len(policies) != 1 {
		t.Fatal(err, len(policies))
	}
	if s.Principal != "*" || !slices.Equal(s.Action, []string{"events:PutEvents"}) || !slices.Equal(s.Condition["StringEquals"]["events:source"], []string{"countersign"}) {
		t.Errorf("%+v", s)
	}
	types := s.Condition["StringEquals"]["events:detail-type"]
	for _, typ := range events.Types() {
		if slices.Contains(types, string(typ)) != typ.Forwarded() {
			t.Errorf("%s: taken: %v", typ, slices.Contains(types, string(typ)))
		}
	}
	if !slices.Contains(types, "Grant Reported") {
		t.Error("no sign of life is taken")
	}
	table := tmpl.OfType(t, "AWS::DynamoDB::Table")[0].Properties
	if table["BillingMode"] != "PAY_PER_REQUEST" || tmpl.Text(table["PointInTimeRecoverySpecification"]) != `{"PointInTimeRecoveryEnabled":true}` || table["DeletionProtectionEnabled"] != true {
		t.Errorf("%v", table)
	}
}

// With tags the policy is as large for ten customers as for five thousand, and only an identity provider sets them.
func TestTagsAreConstant(t *testing.T) {
	const head = "engineers: tags\nsamlProvider: arn:aws:iam::111122223333:saml-provider/corp\n"
	few, _ := infratest.SynthProvider(t, infratest.Roster(t, infratest.ManyCustomers(10, head)))
	many, _ := infratest.SynthProvider(t, infratest.Roster(t, infratest.ManyCustomers(5000, head)))
	if diff := cmp.Diff(string(few.Raw), string(many.Raw)); diff != "" {
		t.Error(diff)
	}
	statements := engineer(t, few, "CountersignEngineer")
	for _, s := range statements {
		if s.Effect != "Allow" || !slices.ContainsFunc(s.Action, func(a string) bool { return strings.HasPrefix(a, "sts:") || strings.HasPrefix(a, "secretsmanager:") }) {
			continue
		}
		accounts := s.Condition["StringEquals"]["aws:ResourceAccount"]
		if len(accounts) != 20 || accounts[0] != "${aws:PrincipalTag/CountersignEngineer1, 'none'}" {
			t.Errorf("%s: %v", s.Sid, accounts)
		}
		if slices.Contains(s.Action, "sts:AssumeRole") && !slices.Equal(s.Condition["Null"]["sts:ExternalId"], []string{"false"}) {
			t.Errorf("%s enters without an external ID", s.Sid)
		}
	}
	trust := few.Policy(t, few.One(t, "AWS::IAM::Role", "RoleName", "CountersignEngineer").Properties["AssumeRolePolicyDocument"])
	if s := trust.Find(t, "SignIn"); len(trust.Statement) != 1 || slices.Contains(s.Action, "sts:AssumeRole") || fmt.Sprint(s.Principal) != "map[Federated:arn:aws:iam::111122223333:saml-provider/corp]" {
		t.Errorf("%+v", trust)
	}
}

// How many customers a form takes, and what is said behind that.
func TestTheFormsLimits(t *testing.T) {
	refused := func(n int, head string) (said string) {
		defer func() {
			if r := recover(); r != nil {
				said = fmt.Sprint(r)
			}
		}()
		infratest.Provider(t, infratest.Roster(t, infratest.ManyCustomers(n, head)))
		return ""
	}
	most := 0
	for n := 300; n > 0 && most == 0; n -= 5 {
		if refused(n, "") == "" {
			most = n
		}
	}
	if said := refused(most+5, ""); most < 200 || !strings.Contains(said, "make smaller teams, or say engineers: tags") {
		t.Errorf("a team takes %d; behind that: %s", most, said)
	}
	t.Logf("a team takes %d customers", most)
	tmpl, _ := infratest.SynthProvider(t, infratest.Roster(t, infratest.ManyCustomers(most, "")))
	for _, tmpl.Site = range []infratest.Site{infratest.Usual, infratest.Widest} {
		for _, p := range tmpl.OfType(t, "AWS::IAM::ManagedPolicy") {
			if n := len(tmpl.Text(p.Properties["PolicyDocument"])); n > 6144 || n < 5500 && !strings.Contains(p.ID, "Policy10") {
				t.Errorf("%s has %d characters in %s", p.ID, n, tmpl.Site.Region)
			}
		}
	}
	if said := refused(450, "engineers: customers\n"); !strings.Contains(said, "more than 235 customers with a role each") {
		t.Errorf("one role a customer: %s", said)
	}
	if tmpl, _ := infratest.SynthProvider(t, infratest.Roster(t, infratest.ManyCustomers(235, "engineers: customers\n"))); len(tmpl.Resources) > 500 {
		t.Errorf("%d resources", len(tmpl.Resources))
	}
}

// acceptedOfProvider are the findings of cdk-nag's AwsSolutions that stand, by construct and rule, with why.
var acceptedOfProvider = map[string]string{
	"CountersignengineerBluePolicy1 AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:kms:*:*:key/*]": "customers' keys aren't known beforehand; through Secrets Manager alone, and only for the secrets that are named",
	"CountersignengineerRedPolicy1 AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:kms:*:*:key/*]":  "the same",
}

func TestNagFindsNothingUnexplainedAtAProvider(t *testing.T) {
	app, stack := infratest.Provider(t, infratest.Roster(t, infratest.Customers))
	awscdk.Aspects_Of(app).Add(cdknag.NewAwsSolutionsChecks(nil), nil)
	explained(t, nagged([]awscdk.Stack{stack}, "/CustomerAccess/CustomerAccess/"), acceptedOfProvider)
}

func TestCfnLintFindsNothingAtAProvider(t *testing.T) {
	own, sets := infratest.SynthProvider(t, infratest.Roster(t, infratest.Customers))
	for name, tmpl := range map[string]*infratest.Template{"own": own, "sets": sets} {
		file := filepath.Join(t.TempDir(), name+".template.json")
		if err := os.WriteFile(file, tmpl.Raw, 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), cfnLint, "--regions", "us-east-1", "eu-west-1", "--", file).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}
