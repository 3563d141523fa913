package cloudwatchlogs_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/cloudwatchlogs"
	"github.com/countersign/countersign/internal/grant"
)

const (
	group   = "/aws/events/countersign"
	pattern = `{ $.detail.metadata.grant = "migration" }`
)

var since = time.Date(2026, 3, 14, 3, 0, 0, 0, time.UTC)

func find(ctx context.Context, cfg aws.Config) error {
	_, err := cloudwatchlogs.New(cfg).Find(ctx, group, pattern, since)
	return err
}

func TestFindKeepsTheAdaptersContract(t *testing.T) {
	awstest.CloudWatchLogs.Contract(t, awstest.JSON(`{"events":[]}`), find)
}

func TestFindReadsEveryPage(t *testing.T) {
	server := awstest.New(t,
		awstest.JSON(`{"events":[{"timestamp":1773457200000,"message":"one"}],"nextToken":"n1"}`),
		awstest.JSON(`{"events":[],"nextToken":"n2"}`), // CloudWatch Logs gives empty pages while it searches
		awstest.JSON(`{"events":[{"timestamp":1773457201000,"message":"two"}]}`))
	got, err := cloudwatchlogs.New(server.Config()).Find(t.Context(), group, pattern, since)
	if err != nil {
		t.Fatal(err)
	}
	want := []cloudwatchlogs.Message{{At: since, Text: "one"}, {At: since.Add(time.Second), Text: "two"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	asked := []map[string]any{}
	for _, c := range server.Calls() {
		asked = append(asked, c.JSON)
	}
	base := func(token any) map[string]any {
		m := map[string]any{"logGroupName": group, "filterPattern": pattern, "startTime": 1773457200000.0}
		if token != nil {
			m["nextToken"] = token
		}
		return m
	}
	if diff := cmp.Diff([]map[string]any{base(nil), base("n1"), base("n2")}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestFindWithoutALimitAsksForAll(t *testing.T) {
	server := awstest.New(t, awstest.JSON(`{"events":[]}`))
	if _, err := cloudwatchlogs.New(server.Config()).Find(t.Context(), group, pattern, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if start, ok := server.Only("FilterLogEvents").JSON["startTime"]; ok {
		t.Errorf("from %v on", start)
	}
}

func TestAGroupThatIsGone(t *testing.T) {
	awstest.Refused(t, awstest.JSONError(400, "ResourceNotFoundException", "The specified log group does not exist."), grant.ErrNotFound, find)
}

// The trail holds whole events, and whatever else somebody wrote there.
func TestATrailIsEventsAsEventBridgeDeliveredThem(t *testing.T) {
	server := awstest.New(t, awstest.JSON(`{"events":[
		{"timestamp":1773457200000,"message":"{\"detail-type\":\"Access Granted\",\"source\":\"countersign\",\"detail\":{\"metadata\":{\"grant\":\"migration\"}}}"},
		{"timestamp":1773457200000,"message":"no event"}]}`))
	got, err := cloudwatchlogs.NewTrail(server.Config(), group).Since(t.Context(), since)
	if err != nil {
		t.Fatal(err)
	}
	want := []events.Envelope{{DetailType: events.TypeAccessGranted, Source: events.Source, Detail: []byte(`{"metadata":{"grant":"migration"}}`)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if asked := server.Only("FilterLogEvents").JSON; asked["filterPattern"] != `{ $.source = "countersign" }` || asked["logGroupName"] != group {
		t.Errorf("asked %v", asked)
	}
	awstest.Refused(t, awstest.JSONError(400, "ResourceNotFoundException", "The specified log group does not exist."), grant.ErrNotFound,
		func(ctx context.Context, cfg aws.Config) error {
			_, err := cloudwatchlogs.NewTrail(cfg, group).Since(ctx, since)
			return err
		})
}
