package oneclick_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/infra/infratest"
	"github.com/countersign/countersign/infra/oneclick"
	"github.com/countersign/countersign/internal/grant"
)

// ofVersions are those where only the version may differ: both call the same function.
var ofVersions = []difference{
	{`^AWS::Lambda::Permission FunctionName$`, "the pinned version is called"},
	{`^AWS::Lambda::EventSourceMapping FunctionName$`, "the pinned version is called"},
	{`^AWS::ApiGateway::Method Integration\.Uri$`, "the pinned version is called"},
	{`^AWS::Events::Rule Targets\[\d\]\.Arn$`, "the pinned version is called"},
	{`^AWS::SecretsManager::RotationSchedule RotationLambdaARN$`, "the pinned version is called"},
	{`^Custom::(Grant|Layout) ServiceToken$`, "the alias of the pinned version is called"},
	{`^AWS::IAM::Policy PolicyDocument\.Statement\[\d\]\.Resource$`, "whoever starts rotations may invoke any version of rotate: during an upgrade there are two"},
}

var differences = slices.Concat(ofVersions, []difference{
	{`^AWS::Lambda::Version `, "the published archive is pinned; CDK's asset is named by its hash, and who deploys it built it"},
	{`^AWS::Lambda::Alias `, "CloudFormation refuses another service token, so an alias of the pinned version stands there"},
	{`^AWS::Lambda::Function Code\.`, "the published archives lie in the publisher's bucket of that Region, CDK's in the account's own"},
	{`^AWS::SecretsManager::RotationSchedule RotationRules\.ScheduleExpression$`, "hour and day follow from a hash of the grant's name, which CloudFormation can't work out: all one-click stacks have the same"},
	{`^Custom::Grant Digest$`, "it holds the parameters in place of their hash, which CloudFormation can't work out"},
	{`^Custom::Grant DependsOn`, "what has a condition is waited for by a reference in the digest"},
	{` DependsOn \w+Version$`, "no trigger exists before every archive has been found to be the published one"},
	{`^Custom::Layout Name$`, "a one-click stack's name, which is its grant's, can't change"},
	{`^AWS::KMS::Key KeyPolicy\.Statement\[\d\]\.Sid$`, "a Sid takes no hyphens, and so no parameter"},
	{`^Outputs (RoleArn|Revoke)`, "outputs can't be named after a parameter"},
	{`^Outputs (SecretArn|ConfirmUrl|PickUpPolicyArn)$`, "for whoever makes the role elsewhere; in CDK the constructs tell it"},
})

// routeCases are parameters: everything, the least, and everything less each thing.
func routeCases() map[string]map[string]string {
	everything := map[string]string{
		"ProviderName": "hestio", "ProviderAccount": "111122223333", "Organization": "o-abc1234567", "Prefix": "hestio",
		"Principals": "arn:aws:iam::111122223333:role/Engineers-*,arn:aws:iam::111122223333:user/backend",
		"GrantName":  "data-migration", "PermissionsBoundary": "arn:aws:iam::444455556666:policy/ProviderBoundary",
		"Permissions":       "arn:aws:iam::aws:policy/AmazonS3FullAccess,arn:aws:iam::444455556666:policy/Custom",
		"MayShareResources": "true", "MaxSessionSeconds": "7200", "Expires": "2099-06-30T12:00:00Z", "RotateEvery": "weekly", "Overlap": "12h",
		"WhenUnconfirmed": "extend", "SourceIdentity": "true", "NotifyTopic": "arn:aws:sns:eu-west-1:444455556666:ops-alerts",
		"NotifyWebhook": "https://hooks.example.com/countersign", "NotifyWebhookSecret": "arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook-AbCdEf",
		"MailFrom": "countersign@example.com", "NotifyMail": "ops@example.net",
	}
	less := func(more ...string) map[string]string {
		out := maps.Clone(everything)
		for i := 0; i < len(more); i += 2 {
			out[more[i]] = more[i+1]
		}
		return out
	}
	return map[string]map[string]string{
		"the least": least(), "everything": everything,
		"one principal":             less("Principals", "arn:aws:iam::111122223333:role/Engineers"),
		"one permission":            less("Permissions", "arn:aws:iam::aws:policy/ReadOnlyAccess"),
		"no principals":             less("Principals", ""),
		"no organization":           less("Organization", ""),
		"neither":                   less("Principals", "", "Organization", ""),
		"no prefix":                 less("Prefix", ""),
		"no boundary":               less("PermissionsBoundary", ""),
		"no sharing":                less("MayShareResources", "false"),
		"no end":                    less("Expires", ""),
		"no schedule":               less("RotateEvery", "never"),
		"no source identity":        less("SourceIdentity", "false"),
		"no topic":                  less("NotifyTopic", ""),
		"no webhook":                less("NotifyWebhook", "", "NotifyWebhookSecret", ""),
		"no mail":                   less("MailFrom", "", "NotifyMail", ""),
		"a topic alone":             least("NotifyTopic", "arn:aws:sns:eu-west-1:444455556666:ops-alerts"),
		"every 4h":                  least("RotateEvery", "4h", "Overlap", "1h"),
		"an organization alone":     least("Organization", "o-abc1234567"),
		"mail and topic, no others": least("MailFrom", "countersign@example.com", "NotifyMail", "ops@example.net", "NotifyTopic", "arn:aws:sns:eu-west-1:444455556666:ops-alerts"),
	}
}

