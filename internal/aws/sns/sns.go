// Package sns publishes to AWS SNS topics of the customer's own operators.
package sns

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/countersign/countersign/internal/aws/awserr"
)

// Client calls SNS.
type Client struct{ api *sns.Client }

// New makes a client.
func New(cfg aws.Config) *Client { return &Client{sns.NewFromConfig(cfg)} }

// Publish sends a message to a topic (Publish). SNS takes subjects of one line and fewer than 100 characters; an
// empty one is left out.
func (c *Client) Publish(ctx context.Context, topicARN, subject, message string) error {
	in := &sns.PublishInput{TopicArn: &topicARN, Message: &message}
	if subject != "" {
		in.Subject = &subject
	}
	_, err := c.api.Publish(ctx, in)
	return awserr.From(err)
}
