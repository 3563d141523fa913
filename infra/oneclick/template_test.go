package oneclick_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign/infra/infratest"
	"github.com/countersign/countersign/infra/oneclick"
)

var (
	functionNames = []string{"rotate", "reconcile", "revoke", "operate", "confirm", "notify"} // of a customer's template
	archives      = append([]string{"enroll"}, functionNames...)                              // of a release
)

// sum is the SHA-256 of nothing.
const sum = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

// release is a made-up one.
func release() oneclick.Release {
	sums := map[string]string{}
	for _, f := range archives {
		sums[f] = sum
	}
	return oneclick.Release{
		Version: "test", Bucket: "countersign-releases", Regions: []string{"eu-west-1", "us-east-1"}, Architecture: "arm64", Sums: sums,
	}
}

// made is its template, which takes some seconds.
var (
	once = sync.OnceValue(func() oneclick.Template { return oneclick.Make(release()) })
	made = sync.OnceValue(func() []byte { return once().JSON(nil) })
)

func template(t *testing.T) *infratest.Template {
	t.Helper()
	return infratest.Read(t, made())
}

// least are the parameters that have no default.
func least(more ...string) map[string]string {
	out := map[string]string{
		"ProviderName": "hestio", "ProviderAccount": "111122223333", "GrantName": "migration",
		"Permissions": "arn:aws:iam::aws:policy/AmazonS3FullAccess,arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess",
	}
	for i := 0; i < len(more); i += 2 {
		out[more[i]] = more[i+1]
	}
	return out
}

func TestNothingOfTheSampleIsLeft(t *testing.T) {
	raw := string(made())
	for _, p := range oneclick.Parameters() {
		if s := oneclick.Sample(p); s != "" && strings.Contains(raw, s) {
			t.Errorf("%s: its sample stands in the template", p.Name)
		}
	}
	if strings.Contains(raw, "the-stack") {
		t.Error("the sample's stack stands in the template")
	}
}

func TestNoBootstrapNoNestingNoAsset(t *testing.T) {
	tmpl, raw := template(t), string(made())
	for _, r := range tmpl.Resources {
		if strings.HasPrefix(r.Type, "AWS::CloudFormation::") {
			t.Errorf("%s is a %s", r.ID, r.Type)
		}
	}
	for _, word := range []string{"BootstrapVersion", "AssetParameters", "Transform\":", "cdk-hnb659fds", "aws:asset"} {
		if strings.Contains(raw, word) {
			t.Errorf("the template speaks of %s", word)
		}
	}
	for name, p := range tmpl.Parameters {
		if strings.Contains(name, "Bucket") || strings.HasPrefix(p.Type, "AWS::SSM") {
			t.Errorf("parameter %s, a %s", name, p.Type)
		}
	}
	if p := tmpl.Parameters["ProviderAccount"]; p.Default != nil {
		t.Error("the provider's account has a default")
	}
	if size := len(raw); size > 1<<20 {
		t.Errorf("the template has %d bytes, and CloudFormation takes 1 MB from S3", size)
	}
}

