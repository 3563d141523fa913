// Package sesv2 reads what AWS SES says of an account's mail: whether it may send, to whom, and as whom. Package ses sends.
//
// One method is one AWS call, but for Set's two. It decides nothing and changes nothing.
package sesv2

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"

	"github.com/countersign/countersign/internal/aws/awserr"
	"github.com/countersign/countersign/internal/doctor"
)

// Client calls SES's second API.
type Client struct{ api *sesv2.Client }

// New makes a client.
func New(cfg aws.Config) *Client { return &Client{sesv2.NewFromConfig(cfg)} }

// Account is the account's state in the Region (GetAccount).
func (c *Client) Account(ctx context.Context) (doctor.MailAccount, error) {
	out, err := c.api.GetAccount(ctx, &sesv2.GetAccountInput{})
	if err != nil {
		return doctor.MailAccount{}, awserr.From(err)
	}
	a := doctor.MailAccount{Production: out.ProductionAccessEnabled, Sending: out.SendingEnabled, Enforcement: aws.ToString(out.EnforcementStatus)}
	if q := out.SendQuota; q != nil {
		a.DailyQuota, a.SentToday = q.Max24HourSend, q.SentLast24Hours
	}
	return a, nil
}

// Identity is an address or a domain (GetEmailIdentity). grant.ErrNotFound where SES doesn't know it.
func (c *Client) Identity(ctx context.Context, name string) (doctor.MailIdentity, error) {
	out, err := c.api.GetEmailIdentity(ctx, &sesv2.GetEmailIdentityInput{EmailIdentity: &name})
	if err != nil {
		return doctor.MailIdentity{}, awserr.From(err)
	}
	i := doctor.MailIdentity{Verified: out.VerifiedForSendingStatus, Status: string(out.VerificationStatus)}
	if d := out.DkimAttributes; d != nil {
		i.Signing, i.DKIM = d.SigningEnabled, string(d.Status)
	}
	if m := out.MailFromAttributes; m != nil {
		i.MailFrom, i.MailFromWord = aws.ToString(m.MailFromDomain), string(m.MailFromDomainStatus)
	}
	return i, nil
}

// Set is a configuration set with what it publishes to EventBridge (GetConfigurationSet, GetConfigurationSetEventDestinations).
// grant.ErrNotFound where there is no such set.
func (c *Client) Set(ctx context.Context, name string) (doctor.MailSet, error) {
	set, err := c.api.GetConfigurationSet(ctx, &sesv2.GetConfigurationSetInput{ConfigurationSetName: &name})
	if err != nil {
		return doctor.MailSet{}, awserr.From(err)
	}
	out, err := c.api.GetConfigurationSetEventDestinations(ctx, &sesv2.GetConfigurationSetEventDestinationsInput{ConfigurationSetName: &name})
	if err != nil {
		return doctor.MailSet{}, awserr.From(err)
	}
	s := doctor.MailSet{Sending: set.SendingOptions == nil || set.SendingOptions.SendingEnabled}
	for _, d := range out.EventDestinations {
		if !d.Enabled || d.EventBridgeDestination == nil {
			continue
		}
		for _, event := range d.MatchingEventTypes {
			s.Events = append(s.Events, string(event))
		}
	}
	return s, nil
}
