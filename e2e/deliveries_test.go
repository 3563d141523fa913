//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

// sendsAgain puts a delivery of the revocation with the dead letters, as notify does after ten attempts, and sends it again: the
// provider's webhook gets it once more, under the same id.
func (s *story) sendsAgain(t *testing.T, revokeID string) {
	ctx := t.Context()
	hook := grant.Destination{Channel: grant.Webhook, Address: s.around.Receiver.URL}
	about := func() (ids []string) {
		for _, d := range s.around.Receiver.Deliveries() {
			if strings.Contains(string(d.Body), revokeID) && d.Verified == nil {
				ids = append(ids, d.Header.Get("webhook-id"))
			}
		}
		return ids
	}
	before := about()
	if len(before) == 0 {
		t.Fatal("the webhook was never told")
	}
	body := must[[]byte](t)(deliver.Queued{
		Said:        deliver.Said{ID: before[0], Kind: events.TypeAccessRevoked, Grant: grant.Name(revoked), RevokeID: revokeID},
		Destination: deliver.IDOf(hook), Attempt: 10, FirstTried: time.Now().Add(-72 * time.Hour), Reason: "the endpoint answered 503",
	}.Encode())
	dead := must[map[string]string](t)(s.StackOutputs(ctx))["DeadLettersUrl"]
	if _, err := sqs.NewFromConfig(s.operator).SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &dead, MessageBody: new(string(body))}); err != nil {
		t.Fatal(err)
	}
	type letter struct {
		Destination, Reason, Outcome string
		Attempts                     int
	}
	var shown struct{ Dead []letter }
	decode(t, s.countersign(t, 0, "deliveries", revoked, "--json").Stdout, &shown)
	if len(shown.Dead) != 1 || shown.Dead[0] != (letter{"webhook 1", "the endpoint answered 503", "", 10}) {
		t.Fatalf("dead letters: %+v", shown.Dead)
	}
	var sent struct{ Letters []letter }
	decode(t, s.countersign(t, 0, "deliveries", "redrive", "--grant", revoked, "--yes", "--json").Stdout, &sent)
	if len(sent.Letters) != 1 || sent.Letters[0].Outcome != "sent" {
		t.Errorf("sent: %+v", sent.Letters)
	}
	eventually(t, 15*time.Second, "the webhook is told once more", func() bool { return len(about()) > len(before) })
	if after := about(); after[len(after)-1] != before[0] {
		t.Errorf("under another id: %v", after)
	}
	if out := s.countersign(t, 0, "deliveries", revoked).Stdout; !strings.Contains(out, "no letters") {
		t.Errorf("left: %s", out)
	}
}
