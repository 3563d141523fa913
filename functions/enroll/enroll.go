// Package enroll is the provider's function that hears what customers' accounts say, and writes it beside what people decided.
//
// It decides which customer an event is about, and whether a person has to be told. It trusts the account that EventBridge
// vouches for, and the list of accounts that people invited. Events of other accounts are counted and dropped: they cost no call
// of the table. It can't write what people decided (its role may not), so that no event, forged or not, changes where anybody
// enters: at worst it proposes something, or says of its own account that the access is gone. It holds no external ID, and calls
// nothing in customers' accounts.
package enroll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/countersign/countersign/internal/customers"
	"github.com/countersign/countersign/internal/metric"
)

// Alerts tells the provider's people. subject is at most 100 characters of ASCII.
type Alerts interface {
	Publish(ctx context.Context, topicARN, subject, message string) error
}

// Handler takes events from the queue behind the provider's bus. One invocation runs at a time.
type Handler struct {
	Registry customers.Hearings
	Alerts   Alerts
	Topic    string // whom Alerts tells

	Now   func() time.Time
	Log   *slog.Logger
	Meter metric.Meter

	guests customers.Guests
	read   time.Time // when guests were
}

const (
	// Fresh is how old the list of invited accounts may be. Within it an event of an account that was just invited may be dropped:
	// a customer needs longer to deploy, and its next event says the same.
	Fresh = 15 * time.Second
	// attempts is how often a row is tried that somebody else changes at the same moment.
	attempts = 5
)

// Handle deals with a batch: every customer's events at once, so that a row is read and written once. The answer lists the
// messages that come again; the error is always nil.
func (h *Handler) Handle(ctx context.Context, in lambdaevents.SQSEvent) (lambdaevents.SQSEventResponse, error) {
	out := lambdaevents.SQSEventResponse{BatchItemFailures: []lambdaevents.SQSBatchItemFailure{}}
	again := func(messages []string) {
		for _, id := range messages {
			out.BatchItemFailures = append(out.BatchItemFailures, lambdaevents.SQSBatchItemFailure{ItemIdentifier: id})
		}
	}
	heard, strangers, refused := h.sort(ctx, in)
	if err := heard.err; err != nil {
		h.Log.ErrorContext(ctx, "list of invited accounts not read: the batch comes again", "reason", err.Error())
		for _, m := range in.Records {
			again([]string{m.MessageId})
		}
		return out, nil
	}
	for _, name := range slices.Sorted(maps.Keys(heard.of)) {
		no, err := h.note(ctx, name, heard.of[name].said)
		refused += no
		if err != nil {
			h.Log.ErrorContext(ctx, "events come again", "customer", name, "reason", err.Error())
			again(heard.of[name].messages)
		}
	}
	h.count(ctx, metric.EventsUninvited, strangers)
	h.count(ctx, metric.EventsRefused, refused)
	return out, nil
}

func (h *Handler) count(ctx context.Context, name metric.Name, n int) {
	if n > 0 {
		h.Meter.Add(ctx, name, n)
	}
}

// sorted is a batch by customer.
type sorted struct {
	of  map[string]*pile
	err error
}

type pile struct {
	said     []customers.Said
	messages []string
}

// sort finds whom each event is about, and drops what nobody invited and what is no event of ours.
func (h *Handler) sort(ctx context.Context, in lambdaevents.SQSEvent) (out sorted, strangers, refused int) {
	out.of = map[string]*pile{}
	if h.guests == nil || h.Now().Sub(h.read) > Fresh {
		at := h.Now()
		guests, err := h.Registry.Guests(ctx)
		if err != nil {
			out.err = err
			return out, 0, 0
		}
		h.guests, h.read = guests, at
	}
	for _, m := range in.Records {
		s, err := customers.Read([]byte(m.Body))
		invited := len(h.guests[s.Binding.Account]) > 0
		name := h.guests.Find(s.Binding)
		switch {
		case !invited, err == nil && name == "":
			strangers++
		case err != nil:
			refused++
			h.Log.WarnContext(ctx, "event refused", "account", s.Binding.Account, "reason", err.Error())
		default:
			p := out.of[name]
			if p == nil {
				p = &pile{}
				out.of[name] = p
			}
			p.said, p.messages = append(p.said, s), append(p.messages, m.MessageId)
		}
	}
	return out, strangers, refused
}

// note adds what was said to a customer's row, and tells a person first if there is something to decide: told twice is better
// than never. It gives how many of the events were refused.
func (h *Handler) note(ctx context.Context, name string, said []customers.Said) (refused int, err error) {
	told := time.Time{} // the proposal that was told in an attempt before
	for range attempts {
		entry, was, err := h.Registry.Load(ctx, name)
		if errors.Is(err, customers.ErrUnknown) {
			h.guests = nil // removed since the list was read
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		now := was
		refused = 0
		for _, s := range said {
			if now, err = entry.Hear(now, s, h.Now()); err != nil {
				refused++
				h.Log.WarnContext(ctx, "event refused", "customer", name, "account", entry.Account, "reason", err.Error())
			}
		}
		if entry.Rings(now) {
			if told.IsZero() {
				if err := h.tell(ctx, entry, now.Proposed); err != nil {
					return refused, err
				}
				told = now.ProposedAt
			}
			now.Rang = now.ProposedAt
		}
		if now == was {
			return refused, nil
		}
		err = h.Registry.Note(ctx, name, now)
		if err == nil || !errors.Is(err, customers.ErrChanged) {
			return refused, err
		}
	}
	return refused, fmt.Errorf("customer %s: the row changed %d times", name, attempts)
}

// tell has a person look. Of the message only the name and the account are given, which people chose: the rest is foreign text,
// which "customers show" displays as such.
func (h *Handler) tell(ctx context.Context, e customers.Entry, b customers.Binding) error {
	subject := "[Countersign] customer " + e.Name + " waits to be accepted"
	message := "Account " + e.Account + " told its role for the first time.\n\n" +
		"Look:    countersign customers show " + e.Name + "\nAccept:  countersign customers accept " + e.Name + "\n"
	if !e.Accepted.IsZero() {
		subject = "[Countersign] customer " + e.Name + " speaks of another role"
		message = "Account " + e.Account + " now speaks of another grant, role or secret than was accepted. Nothing has changed: you enter as before.\n" +
			"If the customer did not announce this, ask before you accept it.\n\n" +
			"Look:    countersign customers show " + e.Name + "\nAccept:  countersign customers accept " + e.Name + "\n" +
			"Refuse:  countersign customers accept " + e.Name + " --refuse\n"
		h.Meter.Add(ctx, metric.BindingsProposed, 1)
	}
	h.Log.InfoContext(ctx, "binding proposed", "customer", e.Name, "account", e.Account, "grant", b.Grant, "role_arn", b.RoleARN)
	if err := h.Alerts.Publish(ctx, h.Topic, subject, message); err != nil {
		return fmt.Errorf("telling that %s proposes a binding: %w", e.Name, err)
	}
	return nil
}
