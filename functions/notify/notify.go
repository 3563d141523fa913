// Package notify tells the people and systems that a grant's plan names of what happened to it.
//
// An event comes from the bus to notify's queue. notify puts one delivery for each destination back on that queue (fanout.go);
// each of them is attempted, waits and is attempted again by itself (attempt.go), until its destination has taken it, wants
// nothing any more, or no attempt is left: then it lies with the dead letters. Once a week the stack's schedule has a digest
// handed out in the same way (digest.go).
//
// What SES says later of a mail, that it bounced or was called spam, comes to the same queue, and becomes an event of ours
// (undelivered.go).
//
// It decides who is told of which event, and when again. It trusts the plan. Of an event or a delivery it takes the grant,
// the kind, and the ids of event, version and revocation, each checked for its form; addresses, ARNs and deadlines come from
// the plan and from Secrets Manager's own dates. It has no permission on IAM, reads no external ID, and never ends or opens
// an access.
package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/metric"
)

// Plans reads a grant's plan. grant.ErrNotConfigured means that there is none.
type Plans interface {
	Plan(ctx context.Context, name grant.Name) (grant.Plan, error)
}

// Secrets reads the dates of a grant's secret, and the signing secrets of webhooks, which it may mark. It is never asked for
// the value of a grant's secret.
type Secrets interface {
	// Versions are the secret's labelled versions.
	Versions(ctx context.Context, secretARN string) ([]grant.VersionInfo, error)
	// AtStage is the version of a signing secret that carries a label; grant.ErrNotFound: none does.
	AtStage(ctx context.Context, secretARN, stage string) (grant.Version, error)
	// Describe has the tags and labels of a secret. Tag sets some tags of a signing secret.
	Describe(ctx context.Context, secretARN string) (grant.Secret, error)
	Tag(ctx context.Context, secretARN string, tags map[string]string) error
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

// Sender puts a message on a queue, to be received after the delay, 15 minutes at most. An error may also mean that the
// answer was lost: the message is then there.
type Sender interface {
	Send(ctx context.Context, body []byte, delay time.Duration) error
}

// Queue is notify's own: where its messages come from, and where it puts what is to be told later.
type Queue interface {
	Sender
	// Hide keeps a received message for that long from now; no longer than 12 hours from its receipt.
	Hide(ctx context.Context, receipt string, d time.Duration) error
	// Delete ends a received message.
	Delete(ctx context.Context, receipt string) error
}

// Handler takes messages from notify's queue.
type Handler struct {
	Plans   Plans
	Secrets Secrets
	Mail    Mailer
	Topics  Topics
	Bus     Bus
	Trail   Trail // what digests tell; nil where nobody asks for them
	Queue   Queue
	Dead    Sender       // the dead letters
	HTTP    deliver.Doer // nil: deliver.NewClient(Loopback)

	Grants       map[grant.Name]bool // the grants of this stack; messages about others are dropped
	MailFrom     string              // verified sender; empty: no mail is sent, and each is reported as failed
	Loopback     bool                // webhooks may go to the machine itself: local emulator only
	StackVersion string

	Now   func() time.Time
	Rand  io.Reader
	Log   *slog.Logger
	Meter metric.Meter
}

const (
	// margin is kept of the invocation's time for reporting what was done: a batch that runs out of time is delivered again
	// as a whole.
	margin = 2 * time.Second
	// PerMessage is how long one message has for everything: a slow endpoint leaves the others of its batch their time.
	PerMessage = 20 * time.Second
)

// Handle deals with each message of a batch by itself. The answer lists those that stay on the queue; the error is always
// nil.
func (h *Handler) Handle(ctx context.Context, in lambdaevents.SQSEvent) (lambdaevents.SQSEventResponse, error) {
	inTime := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		inTime, cancel = context.WithTimeout(ctx, deadline.Sub(h.Now())-margin)
		defer cancel()
	}
	b := batch{Handler: h, report: ctx, done: map[string]bool{}, client: h.HTTP}
	if b.client == nil {
		b.client = deliver.NewClient(h.Loopback)
	}
	out := lambdaevents.SQSEventResponse{BatchItemFailures: []lambdaevents.SQSBatchItemFailure{}}
	for i, message := range in.Records {
		if b.settle(inTime, message) {
			if i < len(in.Records)-1 { // what befalls the others doesn't bring it back; Lambda deletes the last one at once
				b.delete(inTime, message)
			}
			continue
		}
		out.BatchItemFailures = append(out.BatchItemFailures, lambdaevents.SQSBatchItemFailure{ItemIdentifier: message.MessageId})
	}
	return out, nil
}

