package notify

import (
	"context"
	"errors"
	"fmt"
	"net/mail"

	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

var (
	errNoSender   = errors.New("no sender of mail is configured: set mailFrom in access.yaml to a sender that SES has verified")
	errBadAddress = errors.New("not a mail address: correct it in access.yaml")
	errNoSecret   = errors.New("the signing secret can't be read: see that it exists and that countersign-notify may read it")
)

// destination is one place that is told. Its name counts within its channel; addresses stay out of events and logs.
type destination struct {
	channel, name string
	tell          func(ctx context.Context) error
}

// destinations are those of the plan that the event concerns, in the plan's order.
func (b *batch) destinations(p grant.Plan, f deliver.Facts) []destination {
	var out []destination
	add := func(channel string, i int, tell func(context.Context) error) {
		out = append(out, destination{channel, fmt.Sprintf("%s %d", channel, i+1), tell})
	}
	if deliver.Tells(deliver.Provider, f.Kind) {
		m := deliver.NewMessage(p, f, deliver.Provider)
		for i, address := range p.Notify.Mail {
			add("mail", i, func(ctx context.Context) error { return b.mail(ctx, m, address) })
		}
		for i, hook := range p.Notify.Webhook {
			add("webhook", i, func(ctx context.Context) error { return b.webhook(ctx, p, f, hook) })
		}
	}
	if deliver.Tells(deliver.Operators, f.Kind) {
		m := deliver.NewMessage(p, f, deliver.Operators)
		for i, topic := range p.Notify.SNS {
			add("sns", i, func(ctx context.Context) error { return b.Topics.Publish(ctx, topic, m.Subject, m.Topic()) })
		}
	}
	return out
}

func (b *batch) mail(ctx context.Context, m deliver.Message, address string) error {
	if b.MailFrom == "" {
		return errNoSender
	}
	if parsed, err := mail.ParseAddress(address); err != nil || parsed.Address != address {
		return errBadAddress
	}
	return b.Mail.SendMail(ctx, m.Mail(b.MailFrom, address))
}

func (b *batch) webhook(ctx context.Context, p grant.Plan, f deliver.Facts, hook grant.Webhook) error {
	endpoint, key, err := b.signing(ctx, hook)
	if err != nil {
		return err
	}
	body, err := deliver.BodyFor(endpoint, p, f)
	if err != nil {
		return err
	}
	request, err := deliver.NewRequest(ctx, endpoint, key, f.EventID, b.Now(), body)
	if err != nil {
		return err
	}
	return deliver.Post(b.client, request)
}

// final says that only a person can help: the message isn't delivered again for it, which would repeat what others
// already took.
func final(err error) bool {
	for _, e := range []error{
		errNoSender, errBadAddress, deliver.ErrBadHeader, deliver.ErrBadKey, deliver.ErrBadURL, deliver.ErrForbiddenAddress, deliver.ErrRedirected,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// reason says in plain words why a destination was not told. It names no address: services' own words may.
func reason(channel string, err error) string {
	for _, e := range []error{errNoSender, errBadAddress, errNoSecret} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	for _, e := range []error{grant.ErrNotFound, grant.ErrDenied, grant.ErrThrottled, grant.ErrQuota, grant.ErrUnavailable} {
		if errors.Is(err, e) {
			return "AWS: " + e.Error()
		}
	}
	switch {
	case errors.Is(err, deliver.ErrBadHeader):
		return "the sender or the recipient is not one line of ASCII: correct mailFrom and notify in access.yaml"
	case channel == "mail":
		return "SES did not take the mail: see that the sender is verified, and the log of countersign-notify"
	case channel == "sns":
		return "SNS did not take the message: see the log of countersign-notify"
	}
	return deliver.Reason(err)
}

// loggable is what the log may hold of an error: a webhook's may quote its URL, which can be a credential.
func loggable(channel string, err error) string {
	if channel == "webhook" {
		return reason(channel, err)
	}
	return err.Error()
}
