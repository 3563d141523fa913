package notify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

// Weekly is what the stack's schedule puts on the queue once a week: {"digest":"weekly"}.
const Weekly = "weekly"

// Trail is what was said on the bus. Whoever may write to the bus may have written any of it.
type Trail interface {
	// Since are the events from a moment on, as EventBridge delivered them, in any order.
	Since(ctx context.Context, from time.Time) ([]events.Envelope, error)
}

// reader is an address that asked for digests, with the grants that they are about.
type reader struct {
	to     grant.Destination // as the first of the plans has it
	plans  []grant.Plan
	places []grant.Destination // of each plan
}

// readers are all who ask for digests, by the id of their address.
func (b *batch) readers(ctx context.Context) (map[string]*reader, error) {
	all := map[string]*reader{}
	for _, name := range slices.Sorted(maps.Keys(b.Grants)) {
		plan, err := b.plan(ctx, name)
		switch gone := (*dropped)(nil); {
		case errors.As(err, &gone):
			b.Log.WarnContext(ctx, "left out of digests", "grant", string(name), "reason", gone.Error())
			continue
		case err != nil:
			return nil, err
		}
		for _, to := range plan.Destinations() {
			if to.Channel != grant.Mail || !to.Hears(events.WeeklyDigest) {
				continue
			}
			if all[deliver.IDOf(to)] == nil {
				all[deliver.IDOf(to)] = &reader{to: to}
			}
			r := all[deliver.IDOf(to)]
			r.plans, r.places = append(r.plans, plan), append(r.places, to)
		}
	}
	return all, nil
}

// digestID is the same for a week and an address, however often the week is said to be over.
func digestID(w deliver.Week, destination string) string {
	sum := sha256.Sum256([]byte("digest\x00" + w.String() + "\x00" + destination))
	return hex.EncodeToString(sum[:16])
}

// handOut puts a digest for each address that asks for them on the queue.
func (b *batch) handOut(ctx context.Context, message lambdaevents.SQSMessage) error {
	all, err := b.readers(ctx)
	if err != nil {
		return err
	}
	week := deliver.WeekOf(queued(message, b.Now()))
	for _, to := range slices.Sorted(maps.Keys(all)) {
		s := deliver.Said{ID: digestID(week, to), Kind: events.WeeklyDigest, Grant: all[to].plans[0].Grant}
		if err := b.send(ctx, deliver.Queued{Said: s, Destination: to, Attempt: 1, FirstTried: week.From()}); err != nil {
			return err
		}
	}
	return nil
}

// digest is the mail about the week before the one in which it was handed out. It is told within that one week or not at all,
// and once, as far as the trail knows.
func (b *batch) digest(ctx context.Context, d deliver.Queued) (to grant.Destination, m deliver.Message, err error) {
	now, week := b.Now(), deliver.WeekOf(d.FirstTried)
	switch {
	case !week.Holds(now):
		return to, m, drop("a digest for week %s", week)
	case d.ID != digestID(week, d.Destination):
		return to, m, drop("digest id %.60q is not of week %s", d.ID, week)
	}
	all, err := b.readers(ctx)
	if err != nil {
		return to, m, err
	}
	r := all[d.Destination]
	if r == nil {
		return to, m, drop("%s asks for no digest any more", d.Destination)
	}
	said, err := b.Trail.Since(ctx, week.Before().From())
	if err != nil {
		return to, m, fmt.Errorf("reading the trail: %w", err)
	}
	if taken(said, d.ID) {
		return to, m, drop("the digest of week %s went to %s before", week, d.Destination)
	}
	var standing []deliver.Standing
	for i, p := range r.plans {
		s := deliver.Standing{Plan: p, Happened: happened(said, p.Grant, r.places[i].Audience(), week.Before())}
		if !p.NoExternalID {
			if s.Secret, err = b.Secrets.Describe(ctx, p.SecretARN); err != nil {
				return to, m, fmt.Errorf("describing secret of %s: %w", p.Grant, err)
			}
			if s.Versions, err = b.Secrets.Versions(ctx, p.SecretARN); err != nil {
				return to, m, fmt.Errorf("listing versions of %s: %w", p.SecretARN, err)
			}
		}
		standing = append(standing, s)
	}
	return r.to, deliver.NewDigest(week.Before(), now, r.to.Audience(), standing), nil
}

// mention is what a digest takes from an event of the trail.
type mention struct {
	Metadata events.Metadata
	Data     struct {
		VersionID string `json:"versionId"`
		EventID   string `json:"eventId"`
	}
}

// taken says whether the trail has it that a digest went out.
func taken(said []events.Envelope, digest string) bool {
	return slices.ContainsFunc(said, func(e events.Envelope) bool {
		var m mention
		return e.DetailType == events.TypeDeliverySucceeded && json.Unmarshal(e.Detail, &m) == nil && m.Data.EventID == digest
	})
}

// happened is what befell a grant in a week, as far as it concerns the audience: each event once, the first one first. Tests are
// left out.
func happened(said []events.Envelope, name grant.Name, to events.Audience, w deliver.Week) (out []deliver.Happening) {
	seen := map[string]bool{}
	for _, e := range said {
		var m mention
		if !e.DetailType.Concerns(to) || e.DetailType == events.TypeTestRequested || json.Unmarshal(e.Detail, &m) != nil {
			continue
		}
		if m.Metadata.Grant != string(name) || seen[m.Metadata.ID] || !w.Holds(m.Metadata.Time) {
			continue
		}
		seen[m.Metadata.ID] = true
		h := deliver.Happening{At: m.Metadata.Time, Type: e.DetailType}
		if deliver.IsVersionID(m.Data.VersionID) {
			h.VersionID = m.Data.VersionID
		}
		out = append(out, h)
	}
	slices.SortStableFunc(out, func(a, b deliver.Happening) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Type, b.Type)) })
	return out
}
