// Package ses sends Countersign's mails through AWS SES. Package deliver holds what they say.
package ses

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/aws-sdk-go-v2/service/ses/types"

	"github.com/countersign/countersign/internal/aws/awserr"
	"github.com/countersign/countersign/internal/deliver"
)

// Client calls SES.
type Client struct{ api *ses.Client }

// New makes a client.
func New(cfg aws.Config) *Client { return &Client{ses.NewFromConfig(cfg)} }

// SendMail hands one mail to SES, as text and HTML in UTF-8 (SendEmail). SES has no token for repeats: a call whose answer
// was lost and that is tried again sends the mail twice.
func (c *Client) SendMail(ctx context.Context, m deliver.Mail) error {
	body := &types.Body{Text: content(m.Text)}
	if m.HTML != "" {
		body.Html = content(m.HTML)
	}
	_, err := c.api.SendEmail(ctx, &ses.SendEmailInput{
		Source:      &m.From,
		Destination: &types.Destination{ToAddresses: m.To},
		Message:     &types.Message{Subject: content(m.Subject), Body: body},
	})
	return awserr.From(err)
}

func content(text string) *types.Content {
	return &types.Content{Data: &text, Charset: new("UTF-8")}
}
