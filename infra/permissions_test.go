package infra_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/infra/infratest"
)

var functionNames = []string{"rotate", "reconcile", "revoke", "operate", "confirm", "notify"}

// statementsOf gives all statements of a function's role.
func statementsOf(t *testing.T, tmpl *infratest.Template, function string) []infratest.Statement {
	t.Helper()
	role := tmpl.One(t, "AWS::IAM::Role", "Description", "Countersign: functions/"+function)
	var out []infratest.Statement
	for _, p := range role.Properties["Policies"].([]any) {
		out = append(out, tmpl.Policy(t, p.(map[string]any)["PolicyDocument"]).Statement...)
	}
	for _, resourceType := range []string{"AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"} {
		for _, r := range tmpl.OfType(t, resourceType) {
			if strings.Contains(mention(r.Properties["Roles"]), `"`+role.ID+`"`) {
				out = append(out, tmpl.Policy(t, r.Properties["PolicyDocument"]).Statement...)
			}
		}
	}
	if len(role.Properties) == 0 || role.Properties["ManagedPolicyArns"] != nil {
		t.Errorf("%s has policies from elsewhere", function)
	}
	return out
}

func TestWhatEachFunctionMayDo(t *testing.T) {
	const (
		roleMigration   = "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration"
		roleAudit       = "arn:aws:iam::444455556666:role/VendorAudit"
		roleConsole     = "arn:aws:iam::444455556666:role/countersign/ServiceProvider-console"
		secretMigration = "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-AbCdEf"
		secretAudit     = "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/audit-AbCdEf"
		parameters      = "arn:aws:ssm:eu-west-1:444455556666:parameter/countersign/"
		key             = "arn:aws:kms:eu-west-1:444455556666:key/00000000-1111-2222-3333-444444444444"
		bus             = "arn:aws:events:eu-west-1:444455556666:event-bus/countersign"
		stack           = "arn:aws:cloudformation:eu-west-1:444455556666:stack/ServiceProviderAccess/00000000-5555-6666-7777-888888888888"
		check           = "arn:aws:sqs:eu-west-1:444455556666:countersign-check"
		rotate          = "arn:aws:lambda:eu-west-1:444455556666:function:countersign-rotate"
	)
	every := []string{roleMigration, roleAudit, roleConsole}
	rotated := []string{roleMigration, roleAudit}
	secrets := []string{secretMigration, secretAudit}
	plans := []string{parameters + "migration", parameters + "audit", parameters + "console"}
	logs := func(f string) []string {
		return []string{"arn:aws:logs:eu-west-1:444455556666:log-group:/aws/lambda/countersign-" + f + ":*"}
	}
	common := func(f string) map[string][]string {
		return map[string][]string{"ssm:GetParameter": plans, "logs:CreateLogStream": logs(f), "logs:PutLogEvents": logs(f)}
	}
	want := map[string]map[string][]string{
		"rotate": {
			"iam:GetRole": rotated, "iam:GetRolePolicy": rotated, "iam:UpdateAssumeRolePolicy": rotated,
			"secretsmanager:DescribeSecret": secrets, "secretsmanager:GetSecretValue": secrets, "secretsmanager:PutSecretValue": secrets,
			"secretsmanager:ListSecretVersionIds":     secrets,
			"secretsmanager:UpdateSecretVersionStage": secrets, "secretsmanager:TagResource": secrets,
			"kms:Decrypt": {key}, "kms:GenerateDataKey": {key}, "events:PutEvents": {bus},
		},
		"reconcile": {
			"iam:GetRole": every, "iam:GetRolePolicy": every, "iam:UpdateAssumeRolePolicy": every, "iam:PutRolePolicy": every, "iam:TagRole": every,
			"cloudformation:DescribeStacks": {stack}, "cloudformation:UpdateTerminationProtection": {stack},
			"secretsmanager:DescribeSecret": secrets, "secretsmanager:GetSecretValue": secrets,
			"secretsmanager:ListSecretVersionIds": secrets,
			"secretsmanager:RotateSecret":         secrets, "secretsmanager:TagResource": secrets, "lambda:InvokeFunction": {rotate},
			"kms:Decrypt": {key}, "events:PutEvents": {bus}, "cloudtrail:LookupEvents": {"*"},
			"sqs:ReceiveMessage": {check}, "sqs:DeleteMessage": {check}, "sqs:GetQueueAttributes": {check},
		},
		"revoke": {
			"iam:GetRole": every, "iam:GetRolePolicy": every, "iam:PutRolePolicy": every, "iam:UpdateAssumeRolePolicy": every, "iam:TagRole": every,
			"secretsmanager:DescribeSecret": secrets, "secretsmanager:RotateSecret": secrets,
			"secretsmanager:UpdateSecretVersionStage": secrets, "secretsmanager:TagResource": secrets,
			"lambda:InvokeFunction": {rotate}, "events:PutEvents": {bus}, "sqs:SendMessage": {check},
		},
		"operate": {
			"iam:GetRole": every, "iam:GetRolePolicy": every,
			"secretsmanager:DescribeSecret": secrets, "secretsmanager:RotateSecret": secrets, "secretsmanager:UpdateSecretVersionStage": secrets,
			"secretsmanager:TagResource": secrets, "lambda:InvokeFunction": {rotate}, "events:PutEvents": {bus},
		},
		"confirm": {
			"secretsmanager:DescribeSecret": secrets, "secretsmanager:ListSecretVersionIds": secrets, "secretsmanager:TagResource": secrets,
			"events:PutEvents": {bus}, "sqs:SendMessage": {check},
		},
		"notify": {
			"secretsmanager:ListSecretVersionIds": secrets,
			"secretsmanager:GetSecretValue":       {"arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook-AbCdEf"},
			"secretsmanager:DescribeSecret":       {"arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook-AbCdEf", secretMigration},
			"logs:FilterLogEvents":                {"arn:aws:logs:eu-west-1:444455556666:log-group:/aws/events/countersign:*"},
			"secretsmanager:TagResource":          {"arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook-AbCdEf"},
			"sns:Publish":                         {"arn:aws:sns:eu-west-1:444455556666:ops-alerts"},
			"ses:SendRawEmail":                    {"arn:aws:ses:eu-west-1:444455556666:identity/*", "arn:aws:ses:eu-west-1:444455556666:configuration-set/countersign"},
			"events:PutEvents":                    {bus},
			"sqs:ReceiveMessage":                  {"arn:aws:sqs:eu-west-1:444455556666:countersign-notify"},
			"sqs:DeleteMessage":                   {"arn:aws:sqs:eu-west-1:444455556666:countersign-notify"},
			"sqs:GetQueueAttributes":              {"arn:aws:sqs:eu-west-1:444455556666:countersign-notify"},
			"sqs:ChangeMessageVisibility":         {"arn:aws:sqs:eu-west-1:444455556666:countersign-notify"},
			"sqs:SendMessage": {
				"arn:aws:sqs:eu-west-1:444455556666:countersign-notify", "arn:aws:sqs:eu-west-1:444455556666:countersign-notify-dead",
			},
		},
	}
	tmpl := rich(t)
	for _, function := range functionNames {
		maps.Copy(want[function], common(function))
		got := map[string][]string{}
		for _, s := range statementsOf(t, tmpl, function) {
			if s.Effect == "Allow" {
				for _, action := range s.Action {
					got[action] = append(got[action], s.Resource...)
				}
			}
		}
		for _, m := range []map[string][]string{got, want[function]} {
			for action := range m {
				m[action] = slices.Sorted(slices.Values(m[action]))
			}
		}
		if diff := cmp.Diff(want[function], got); diff != "" {
			t.Errorf("%s: %s", function, diff)
		}
	}
}

