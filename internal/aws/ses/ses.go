// Package ses sends Countersign's mails through AWS SES. Package deliver holds what they say.
package ses

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/aws-sdk-go-v2/service/ses/types"

	"github.com/countersign/countersign/internal/aws/awserr"
	"github.com/countersign/countersign/internal/deliver"
)

// Client calls SES.
type Client struct {
	api *ses.Client
	set string
}

// New makes a client that sends by a configuration set, through which SES says what becomes of each mail; "": by none.
func New(cfg aws.Config, configurationSet string) *Client {
	return &Client{ses.NewFromConfig(cfg), configurationSet}
}

// SendMail hands one mail to SES (SendRawEmail, the call that takes the headers by which mails are put into threads). SES has
// no token for repeats: a call whose answer was lost and that is tried again sends the mail twice. deliver.ErrBadHeader
// where a header is more than one line: SES isn't asked then.
func (c *Client) SendMail(ctx context.Context, m deliver.Mail) error {
	message, err := m.MIME()
	if err != nil {
		return err
	}
	in := &ses.SendRawEmailInput{Source: &m.From, Destinations: m.To, RawMessage: &types.RawMessage{Data: message}}
	if c.set != "" {
		in.ConfigurationSetName = &c.set
	}
	for _, name := range slices.Sorted(maps.Keys(m.Tags)) {
		in.Tags = append(in.Tags, types.MessageTag{Name: &name, Value: new(m.Tags[name])})
	}
	_, err = c.api.SendRawEmail(ctx, in)
	return awserr.From(err)
}
