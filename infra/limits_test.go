package infra_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/countersign/countersign/infra/infratest"
)

// limit is one of AWS's, and how much of it the fullest object of a template takes.
type limit struct {
	name    string
	most    int
	measure func(t *testing.T, tmpl *infratest.Template) int
}

// size counts a policy's characters, white space aside, as IAM does.
func size(tmpl *infratest.Template, doc any) int {
	n := 0
	for _, r := range tmpl.Text(doc) {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

// fullest is the largest of what a function measures on the resources of a type.
func fullest(resourceType string, of func(tmpl *infratest.Template, r infratest.Resource) int) func(*testing.T, *infratest.Template) int {
	return func(t *testing.T, tmpl *infratest.Template) int {
		most := 0
		for _, r := range tmpl.OfType(t, resourceType) {
			most = max(most, of(tmpl, r))
		}
		return most
	}
}

func property(name string) func(*infratest.Template, infratest.Resource) int {
	return func(tmpl *infratest.Template, r infratest.Resource) int { return size(tmpl, r.Properties[name]) }
}

// perRole adds up what a measure gives for every policy resource of each role, and gives the role's with the most.
func perRole(of func(tmpl *infratest.Template, r infratest.Resource) int, own func(tmpl *infratest.Template, role infratest.Resource) int) func(*testing.T, *infratest.Template) int {
	return func(t *testing.T, tmpl *infratest.Template) int {
		most := 0
		for _, role := range tmpl.OfType(t, "AWS::IAM::Role") {
			sum := own(tmpl, role)
			for _, r := range tmpl.Resources {
				if strings.Contains(mention(r.Properties["Roles"]), `"`+role.ID+`"`) {
					sum += of(tmpl, r)
				}
			}
			most = max(most, sum)
		}
		return most
	}
}

func inlineSize(tmpl *infratest.Template, r infratest.Resource) int {
	if r.Type != "AWS::IAM::Policy" {
		return 0
	}
	return size(tmpl, r.Properties["PolicyDocument"])
}

func ownInline(tmpl *infratest.Template, role infratest.Resource) (sum int) {
	policies, _ := role.Properties["Policies"].([]any)
	for _, p := range policies {
		sum += size(tmpl, p.(map[string]any)["PolicyDocument"])
	}
	return sum
}

// managed counts a managed policy, twice if its logical id follows from its content: during a deploy that changes the
// grants, the old one and the new one are both attached.
func managed(_ *infratest.Template, r infratest.Resource) int {
	switch {
	case r.Type != "AWS::IAM::ManagedPolicy":
		return 0
	case revision.MatchString(r.ID):
		return 2
	}
	return 1
}

func ownManaged(_ *infratest.Template, role infratest.Resource) int {
	arns, _ := role.Properties["ManagedPolicyArns"].([]any)
	return len(arns)
}

// lambdaPolicy estimates a function's resource policy: each permission is a statement of it.
func lambdaPolicy(t *testing.T, tmpl *infratest.Template) int {
	const frame = len(`{"Version":"2012-10-17","Id":"default","Statement":[]}`)
	const statement = len(`{"Sid":"ServiceProviderAccess-ServiceProviderAccessReconcileFromTimer-AbCdEfGhIjKl","Effect":"Allow","Principal":{"Service":""},"Action":"","Resource":"","Condition":{"StringEquals":{"AWS:SourceAccount":""},"ArnLike":{"AWS:SourceArn":""}}},`)
	sizes := map[string]int{}
	most := 0
	for _, p := range tmpl.OfType(t, "AWS::Lambda::Permission") {
		function := tmpl.Text(p.Properties["FunctionName"])
		sizes[function] += statement + len(function) + size(tmpl, p.Properties)
		most = max(most, frame+sizes[function])
	}
	return most
}

func busPolicy(t *testing.T, tmpl *infratest.Template) int {
	sum := len(`{"Version":"2012-10-17","Statement":[]}`)
	for _, p := range tmpl.OfType(t, "AWS::Events::EventBusPolicy") {
		sum += size(tmpl, p.Properties["Statement"]) + 1
	}
	return sum
}

var limits = []limit{
	{"resources of a template", 500, func(_ *testing.T, tmpl *infratest.Template) int { return len(tmpl.Resources) }},
	{"bytes of a template", 1 << 20, func(_ *testing.T, tmpl *infratest.Template) int { return len(tmpl.Raw) }},
	{"outputs of a template", 200, func(_ *testing.T, tmpl *infratest.Template) int { return len(tmpl.Outputs) }},
	{"dynamic references of a template", 60, func(_ *testing.T, tmpl *infratest.Template) int { return strings.Count(string(tmpl.Raw), "{{resolve:") }},
	{"inline policies of a role", 10240, perRole(inlineSize, ownInline)},
	{"a managed policy", 6144, fullest("AWS::IAM::ManagedPolicy", property("PolicyDocument"))},
	{"managed policies of a role", 10, perRole(managed, ownManaged)},
	{"a trust policy", 2048, fullest("AWS::IAM::Role", property("AssumeRolePolicyDocument"))},
	{"a function's resource policy", 20480, lambdaPolicy},
	{"a function's environment", 4096, fullest("AWS::Lambda::Function", func(tmpl *infratest.Template, r infratest.Resource) int {
		return size(tmpl, r.Properties["Environment"].(map[string]any)["Variables"])
	})},
	{"the key's policy", 32768, fullest("AWS::KMS::Key", property("KeyPolicy"))},
	{"the bus's policy", 10240, busPolicy},
	{"the API's policy", 8192, fullest("AWS::ApiGateway::RestApi", property("Policy"))},
	{"a queue's policy", 8192, fullest("AWS::SQS::QueuePolicy", property("PolicyDocument"))},
	{"a secret's policy", 20480, fullest("AWS::SecretsManager::ResourcePolicy", property("ResourcePolicy"))},
	{"a plan parameter", 4096, fullest("AWS::SSM::Parameter", property("Value"))},
	{"an output's value", 4096, func(_ *testing.T, tmpl *infratest.Template) (most int) {
		for _, o := range tmpl.Outputs {
			most = max(most, len(tmpl.Text(o.Value)))
		}
		return most
	}},
}

// everything is a grant with long names, another role name, an end, a policy file, and a topic and a webhook of its own.
func everything(i int) string {
	name := fmt.Sprintf("grant-%03d-", i) + strings.Repeat("x", 30)
	return fmt.Sprintf(`      - name: %[1]s
        permissions: [AmazonS3FullAccess, ./upload.json]
        role: {name: "%[2]s", path: %[3]q}
        mayAssumeRoles: [%[4]s]
        expires: "2099-12-31T23:59:59Z"
        notify:
          mail: [somebody-with-a-long-name@operations.example.com]
          sns: ["arn:aws-us-gov:sns:ap-southeast-2:444455556666:%[1]s"]
          webhook: [{url: "https://hooks.example.com/%[1]s", secret: "arn:aws-us-gov:secretsmanager:ap-southeast-2:444455556666:secret:%[1]s-AbCdEf"}]
`, name, name[:20], "/"+strings.Repeat("long-path/", 10), assumable)
}

// assumable are as many roles as mayAssumeRoles takes.
var assumable = strings.TrimSuffix(strings.Repeat("\"arn:aws-us-gov:iam::444455556666:role/"+strings.Repeat("x", 60)+"\", ", 26), ", ")

func TestEveryLimitOfAWS(t *testing.T) {
	for _, c := range []struct {
		name   string
		access string
		stacks int
	}{
		{"1 grant", infratest.Many(1, 1, infratest.Plain), 1},
		{"40 grants", infratest.Many(40, 1, infratest.Plain), 1},
		{"40 grants, longest names", infratest.Many(40, 1, infratest.Long), 1},
		{"40 grants, other roles, all ways of telling", alarms + infratest.Many(40, 1, everything), 1},
		{"40 grants of 40 providers, operators", operators + eachItsProvider(40), 1},
		{"120 grants in 5 shards", infratest.Many(120, 5, infratest.Plain), 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			stacks := infratest.Synth(t, infratest.Access(t, c.access, infratest.UploadPolicy))
			if len(stacks) != c.stacks {
				t.Fatalf("%d stacks, want %d", len(stacks), c.stacks)
			}
			for _, l := range limits {
				most := 0
				for _, tmpl := range stacks {
					tmpl.Site = infratest.Widest
					most = max(most, l.measure(t, tmpl))
				}
				t.Logf("%-36s %7d of %d", l.name, most, l.most)
				if most > l.most {
					t.Errorf("%s: %d, AWS allows %d", l.name, most, l.most)
				}
			}
		})
	}
}

const alarms = "alarms: [\"arn:aws-us-gov:sns:ap-southeast-2:444455556666:on-call\"]\n"

const operators = `operators:
  - arn:aws:iam::444455556666:role/operations/OnCall-engineers-*
  - arn:aws:iam::444455556666:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Administrator_*
  - arn:aws:iam::444455556666:user/break-glass
`

// eachItsProvider is an access.yaml in which every grant has a provider of its own.
func eachItsProvider(n int) string {
	var out strings.Builder
	out.WriteString("version: 1\nproviders:\n")
	for i := range n {
		fmt.Fprintf(&out, "  - {name: provider-%02d, account: \"%012d\", principals: [role/Engineers-*], organization: o-abc1234567, bus: \"arn:aws:events:eu-west-1:%012d:event-bus/countersign\", grants: [{name: grant-%02d-%s, permissions: [AmazonS3FullAccess]}]}\n",
			i, 100000000000+i, 100000000000+i, i, strings.Repeat("x", 31))
	}
	return out.String()
}

func TestShardsShareNothing(t *testing.T) {
	seen := map[string]int{}
	total := 0
	for shard, tmpl := range infratest.Synth(t, infratest.Access(t, infratest.Many(120, 5, infratest.Plain), nil)) {
		for _, property := range []string{"FunctionName", "QueueName", "AlarmName", "LogGroupName", "RoleName", "Name", "ArchiveName"} {
			for _, r := range tmpl.Resources {
				name, ok := tmpl.Resolve(r.Properties[property]).(string)
				if !ok || r.Type == "AWS::Events::Archive" && property == "Name" {
					continue
				}
				key := r.Type + " " + name
				if other, taken := seen[key]; taken && other != shard {
					t.Errorf("%s is in shards %d and %d", key, other, shard)
				}
				seen[key] = shard
			}
		}
		total += len(tmpl.OfType(t, "Custom::Grant"))
		if got := tmpl.Text(tmpl.OfType(t, "Custom::Layout")[0].Properties["Shards"]); got != "5" {
			t.Errorf("shard %d says %s shards", shard, got)
		}
	}
	if total != 120 {
		t.Errorf("%d grants in all", total)
	}
}

func TestTooManyPoliciesOfAFunctionAreNamed(t *testing.T) {
	longPath := func(i int) string {
		return fmt.Sprintf("      - {name: grant-%03d, permissions: [AmazonS3FullAccess], role: {path: %q}}\n", i, "/"+strings.Repeat("long-path/", 50))
	}
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "use more shards") {
			t.Errorf("panicked with %s", got)
		}
	}()
	infratest.Synth(t, infratest.Access(t, infratest.Many(40, 1, longPath), nil))
	t.Error("synthesised what can't be deployed")
}
