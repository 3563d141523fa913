// Package sqs sends to one AWS SQS queue: requests to look at a grant. What it sends opens nothing.
package sqs

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/countersign/countersign/internal/aws/awserr"
)

// Queue sends to one queue.
type Queue struct {
	api *sqs.Client
	url string
}

// New makes a sender for the queue at url.
func New(cfg aws.Config, url string) *Queue { return &Queue{sqs.NewFromConfig(cfg), url} }

// Send puts one message on the queue, to be received after the delay (SendMessage). SQS delays by whole seconds, up to 15
// minutes; a part of a second counts as one.
func (q *Queue) Send(ctx context.Context, body []byte, delay time.Duration) error {
	seconds := int32((delay + time.Second - 1) / time.Second)
	_, err := q.api.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: &q.url, MessageBody: new(string(body)), DelaySeconds: seconds,
	})
	return awserr.From(err)
}
