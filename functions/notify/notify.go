// Package notify tells the people and systems that a grant's plan names of what happened to it.
//
// It decides who is told of which event, and whether a message that could not be delivered is tried again. It trusts the
// plan. Of an event it takes the grant, the kind, and the ids of event, version and revocation, each checked for its
// form; addresses, ARNs and deadlines come from the plan and from Secrets Manager's own dates. It has no permission on
// IAM, reads no external ID, and never ends or opens an access.
package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

// Plans reads a grant's plan. grant.ErrNotConfigured means that there is none.
type Plans interface {
	Plan(ctx context.Context, name grant.Name) (grant.Plan, error)
}

// Secrets reads the dates of a grant's secret, and the signing secrets of webhooks. It is never asked for the value of a
// grant's secret.
type Secrets interface {
	// Versions are the secret's labelled versions.
	Versions(ctx context.Context, secretARN string) ([]grant.VersionInfo, error)
	// AtStage is the version of a signing secret that carries a label; grant.ErrNotFound: none does.
	AtStage(ctx context.Context, secretARN, stage string) (grant.Version, error)
}

// Mailer sends one mail. An error means that the service refused it, or that its answer was lost.
type Mailer interface {
	SendMail(ctx context.Context, m deliver.Mail) error
}

// Topics publishes to an SNS topic. subject is at most 100 characters of ASCII.
type Topics interface {
	Publish(ctx context.Context, topicARN, subject, message string) error
}

// Bus takes the events about deliveries.
type Bus interface {
	Put(ctx context.Context, e events.Event) error
}

// Handler takes events from the queue behind the bus.
type Handler struct {
	Plans   Plans
	Secrets Secrets
	Mail    Mailer
	Topics  Topics
	Bus     Bus
	HTTP    deliver.Doer // nil: deliver.NewClient(Loopback)

	Grants       map[grant.Name]bool // the grants of this stack; events about others are dropped
	MailFrom     string              // verified sender; empty: no mail is sent, and each is reported as failed
	Loopback     bool                // webhooks may go to the machine itself: local emulator only
	StackVersion string

	Now func() time.Time
	Log *slog.Logger
}

// margin is kept of the invocation's time for reporting what was done: a batch that runs out of time is delivered again
// as a whole.
const margin = 2 * time.Second

// Handle tells the destinations of each event in the batch. The answer lists the messages that SQS shall deliver again;
// the error is always nil.
func (h *Handler) Handle(ctx context.Context, in lambdaevents.SQSEvent) (lambdaevents.SQSEventResponse, error) {
	inTime := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		inTime, cancel = context.WithTimeout(ctx, deadline.Sub(h.Now())-margin)
		defer cancel()
	}
	b := batch{Handler: h, report: ctx, told: map[string]bool{}, client: h.HTTP}
	if b.client == nil {
		b.client = deliver.NewClient(h.Loopback)
	}
	out := lambdaevents.SQSEventResponse{BatchItemFailures: []lambdaevents.SQSBatchItemFailure{}}
	for _, message := range in.Records {
		err := b.take(inTime, message)
		var drop *dropped
		switch {
		case errors.As(err, &drop):
			h.Log.WarnContext(ctx, "event dropped", "message_id", message.MessageId, "reason", drop.Error())
		case err != nil:
			h.Log.ErrorContext(ctx, "event not delivered to all", "message_id", message.MessageId, "reason", err.Error())
			out.BatchItemFailures = append(out.BatchItemFailures, lambdaevents.SQSBatchItemFailure{ItemIdentifier: message.MessageId})
		}
	}
	return out, nil
}

// batch is one invocation.
type batch struct {
	*Handler
	report context.Context // lives longer than the context of the work, by margin
	client deliver.Doer
	told   map[string]bool // event id and destination: a repeat in the same batch isn't told twice
}

// dropped says that an event is not for us, or not to be believed: trying again would not change that.
type dropped struct{ reason string }

func (d *dropped) Error() string { return d.reason }

func drop(format string, args ...any) error { return &dropped{fmt.Sprintf(format, args...)} }

// take tells all destinations of one event. A destination that fails keeps no other from being told.
func (b *batch) take(ctx context.Context, message lambdaevents.SQSMessage) error {
	said, err := b.read(message)
	if err != nil || said.kind == events.TypeDeliverySucceeded || said.kind == events.TypeDeliveryFailed {
		return err
	}
	plan, err := b.Plans.Plan(ctx, said.grant)
	switch {
	case errors.Is(err, grant.ErrNotConfigured):
		return drop("grant %s has no plan", said.grant)
	case err != nil:
		return fmt.Errorf("reading plan of %s: %w", said.grant, err)
	case plan.Grant != said.grant:
		return drop("plan of %s names another grant", said.grant)
	}
	facts, err := b.facts(ctx, plan, said, message)
	if err != nil {
		return err
	}
	var again []error
	for _, d := range b.destinations(plan, facts) {
		key := facts.EventID + " " + d.name
		if b.told[key] {
			continue
		}
		if ctx.Err() != nil {
			return errors.Join(append(again, fmt.Errorf("no time left before %s", d.name))...)
		}
		err := d.tell(ctx)
		b.announce(said, d, attempt(message), err)
		switch {
		case err == nil:
			b.told[key] = true
		case !final(err):
			again = append(again, fmt.Errorf("telling %s: %s", d.name, reason(d.channel, err)))
		}
	}
	return errors.Join(again...)
}

// announce puts the outcome on the bus. If the bus doesn't take it only the log knows: delivering again for that would
// tell the destination twice.
func (b *batch) announce(said said, d destination, attempt int, err error) {
	body := events.Delivery{EventID: said.id, Event: said.kind, Channel: d.channel, Destination: d.name}
	var data events.Data = events.DeliverySucceeded{Delivery: body}
	attrs := []any{"grant", string(said.grant), "event", string(said.kind), "event_id", said.id, "destination", d.name}
	if err == nil {
		b.Log.InfoContext(b.report, "destination told", attrs...)
	} else {
		body.Reason = reason(d.channel, err)
		data = events.DeliveryFailed{Delivery: body}
		b.Log.WarnContext(b.report, "destination not told", append(attrs, "reason", body.Reason, "error", loggable(d.channel, err))...)
	}
	change := said.id + " " + d.name + " " + strconv.Itoa(attempt)
	if err := b.Bus.Put(b.report, events.New(string(said.grant), change, b.StackVersion, b.Now(), data)); err != nil {
		b.Log.ErrorContext(b.report, "outcome not announced", append(attrs, "reason", err.Error())...)
	}
}

// attempt counts the deliveries of a message to us, from 1.
func attempt(message lambdaevents.SQSMessage) int {
	n, err := strconv.Atoi(message.Attributes["ApproximateReceiveCount"])
	if err != nil || n < 1 {
		return 1
	}
	return n
}
