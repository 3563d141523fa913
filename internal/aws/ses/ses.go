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

// SendMail hands one mail to SES (SendRawEmail, the call that takes the headers by which mails are put into threads). SES has
// no token for repeats: a call whose answer was lost and that is tried again sends the mail twice. deliver.ErrBadHeader
// where a header is more than one line: SES isn't asked then.
func (c *Client) SendMail(ctx context.Context, m deliver.Mail) error {
	message, err := m.MIME()
	if err != nil {
		return err
	}
	_, err = c.api.SendRawEmail(ctx, &ses.SendRawEmailInput{
		Source: &m.From, Destinations: m.To, RawMessage: &types.RawMessage{Data: message},
	})
	return awserr.From(err)
}