// TestTheRoutesGiveTheSame compares the one-click stack with CDK's for the same access.yaml, resource by resource and field by
// field, as an account would see them: for everything, for the least, and for everything less each thing.
func TestTheRoutesGiveTheSame(t *testing.T) {
	cases := routeCases()
	seen := met{}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			values := cases[name]
			clicked, err := template(t).With(values)
			if err != nil {
				t.Fatal(err)
			}
			full := maps.Clone(values)
			for name, p := range clicked.Parameters {
				if _, given := full[name]; !given && p.Default != nil {
					full[name] = *p.Default
				}
			}
			deployed := infratest.Synth(t, infratest.Access(t, oneclick.AccessYAML(full), nil))[0]
			unit := access(full["GrantName"])
			a, b := unit.fields(t, clicked), unit.fields(t, deployed)
			seen.compare(t, "one-click", a, b, differences, 500)
		})
	}
	seen.all(t, differences)
}

// access is a grant's name.
type access string

// logicalHash is what CDK ends a logical id with; hashed ids have another hash of ours before it.
var logicalHash = regexp.MustCompile(`^(.*?)([0-9a-f]{8})?[0-9A-F]{8}$`)

// fields are all of a template's, by the resource's type and logical id less what follows from names, and the path.
func (g access) fields(t *testing.T, tmpl *infratest.Template) map[string]string {
	t.Helper()
	out := map[string]string{}
	kinds := map[string]string{}
	for id, r := range tmpl.Resources {
		key := r.Type + " " + g.plain(logicalHash.FindStringSubmatch(id)[1])
		if kinds[key] != "" {
			t.Fatalf("%s and %s are both %s", id, kinds[key], key)
		}
		kinds[key] = id
		flatten(out, key+" ", normal(t, g, tmpl.Resolve(r.Properties)))
		out[key+" DeletionPolicy"], out[key+" UpdateReplacePolicy"] = r.DeletionPolicy, r.UpdateReplacePolicy
		for _, on := range r.DependsOn {
			out[key+" DependsOn "+g.plain(logicalHash.FindStringSubmatch(on)[1])] = "yes"
		}
	}
	for name, o := range tmpl.Outputs {
		flatten(out, "Outputs "+name, normal(t, g, tmpl.Resolve(o.Value)))
	}
	return out
}

// plain is the readable part of a logical id without the grant's name. CDK drops a part that ends in the next one.
func (g access) plain(id string) string {
	return strings.ReplaceAll(strings.NewReplacer("DataMigration", "TheGrant", "Migration", "TheGrant").Replace(id), "TheGrantGrant", "TheGrant")
}

