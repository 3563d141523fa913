package cloudwatchlogs

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/events"
)

// Trail is a log group into which EventBridge writes every event of a bus.
type Trail struct {
	client *Client
	group  string
}

// NewTrail makes a Trail of a log group.
func NewTrail(cfg aws.Config, group string) Trail { return Trail{New(cfg), group} }

// Since are Countersign's events from a moment on. What can't be read is left out.
func (t Trail) Since(ctx context.Context, from time.Time) ([]events.Envelope, error) {
	found, err := t.client.Find(ctx, t.group, fmt.Sprintf(`{ $.source = "%s" }`, events.Source), from)
	if err != nil {
		return nil, err
	}
	var out []events.Envelope
	for _, m := range found {
		var e events.Envelope
		if json.Unmarshal([]byte(m.Text), &e) == nil {
			out = append(out, e)
		}
	}
	return out, nil
}
