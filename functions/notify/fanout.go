package notify

import (
	"context"
	"fmt"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/countersign/countersign/internal/deliver"
)

// SQS's own limits, and what is kept of them for what passes in between.
const (
	longestDelay = 15 * time.Minute
	longestHide  = 11 * time.Hour // 12, from the receipt
)

// fanOut puts a delivery for each destination on the queue. From there each has its own attempts and its own fate.
func (b *batch) fanOut(ctx context.Context, s deliver.Said, message lambdaevents.SQSMessage) error {
	if b.done[s.ID] {
		return nil
	}
	plan, err := b.plan(ctx, s.Grant)
	if err != nil {
		return err
	}
	since := queued(message, b.Now())
	for _, to := range plan.Destinations() {
		if !to.Hears(s.Kind) {
			continue
		}
		if err := b.send(ctx, deliver.Queued{Said: s, Destination: deliver.IDOf(to), Attempt: 1, FirstTried: since}); err != nil {
			return err
		}
	}
	b.done[s.ID] = true
	return nil
}

// send puts a delivery on the queue, for its time or for as late as SQS delays it.
func (b *batch) send(ctx context.Context, d deliver.Queued) error {
	body, err := d.Encode()
	if err != nil {
		return fmt.Errorf("writing a delivery: %w", err)
	}
	delay := min(max(d.NotBefore.Sub(b.Now()), 0), longestDelay)
	if err := b.Queue.Send(ctx, body, delay); err != nil {
		return fmt.Errorf("putting a delivery of %s on the queue: %w", d.Kind, err)
	}
	return nil
}

// wait leaves a delivery that came too early for later. A message waits once, hidden; what is still too early then is sent
// anew, so that it is not received too often. Neither is an attempt.
func (b *batch) wait(ctx context.Context, d deliver.Queued, message lambdaevents.SQSMessage) error {
	if receives(message) > 1 {
		return b.send(ctx, d)
	}
	left := min(d.NotBefore.Sub(b.Now()), longestHide)
	if err := b.Queue.Hide(ctx, message.ReceiptHandle, left); err != nil {
		return fmt.Errorf("hiding a delivery: %w", err)
	}
	return errHidden
}
