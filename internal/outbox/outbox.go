// Package outbox announces a grant's changes at least once.
//
// A change is noted as a tag before it is announced, and the tag is marked once the bus took the event; whoever finds a
// change that is noted and not marked announces it again, under the same event id. What is only mentioned is not noted. The tags are those of the grant's
// secret, or of its role where the grant has no external ID. They decide nothing else: nothing opens or lengthens access
// because of a tag.
package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// Secrets tags secrets and leaves their other tags alone. Repeats are harmless.
type Secrets interface {
	Tag(ctx context.Context, secretARN string, tags map[string]string) error
}

// Roles tags roles and leaves their other tags alone. Repeats are harmless.
type Roles interface {
	TagRole(ctx context.Context, roleName string, tags map[string]string) error
}

// Bus takes an event; nil means that it is taken. An error may mean that it was taken: consumers drop repeats by the id.
type Bus interface {
	Put(ctx context.Context, e events.Event) error
}

// Outbox announces changes.
type Outbox struct {
	Secrets      Secrets
	Roles        Roles // may be nil where every grant has a secret
	Bus          Bus
	StackVersion string
	Now          func() time.Time
	Log          *slog.Logger
}

// Announce notes a change, puts its event on the bus and marks it as announced. tags are what the caller has read, nil if
// it has not: a change that they show as noted, or as announced, isn't noted, or announced, again.
func (o Outbox) Announce(ctx context.Context, p grant.Plan, tags map[string]string, f grant.Fact, change string, data events.Data) error {
	if tags[f.Tag()] != change {
		if err := o.Note(ctx, p, f, change); err != nil {
			return err
		}
	} else if tags[f.AnnouncedTag()] == change {
		return nil
	}
	return o.Publish(ctx, p, f, change, data)
}

// Note tags the change, so that it will be announced even if nothing more happens here.
func (o Outbox) Note(ctx context.Context, p grant.Plan, f grant.Fact, change string) error {
	if err := o.tag(ctx, p, map[string]string{f.Tag(): change}); err != nil {
		return fmt.Errorf("noting %s of %s: %w", f, p.Grant, err)
	}
	return nil
}

// Publish puts the event of a change on the bus and marks it as announced.
func (o Outbox) Publish(ctx context.Context, p grant.Plan, f grant.Fact, change string, data events.Data) error {
	e := events.New(string(p.Grant), change, o.StackVersion, o.Now(), data)
	if err := o.Bus.Put(ctx, e); err != nil {
		return fmt.Errorf("announcing %s of %s: %w", f, p.Grant, err)
	}
	o.Log.InfoContext(ctx, "announced", "grant", string(p.Grant), "event", string(data.Type()), "event_id", e.Metadata.ID)
	if err := o.tag(ctx, p, map[string]string{f.AnnouncedTag(): change}); err != nil {
		return fmt.Errorf("marking %s of %s as announced: %w", f, p.Grant, err)
	}
	return nil
}

// Mention puts an event on the bus once, for the record. Nothing depends on it: if the bus doesn't take it, only the log knows.
func (o Outbox) Mention(ctx context.Context, p grant.Plan, change string, data events.Data) {
	_, _ = o.Say(ctx, p, change, data)
}

// Say puts an event on the bus once, without a note of it, and gives its id.
func (o Outbox) Say(ctx context.Context, p grant.Plan, change string, data events.Data) (id string, err error) {
	e := events.New(string(p.Grant), change, o.StackVersion, o.Now(), data)
	attrs := []any{"grant", string(p.Grant), "event", string(data.Type()), "event_id", e.Metadata.ID}
	if err := o.Bus.Put(ctx, e); err != nil {
		o.Log.ErrorContext(ctx, "not announced, and not tried again", append(attrs, "reason", err.Error())...)
		return "", fmt.Errorf("announcing %s of %s: %w", data.Type(), p.Grant, err)
	}
	o.Log.InfoContext(ctx, "announced", attrs...)
	return e.Metadata.ID, nil
}

// Forget marks a fact as one that doesn't hold any more, so that its next time is news.
func (o Outbox) Forget(ctx context.Context, p grant.Plan, f grant.Fact) error {
	if err := o.tag(ctx, p, map[string]string{f.Tag(): Nothing, f.AnnouncedTag(): Nothing}); err != nil {
		return fmt.Errorf("forgetting %s of %s: %w", f, p.Grant, err)
	}
	return nil
}

// Nothing is what Forget leaves in a fact's tags.
const Nothing = "none"

func (o Outbox) tag(ctx context.Context, p grant.Plan, tags map[string]string) error {
	if p.NoExternalID {
		return o.Roles.TagRole(ctx, p.RoleName(), tags)
	}
	return o.Secrets.Tag(ctx, p.SecretARN, tags)
}
