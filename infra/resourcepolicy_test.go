package infra_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/infra/infratest"
)

const (
	grantedRoles = "arn:aws:iam::444455556666:role/countersign/*"
	grantTag     = "aws:PrincipalTag/countersign:grant"
)

// shared gives the policies of what all grants share, by name.
func shared(t *testing.T, tmpl *infratest.Template) map[string]infratest.Policy {
	out := map[string]infratest.Policy{
		"key": tmpl.Policy(t, tmpl.OfType(t, "AWS::KMS::Key")[0].Properties["KeyPolicy"]),
		"API": tmpl.Policy(t, tmpl.OfType(t, "AWS::ApiGateway::RestApi")[0].Properties["Policy"]),
	}
	for _, q := range tmpl.OfType(t, "AWS::SQS::QueuePolicy") {
		out[tmpl.Text(q.Properties["Queues"])] = tmpl.Policy(t, q.Properties["PolicyDocument"])
	}
	var bus []any
	for _, p := range tmpl.OfType(t, "AWS::Events::EventBusPolicy") {
		bus = append(bus, p.Properties["Statement"])
	}
	out["bus"] = tmpl.Policy(t, map[string]any{"Statement": bus})
	return out
}

func secretPolicy(t *testing.T, tmpl *infratest.Template, grant string) infratest.Policy {
	const secret = "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/"
	return tmpl.Policy(t, tmpl.One(t, "AWS::SecretsManager::ResourcePolicy", "SecretId", secret+grant+"-AbCdEf").Properties["ResourcePolicy"])
}