// batch is one invocation.
type batch struct {
	*Handler
	report context.Context // lives longer than the context of the work, by margin
	client deliver.Doer
	done   map[string]bool // a repeat in the same batch isn't told twice
}

// dropped says that a message is not for us, or not to be believed: trying again would not change that.
type dropped struct{ reason string }

func (d *dropped) Error() string { return d.reason }

func drop(format string, args ...any) error { return &dropped{fmt.Sprintf(format, args...)} }

// trouble is ours and not the destination's: SQS brings the message again, and no attempt is spent.
type trouble struct{ error }

func (t *trouble) Unwrap() error { return t.error }

// errHidden says that a message waits on the queue.
var errHidden = errors.New("waits on the queue")

// settle says whether a message is done with. One that isn't comes again.
func (b *batch) settle(ctx context.Context, message lambdaevents.SQSMessage) bool {
	if ctx.Err() != nil {
		b.Log.WarnContext(b.report, "no time left for message", "message_id", message.MessageId)
		return false
	}
	within, cancel := context.WithTimeout(ctx, PerMessage)
	defer cancel()
	err := b.take(within, message)
	var drop *dropped
	switch {
	case err == nil:
		return true
	case errors.As(err, &drop):
		b.Log.WarnContext(ctx, "message dropped", "message_id", message.MessageId, "reason", drop.Error())
		return true
	case errors.Is(err, errHidden):
		return false
	}
	again := backoff(receives(message))
	b.Log.ErrorContext(ctx, "message comes again", "message_id", message.MessageId, "in", again.String(), "reason", err.Error())
	if err := b.Queue.Hide(ctx, message.ReceiptHandle, again); err != nil {
		b.Log.WarnContext(ctx, "message comes again after the queue's own time", "message_id", message.MessageId, "reason", err.Error())
	}
	return false
}

// take deals with one message: an event is handed out to its destinations, a delivery attempted or left to wait, SES's word
// on a mail announced.
func (b *batch) take(ctx context.Context, message lambdaevents.SQSMessage) error {
	in, err := b.read(message.Body)
	switch {
	case err != nil:
		return err
	case in.delivery != nil:
		return b.deliver(ctx, *in.delivery, message)
	case in.feedback != nil:
		return b.hear(ctx, *in.feedback)
	case in.said.Kind == events.WeeklyDigest:
		return b.handOut(ctx, message)
	case !in.said.Kind.Concerns(events.Provider) && !in.said.Kind.Concerns(events.Operators):
		return nil
	}
	return b.fanOut(ctx, *in.said, message)
}

// plan reads the plan of what a message is about.
func (b *batch) plan(ctx context.Context, name grant.Name) (grant.Plan, error) {
	p, err := b.Plans.Plan(ctx, name)
	switch {
	case errors.Is(err, grant.ErrNotConfigured):
		return p, drop("grant %s has no plan", name)
	case err != nil:
		return p, fmt.Errorf("reading plan of %s: %w", name, err)
	case p.Grant != name:
		return p, drop("plan of %s names another grant", name)
	}
	return p, nil
}

func (b *batch) delete(ctx context.Context, message lambdaevents.SQSMessage) {
	if err := b.Queue.Delete(ctx, message.ReceiptHandle); err != nil { // Lambda deletes it at the end of the batch
		b.Log.WarnContext(ctx, "message not deleted yet", "message_id", message.MessageId, "reason", err.Error())
	}
}

// receives counts the deliveries of a message to us, from 1.
func receives(message lambdaevents.SQSMessage) int {
	n, err := strconv.Atoi(message.Attributes["ApproximateReceiveCount"])
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// backoff is how long a message waits after trouble of ours: 5 seconds, twice that, and so on up to half an hour. The
// queue's maxReceiveCount makes of it some hours in all.
func backoff(receives int) time.Duration {
	const first, most = 5 * time.Second, 30 * time.Minute
	return min(first<<min(receives-1, 10), most)
}