// kindOf is a field without its logical id.
func kindOf(field string) string {
	kind, rest, _ := strings.Cut(field, " ")
	if kind == "Outputs" {
		return field
	}
	_, path, _ := strings.Cut(rest, " ")
	return kind + " " + path
}

// suffixed is a name of ours that ends in the grant's: names of one-click stacks do, so that an account has room for several.
var suffixed = regexp.MustCompile(`\bcountersign((?:-[a-z]+)*?)-(?:data-migration|migration)\b`)

// normal is a value with what means the same written the same: lists of one, the plan's JSON, and the names of parts.
func normal(t *testing.T, g access, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key := range v {
			out[key] = normal(t, g, v[key])
		}
		return out
	case []any:
		if len(v) == 1 {
			if _, ok := v[0].(string); ok {
				return normal(t, g, v[0])
			}
		}
		out := make([]any, len(v))
		for i := range v {
			out[i] = normal(t, g, v[i])
		}
		return out
	case string:
		if strings.HasPrefix(v, `{"`) && strings.Contains(v, `"providerAccount"`) {
			plan, err := grant.ParsePlan([]byte(v), grant.Name(g))
			if err != nil {
				t.Fatalf("%v: %s", err, v)
			}
			if plan.Conditions != nil && len(plan.Conditions) == 0 || plan.Notify != nil && len(plan.Notify) == 0 {
				t.Errorf("the plan has an empty list, which means something else than none: %s", v)
			}
			b, err := json.Marshal(plan)
			if err != nil {
				t.Fatal(err)
			}
			var out any
			if err := json.Unmarshal(b, &out); err != nil {
				t.Fatal(err)
			}
			return out
		}
		return suffixed.ReplaceAllString(v, "countersign$1")
	case float64:
		return fmt.Sprint(v)
	}
	return v
}

func flatten(out map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key := range v {
			flatten(out, strings.TrimPrefix(path+"."+key, "."), v[key])
		}
	case []any:
		for i := range v {
			flatten(out, fmt.Sprintf("%s[%d]", path, i), v[i])
		}
	default:
		out[strings.Replace(path, " .", " ", 1)] = fmt.Sprint(v)
	}
}

// Another version of a function is explained, another function is not.
func TestAnotherFunctionIsNoOtherVersion(t *testing.T) {
	arn := func(name string) string { return "arn:aws:lambda:eu-west-1:444455556666:function:countersign-" + name }
	for _, c := range []struct {
		clicked, deployed string
		explained         bool
	}{
		{arn("notify:1"), arn("notify"), true},
		{arn("reconcile:deployed"), arn("reconcile"), true},
		{arn("notify:1"), "countersign-notify", true},
		{arn("customers-enroll:1"), "countersign-customers-enroll", true},
		{arn("customers-enroll:1"), "countersign-customers-other", false},
		{arn("notify:1"), arn("operate"), false},
		{arn("rotate:*"), arn("revoke"), false},
	} {
		d := func(d difference) bool {
			return d.explains("AWS::Lambda::Permission ApiFromApi FunctionName", c.clicked, c.deployed)
		}
		if got := slices.ContainsFunc(differences, d); got != c.explained {
			t.Errorf("%s for %s: %t", c.clicked, c.deployed, got)
		}
	}
}

// The comparison notices what it is for: one letter in a policy.
func TestTheComparisonNotices(t *testing.T) {
	tmpl, err := template(t).With(least())
	if err != nil {
		t.Fatal(err)
	}
	before := access("migration").fields(t, tmpl)
	changed := infratest.Read(t, []byte(strings.Replace(string(made()), `"iam:PutRolePolicy"`, `"iam:PutRolePolicies"`, 1)))
	with, err := changed.With(least())
	if err != nil {
		t.Fatal(err)
	}
	after := access("migration").fields(t, with)
	if reflect.DeepEqual(before, after) {
		t.Error("a changed permission went unnoticed")
	}
}
