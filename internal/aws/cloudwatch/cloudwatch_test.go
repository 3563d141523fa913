package cloudwatch_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/cloudwatch"
	"github.com/countersign/countersign/internal/doctor"
)

func page(token string, alarms ...any) awstest.Answer {
	body := map[string]any{"MetricAlarms": alarms}
	if token != "" {
		body["NextToken"] = token
	}
	return awstest.CBOR(body)
}

func alarms(ctx context.Context, cfg aws.Config) error {
	_, err := cloudwatch.New(cfg).Alarms(ctx, "countersign-")
	return err
}

func TestAlarmsKeepsTheAdaptersContract(t *testing.T) {
	awstest.CloudWatch.Contract(t, page(""), alarms)
}

func TestEveryPageOfAlarmsIsRead(t *testing.T) {
	server := awstest.New(t,
		page("n1", map[string]any{"AlarmName": "countersign-drift", "StateValue": "ALARM", "AlarmActions": []any{"arn:aws:sns:eu-west-1:444455556666:ops"}}),
		page("", map[string]any{"AlarmName": "countersign-dead-letters", "StateValue": "OK"},
			map[string]any{"AlarmName": "countersign-revoke-errors", "StateValue": "INSUFFICIENT_DATA"}))
	got, err := cloudwatch.New(server.Config()).Alarms(t.Context(), "countersign-")
	if err != nil {
		t.Fatal(err)
	}
	want := []doctor.Alarm{{Name: "countersign-drift", Ringing: true, Tells: 1}, {Name: "countersign-dead-letters"}, {Name: "countersign-revoke-errors"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	calls := server.Calls()
	first := map[string]any{"AlarmNamePrefix": "countersign-", "AlarmTypes": []any{"MetricAlarm"}}
	if diff := cmp.Diff(first, calls[0].JSON); diff != "" || calls[1].JSON["NextToken"] != "n1" || calls[0].Operation != "DescribeAlarms" {
		t.Errorf("asked %v, then %v: %s", calls[0].JSON, calls[1].JSON, diff)
	}
}
