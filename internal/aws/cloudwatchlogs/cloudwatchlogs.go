// Package cloudwatchlogs reads what AWS CloudWatch Logs holds of one log group. It decides nothing, and believes nothing of
// what it reads.
package cloudwatchlogs

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/countersign/countersign/internal/aws/awserr"
)

// Client reads log groups.
type Client struct{ api *cloudwatchlogs.Client }

// New makes a client.
func New(cfg aws.Config) *Client { return &Client{cloudwatchlogs.NewFromConfig(cfg)} }

// Message is one log event.
type Message struct {
	At   time.Time // as its writer says
	Text string
}

// Find lists the messages of a group that match a filter pattern and are not older than since; the zero time is no limit
// (FilterLogEvents, page after page: a page may be empty and not the last). grant.ErrNotFound where there is no such group.
func (c *Client) Find(ctx context.Context, group, pattern string, since time.Time) ([]Message, error) {
	in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group, FilterPattern: &pattern}
	if !since.IsZero() {
		in.StartTime = new(since.UnixMilli())
	}
	var out []Message
	for {
		page, err := c.api.FilterLogEvents(ctx, in)
		if err != nil {
			return nil, awserr.From(err)
		}
		for _, e := range page.Events {
			out = append(out, Message{time.UnixMilli(aws.ToInt64(e.Timestamp)).UTC(), aws.ToString(e.Message)})
		}
		if aws.ToString(page.NextToken) == "" {
			return out, nil
		}
		in.NextToken = page.NextToken
	}
}
