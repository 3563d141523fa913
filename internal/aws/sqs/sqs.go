// Package sqs sends to one AWS SQS queue, receives from it, and ends or puts off what was received: requests to look at a
// grant, what is to be told, and what could not be. What it sends opens nothing.
package sqs

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/countersign/countersign/internal/aws/awserr"
	"github.com/countersign/countersign/internal/deliver"
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

// Receive takes up to ten messages, and hides them for that long (ReceiveMessage). It waits a second for the first one: by that
// SQS asks all of its servers, so that none means that there is none.
func (q *Queue) Receive(ctx context.Context, hidden time.Duration) ([]deliver.Received, error) {
	out, err := q.api.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, VisibilityTimeout: seconds(hidden),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll}, MessageAttributeNames: []string{"All"},
	})
	if err != nil {
		return nil, awserr.From(err)
	}
	received := make([]deliver.Received, 0, len(out.Messages))
	for _, m := range out.Messages {
		one := deliver.Received{ID: aws.ToString(m.MessageId), Receipt: aws.ToString(m.ReceiptHandle), Body: aws.ToString(m.Body), Attributes: map[string]string{}}
		for name, v := range m.MessageAttributes {
			one.Attributes[name] = aws.ToString(v.StringValue)
		}
		for name, v := range m.Attributes { // SQS's word goes before the sender's
			one.Attributes[name] = v
		}
		if ms, err := strconv.ParseInt(one.Attributes["SentTimestamp"], 10, 64); err == nil {
			one.Sent = time.UnixMilli(ms).UTC()
		}
		received = append(received, one)
	}
	return received, nil
}

// Depth is how many messages a queue holds, as SQS reckons: about.
type Depth struct {
	Ready   int `json:"ready"`   // to be received
	Waiting int `json:"waiting"` // for their delay
	InHand  int `json:"inHand"`  // received, and neither ended nor back
}

// Depth counts (GetQueueAttributes).
func (q *Queue) Depth(ctx context.Context) (Depth, error) {
	names := []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	}
	out, err := q.api.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.url, AttributeNames: names})
	if err != nil {
		return Depth{}, awserr.From(err)
	}
	var d Depth
	for i, into := range []*int{&d.Ready, &d.Waiting, &d.InHand} {
		if *into, err = strconv.Atoi(out.Attributes[string(names[i])]); err != nil {
			return Depth{}, fmt.Errorf("counting what is on the queue: %w", err)
		}
	}
	return d, nil
}

func seconds(d time.Duration) int32 { return int32((d + time.Second - 1) / time.Second) }
