package infra_test

import "testing"

// The hourly look also comes behind each update: cdk deploy takes termination protection off.
func TestReconcileLooksBehindEachUpdateOfItsOwnStack(t *testing.T) {
	tmpl := rich(t)
	rule := tmpl.One(t, "AWS::Events::Rule", "Name", "countersign-timer")
	want := `{"detail":{"stack-id":["arn:aws:cloudformation:eu-west-1:444455556666:stack/ServiceProviderAccess/00000000-5555-6666-7777-888888888888"],` +
		`"status-details":{"status":["UPDATE_COMPLETE","UPDATE_ROLLBACK_COMPLETE"]}},"detail-type":["CloudFormation Stack Status Change"],"source":["aws.cloudformation"]}`
	if got := tmpl.Text(rule.Properties["EventPattern"]); got != want {
		t.Errorf("behind %s", got)
	}
	if got := rule.Properties["ScheduleExpression"]; got != "rate(1 hour)" {
		t.Errorf("every %v", got)
	}
}