// Every parameter stands in a group, has a label and says what it is for.
func TestTheConsoleShowsEveryParameter(t *testing.T) {
	var doc struct {
		Parameters map[string]struct{ Description, ConstraintDescription, AllowedPattern string }
		Metadata   map[string]struct {
			ParameterGroups []struct{ Parameters []string }
			ParameterLabels map[string]any
		}
	}
	if err := json.Unmarshal(made(), &doc); err != nil {
		t.Fatal(err)
	}
	console := doc.Metadata["AWS::CloudFormation::Interface"]
	var grouped []string
	for _, g := range console.ParameterGroups {
		grouped = append(grouped, g.Parameters...)
	}
	if len(grouped) != len(doc.Parameters) || len(console.ParameterLabels) != len(doc.Parameters) {
		t.Errorf("%d parameters, %d in groups, %d with labels", len(doc.Parameters), len(grouped), len(console.ParameterLabels))
	}
	for name, p := range doc.Parameters {
		if !slices.Contains(grouped, name) || p.Description == "" || (p.AllowedPattern != "" && p.ConstraintDescription == "") {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// What calls a function calls the one version that Lambda makes of the published archive or not at all.
func TestEveryTriggerCallsAPinnedVersion(t *testing.T) {
	tmpl, err := template(t).With(least("MailFrom", "ops@example.com", "NotifyMail", "them@example.net"))
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]bool{}
	for _, v := range tmpl.OfType(t, "AWS::Lambda::Version") {
		if v.Properties["CodeSha256"] != sum {
			t.Errorf("%s is pinned to %v", v.ID, v.Properties["CodeSha256"])
		}
		versions[tmpl.Text(v.Properties["FunctionName"])] = true
	}
	for _, f := range functionNames {
		if !versions["countersign-"+f+"-migration"] {
			t.Errorf("%s has no version", f)
		}
	}
	pinned := func(where string, v any) {
		t.Helper()
		text := tmpl.Text(v)
		_, rest, ok := strings.Cut(text, ":function:countersign-")
		if !ok || !strings.HasSuffix(strings.TrimSuffix(rest, "/invocations"), "-migration:1") {
			t.Errorf("%s calls %s", where, text)
		}
	}
	for kind, property := range map[string]string{
		"AWS::Lambda::Permission": "FunctionName", "AWS::Lambda::EventSourceMapping": "FunctionName", "AWS::SecretsManager::RotationSchedule": "RotationLambdaARN",
	} {
		for _, r := range tmpl.OfType(t, kind) {
			pinned(r.ID, r.Properties[property])
		}
	}
	for _, r := range tmpl.OfType(t, "AWS::ApiGateway::Method") {
		pinned(r.ID, r.Properties["Integration"].(map[string]any)["Uri"])
	}
	for _, r := range tmpl.OfType(t, "AWS::Events::Rule") {
		for _, target := range r.Properties["Targets"].([]any) {
			if arn := target.(map[string]any)["Arn"]; strings.Contains(tmpl.Text(arn), ":function:") {
				pinned(r.ID, arn)
			}
		}
	}
	for _, r := range tmpl.Resources {
		if slices.Contains([]string{"AWS::Lambda::Permission", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Alias", "AWS::ApiGateway::Method",
			"AWS::Events::Rule", "AWS::SecretsManager::RotationSchedule"}, r.Type) {
			for _, v := range tmpl.OfType(t, "AWS::Lambda::Version") {
				if b, _ := json.Marshal(r.Properties); !slices.Contains(r.DependsOn, v.ID) && !strings.Contains(string(b), `"`+v.ID+`"`) {
					t.Errorf("%s does not wait for %s", r.ID, v.ID)
				}
			}
		}
	}
	// CloudFormation refuses another service token, so there an alias of the version stands.
	for _, kind := range []string{"Custom::Grant", "Custom::Layout"} {
		for _, r := range tmpl.OfType(t, kind) {
			if got := tmpl.Text(r.Properties["ServiceToken"]); !strings.HasSuffix(got, ":function:countersign-reconcile-migration:deployed") {
				t.Errorf("%s asks %s", r.ID, got)
			}
		}
	}
	alias := tmpl.OfType(t, "AWS::Lambda::Alias")
	if len(alias) != 1 || tmpl.Text(alias[0].Properties["FunctionVersion"]) != "1" || alias[0].Properties["RoutingConfig"] != nil {
		t.Errorf("aliases: %+v", alias)
	}
}

// A version is a copy of the configuration, and what the API has deployed names versions. So a parameter that can change may
// stand only in a function whose version follows it and which the API doesn't call.
func TestVersionsFollowTheirParameters(t *testing.T) {
	tmpl := template(t)
	for _, f := range tmpl.OfType(t, "AWS::Lambda::Function") {
		b, _ := json.Marshal(f.Properties)
		for name := range tmpl.Parameters {
			stands := strings.Contains(string(b), `"Ref":"`+name+`"`) || strings.Contains(string(b), "${"+name+"}")
			if !stands || name == "GrantName" {
				continue
			}
			follows := false
			for _, v := range tmpl.OfType(t, "AWS::Lambda::Version") {
				vb, _ := json.Marshal(v.Properties)
				follows = follows || strings.Contains(string(vb), `{"Ref":"`+f.ID+`"}`) && strings.Contains(string(vb), "${"+name+"}")
			}
			if !follows || !strings.Contains(f.ID, "Notify") {
				t.Errorf("%s has %s in its configuration", f.ID, name)
			}
		}
	}
	for _, d := range tmpl.OfType(t, "AWS::ApiGateway::Deployment") {
		if b, _ := json.Marshal(d); strings.Contains(string(b), "${") {
			t.Errorf("the API's deployment has parameters: %s", b)
		}
	}
}

// Another archive is another version, another deployment of the API, and the same functions.
func TestAnotherArchiveIsAnotherVersion(t *testing.T) {
	r := release()
	r.Sums["revoke"] = "LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564="
	before, after := template(t), infratest.Read(t, oneclick.Make(r).JSON(nil))
	ids := func(tmpl *infratest.Template, kind, part string) (out []string) {
		for _, r := range tmpl.OfType(t, kind) {
			if strings.Contains(r.ID, part) {
				out = append(out, r.ID)
			}
		}
		return out
	}
	for _, c := range []struct {
		kind, part string
		same       bool
	}{
		{"AWS::Lambda::Version", "Revoke", false}, {"AWS::Lambda::Version", "Rotate", true}, {"AWS::ApiGateway::Deployment", "", false},
		{"AWS::Lambda::Function", "Revoke", true}, {"AWS::Lambda::Alias", "Reconcile", true},
	} {
		if a, b := ids(before, c.kind, c.part), ids(after, c.kind, c.part); slices.Equal(a, b) != c.same || len(a) != 1 {
			t.Errorf("%s %s: %v became %v", c.kind, c.part, a, b)
		}
	}
}

func TestTheSameReleaseGivesTheSameTemplate(t *testing.T) {
	if string(oneclick.Make(release()).JSON(nil)) != string(made()) {
		t.Error("it differs from run to run")
	}
}

// A provider's own template asks nobody for its account.
func TestTheProvidersOwnTemplate(t *testing.T) {
	raw := once().JSON(oneclick.Fixed{"ProviderName": "hestio", "ProviderAccount": "111122223333"})
	theirs := infratest.Read(t, raw)
	for _, name := range []string{"ProviderName", "ProviderAccount"} {
		if _, ok := theirs.Parameters[name]; ok || strings.Contains(string(raw), `"`+name+`"`) || strings.Contains(string(raw), "${"+name+"}") {
			t.Errorf("%s is still a question", name)
		}
	}
	values := least()
	plan := planOf(t, template(t), values)
	delete(values, "ProviderName")
	delete(values, "ProviderAccount")
	if got := planOf(t, theirs, values); got != plan {
		t.Errorf("plan %s, want %s", got, plan)
	}
	lint(t, raw)
}

func planOf(t *testing.T, tmpl *infratest.Template, values map[string]string) string {
	t.Helper()
	with, err := tmpl.With(values)
	if err != nil {
		t.Fatal(err)
	}
	return with.Text(with.OfType(t, "AWS::SSM::Parameter")[0].Properties["Value"])
}

// lint has cfn-lint look at a template; it has nothing to say, with no rule switched off.
func lint(t *testing.T, raw []byte) {
	t.Helper()
	const cfnLint = "../../.tools/cfn-lint/bin/cfn-lint"
	if _, err := os.Stat(cfnLint); err != nil {
		t.Fatalf("cfn-lint is missing: make test-infra installs it into .tools (%v)", err)
	}
	file := filepath.Join(t.TempDir(), "template.json")
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), cfnLint, "--regions", "us-east-1", "eu-west-1", "--", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestCfnLintFindsNothing(t *testing.T) {
	lint(t, made())
	lint(t, customersMade())
}
