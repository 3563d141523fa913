package sim

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/deliver"
)

// Queue is one standard SQS queue: at least once, in about the order of sending.
type Queue struct {
	Name string

	// Copies says how a message that is sent arrives: one entry a copy, with the further delay. Nil: one, at once.
	Copies func(body []byte) []time.Duration

	w          *World
	messages   []*message
	visibility time.Duration
	maxReceive int
	dead       *Queue
	function   string
	consume    func(context.Context, []Message) (failed []string, err error)
	batch      int
}

// Message is what a consumer of a queue gets.
type Message struct {
	ID       string // copies of one message have the same
	Receipt  string // of this copy, for Delete
	Body     []byte
	Receives int // how often it was received, this time included
	Sent     time.Time
}

type message struct {
	Message
	visible  time.Time
	received time.Time // last
	from     string    // the queue that gave it up, of a dead letter
}

const (
	maxDelay  = 15 * time.Minute
	maxHidden = 12 * time.Hour
	maxBody   = 1 << 20 // bytes
)

// Queue is the queue of that name; it is made when first asked for, with a visibility timeout of 30 s and no dead-letter queue.
func (w *World) Queue(name string) *Queue {
	q, ok := w.queues[name]
	if !ok {
		q = &Queue{Name: name, w: w, visibility: 30 * time.Second}
		w.queues[name], w.acting = q, nil
	}
	return q
}

// Configure sets how long a received message stays hidden (0 to 12 h, at least a second here) and after how many receives it
// goes to the dead-letter queue; nil dead: never.
func (q *Queue) Configure(visibility time.Duration, dead *Queue, maxReceive int) {
	q.visibility, q.dead, q.maxReceive = min(max(visibility, time.Second), maxHidden), dead, maxReceive
}

// Send is SendMessage with DelaySeconds; a part of a second counts as one.
func (q *Queue) Send(ctx context.Context, body []byte, delay time.Duration) error {
	return do(ctx, q.w, "sqs", "SendMessage", q.Name, func() error {
		switch {
		case len(body) == 0 || len(body) > maxBody:
			return refuse(nil, "InvalidParameterValue", "a message has 1 to %d bytes, not %d", maxBody, len(body))
		case delay < 0 || delay > maxDelay:
			return refuse(nil, "InvalidParameterValue", "DelaySeconds is 0 to 900, not %s", delay)
		}
		q.put(body, whole(delay))
		return nil
	})
}

// put makes the message's copies.
func (q *Queue) put(body []byte, delay time.Duration) {
	copies := []time.Duration{0}
	if q.Copies != nil {
		copies = q.Copies(body)
	}
	q.w.serial++
	id := fmt.Sprintf("message-%d", q.w.serial)
	for _, further := range copies {
		q.w.serial++
		m := Message{ID: id, Receipt: fmt.Sprintf("receipt-%d", q.w.serial), Body: bytes.Clone(body), Sent: q.w.now}
		q.messages = append(q.messages, &message{Message: m, visible: q.w.now.Add(delay + further)})
	}
}

// Messages lists the bodies of what is in the queue, hidden or not, in the order of sending. Nothing is received.
func (q *Queue) Messages() [][]byte {
	out := make([][]byte, 0, len(q.messages))
	for _, m := range q.messages {
		out = append(out, bytes.Clone(m.Body))
	}
	return out
}

// Take is ReceiveMessage: up to ten visible messages, hidden for that long.
func (q *Queue) Take(ctx context.Context, hidden time.Duration) ([]deliver.Received, error) {
	return step(ctx, q.w, "sqs", "ReceiveMessage", q.Name, func() ([]deliver.Received, error) {
		if hidden < 0 || hidden > maxHidden {
			return nil, refuse(nil, "InvalidParameterValue", "VisibilityTimeout is 0 to 43200, not %s", hidden)
		}
		var out []deliver.Received
		for _, m := range q.receive(10, whole(hidden)) {
			one := deliver.Received{ID: m.ID, Receipt: m.Receipt, Body: string(m.Body), Sent: m.Sent, Attributes: map[string]string{}}
			if m.from != "" {
				one.Attributes["DeadLetterQueueSourceArn"] = fmt.Sprintf("arn:aws:sqs:%s:%s:%s", q.w.cfg.Region, q.w.cfg.Account, m.from)
			}
			out = append(out, one)
		}
		return out, nil
	})
}

