package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/events"
)

// Bus is one EventBridge bus with an archive of everything that it took and rules that hand events to queues.
type Bus struct {
	Name    string
	w       *World
	archive []events.Envelope
	rules   []rule
}

type rule struct {
	name  string
	types []events.Type
	to    *Queue
}

// maxEntry is the size of one entry of PutEvents in bytes.
const maxEntry = 256 << 10

// Bus is the bus of that name; it is made when first asked for.
func (w *World) Bus(name string) *Bus {
	b, ok := w.buses[name]
	if !ok {
		b = &Bus{Name: name, w: w}
		w.buses[name] = b
	}
	return b
}

// Rule hands events of Countersign's source to a queue: those of the given types, without any all of them.
func (b *Bus) Rule(name string, to *Queue, types ...events.Type) {
	b.rules = append(b.rules, rule{name, types, to})
}

// Put is PutEvents with one event.
func (b *Bus) Put(ctx context.Context, e events.Event) error {
	return do(ctx, b.w, "events", "PutEvents", string(e.Data.Type()), func() error {
		envelope, err := events.Enclose(e)
		if err != nil {
			return err
		}
		envelope.Time, envelope.Resources = e.Metadata.Time, rolesOf(envelope.Detail)
		return b.take(ctx, envelope)
	})
}

// PutEnvelope is PutEvents with an entry of the caller's making, as anybody with events:PutEvents can send it. Only source,
// detail type, detail, time and resources are taken from it.
func (b *Bus) PutEnvelope(ctx context.Context, e events.Envelope) error {
	return do(ctx, b.w, "events", "PutEvents", string(e.DetailType), func() error { return b.take(ctx, e) })
}

// take puts an entry into the archive and hands it to the rules. Account, region, id and version are EventBridge's own.
func (b *Bus) take(ctx context.Context, e events.Envelope) error {
	switch {
	case e.Source == "" || e.DetailType == "" || !bytes.HasPrefix(bytes.TrimSpace(e.Detail), []byte("{")) || !json.Valid(e.Detail):
		return refuse(nil, "MalformedDetail", "an entry needs a source, a detail type and a JSON object as detail")
	case strings.HasPrefix(e.Source, "aws."):
		return refuse(nil, "NotAuthorizedForSourceException", "sources that begin with aws. are AWS's own")
	case len(e.Detail)+len(e.Source)+len(e.DetailType) > maxEntry:
		return refuse(nil, "ValidationException", "an entry holds at most %d bytes", maxEntry)
	}
	b.w.serial++
	e.Version, e.ID, e.Region = "0", fmt.Sprintf("event-%d", b.w.serial), b.w.cfg.Region
	e.Account, e.ReplayName = accountOf(b.w.actor(ctx).arn), ""
	if e.Time.IsZero() {
		e.Time = b.w.now
	}
	e.Detail = slices.Clone(e.Detail)
	b.archive = append(b.archive, e)
	return b.deliver(e, nil)
}

// deliver hands an event to the rules of the given names, without any to all of them.
func (b *Bus) deliver(e events.Envelope, to []string) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	for _, r := range b.rules {
		if len(to) > 0 && !slices.Contains(to, r.name) {
			continue
		}
		if e.Source == events.Source && (len(r.types) == 0 || slices.Contains(r.types, e.DetailType)) {
			r.to.put(body, 0)
		}
	}
	return nil
}

// Since is FilterLogEvents on the log group that keeps what the bus took: the events from a moment on.
func (b *Bus) Since(ctx context.Context, from time.Time) (out []events.Envelope, err error) {
	err = do(ctx, b.w, "logs", "FilterLogEvents", b.Name, func() error {
		for _, e := range b.archive {
			if !e.Time.Before(from) {
				out = append(out, e)
			}
		}
		return nil
	})
	return out, err
}

// Archive lists everything that the bus took.
func (b *Bus) Archive() []events.Envelope { return slices.Clone(b.archive) }

// Events lists Countersign's events that the bus took. An entry of that source that is no event of ours is left out.
func (b *Bus) Events() []events.Event {
	var out []events.Event
	for _, e := range b.archive {
		if event, err := e.Event(); err == nil {
			out = append(out, event)
		}
	}
	return out
}

// Replay hands archived events once more, with the replay's name, to the rules of the given names, without any to all of them:
// StartReplay and its FilterArns.
func (b *Bus) Replay(name string, choose func(events.Envelope) bool, to ...string) error {
	for _, e := range b.archive {
		if choose == nil || choose(e) {
			e.ReplayName = name
			if err := b.deliver(e, to); err != nil {
				return err
			}
		}
	}
	return nil
}

// accountOf is the account in an ARN, "" where there is none.
func accountOf(arn string) string {
	parts, _ := arnParts(arn)
	return parts[4]
}

func rolesOf(detail []byte) []string {
	var body struct {
		Data struct {
			RoleARN string `json:"roleArn"`
		} `json:"data"`
	}
	if json.Unmarshal(detail, &body) != nil || body.Data.RoleARN == "" {
		return nil
	}
	return []string{body.Data.RoleARN}
}
