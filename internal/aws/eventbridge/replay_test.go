package eventbridge_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/eventbridge"
	"github.com/countersign/countersign/internal/grant"
)

var (
	notify = eventbridge.Rule{Name: "countersign-notify", ARN: "arn:aws:events:eu-west-1:444455556666:rule/countersign/countersign-notify", Enabled: true}
	begin  = at.Add(-time.Hour)
)

func replay(ctx context.Context, cfg aws.Config) error {
	return eventbridge.New(cfg, "countersign").Replay(ctx, "countersign-1", notify, begin, at)
}

func TestReplayKeepsTheAdaptersContract(t *testing.T) {
	awstest.EventBridge.Contract(t, awstest.JSON(`{"State":"STARTING"}`), replay)
}

func TestAReplayGoesToOneRuleOnly(t *testing.T) {
	server := awstest.New(t, awstest.JSON(`{"State":"STARTING"}`))
	if err := replay(t.Context(), server.Config()); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"ReplayName": "countersign-1", "EventSourceArn": "arn:aws:events:eu-west-1:444455556666:archive/countersign",
		"EventStartTime": float64(begin.Unix()), "EventEndTime": float64(at.Unix()),
		"Destination": map[string]any{"Arn": "arn:aws:events:eu-west-1:444455556666:event-bus/countersign", "FilterArns": []any{notify.ARN}},
	}
	if diff := cmp.Diff(want, server.Only("StartReplay").JSON); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestAReplayWhoseAnswerWasLostIsNoSecondOne(t *testing.T) {
	server := awstest.New(t, awstest.Lost, awstest.JSONError(400, "ResourceAlreadyExistsException", "Replay countersign-1 already exists."))
	if err := replay(t.Context(), server.Config()); err != nil {
		t.Error(err)
	}
}

func TestAReplayToARuleOfAnotherBusIsRefused(t *testing.T) {
	server := awstest.New(t)
	other := eventbridge.Rule{Name: "x", ARN: "arn:aws:events:eu-west-1:444455556666:rule/orders/x"}
	if err := eventbridge.New(server.Config(), "countersign").Replay(t.Context(), "countersign-1", other, begin, at); err == nil {
		t.Error("taken")
	}
}

func TestRulesAreTheBussOwn(t *testing.T) {
	server := awstest.New(t,
		awstest.JSON(`{"Rules":[{"Name":"countersign-trail","Arn":"t","State":"DISABLED"},{"Name":"Events-Archive-countersign","Arn":"a","ManagedBy":"prod.vhs.events.aws.internal"}],"NextToken":"n"}`),
		awstest.JSON(`{"Rules":[{"Name":"countersign-notify","Arn":"n","State":"ENABLED"}]}`))
	got, err := eventbridge.New(server.Config(), "countersign").Rules(t.Context())
	want := []eventbridge.Rule{{Name: "countersign-notify", ARN: "n", Enabled: true}, {Name: "countersign-trail", ARN: "t"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if token := server.Calls()[1].JSON["NextToken"]; token != "n" {
		t.Errorf("next token %v", token)
	}
}

func TestStatesOfAReplay(t *testing.T) {
	for state, want := range map[string]eventbridge.Replaying{
		"STARTING": {}, "RUNNING": {}, "CANCELLING": {},
		"COMPLETED": {Ended: true}, "FAILED": {Ended: true, Failed: true}, "CANCELLED": {Ended: true, Failed: true},
	} {
		server := awstest.New(t, awstest.JSON(`{"State":"`+state+`","StateReason":"why","EventLastReplayedTime":`+"1773457200"+`}`))
		got, err := eventbridge.New(server.Config(), "countersign").Replaying(t.Context(), "countersign-1")
		want.State, want.Reason, want.LastAt = state, "why", at
		got.LastAt = got.LastAt.UTC()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", state, err, diff)
		}
	}
	server := awstest.New(t, awstest.JSON(`{"State":"PONDERING"}`))
	if _, err := eventbridge.New(server.Config(), "countersign").Replaying(t.Context(), "x"); !errors.Is(err, grant.ErrUnavailable) {
		t.Errorf("a state that AWS doesn't document: %v", err)
	}
}