// Receive takes up to n visible messages and hides them for the visibility timeout. It is the Lambda poller's, not recorded.
func (q *Queue) Receive(n int) []Message {
	var out []Message
	for _, m := range q.receive(n, q.visibility) {
		one := m.Message
		one.Body = bytes.Clone(m.Body)
		out = append(out, one)
	}
	return out
}

func (q *Queue) receive(n int, hidden time.Duration) []*message {
	var out []*message
	for _, m := range slices.Clone(q.messages) {
		if len(out) == n || m.visible.After(q.w.now) {
			continue
		}
		if q.dead != nil && m.Receives >= q.maxReceive {
			q.drop(m)
			q.dead.messages = append(q.dead.messages, &message{Message: m.Message, visible: q.w.now, from: q.Name})
			continue
		}
		m.Receives++
		m.received, m.visible = q.w.now, q.w.now.Add(hidden)
		out = append(out, m)
	}
	return out
}

// Hide is ChangeMessageVisibility: a message that was received stays hidden for that long from now, and no longer than 12 hours
// from its receipt. A part of a second counts as one.
func (q *Queue) Hide(ctx context.Context, receipt string, d time.Duration) error {
	return do(ctx, q.w, "sqs", "ChangeMessageVisibility", q.Name, func() error {
		if d < 0 || d > maxHidden {
			return refuse(nil, "InvalidParameterValue", "VisibilityTimeout is 0 to 43200, not %s", d)
		}
		i := slices.IndexFunc(q.messages, func(m *message) bool { return m.Receipt == receipt })
		if i < 0 || q.messages[i].Receives == 0 {
			return refuse(nil, "ReceiptHandleIsInvalid", "the receipt handle is not valid")
		}
		if !q.messages[i].visible.After(q.w.now) {
			return refuse(nil, "MessageNotInflight", "the message is not in flight")
		}
		until := q.w.now.Add(whole(d))
		if until.Sub(q.messages[i].received) > maxHidden {
			return refuse(nil, "InvalidParameterValue", "the message would be hidden for more than 12 hours from its receipt")
		}
		q.messages[i].visible = until
		return nil
	})
}

// whole rounds up to seconds, as SQS counts.
func whole(d time.Duration) time.Duration { return (d + time.Second - 1) / time.Second * time.Second }

// Delete is DeleteMessage: a message that was received is gone. Another copy of it still comes.
func (q *Queue) Delete(ctx context.Context, receipt string) error {
	return do(ctx, q.w, "sqs", "DeleteMessage", q.Name, func() error {
		q.remove(receipt)
		return nil
	})
}

func (q *Queue) remove(receipt string) {
	q.messages = slices.DeleteFunc(q.messages, func(m *message) bool { return m.Receipt == receipt })
}

func (q *Queue) drop(one *message) {
	q.messages = slices.DeleteFunc(q.messages, func(m *message) bool { return m == one })
}

// Subscribe lets a function consume the queue, in batches of up to ten, as Lambda's event source does: what it returns as
// failed comes again, all of it if it returns an error or crashes. See World.Due and World.Sleep for when it runs.
func (q *Queue) Subscribe(function string, batch int, consume func(context.Context, []Message) (failed []string, err error)) {
	q.function, q.consume, q.batch = function, consume, min(max(batch, 1), 10)
}

// due is when the next batch comes, if the queue has a consumer.
func (q *Queue) due() (at time.Time, ok bool) {
	if q.consume == nil {
		return at, false
	}
	for _, m := range q.messages {
		if !ok || m.visible.Before(at) {
			at, ok = m.visible, true
		}
	}
	return at, ok
}

func (q *Queue) task() Task {
	at, _ := q.due()
	var batch []Message
	return Task{
		Name: q.function, At: at,
		take: func() { batch = q.Receive(q.batch) },
		run: func(ctx context.Context) error {
			if len(batch) == 0 {
				return nil
			}
			return q.hand(ctx, batch)
		},
	}
}

func (q *Queue) hand(ctx context.Context, batch []Message) error {
	var failed []string
	err := do(As(ctx, "sqs"), q.w, "lambda", "Invoke", q.function+" "+q.Name, func() error {
		return q.w.Invoke(ctx, q.function, func(ctx context.Context) error {
			var err error
			failed, err = q.consume(ctx, batch)
			return err
		})
	})
	if err != nil {
		return err
	}
	for _, m := range batch {
		if !slices.Contains(failed, m.ID) {
			q.remove(m.Receipt)
		}
	}
	return nil
}
