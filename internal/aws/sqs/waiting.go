package sqs

import (
	"context"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/countersign/countersign/internal/aws/awserr"
)

// Waiting is about how many messages wait on the queue of that name (GetQueueUrl, GetQueueAttributes). grant.ErrNotFound where
// there is no such queue.
func Waiting(ctx context.Context, cfg aws.Config, name string) (int, error) {
	api := sqs.NewFromConfig(cfg)
	found, err := api.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return 0, awserr.From(err)
	}
	const waiting = types.QueueAttributeNameApproximateNumberOfMessages
	out, err := api.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: found.QueueUrl, AttributeNames: []types.QueueAttributeName{waiting}})
	if err != nil {
		return 0, awserr.From(err)
	}
	n, err := strconv.Atoi(out.Attributes[string(waiting)])
	return n, awserr.From(err)
}
