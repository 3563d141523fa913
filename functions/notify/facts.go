package notify

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

// facts completes what a delivery says with what the plan and Secrets Manager say.
func (b *batch) facts(ctx context.Context, p grant.Plan, d deliver.Queued) (deliver.Facts, error) {
	now := b.Now()
	f := deliver.Facts{EventID: d.ID, Kind: d.Kind, VersionID: d.Version, RevokeID: d.RevokeID, At: d.FirstTried, Now: now}
	if f.At.IsZero() || f.At.After(now) {
		f.At = now
	}
	switch d.Kind {
	case events.TypeAccessExpired:
		if p.Expires.IsZero() || p.Expires.After(now) {
			return f, drop("grant %s has not expired by its plan", p.Grant)
		}
	case events.TypeExternalIDRotated:
		return b.rotation(ctx, p, f)
	case events.TypeExternalIDConfirmed:
		_, err := b.version(ctx, p, f.VersionID)
		return f, err
	case events.TypeRotationUnconfirmed:
		f, err := b.rotation(ctx, p, f)
		if err == nil && f.PreviousUntil.IsZero() {
			err = drop("version %.80q of %s is not current any more", f.VersionID, p.Grant)
		}
		return f, err
	case events.TypeAccessRestored:
		if !p.NoExternalID {
			_, err := b.version(ctx, p, f.VersionID)
			return f, err
		}
	case events.TypeDestinationDisabled:
		return b.disabled(ctx, p, f, d.Disabled)
	case events.TypeMailUndelivered:
		return b.undelivered(p, f, *d.Undelivered)
	}
	return f, nil
}

// version proves that a version is one of the secret's that carries a label.
func (b *batch) version(ctx context.Context, p grant.Plan, id string) (grant.VersionInfo, error) {
	versions, err := b.Secrets.Versions(ctx, p.SecretARN)
	if err != nil {
		return grant.VersionInfo{}, fmt.Errorf("listing versions of %s: %w", p.SecretARN, err)
	}
	i := slices.IndexFunc(versions, func(v grant.VersionInfo) bool { return v.ID == id && len(v.Stages) > 0 })
	if i < 0 {
		return grant.VersionInfo{}, drop("version %.80q is none of the secret of %s", id, p.Grant)
	}
	return versions[i], nil
}

// rotation proves that the version is one of the secret's, and finds when the ID before it ends. AWS's date of the
// version lies before its promotion, from which the real deadline counts: what is shown is never later than what holds.
func (b *batch) rotation(ctx context.Context, p grant.Plan, f deliver.Facts) (deliver.Facts, error) {
	if p.NoExternalID {
		return f, drop("grant %s has no external ID", p.Grant)
	}
	v, err := b.version(ctx, p, f.VersionID)
	if err != nil {
		return f, err
	}
	f.At = v.Created
	switch overlap := p.OverlapOf(v.ID); {
	case slices.Contains(v.Stages, grant.StageCurrent):
		if overlap > 0 {
			f.PreviousUntil = v.Created.Add(overlap).UTC().Truncate(time.Second)
		}
	case slices.Contains(v.Stages, grant.StagePrevious):
		// A later rotation may have cut the overlap short: no deadline is promised.
	default:
		return f, fmt.Errorf("version %.80q of %s is not current yet", v.ID, p.Grant)
	}
	return f, nil
}

// disabled proves that a webhook carries the mark of one that wants no message any more.
func (b *batch) disabled(ctx context.Context, p grant.Plan, f deliver.Facts, name string) (deliver.Facts, error) {
	all := p.Destinations()
	i := slices.IndexFunc(all, func(d grant.Destination) bool { return d.Name == name })
	if i < 0 {
		return f, drop("%s is none of the plan of %s", name, p.Grant)
	}
	hook, err := b.endpoint(ctx, all[i])
	switch {
	case err != nil:
		return f, err
	case hook.refused == "":
		return f, drop("%s of %s is not disabled", name, p.Grant)
	}
	f.Disabled = deliver.Disabled{Destination: name, SecretARN: all[i].Secret, Tag: hook.mark}
	return f, nil
}

// queued is when SQS took the event: the same at every delivery, and no word of the event.
func queued(message lambdaevents.SQSMessage, now time.Time) time.Time {
	ms, err := strconv.ParseInt(message.Attributes["SentTimestamp"], 10, 64)
	if at := time.UnixMilli(ms); err == nil && ms > 0 && at.Before(now) {
		return at
	}
	return now
}
