// Package sqs sends to one AWS SQS queue, and ends or puts off what was received from it: requests to look at a grant, and
// what is to be told. What it sends opens nothing.
package sqs

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/countersign/countersign/internal/aws/awserr"
)

// Queue is one queue.
type Queue struct {
	api *sqs.Client
	url string
}

// New is the queue at url.
func New(cfg aws.Config, url string) *Queue { return &Queue{sqs.NewFromConfig(cfg), url} }

// Send puts one message on the queue, to be received after the delay (SendMessage). SQS delays by whole seconds, up to 15
// minutes; a part of a second counts as one.
func (q *Queue) Send(ctx context.Context, body []byte, delay time.Duration) error {
	_, err := q.api.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: &q.url, MessageBody: new(string(body)), DelaySeconds: seconds(delay),
	})
	return awserr.From(err)
}

// Hide keeps a received message from being received again for that long from now (ChangeMessageVisibility): whole seconds, a
// part of one counts as one. SQS refuses what lies more than 12 hours behind the receipt.
func (q *Queue) Hide(ctx context.Context, receipt string, d time.Duration) error {
	_, err := q.api.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &q.url, ReceiptHandle: &receipt, VisibilityTimeout: seconds(d),
	})
	return awserr.From(err)
}

// Delete ends a received message (DeleteMessage). One that is gone already is no error.
func (q *Queue) Delete(ctx context.Context, receipt string) error {
	_, err := q.api.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: &receipt})
	return awserr.From(err)
}

func seconds(d time.Duration) int32 { return int32((d + time.Second - 1) / time.Second) }