func TestConditionsOnWhatFunctionsMayDo(t *testing.T) {
	tmpl := rich(t)
	for _, function := range functionNames {
		for _, s := range statementsOf(t, tmpl, function) {
			switch {
			case slices.Contains(s.Action, "kms:Decrypt"):
				if got := s.Condition["StringEquals"]["kms:ViaService"]; !slices.Equal(got, []string{"secretsmanager.eu-west-1.amazonaws.com"}) {
					t.Errorf("%s uses the key via %v", function, got)
				}
			case slices.Contains(s.Action, "ses:SendRawEmail"):
				if got := s.Condition["StringEquals"]["ses:FromAddress"]; !slices.Equal(got, []string{"countersign@example.com"}) {
					t.Errorf("%s sends as %v", function, got)
				}
			}
		}
	}
}

// Each function tags with its own keys only: one key a fact, one writer a key. Only reconcile says that a grant is restored.
func TestWhichTagsEachFunctionWrites(t *testing.T) {
	tmpl := rich(t)
	may := func(function, key string) bool {
		allowed := false
		for _, s := range statementsOf(t, tmpl, function) {
			if !slices.Contains(s.Action, "secretsmanager:TagResource") {
				continue
			}
			own := slices.Contains(s.Condition["ForAnyValue:StringNotEquals"]["aws:TagKeys"], key)
			for _, pattern := range s.Condition["ForAnyValue:StringNotLike"]["aws:TagKeys"] {
				prefix, star := strings.CutSuffix(pattern, "*")
				own = own || star && strings.HasPrefix(key, prefix)
			}
			if s.Effect == "Deny" && !own {
				return false
			}
			allowed = allowed || s.Effect == "Allow"
		}
		return allowed
	}
	for key, want := range map[string][]string{
		"countersign:rotated":           {"rotate"},
		"countersign:rotated-announced": {"rotate", "reconcile"},
		"countersign:extended":          {"rotate"},
		"countersign:failed":            {"rotate"},
		"countersign:granted":           {"reconcile"},
		"countersign:retired":           {"reconcile"},
		"countersign:expired":           {"reconcile"},
		"countersign:trust-drift":       {"reconcile"},
		"countersign:reverted":          {"reconcile"},
		"countersign:revoked":           {"reconcile", "revoke"},
		"countersign:revoked-announced": {"reconcile", "revoke"},
		"countersign:restored":          {"reconcile"},
		"countersign:paused":            {"operate"},
		"countersign:confirmed":         {"confirm"},
		"countersign:unconfirmed":       {"reconcile"},
		"countersign:disabled-9f86d081": {"notify"},
		"countersign:grant":             nil,
		"owner":                         nil,
	} {
		var got []string
		for _, function := range functionNames {
			if may(function, key) {
				got = append(got, function)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s is written by %v, want %v", key, got, want)
		}
	}
}

func TestNoFunctionReadsWithoutAnExactARN(t *testing.T) {
	tmpl := rich(t)
	for _, function := range functionNames {
		for _, s := range statementsOf(t, tmpl, function) {
			for _, a := range s.Action {
				if strings.Contains(a, "*") {
					t.Errorf("%s: action %s", function, a)
				}
			}
			for _, r := range s.Resource {
				exact := strings.TrimSuffix(strings.TrimSuffix(r, ":*"), "identity/*") // log streams; SES, see mail
				if slices.Equal(s.Action, []string{"cloudtrail:LookupEvents"}) && function == "reconcile" {
					continue // AWS knows no resource for it
				}
				if s.Effect == "Allow" && strings.Contains(exact, "*") {
					t.Errorf("%s: resource %s", function, r)
				}
			}
		}
	}
}
