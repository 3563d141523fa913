package infra_test

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/infra/infratest"
)

// The trail takes every event that came from this account, and nobody but its own rule writes into it.
func TestTheTrailKeepsEveryEventOfTheAccount(t *testing.T) {
	tmpl := rich(t)
	rule := tmpl.One(t, "AWS::Events::Rule", "Name", "countersign-trail")
	if got, want := tmpl.Text(rule.Properties["EventPattern"]), `{"account":["444455556666"],"source":["countersign"]}`; got != want {
		t.Errorf("the trail is told of %s", got)
	}
	if got := tmpl.Text(rule.Properties["Targets"]); !strings.Contains(got, `"arn:aws:logs:eu-west-1:444455556666:log-group:/aws/events/countersign"`) {
		t.Errorf("it goes to %s", got)
	}
	group := tmpl.One(t, "AWS::Logs::LogGroup", "LogGroupName", "/aws/events/countersign")
	if days := group.Properties["RetentionInDays"]; days != 400.0 {
		t.Errorf("kept for %v days", days)
	}
	policy := tmpl.Policy(t, group.Properties["ResourcePolicyDocument"])
	if got := policy.Find(t, "Write").Condition["ArnEquals"]["aws:SourceArn"]; !slices.Equal(got, infratest.OneOrMany{"arn:aws:events:eu-west-1:444455556666:rule/countersign/countersign-trail"}) {
		t.Errorf("written by %v", got)
	}
	for _, s := range policy.Statement {
		for _, r := range s.Resource {
			if !strings.HasPrefix(r, "arn:aws:logs:eu-west-1:444455556666:log-group:/aws/events/countersign:") {
				t.Errorf("%s: on %s", s.Sid, r)
			}
		}
	}
}

// A provider's bus is handed events on its own grants, by a rule and a role that serve nothing else. Hestio has one.
func TestAProvidersBusGetsWhatItIsToldOtherwise(t *testing.T) {
	tmpl := rich(t)
	const bus = "arn:aws:events:eu-central-1:111122223333:event-bus/countersign"
	rule := tmpl.One(t, "AWS::Events::Rule", "Name", "countersign-forward-hestio")
	want := `{"account":["444455556666"],"detail":{"data":{"provider":["hestio"]}},"detail-type":["Access Expired","Access Granted",` +
		`"Access Restored","Access Revoked","External ID Confirmed","External ID Rotated","Grant Reported","Previous External ID Retired","Rotation Unconfirmed","Test Requested"],"source":["countersign"]}`
	if got := tmpl.Text(rule.Properties["EventPattern"]); got != want {
		t.Errorf("told of %s", got)
	}
	for _, typ := range events.Types() {
		if told := strings.Contains(want, `"`+string(typ)+`"`); told != typ.Forwarded() {
			t.Errorf("%s: forwarded %t", typ, told)
		}
	}
	if got := tmpl.Text(rule.Properties["Targets"]); !strings.Contains(got, `"Arn":"`+bus+`"`) {
		t.Errorf("goes to %s", got)
	}
	role := tmpl.One(t, "AWS::IAM::Role", "Description", "Countersign: hands events to the bus of hestio")
	may := tmpl.Policy(t, role.Properties["Policies"].([]any)[0].(map[string]any)["PolicyDocument"])
	if diff := cmp.Diff(infratest.OneOrMany{bus}, may.Find(t, "Forward").Resource); diff != "" || len(may.Statement) != 1 {
		t.Errorf("the role may: %+v", may.Statement)
	}
	trusted := tmpl.Policy(t, role.Properties["AssumeRolePolicyDocument"]).Find(t, "Rule").Condition
	if got := trusted["ArnEquals"]["aws:SourceArn"]; !slices.Equal(got, infratest.OneOrMany{"arn:aws:events:eu-west-1:444455556666:rule/countersign/countersign-forward-hestio"}) {
		t.Errorf("entered by %v", got)
	}
	for _, r := range tmpl.OfType(t, "AWS::Events::Rule") {
		if strings.Contains(tmpl.Text(r.Properties["Name"]), "forward-legacy") {
			t.Error("legacy named no bus")
		}
	}
}

// What a rule on the bus could not hand on, to whomever, lies with the dead letters, and the queue takes it from these rules only.
func TestNoRuleOfTheBusLosesAnEvent(t *testing.T) {
	for shard, tmpl := range infratest.Synth(t, infratest.Access(t, infratest.Many(30, 2, infratest.Plain), nil)) {
		keepsWhatFails(t, tmpl, []string{"", "-2"}[shard])
	}
	if n := keepsWhatFails(t, rich(t), ""); n != 3 {
		t.Errorf("%d rules, and notify, trail and hestio's bus were expected", n)
	}
}

func keepsWhatFails(t *testing.T, tmpl *infratest.Template, shard string) (rules int) {
	t.Helper()
	const queue = "arn:aws:sqs:eu-west-1:444455556666:countersign-notify-dead"
	policies := shared(t, tmpl)
	from := policies[`["https://sqs.eu-west-1.amazonaws.com/444455556666/countersign-notify-dead`+shard+`"]`].Find(t, "Rules")
	pattern := "arn:aws:events:eu-west-1:444455556666:rule/countersign" + shard + "/countersign-*"
	if got := from.Condition["ArnLike"]["aws:SourceArn"]; !slices.Equal(got, infratest.OneOrMany{pattern}) || len(from.Condition) != 1 {
		t.Errorf("the dead letters are written by %v", from.Condition)
	}
	for _, r := range tmpl.OfType(t, "AWS::Events::Rule") {
		if r.Properties["EventBusName"] == nil {
			continue // the timer, which comes again by itself
		}
		rules++
		if got := tmpl.Text(r.Properties["Targets"]); !strings.Contains(got, `"DeadLetterConfig":{"Arn":"`+queue+shard+`"}`) {
			t.Errorf("%s leaves what it can't hand on nowhere: %s", r.ID, got)
		}
		if ok, err := path.Match(pattern, "arn:aws:events:eu-west-1:444455556666:rule/countersign"+shard+"/"+tmpl.Text(r.Properties["Name"])); !ok || err != nil {
			t.Errorf("%s may not write there", tmpl.Text(r.Properties["Name"]))
		}
	}
	return rules
}
