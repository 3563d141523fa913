package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/mail"
	"slices"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

var (
	errNoSender   = errors.New("no sender of mail is configured: set mailFrom in access.yaml to a sender that SES has verified")
	errBadAddress = errors.New("not a mail address: correct it in access.yaml")
	errNoSecret   = errors.New("the signing secret can't be read: see that it exists and that countersign-notify may read it")
)

// destination is one place that is told. Its name counts within its channel; addresses stay out of events, logs and queues.
type destination struct {
	channel string
	place   int // in the plan, from 1
	to      deliver.Audience
	address string // of mail or topic; a webhook's URL, or its secret where the URL stands in there
	hook    grant.Webhook
}

func (d destination) name() string { return fmt.Sprintf("%s %d", d.channel, d.place) }

// id is by which a message on the queue knows the destination: it stays the same where others come and go, and names another
// one when the address changes.
func (d destination) id() string { return d.channel + "-" + fingerprint(d.channel, d.address) }

// hears says whether a destination is told of an event. No mail tells of one that didn't arrive: it might not arrive either,
// and so on without end.
func (d destination) hears(kind events.Type) bool {
	return deliver.Tells(d.to, kind) && (d.channel != "mail" || kind != events.TypeMailUndelivered)
}

func fingerprint(parts ...string) string {
	sum := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(sum, "%d %s", len(p), p)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// destinations are those of the plan, in its order.
func destinations(p grant.Plan) (out []destination) {
	for i, address := range p.Notify.Mail {
		out = append(out, destination{channel: "mail", place: i + 1, to: deliver.Provider, address: address})
	}
	for i, hook := range p.Notify.Webhook {
		address := hook.URL
		if address == "" {
			address = hook.Secret
		}
		out = append(out, destination{channel: "webhook", place: i + 1, to: deliver.Provider, address: address, hook: hook})
	}
	for i, topic := range p.Notify.SNS {
		out = append(out, destination{channel: "sns", place: i + 1, to: deliver.Operators, address: topic})
	}
	return out
}

// find is the destination that a delivery is for, if the plan still has it and it is told of such events.
func find(p grant.Plan, d delivery) (destination, bool) {
	all := destinations(p)
	i := slices.IndexFunc(all, func(to destination) bool { return to.id() == d.Destination && to.hears(d.Kind) })
	if i < 0 {
		return destination{}, false
	}
	return all[i], true
}

// tell makes one attempt.
func (b *batch) tell(ctx context.Context, p grant.Plan, f deliver.Facts, to destination) error {
	switch to.channel {
	case "mail":
		return b.mail(ctx, deliver.NewMessage(p, f, to.to), to, tagsOf(p.Grant, f.EventID, to))
	case "sns":
		m := deliver.NewMessage(p, f, to.to)
		return b.Topics.Publish(ctx, to.address, m.Subject, m.Topic())
	}
	return b.webhook(ctx, p, f, to)
}

func (b *batch) mail(ctx context.Context, m deliver.Message, to destination, tags map[string]string) error {
	if b.MailFrom == "" {
		return errNoSender
	}
	if parsed, err := mail.ParseAddress(to.address); err != nil || parsed.Address != to.address {
		return errBadAddress
	}
	letter := m.Mail(b.MailFrom, to.address)
	letter.Tags = tags
	return b.Mail.SendMail(ctx, letter)
}

func (b *batch) webhook(ctx context.Context, p grant.Plan, f deliver.Facts, to destination) error {
	hook, err := b.endpoint(ctx, to)
	switch {
	case err != nil:
		return err
	case hook.refused != "":
		return &disabled{hook}
	}
	body, err := deliver.BodyFor(hook.url, p, f)
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
func (b *batch) endpoint(ctx context.Context, to destination) (endpoint, error) {
	url, key, err := b.signing(ctx, to.hook)
	if err != nil {
		return endpoint{}, err
	}
	secret, err := b.Secrets.Describe(ctx, to.hook.Secret)
	if err != nil {
		return endpoint{}, fmt.Errorf("%w: %w", errNoSecret, err)
	}
	mark := grant.TagDisabled + fingerprint(url)
	return endpoint{url, key, mark, secret.Tags[mark]}, nil
}

// disabled says that a webhook wants no message any more.
type disabled struct{ endpoint }

func (*disabled) Error() string { return "the endpoint answered 410: it wants no messages any more" }

// disable remembers that an endpoint answered 410, at the secret that signs for it. The mark names the event: should this
// delivery come again, it announces again.
func (b *batch) disable(ctx context.Context, to destination, hook endpoint, eventID string) error {
	hook.refused = eventID
	if err := b.Secrets.Tag(ctx, to.hook.Secret, map[string]string{hook.mark: eventID}); err != nil {
		return &trouble{fmt.Errorf("marking %s as disabled: %w", to.name(), err)}
	}
	return &disabled{hook}
}
