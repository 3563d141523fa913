package infra_test

import (
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/infra"
	"github.com/countersign/countersign/infra/infratest"
	"github.com/countersign/countersign/internal/metric"
)

// runbook is how an alarm names its page.
var runbook = regexp.MustCompile(`\. Runbook: ` + infra.Runbooks + `([a-z-]+\.md)$`)

// named are the pages that alarms name, with the alarms that name each.
func named(t *testing.T, tmpl *infratest.Template) map[string][]string {
	t.Helper()
	pages := map[string][]string{}
	for _, a := range tmpl.OfType(t, "AWS::CloudWatch::Alarm") {
		says := tmpl.Text(a.Properties["AlarmDescription"])
		m := runbook.FindStringSubmatch(says)
		if m == nil || !strings.Contains(says, " First: ") || len(says) > 1024 {
			t.Errorf("%s doesn't say what to do first, or which page to read: %s", a.ID, says)
			continue
		}
		pages[m[1]] = append(pages[m[1]], tmpl.Text(a.Properties["AlarmName"]))
	}
	return pages
}

// Who is woken finds the page that the alarm names, and no page waits for an alarm that isn't there. Each page answers the same
// four questions, and names the alarm as CloudWatch does.
func TestEachAlarmHasItsRunbookAndEachRunbookItsAlarm(t *testing.T) {
	pages := named(t, rich(t))
	provider, _ := infratest.SynthProvider(t, infratest.Roster(t, infratest.Customers))
	maps.Copy(pages, named(t, provider))
	files, err := os.ReadDir(path.Join("..", infra.Runbooks))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		alarms, ok := pages[f.Name()]
		if !ok {
			t.Errorf("no alarm names %s", f.Name())
			continue
		}
		delete(pages, f.Name())
		text, err := os.ReadFile(path.Join("..", infra.Runbooks, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		must := []string{"\n## What it means\n", "\n## Look first\n", "\n## Mend it\n", "\n## It is over when\n", "\n    "}
		for _, alarm := range alarms {
			must = append(must, "`"+alarm+"`")
		}
		for _, part := range must {
			if !strings.Contains(string(text), part) {
				t.Errorf("%s has no %q", f.Name(), part)
			}
		}
	}
	for page, alarms := range pages {
		t.Errorf("%s name %s, which isn't there", alarms, page)
	}
}

// The alarms as a person reviews them.
func TestTheAlarms(t *testing.T) {
	type alarm struct{ Metric, Dimension, Statistic, Rings, Missing string }
	got := map[string]alarm{}
	tmpl := rich(t)
	for _, a := range tmpl.OfType(t, "AWS::CloudWatch::Alarm") {
		text := func(property string) string { return tmpl.Text(a.Properties[property]) }
		dimension := a.Properties["Dimensions"].([]any)[0].(map[string]any)
		got[text("AlarmName")] = alarm{
			text("Namespace") + " " + text("MetricName"), tmpl.Text(dimension["Name"]) + " " + tmpl.Text(dimension["Value"]), text("Statistic"),
			text("DatapointsToAlarm") + " of " + text("EvaluationPeriods") + " times " + text("Period") + " s " + text("ComparisonOperator") + " " + text("Threshold"), text("TreatMissingData"),
		}
		for _, actions := range []string{"AlarmActions", "OKActions"} {
			if text(actions) != `["arn:aws:sns:eu-west-1:444455556666:ops-alerts"]` {
				t.Errorf("%s of %s: %s", actions, a.ID, text(actions))
			}
		}
	}
	const stack = "Stack ServiceProviderAccess"
	want := map[string]alarm{
		"countersign-rotation-overdue": {"Countersign RotationsOverdue", stack, "Maximum", "2 of 2 times 3600 s GreaterThanThreshold 0", "breaching"},
		"countersign-unconfirmed":      {"Countersign RotationsUnconfirmed", stack, "Maximum", "1 of 2 times 3600 s GreaterThanThreshold 0", "notBreaching"},
		"countersign-step-failing":     {"Countersign StepsFailed", stack, "Sum", "1 of 12 times 300 s GreaterThanThreshold 0", "notBreaching"},
		"countersign-drift":            {"Countersign TrustDrifts", stack, "Sum", "1 of 24 times 300 s GreaterThanThreshold 0", "notBreaching"},
		"countersign-labels-backwards": {"Countersign LabelsBackwards", stack, "Sum", "1 of 24 times 300 s GreaterThanThreshold 0", "notBreaching"},
		"countersign-dead-letters":     {"AWS/SQS ApproximateNumberOfMessagesVisible", "QueueName countersign-notify-dead", "Maximum", "1 of 1 times 300 s GreaterThanThreshold 0", "ignore"},
		"countersign-mail-undelivered": {"Countersign MailsUndelivered", stack, "Sum", "1 of 12 times 300 s GreaterThanThreshold 0", "notBreaching"},
		"countersign-revoke-errors":    {"Countersign RevokeErrors", stack, "Sum", "1 of 12 times 300 s GreaterThanThreshold 0", "notBreaching"},
		"countersign-revoke-crashed":   {"AWS/Lambda Errors", "FunctionName countersign-revoke", "Sum", "1 of 12 times 300 s GreaterThanThreshold 0", "notBreaching"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(got) != metric.Alarms {
		t.Errorf("%d alarms, and explain reckons with %d", len(got), metric.Alarms)
	}
}

// Every metric of the code has an alarm, but the age, which is there to be looked at. And the functions write under the stack's
// name that the alarms look under.
func TestAlarmsAndFunctionsSpeakOfTheSameMetrics(t *testing.T) {
	for shard, tmpl := range infratest.Synth(t, infratest.Access(t, infratest.Many(30, 2, infratest.Plain), nil)) {
		stack := []string{"ServiceProviderAccess", "ServiceProviderAccess-2"}[shard]
		var alarmed []metric.Name
		for _, a := range tmpl.OfType(t, "AWS::CloudWatch::Alarm") {
			dimension := a.Properties["Dimensions"].([]any)[0].(map[string]any)
			if tmpl.Text(a.Properties["Namespace"]) != metric.Namespace {
				continue
			}
			alarmed = append(alarmed, metric.Name(tmpl.Text(a.Properties["MetricName"])))
			if dimension["Name"] != metric.Stack || dimension["Value"] != stack {
				t.Errorf("%s looks under %v", a.ID, dimension)
			}
			if a.Properties["AlarmActions"] != nil || a.Properties["OKActions"] != nil {
				t.Errorf("%s tells somebody whom nobody named", a.ID)
			}
		}
		slices.Sort(alarmed)
		want := slices.DeleteFunc(slices.Sorted(slices.Values(metric.Names)), func(n metric.Name) bool { return n == metric.ExternalIDAge })
		if diff := cmp.Diff(want, alarmed); diff != "" {
			t.Errorf("shard %d: %s", shard, diff)
		}
		for _, f := range tmpl.OfType(t, "AWS::Lambda::Function") {
			env := f.Properties["Environment"].(map[string]any)["Variables"].(map[string]any)
			if fmt.Sprint(env["COUNTERSIGN_STACK"]) != "map[Ref:AWS::StackId]" || env["COUNTERSIGN_AGES"] != nil {
				t.Errorf("%s: %v, ages %v", f.ID, env["COUNTERSIGN_STACK"], env["COUNTERSIGN_AGES"])
			}
		}
	}
}

// Above twenty grants, in all stacks together, ages cost more than they tell.
func TestAgesAreMeasuredOfTwentyGrantsAtMost(t *testing.T) {
	for grants, want := range map[int]any{metric.MostAges: "measured", metric.MostAges + 1: nil} {
		tmpl := infratest.Synth(t, infratest.Access(t, infratest.Many(grants, 1, infratest.Plain), nil))[0]
		for _, f := range tmpl.OfType(t, "AWS::Lambda::Function") {
			if got := f.Properties["Environment"].(map[string]any)["Variables"].(map[string]any)["COUNTERSIGN_AGES"]; got != want {
				t.Errorf("%d grants, %s: %v", grants, f.ID, got)
			}
		}
	}
}

// Missing numbers ring: the alarm is made when every grant is opened and has written the first.
func TestTheOverdueAlarmWaitsForTheGrants(t *testing.T) {
	tmpl := rich(t)
	a := tmpl.One(t, "AWS::CloudWatch::Alarm", "AlarmName", "countersign-rotation-overdue")
	for _, g := range tmpl.OfType(t, "Custom::Grant") {
		if !slices.Contains(a.DependsOn, g.ID) {
			t.Errorf("%s comes before %s", a.ID, g.ID)
		}
	}
}
