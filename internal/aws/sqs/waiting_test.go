package sqs_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/sqs"
	"github.com/countersign/countersign/internal/grant"
)

func TestHowManyMessagesWait(t *testing.T) {
	server := awstest.New(t,
		awstest.JSON(`{"QueueUrl":"https://sqs.eu-central-1.amazonaws.com/444455556666/countersign-notify-dead"}`),
		awstest.JSON(`{"Attributes":{"ApproximateNumberOfMessages":"3"}}`))
	n, err := sqs.Waiting(t.Context(), server.Config(), "countersign-notify-dead")
	if n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if calls := server.Calls(); calls[0].JSON["QueueName"] != "countersign-notify-dead" || calls[1].Operation != "GetQueueAttributes" {
		t.Errorf("asked %v", calls)
	}
	server = awstest.New(t, awstest.JSON(`{"QueueUrl":"https://sqs/x"}`), awstest.JSON(`{"Attributes":{}}`))
	if _, err := sqs.Waiting(t.Context(), server.Config(), "x"); err == nil {
		t.Error("no number is one")
	}
}

func TestAQueueThatIsNotThere(t *testing.T) {
	awstest.Refused(t, awstest.JSONError(400, "com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist."), grant.ErrNotFound,
		func(ctx context.Context, cfg aws.Config) error {
			_, err := sqs.Waiting(ctx, cfg, "countersign-notify-dead")
			return err
		})
}
