// Package eventbridge puts Countersign's events on one AWS EventBridge bus. Package events holds what they say.
package eventbridge

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/aws/awserr"
	"github.com/countersign/countersign/internal/grant"
)

// Bus puts events on one bus.
type Bus struct {
	api  *eventbridge.Client
	name string
}

// New makes a sender for the bus of that name or ARN.
func New(cfg aws.Config, name string) *Bus { return &Bus{eventbridge.NewFromConfig(cfg), name} }

// Put puts one event on the bus (PutEvents), with the grant's role as its resource. It returns nil only once the bus took
// the event: an answer can be a success as a whole and still refuse the entry.
func (b *Bus) Put(ctx context.Context, e events.Event) error {
	detail, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("writing event %q: %w", e.Data.Type(), err)
	}
	entry := types.PutEventsRequestEntry{
		EventBusName: &b.name, Source: new(events.Source), DetailType: new(string(e.Data.Type())), Detail: new(string(detail)),
	}
	if arn := roleOf(detail); arn != "" {
		entry.Resources = []string{arn}
	}
	if at := e.Metadata.Time; !at.IsZero() {
		entry.Time = new(at.UTC().Truncate(time.Second))
	}
	out, err := b.api.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry}})
	if err != nil {
		return awserr.From(err)
	}
	requestID, _ := middleware.GetRequestIDMetadata(out.ResultMetadata)
	if out.FailedEntryCount > 0 {
		for _, answer := range out.Entries {
			if code := aws.ToString(answer.ErrorCode); code != "" {
				return awserr.OfCode("EventBridge PutEvents", code, aws.ToString(answer.ErrorMessage), requestID)
			}
		}
	}
	if out.FailedEntryCount > 0 || len(out.Entries) != 1 {
		return fmt.Errorf("EventBridge PutEvents: an answer that does not say what became of the event: %w", grant.ErrUnavailable)
	}
	return nil
}

// roleOf reads data.roleArn, which the events about one grant carry.
func roleOf(detail []byte) string {
	var body struct {
		Data struct {
			RoleARN string `json:"roleArn"`
		} `json:"data"`
	}
	if json.Unmarshal(detail, &body) != nil {
		return ""
	}
	return body.Data.RoleARN
}
