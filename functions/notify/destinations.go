package notify

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"slices"

	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

var (
	errNoSender   = errors.New("no sender of mail is configured: set mailFrom in access.yaml to a sender that SES has verified")
	errBadAddress = errors.New("not a mail address: correct it in access.yaml")
	errNoSecret   = errors.New("the signing secret can't be read: see that it exists and that countersign-notify may read it")
)

// find is the destination that a delivery is for, if the plan still has it and it is told of such events.
func find(p grant.Plan, d deliver.Queued) (grant.Destination, bool) {
	all := p.Destinations()
	i := slices.IndexFunc(all, func(to grant.Destination) bool { return deliver.IDOf(to) == d.Destination && to.Hears(d.Kind) })
	if i < 0 {
		return grant.Destination{}, false
	}
	return all[i], true
}

// tell makes one attempt.
func (b *batch) tell(ctx context.Context, p grant.Plan, f deliver.Facts, to grant.Destination) error {
	switch to.Channel {
	case grant.Mail:
		return b.mail(ctx, deliver.NewMessage(p, f, to.Audience()), to, tagsOf(p.Grant, f.EventID, to))
	case grant.SNS:
		m := deliver.NewMessage(p, f, to.Audience())
		return b.Topics.Publish(ctx, to.Address, m.Subject, m.Topic())
	}
	return b.webhook(ctx, p, f, to)
}

func (b *batch) mail(ctx context.Context, m deliver.Message, to grant.Destination, tags map[string]string) error {
	if b.MailFrom == "" {
		return errNoSender
	}
	if parsed, err := mail.ParseAddress(to.Address); err != nil || parsed.Address != to.Address {
		return errBadAddress
	}
	letter := m.Mail(b.MailFrom, to.Address)
	letter.Tags = tags
	return b.Mail.SendMail(ctx, letter)
}

func (b *batch) webhook(ctx context.Context, p grant.Plan, f deliver.Facts, to grant.Destination) error {
	hook, err := b.endpoint(ctx, to)
	switch {
	case err != nil:
		return err
	case hook.refused != "":
		return &disabled{hook}
	}
	body, err := deliver.BodyFor(hook.url, p, f, to.Audience())
	if err != nil {
		return err
	}
	request, err := deliver.NewRequest(ctx, hook.url, hook.key, f.EventID, b.Now(), body)
	if err != nil {
		return err
	}
	if err := deliver.Post(b.client, request); !deliver.Gone(err) {
		return err
	}
	return b.disable(ctx, to, hook, f.EventID)
}

// endpoint is a webhook as its signing secret completes it.
type endpoint struct {
	url     string
	key     deliver.Key
	mark    string // the tag of its secret that says it wants no message any more
	refused string // the event that it answered with 410; empty: it is told
}

// endpoint reads the signing secret, and then whether the endpoint is marked.
func (b *batch) endpoint(ctx context.Context, to grant.Destination) (endpoint, error) {
	url, key, err := b.signing(ctx, to)
	if err != nil {
		return endpoint{}, err
	}
	secret, err := b.Secrets.Describe(ctx, to.Secret)
	if err != nil {
		return endpoint{}, fmt.Errorf("%w: %w", errNoSecret, err)
	}
	mark := grant.TagDisabled + deliver.Fingerprint(url)
	return endpoint{url, key, mark, secret.Tags[mark]}, nil
}

// disabled says that a webhook wants no message any more.
type disabled struct{ endpoint }

func (*disabled) Error() string { return "the endpoint answered 410: it wants no messages any more" }

// disable remembers that an endpoint answered 410, at the secret that signs for it. The mark names the event: should this
// delivery come again, it announces again.
func (b *batch) disable(ctx context.Context, to grant.Destination, hook endpoint, eventID string) error {
	hook.refused = eventID
	if err := b.Secrets.Tag(ctx, to.Secret, map[string]string{hook.mark: eventID}); err != nil {
		return &trouble{fmt.Errorf("marking %s as disabled: %w", to.Name, err)}
	}
	return &disabled{hook}
}
