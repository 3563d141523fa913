package eventbridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/eventbridge"
	"github.com/countersign/countersign/internal/grant"
)

const roleARN = "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration"

var (
	at    = time.Date(2026, 3, 14, 3, 0, 0, 0, time.UTC)
	event = events.New("migration", "rv-1", "1.0.0", at, events.AccessRevoked{
		Where: events.Where{Provider: "hestio", Account: "444455556666", RoleARN: roleARN}, RevokeID: "rv-1", Reason: "work <done>", By: "unknown",
	})
	taken = awstest.JSON(`{"FailedEntryCount": 0, "Entries": [{"EventId": "11710aed-b79e-4468-a20b-bb3c0c3b4860"}]}`)
)

func put(ctx context.Context, cfg aws.Config) error {
	return eventbridge.New(cfg, "countersign").Put(ctx, event)
}

func TestPutKeepsTheAdaptersContract(t *testing.T) {
	awstest.EventBridge.Contract(t, taken, put)
}

func TestAnEventIsPutWhole(t *testing.T) {
	server := awstest.New(t, taken)
	if err := put(t.Context(), server.Config()); err != nil {
		t.Fatal(err)
	}
	entries, _ := server.Only("PutEvents").JSON["Entries"].([]any)
	if len(entries) != 1 {
		t.Fatalf("entries = %v, want one", entries)
	}
	entry := entries[0].(map[string]any)
	detail := entry["Detail"].(string)
	delete(entry, "Detail")
	want := map[string]any{
		"Source": "countersign", "DetailType": "Access Revoked", "EventBusName": "countersign",
		"Resources": []any{roleARN}, "Time": float64(at.Unix()),
	}
	if diff := cmp.Diff(want, entry); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	got, err := events.Parse(events.TypeAccessRevoked, []byte(detail))
	if err != nil {
		t.Fatal(err)
	}
	sent, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := json.Marshal(got); err != nil || string(back) != string(sent) {
		t.Errorf("detail = %s, want %s", back, sent)
	}
}

func TestAnEventWithoutARoleHasNoResource(t *testing.T) {
	server := awstest.New(t, taken)
	told := events.New("migration", "x", "1.0.0", at, events.DeliveryFailed{Delivery: events.Delivery{EventID: "x", Channel: "mail"}})
	if err := eventbridge.New(server.Config(), "countersign").Put(t.Context(), told); err != nil {
		t.Fatal(err)
	}
	entry := server.Only("PutEvents").JSON["Entries"].([]any)[0].(map[string]any)
	if resources, ok := entry["Resources"]; ok {
		t.Errorf("resources = %v, want none", resources)
	}
}

func TestARefusedEntryIsAnErrorThoughTheCallSucceeded(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		want       error
	}{
		{"throttled", `{"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException", "ErrorMessage": "Rate exceeded"}]}`, grant.ErrThrottled},
		{"denied", `{"FailedEntryCount": 1, "Entries": [{"ErrorCode": "AccessDeniedException", "ErrorMessage": "no"}]}`, grant.ErrDenied},
		{"broken", `{"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure", "ErrorMessage": "Internal failure"}]}`, grant.ErrUnavailable},
		{"failed without a code", `{"FailedEntryCount": 1, "Entries": [{}]}`, grant.ErrUnavailable},
		{"an answer about nothing", `{"FailedEntryCount": 0, "Entries": []}`, grant.ErrUnavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			awstest.Refused(t, awstest.JSON(tc.body), tc.want, put)
		})
	}
	t.Run("for a reason of its own", func(t *testing.T) {
		server := awstest.New(t, awstest.JSON(`{"FailedEntryCount": 1, "Entries": [{"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}]}`))
		err := put(t.Context(), server.Config())
		if err == nil || errors.Is(err, grant.ErrUnavailable) {
			t.Errorf("error = %v, want one that no retry is promised for", err)
		}
	})
	t.Run("no such bus", func(t *testing.T) {
		awstest.Refused(t, awstest.JSONError(400, "ResourceNotFoundException", "Event bus countersign does not exist."), grant.ErrNotFound, put)
	})
}
