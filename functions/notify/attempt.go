package notify

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

// deliver makes one attempt at one destination, if it is time. What follows is on the queue before anybody hears of the
// outcome.
func (b *batch) deliver(ctx context.Context, d deliver.Queued, message lambdaevents.SQSMessage) error {
	if b.Now().Before(d.NotBefore) {
		return b.wait(ctx, d, message)
	}
	if b.done[attempt(d)] {
		return nil
	}
	var plan grant.Plan
	var to grant.Destination
	var facts deliver.Facts
	var err error // of the attempt
	if d.Kind == events.WeeklyDigest {
		letter := deliver.Message{}
		if to, letter, err = b.digest(ctx, d); err != nil {
			return err
		}
		err = b.mail(ctx, letter, to, tagsOf(d.Grant, d.ID, to))
	} else {
		if plan, to, facts, err = b.told(ctx, d); err != nil {
			return err
		}
		err = b.tell(ctx, plan, facts, to)
	}
	next, err := b.follow(ctx, d, plan, facts, to, err)
	if errors.As(err, new(*trouble)) {
		return err
	}
	b.done[attempt(d)] = true
	b.announce(d, to, next, err)
	return nil
}

// told is whom a delivery of an event is for, and what there is to tell.
func (b *batch) told(ctx context.Context, d deliver.Queued) (p grant.Plan, to grant.Destination, f deliver.Facts, err error) {
	if p, err = b.plan(ctx, d.Grant); err != nil {
		return p, to, f, err
	}
	to, ok := find(p, d)
	if !ok {
		return p, to, f, drop("the plan of %s tells %s nothing of %q", d.Grant, d.Destination, d.Kind)
	}
	f, err = b.facts(ctx, p, d)
	return p, to, f, err
}

// attempt tells one attempt from every other, those before a person sent the delivery again included.
func attempt(d deliver.Queued) string {
	key := fmt.Sprintf("%s %s %d %d", d.ID, d.Destination, d.Attempt, d.FirstTried.Unix())
	if !d.SentAgain.IsZero() {
		key += fmt.Sprintf(" sent again %d", d.SentAgain.Unix())
	}
	return key
}

// follow does what an attempt's outcome asks for, and says when the next one comes. The outcome comes back, or trouble.
func (b *batch) follow(ctx context.Context, d deliver.Queued, p grant.Plan, f deliver.Facts, to grant.Destination, outcome error) (next time.Time, err error) {
	var refused *disabled
	switch {
	case outcome == nil || errors.As(outcome, new(*trouble)):
		return next, outcome
	case errors.As(outcome, &refused):
		if refused.refused == d.ID {
			err = b.announceDisabled(ctx, d, to, refused)
		}
	case final(outcome):
		err = b.bury(ctx, d, to, outcome)
	default:
		var again bool
		if next, again, err = b.next(d, f, outcome); err != nil {
			break
		}
		if !again {
			err = b.bury(ctx, d, to, outcome)
			break
		}
		if err = b.remind(ctx, d, p, f, to); err == nil {
			later := d
			later.Attempt, later.NotBefore = d.Attempt+1, next
			err = b.send(ctx, later)
		}
	}
	if err != nil {
		return next, &trouble{err}
	}
	return next, outcome
}

// next is when the next attempt comes, if one does.
func (b *batch) next(d deliver.Queued, f deliver.Facts, outcome error) (time.Time, bool, error) {
	var random [8]byte
	if _, err := io.ReadFull(b.Rand, random[:]); err != nil {
		return time.Time{}, false, fmt.Errorf("reading randomness: %w", err)
	}
	jitter := float64(binary.BigEndian.Uint64(random[:])>>11) / (1 << 53)
	now, asked := b.Now(), time.Duration(0)
	if status := (*deliver.StatusError)(nil); errors.As(outcome, &status) {
		asked = status.Wait(now)
	}
	at, again := deliver.Next(f, d.Attempt, now, asked, jitter)
	return at, again, nil
}

// remind mails what a webhook has not taken even at the last call.
func (b *batch) remind(ctx context.Context, d deliver.Queued, p grant.Plan, f deliver.Facts, to grant.Destination) error {
	if to.Channel != grant.Webhook || f.LastCall().IsZero() || !d.NotBefore.Equal(f.LastCall()) {
		return nil
	}
	for _, other := range p.Destinations() {
		if other.Channel != grant.Mail || other.Audience() != to.Audience() || !other.Hears(d.Kind) {
			continue
		}
		if err := b.send(ctx, deliver.Queued{Said: d.Said, Destination: deliver.IDOf(other), Attempt: 1, FirstTried: b.Now()}); err != nil {
			return err
		}
	}
	return nil
}

// bury puts a delivery with the dead letters, with the reason, where it lies until a person sends it again.
func (b *batch) bury(ctx context.Context, d deliver.Queued, to grant.Destination, outcome error) error {
	d.Reason = reason(to.Channel, outcome)
	body, err := d.Encode()
	if err != nil {
		return fmt.Errorf("writing a dead letter: %w", err)
	}
	if err := b.Dead.Send(ctx, body, 0); err != nil {
		return fmt.Errorf("putting a delivery with the dead letters: %w", err)
	}
	return nil
}

// announceDisabled says that a destination wants no message any more. The bus brings it back to notify, which tells the
// operators.
func (b *batch) announceDisabled(ctx context.Context, d deliver.Queued, to grant.Destination, refused *disabled) error {
	e := events.New(string(d.Grant), d.ID+" "+refused.mark, b.StackVersion, b.Now(), events.DestinationDisabled{
		EventID: d.ID, Event: d.Kind, Channel: string(to.Channel), Destination: to.Name, SecretARN: to.Secret, Tag: refused.mark,
		Reason: refused.Error(),
	})
	if err := b.Bus.Put(ctx, e); err != nil {
		return fmt.Errorf("announcing that %s is disabled: %w", to.Name, err)
	}
	return nil
}

// announce puts an attempt's outcome on the bus. If the bus doesn't take it only the log knows: delivering again for that
// would tell the destination twice.
func (b *batch) announce(d deliver.Queued, to grant.Destination, next time.Time, err error) {
	body := events.Delivery{
		EventID: d.ID, Event: d.Kind, Channel: string(to.Channel), Destination: to.Name, Attempt: d.Attempt, SentAgain: d.SentAgain,
	}
	var data events.Data = events.DeliverySucceeded{Delivery: body}
	attrs := []any{"grant", string(d.Grant), "event", string(d.Kind), "event_id", d.ID, "destination", to.Name, "attempt", d.Attempt}
	if err == nil {
		b.Log.InfoContext(b.report, "destination told", attrs...)
	} else {
		body.Reason = reason(to.Channel, err)
		data = events.DeliveryFailed{Delivery: body, Next: next.UTC().Truncate(time.Second)}
		b.Log.WarnContext(b.report, "destination not told", append(attrs, "reason", body.Reason, "error", loggable(to.Channel, err))...)
	}
	if err := b.Bus.Put(b.report, events.New(string(d.Grant), attempt(d), b.StackVersion, b.Now(), data)); err != nil {
		b.Log.ErrorContext(b.report, "outcome not announced", append(attrs, "reason", err.Error())...)
	}
}
