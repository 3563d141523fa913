package infra_test

import (
	"strings"
	"testing"

	"github.com/countersign/countersign/infra/infratest"
)

// Once a week notify's queue hears that it is time, with dead letters for what EventBridge can't put there.
func TestTheWeekOfDigests(t *testing.T) {
	tmpl := rich(t)
	rule := tmpl.One(t, "AWS::Events::Rule", "Name", "countersign-digest")
	if got := rule.Properties["ScheduleExpression"]; got != "cron(0 6 ? * MON *)" {
		t.Errorf("at %v", got)
	}
	const want = `[{"Arn":"arn:aws:sqs:eu-west-1:444455556666:countersign-notify","DeadLetterConfig":{"Arn":"arn:aws:sqs:eu-west-1:444455556666:countersign-notify-dead"},` +
		`"Id":"notify","Input":"{\"digest\":\"weekly\"}"}]`
	if got := tmpl.Text(rule.Properties["Targets"]); got != want {
		t.Errorf("puts %s", got)
	}
	for _, f := range tmpl.OfType(t, "AWS::Lambda::Function") {
		name, env := f.Properties["FunctionName"], tmpl.Text(f.Properties["Environment"])
		if knows := strings.Contains(env, `"COUNTERSIGN_TRAIL":"/aws/events/countersign"`); knows != (name == "countersign-notify") {
			t.Errorf("%v knows where the trail is: %t", name, knows)
		}
	}
}

// Where nobody asks for digests there is no schedule for them, and notify may read neither the trail nor how grants stand.
func TestWithoutReadersThereAreNoDigests(t *testing.T) {
	file := strings.Replace(infratest.Rich, ", digest]", "]", 1)
	if file == infratest.Rich {
		t.Fatal("the file asks for no digest anyway")
	}
	tmpl := infratest.Synth(t, infratest.Access(t, file, infratest.UploadPolicy))[0]
	for _, r := range tmpl.OfType(t, "AWS::Events::Rule") {
		if r.Properties["Name"] == "countersign-digest" {
			t.Error("there is a schedule")
		}
	}
	for _, s := range statementsOf(t, tmpl, "notify") {
		for _, action := range s.Action {
			for _, on := range s.Resource {
				if action == "logs:FilterLogEvents" || action == "secretsmanager:DescribeSecret" && strings.Contains(on, ":secret:countersign/") {
					t.Errorf("notify may %s on %s", action, on)
				}
			}
		}
	}
}