func TestWhatAllShareRefusesGrantedRoles(t *testing.T) {
	policies := shared(t, rich(t))
	if len(policies) != 6 {
		t.Fatalf("%d policies", len(policies))
	}
	for name, p := range policies {
		byARN, byTag := p.Find(t, "GrantedRoles"), p.Find(t, "TaggedRoles")
		if byARN.Effect != "Deny" || byTag.Effect != "Deny" || byARN.Principal != "*" || byTag.Principal != "*" {
			t.Errorf("%s: not a Deny for everybody", name)
		}
		want := infratest.OneOrMany{grantedRoles, "arn:aws:iam::444455556666:role/VendorAudit"}
		if diff := cmp.Diff(want, byARN.Condition["ArnLike"]["aws:PrincipalArn"]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := cmp.Diff(infratest.OneOrMany{"false"}, byTag.Condition["Null"][grantTag]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestWithoutOperatorsTheAccountsOwnPrincipalsMayWrite(t *testing.T) {
	tmpl := rich(t)
	policies := shared(t, tmpl)
	delete(policies, "key")
	policies["secret"] = secretPolicy(t, tmpl, "migration")
	for name, p := range policies {
		others := p.Find(t, "Others")
		want := map[string]map[string]infratest.OneOrMany{
			"Bool":            {"aws:PrincipalIsAWSService": {"false"}},
			"StringNotEquals": {"aws:PrincipalAccount": {"444455556666"}},
		}
		if diff := cmp.Diff(want, others.Condition); diff != "" || others.Effect != "Deny" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestWithOperatorsOnlyTheyAndTheNamedFunctionsMayWrite(t *testing.T) {
	tmpl := infratest.Synth(t, infratest.Access(t, "operators: [\"arn:aws:iam::444455556666:role/OnCall\"]\n"+infratest.Rich, infratest.UploadPolicy))[0]
	functions := map[string]string{}
	for _, f := range functionNames {
		functions[tmpl.Text(map[string]any{"Fn::GetAtt": []any{tmpl.One(t, "AWS::IAM::Role", "Description", "Countersign: functions/"+f).ID, "Arn"}})] = f
	}
	may := func(s infratest.Statement) (names []string) {
		for _, arn := range s.Condition["ArnNotLike"]["aws:PrincipalArn"] {
			switch {
			case functions[arn] != "":
				names = append(names, functions[arn])
			case arn == "arn:aws:iam::444455556666:role/OnCall":
				names = append(names, "operator")
			case arn == "arn:aws:iam::444455556666:role/cdk-*":
				names = append(names, "deployer")
			case arn == "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration":
				names = append(names, "own role")
			case arn == grantedRoles:
				names = append(names, "granted roles")
			case arn == "arn:aws:iam::111122223333:*":
				names = append(names, "provider")
			default:
				names = append(names, arn)
			}
		}
		slices.Sort(names)
		return names
	}
	policies := shared(t, tmpl)
	policies["secret"] = secretPolicy(t, tmpl, "migration")
	const queue = `["https://sqs.eu-west-1.amazonaws.com/444455556666/countersign-`
	for _, c := range []struct {
		policy, sid string
		want        []string
	}{
		{"bus", "Others", []string{"confirm", "deployer", "notify", "operate", "operator", "reconcile", "revoke", "rotate"}},
		{"API", "Others", []string{"arn:aws:iam::444455556666:role/VendorAudit", "deployer", "granted roles", "operator"}},
		{queue + `check"]`, "Others", []string{"confirm", "deployer", "operator", "revoke"}},
		{queue + `notify"]`, "Others", []string{"deployer", "notify", "operator"}},
		{queue + `notify-dead"]`, "Others", []string{"deployer", "notify", "operator"}},
		{"secret", "Readers", []string{"deployer", "operator", "own role", "provider", "reconcile", "rotate"}},
		{"secret", "Values", []string{"deployer", "operator", "rotate"}},
		{"secret", "Labels", []string{"deployer", "operate", "operator", "revoke", "rotate"}},
		{"secret", "Rotations", []string{"deployer", "operate", "operator", "reconcile", "revoke"}},
		{"secret", "Tags", []string{"confirm", "deployer", "operate", "operator", "reconcile", "revoke", "rotate"}},
		{"secret", "Rest", []string{"deployer", "operator"}},
	} {
		if diff := cmp.Diff(c.want, may(policies[c.policy].Find(t, c.sid))); diff != "" {
			t.Errorf("%s, %s: %s", c.policy, c.sid, diff)
		}
	}
	allowed := policies["API"].Find(t, "Operators")
	if diff := cmp.Diff(infratest.OneOrMany{"arn:aws:iam::444455556666:role/OnCall"}, allowed.Condition["ArnLike"]["aws:PrincipalArn"]); diff != "" {
		t.Error(diff)
	}
}

func TestWhoReadsASecret(t *testing.T) {
	p := secretPolicy(t, rich(t), "migration")
	const revoked = "aws:ResourceTag/countersign:revoked"
	pattern := infratest.OneOrMany{"arn:aws:iam::111122223333:role/Engineers-*"}
	want := map[string]map[string]map[string]infratest.OneOrMany{
		"Provider": {
			"ArnLike": {"aws:PrincipalArn": pattern}, "StringEquals": {"aws:PrincipalOrgID": {"o-abc1234567"}},
			"Null": {revoked: {"true"}},
		},
		"RestoredProvider": {
			"ArnLike":      {"aws:PrincipalArn": pattern},
			"StringEquals": {"aws:PrincipalOrgID": {"o-abc1234567"}, revoked: {"${aws:ResourceTag/countersign:restored}"}},
		},
		"GrantedRoles": {
			"ArnLike":      {"aws:PrincipalArn": {grantedRoles}},
			"ArnNotEquals": {"aws:PrincipalArn": {"arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration"}},
		},
		"TaggedRoles": {"Null": {grantTag: {"false"}}, "StringNotEquals": {grantTag: {"migration"}}},
		"OwnRole":     {"ArnEquals": {"aws:PrincipalArn": {"arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration"}}},
		"Readers": {
			"Bool": {"aws:PrincipalIsAWSService": {"false"}}, "StringNotEquals": {"aws:PrincipalAccount": {"444455556666", "111122223333"}},
		},
	}
	allows := 0
	for _, s := range p.Statement {
		if s.Effect == "Allow" {
			allows++
			if diff := cmp.Diff(any(map[string]any{"AWS": "arn:aws:iam::111122223333:root"}), s.Principal); diff != "" {
				t.Errorf("%s: %s", s.Sid, diff)
			}
			if diff := cmp.Diff(infratest.OneOrMany{"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"}, s.Action); diff != "" {
				t.Errorf("%s: %s", s.Sid, diff)
			}
		}
		if wanted, ok := want[s.Sid]; ok {
			if diff := cmp.Diff(wanted, s.Condition); diff != "" {
				t.Errorf("%s: %s", s.Sid, diff)
			}
			delete(want, s.Sid)
		}
	}
	if allows != 2 || len(want) != 0 {
		t.Errorf("%d Allows; missing %v", allows, want)
	}
	if got := p.Find(t, "OwnRole").NotAction; !slices.Equal(got, infratest.OneOrMany{"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"}) {
		t.Errorf("its own role may %v", got)
	}
}

func TestOnlyRotateWritesIDs(t *testing.T) {
	tmpl := rich(t)
	d := secretPolicy(t, tmpl, "migration").Find(t, "OurWriters")
	if !slices.Contains(d.Action, "secretsmanager:PutSecretValue") || d.Effect != "Deny" {
		t.Errorf("%+v", d)
	}
	refused := d.Condition["ArnEquals"]["aws:PrincipalArn"]
	for _, f := range functionNames {
		arn := tmpl.Text(map[string]any{"Fn::GetAtt": []any{tmpl.One(t, "AWS::IAM::Role", "Description", "Countersign: functions/"+f).ID, "Arn"}})
		if slices.Contains(refused, arn) == (f == "rotate") {
			t.Errorf("%s: refused %v", f, slices.Contains(refused, arn))
		}
	}
}

func TestAProviderUsesTheKeyForItsOwnSecretsThroughSecretsManagerOnly(t *testing.T) {
	p := shared(t, rich(t))["key"]
	s := p.Find(t, "ProviderHestio")
	want := map[string]map[string]infratest.OneOrMany{
		"StringEquals": {"kms:ViaService": {"secretsmanager.eu-west-1.amazonaws.com"}},
		"StringLike": {"kms:EncryptionContext:SecretARN": {
			"arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-??????",
			"arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/audit-??????",
		}},
	}
	if diff := cmp.Diff(want, s.Condition); diff != "" || !slices.Equal(s.Action, infratest.OneOrMany{"kms:Decrypt"}) {
		t.Errorf("%v %s", s.Action, diff)
	}
	if len(p.Statement) != 4 { // the account, one provider with secrets, two Denies
		t.Errorf("%d statements", len(p.Statement))
	}
	for _, sid := range []string{"GrantedRoles", "TaggedRoles"} {
		if got := p.Find(t, sid).Condition["StringNotEquals"]["kms:ViaService"]; !slices.Equal(got, infratest.OneOrMany{"secretsmanager.eu-west-1.amazonaws.com"}) {
			t.Errorf("%s: %v", sid, got)
		}
	}
}

// The simulator of package guard doesn't know the encryption context, so this stands here.
func TestTheGuardLeavesTheKeyForTheOwnSecret(t *testing.T) {
	tmpl := rich(t)
	guard, _ := inline(t, tmpl, "ServiceProvider-migration", "CountersignGuard")
	d := tmpl.Policy(t, guard.Properties["PolicyDocument"]).Find(t, "KeyOfOthers")
	want := map[string]map[string]infratest.OneOrMany{"StringNotLike": {
		"kms:EncryptionContext:SecretARN": {"arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-??????"},
	}}
	if diff := cmp.Diff(want, d.Condition); diff != "" {
		t.Error(diff)
	}
}

func TestQueuesAndEventsTakeOnlyWhatTheyShould(t *testing.T) {
	tmpl := rich(t)
	for name, p := range shared(t, tmpl) {
		if name[0] != '[' {
			continue
		}
		if got := p.Find(t, "PlainText").Condition["Bool"]["aws:SecureTransport"]; !slices.Equal(got, infratest.OneOrMany{"false"}) {
			t.Errorf("%s takes plain text: %v", name, got)
		}
		fromRules := infratest.OneOrMany{"arn:aws:events:eu-west-1:444455556666:rule/countersign/countersign-notify", "arn:aws:events:eu-west-1:444455556666:rule/countersign-digest"}
		if strings.HasSuffix(name, `/countersign-notify"]`) { // SES's word on mails, without a queue for what can't be delivered
			fromRules = append(infratest.OneOrMany{"arn:aws:events:eu-west-1:444455556666:rule/countersign-bounces", "arn:aws:events:eu-west-1:444455556666:rule/countersign-complaints"}, fromRules...)
		}
		for _, s := range p.Statement {
			if s.Effect != "Allow" {
				continue
			}
			if diff := cmp.Diff(any(map[string]any{"Service": "events.amazonaws.com"}), s.Principal); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			if s.Sid == "Rules" && strings.HasSuffix(name, `countersign-notify-dead"]`) {
				continue // TestNoRuleOfTheBusLosesAnEvent
			}
			if strings.HasSuffix(name, `countersign-notify-dead"]`) {
				fromRules = infratest.OneOrMany{"arn:aws:events:eu-west-1:444455556666:rule/countersign-digest"}
			}
			if got := s.Condition["ArnEquals"]["aws:SourceArn"]; !slices.Equal(got, fromRules) {
				t.Errorf("%s takes from %v", name, got)
			}
		}
	}
	rule := tmpl.One(t, "AWS::Events::Rule", "Name", "countersign-notify")
	want := `{"account":["444455556666"],"detail-type":[{"anything-but":["Delivery Succeeded","Delivery Failed","Operation Requested","Grant Reported"]}],"source":["countersign"]}`
	if got := tmpl.Text(rule.Properties["EventPattern"]); got != want {
		t.Errorf("notify is told of %s", got)
	}
}

// A message has 20 seconds (notify.PerMessage), so a batch ends before the function does; and the queue hides its messages
// for six times as long as the function may run, as AWS advises.
func TestABatchOfMessagesFitsIntoItsFunctionsTime(t *testing.T) {
	tmpl := rich(t)
	number := func(r infratest.Resource, property string) float64 {
		v, ok := r.Properties[property].(float64)
		if !ok {
			t.Fatalf("%s of %s is %v", property, r.ID, r.Properties[property])
		}
		return v
	}
	timeout := number(tmpl.One(t, "AWS::Lambda::Function", "FunctionName", "countersign-notify"), "Timeout")
	queue := tmpl.One(t, "AWS::SQS::Queue", "QueueName", "countersign-notify")
	if got := number(queue, "VisibilityTimeout"); got != 6*timeout {
		t.Errorf("hidden for %v s, want six times %v", got, timeout)
	}
	if receives := queue.Properties["RedrivePolicy"].(map[string]any)["maxReceiveCount"]; receives != 20.0 {
		t.Errorf("received %v times", receives)
	}
	found := false
	for _, feed := range tmpl.OfType(t, "AWS::Lambda::EventSourceMapping") {
		if tmpl.Text(feed.Properties["EventSourceArn"]) != "arn:aws:sqs:eu-west-1:444455556666:countersign-notify" {
			continue
		}
		found = true
		if batch := number(feed, "BatchSize"); batch*20+2 > timeout {
			t.Errorf("a batch of %v may take longer than %v s", batch, timeout)
		}
		if got := tmpl.Text(feed.Properties["FunctionResponseTypes"]); got != `["ReportBatchItemFailures"]` {
			t.Errorf("answers are %s", got)
		}
	}
	if !found {
		t.Error("nothing feeds notify")
	}
}

func TestEveryMethodOfTheAPIAsksIAM(t *testing.T) {
	tmpl := rich(t)
	methods := tmpl.OfType(t, "AWS::ApiGateway::Method")
	if len(methods) != 9 {
		t.Errorf("%d methods", len(methods))
	}
	for _, m := range methods {
		if m.Properties["AuthorizationType"] != "AWS_IAM" {
			t.Errorf("%s asks %v", m.ID, m.Properties["AuthorizationType"])
		}
	}
	for _, p := range tmpl.OfType(t, "AWS::Lambda::Permission") {
		if p.Properties["SourceArn"] == nil && p.Properties["SourceAccount"] == nil {
			t.Errorf("%s lets everybody's %v in", p.ID, p.Properties["Principal"])
		}
	}
}

// The simulation's forger (internal/simtest) writes neither IAM nor a secret's value. This is why: the secret's own policy
// refuses values to all but operators, the deployer and rotate, and of the stack's functions only those that must write
// policies do. Tags are the forger's to write, on roles too.
func TestAForgerWritesNeitherSecretValuesNorIAM(t *testing.T) {
	tmpl := infratest.Synth(t, infratest.Access(t, "operators: [\"arn:aws:iam::444455556666:role/OnCall\"]\n"+infratest.Rich, infratest.UploadPolicy))[0]
	values := secretPolicy(t, tmpl, "migration").Find(t, "Values")
	if values.Effect != "Deny" || len(values.Condition["ArnNotLike"]["aws:PrincipalArn"]) != 3 {
		t.Errorf("%+v", values)
	}
	for _, action := range []string{"secretsmanager:PutSecretValue", "secretsmanager:UpdateSecret"} {
		if !slices.Contains(values.Action, action) {
			t.Errorf("the secret's policy doesn't refuse %s", action)
		}
	}
	writes := map[string][]string{
		"rotate": {"iam:UpdateAssumeRolePolicy"}, "reconcile": {"iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy"},
		"revoke": {"iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy"}, "operate": nil, "confirm": nil, "notify": nil,
	}
	for function, want := range writes {
		var got []string
		for _, s := range statementsOf(t, tmpl, function) {
			for _, action := range s.Action {
				if action != "iam:TagRole" && strings.HasPrefix(action, "iam:") && !strings.HasPrefix(action, "iam:Get") && !slices.Contains(got, action) {
					got = append(got, action)
				}
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s writes IAM (-want +got):\n%s", function, diff)
		}
	}
}
