package infra_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/infra/infratest"
)

// power is what an action on a kind of object comes to in an attacker's hands.
type power struct {
	words   string
	actions []string // each on one kind of object, by the ARN's resource part
	on      string
}

// powers are all that functions may have, the strongest first. An action that isn't here fails the test.
var powers = []power{
	{"write granted roles' inline policies: in truth a power to grant", []string{"iam:PutRolePolicy"}, ":role/"},
	{"write granted roles' trust policies: let in and keep out", []string{"iam:UpdateAssumeRolePolicy"}, ":role/"},
	{"read granted roles' trust policies, external IDs included", []string{"iam:GetRole"}, ":role/"},
	{"read granted roles' inline policies", []string{"iam:GetRolePolicy"}, ":role/"},
	{"tag granted roles, with its own keys", []string{"iam:TagRole"}, ":role/"},
	{"read external IDs from the grants' secrets", []string{"secretsmanager:GetSecretValue", "kms:Decrypt"}, ":secret:countersign/ :key/"},
	{"write external IDs into the grants' secrets", []string{"secretsmanager:PutSecretValue", "kms:GenerateDataKey"}, ":secret:countersign/ :key/"},
	{"say which version of a secret is current", []string{"secretsmanager:UpdateSecretVersionStage"}, ":secret:countersign/"},
	{"start rotations", []string{"secretsmanager:RotateSecret", "lambda:InvokeFunction"}, ":secret:countersign/ :function:countersign-rotate"},
	{"tag the grants' secrets, with its own keys", []string{"secretsmanager:TagResource"}, ":secret:countersign/"},
	{"see versions, labels, tags of the grants' secrets", []string{"secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds"}, ":secret:countersign/"},
	{"read the grants' plans", []string{"ssm:GetParameter"}, ":parameter/countersign/"},
	{"announce changes and requests", []string{"events:PutEvents"}, ":event-bus/countersign"},
	{"ask for a check of a grant", []string{"sqs:SendMessage"}, ":countersign-check"},
	{"take its messages", []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}, ":countersign-"},
	{"read what was said on the bus, for digests", []string{"logs:FilterLogEvents"}, ":log-group:/aws/events/countersign"},
	{"put on its queue what is told later, and with the dead letters what nobody takes", []string{"sqs:SendMessage", "sqs:ChangeMessageVisibility"}, ":countersign-notify"},
	{"send mail from the configured address", []string{"ses:SendRawEmail"}, ":identity/ :configuration-set/countersign"},
	{"publish to the configured topics", []string{"sns:Publish"}, ":sns:"},
	{"read the configured webhooks' signing keys", []string{"secretsmanager:GetSecretValue"}, ":secret:hook"},
	{"mark those webhooks as disabled, on the secrets of their keys", []string{"secretsmanager:DescribeSecret", "secretsmanager:TagResource"}, ":secret:hook"},
	{"read the account's event history of 90 days, to name who writes a trust policy again: other roles' external IDs included", []string{"cloudtrail:LookupEvents"}, "*"},
	{"see whether its own stack's update is being taken back, and whether it may be deleted", []string{"cloudformation:DescribeStacks"}, ":stack/"},
	{"turn its own stack's termination protection on, and in an attacker's hands off", []string{"cloudformation:UpdateTerminationProtection"}, ":stack/"},
	{"write its own log", []string{"logs:CreateLogStream", "logs:PutLogEvents"}, ":log-group:/aws/lambda/countersign-"},
}

func (p power) of(action, resource string) bool {
	return slices.Contains(p.actions, action) && slices.ContainsFunc(strings.Fields(p.on), func(part string) bool { return strings.Contains(resource, part) })
}

const (
	securityDoc = "../docs/security.md"
	begin       = "<!-- from the synthesised policies: go test ./infra -update writes this table -->\n"
	end         = "<!-- end -->\n"
)

// The table of docs/security.md is what the template says.
func TestTheTableOfWhoMayDoWhat(t *testing.T) {
	tmpl := rich(t)
	var table strings.Builder
	table.WriteString("| may, on this stack's grants only | " + strings.Join(functionNames, " | ") + " |\n|---|" + strings.Repeat(":-:|", len(functionNames)) + "\n")
	for _, p := range powers {
		var cells []string
		for _, function := range functionNames {
			cell := ""
			if p.has(t, tmpl, function) {
				cell = "●"
			}
			cells = append(cells, cell)
		}
		if slices.Equal(cells, make([]string, len(cells))) {
			t.Errorf("nobody may %s", p.words)
		}
		fmt.Fprintf(&table, "| %s | %s |\n", p.words, strings.Join(cells, " | "))
	}
	for _, function := range functionNames {
		for _, s := range statementsOf(t, tmpl, function) {
			for _, action := range s.Action {
				for _, resource := range s.Resource {
					if s.Effect == "Allow" && !slices.ContainsFunc(powers, func(p power) bool { return p.of(action, resource) }) {
						t.Errorf("the table has no words for %s on %s (%s)", action, resource, function)
					}
				}
			}
		}
	}

	goldenTable(t, securityDoc, table.String())
}

// goldenTable compares a table with the one that stands in a page, or writes it under -update.
func goldenTable(t *testing.T, file, table string) {
	t.Helper()
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(doc), begin)
	_, tail, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the table", file)
	}
	golden(t, file, []byte(head+begin+"\n"+table+"\n"+end+tail))
}

// has says whether a function may do anything of a power.
func (p power) has(t *testing.T, tmpl *infratest.Template, function string) bool {
	t.Helper()
	for _, s := range statementsOf(t, tmpl, function) {
		for _, action := range s.Action {
			for _, resource := range s.Resource {
				if s.Effect == "Allow" && p.of(action, resource) {
					return true
				}
			}
		}
	}
	return false
}

// grave are the powers that open, close or tell: how many of the first ones in the list.
const grave = 9

// The table of SECURITY.md says the same from an attacker's side: what he gets with each part, and what he does not get.
func TestTheTableOfWhatAnAttackerGets(t *testing.T) {
	tmpl := rich(t)
	var table strings.Builder
	table.WriteString("| an attacker with the function | can | can't |\n|---|---|---|\n")
	for _, function := range functionNames {
		var can, cant []string
		for i, p := range powers {
			switch {
			case p.has(t, tmpl, function):
				can = append(can, p.words)
			case i < grave:
				cant = append(cant, p.words)
			}
		}
		if len(can) == 0 {
			t.Errorf("%s may do nothing", function)
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", function, strings.Join(can, "; "), strings.Join(cant, "; "))
	}
	goldenTable(t, "../SECURITY.md", table.String())
}

// What section "A granted role" says of the guard names each of its statements.
func TestTheGuardIsDescribed(t *testing.T) {
	tmpl := rich(t)
	guard, _ := inline(t, tmpl, "ServiceProvider-console", "CountersignGuard")
	doc, err := os.ReadFile(securityDoc)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range tmpl.Policy(t, guard.Properties["PolicyDocument"]).Statement {
		if !strings.Contains(string(doc), "`"+s.Sid+"`") {
			t.Errorf("%s doesn't name %s", securityDoc, s.Sid)
		}
	}
}
