package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

// maxBody is the largest event that EventBridge carries, in bytes.
const maxBody = 256 << 10

var (
	eventID   = regexp.MustCompile(`^[0-9a-f]{32}$`)
	versionID = regexp.MustCompile(`^[A-Za-z0-9-]{32,64}$`)
)

// said is all that is taken from an event.
type said struct {
	id       string
	kind     events.Type
	grant    grant.Name
	version  string // may be empty
	revokeID string // Access Revoked and Access Restored
}

// read takes from a message what may be taken. Everything it can't read is dropped: it will not read better next time.
func (b *batch) read(message lambdaevents.SQSMessage) (said, error) {
	if len(message.Body) > maxBody {
		return said{}, drop("larger than an event can be")
	}
	var envelope events.Envelope
	if err := json.Unmarshal([]byte(message.Body), &envelope); err != nil {
		return said{}, drop("not an event of EventBridge")
	}
	if envelope.Source != events.Source {
		return said{}, drop("source %.60q is another's", envelope.Source)
	}
	if !slices.Contains(events.Types(), envelope.DetailType) {
		return said{}, drop("unknown event %.60q", string(envelope.DetailType))
	}
	var detail struct {
		Metadata struct {
			ID    string `json:"id"`
			Grant string `json:"grant"`
		} `json:"metadata"`
		Data struct {
			VersionID string `json:"versionId"`
			RevokeID  string `json:"revokeId"`
		} `json:"data"`
	}
	if err := json.Unmarshal(envelope.Detail, &detail); err != nil {
		return said{}, drop("detail of %q can't be read", envelope.DetailType)
	}
	name, err := grant.ParseName(detail.Metadata.Grant)
	if err != nil || !b.Grants[name] {
		return said{}, drop("grant %.60q is none of this stack", detail.Metadata.Grant)
	}
	out := said{id: detail.Metadata.ID, kind: envelope.DetailType, grant: name, version: detail.Data.VersionID}
	switch {
	case !eventID.MatchString(out.id):
		return said{}, drop("event id %.60q is not in our form", out.id)
	case out.kind == events.TypeAccessRevoked, out.kind == events.TypeAccessRestored:
		out.revokeID = detail.Data.RevokeID
		if out.kind == events.TypeAccessRevoked {
			out.version = ""
		}
		if !grant.IsRevokeID(out.revokeID) {
			return said{}, drop("revoke id %.60q is not in our form", out.revokeID)
		}
	case out.kind != events.TypeExternalIDRotated && out.version != "" && !versionID.MatchString(out.version):
		return said{}, drop("version id %.80q is not in our form", out.version)
	}
	return out, nil
}

// facts completes an event with what the plan and Secrets Manager say.
func (b *batch) facts(ctx context.Context, p grant.Plan, s said, message lambdaevents.SQSMessage) (deliver.Facts, error) {
	now := b.Now()
	f := deliver.Facts{EventID: s.id, Kind: s.kind, VersionID: s.version, RevokeID: s.revokeID, At: queued(message, now), Now: now}
	switch s.kind {
	case events.TypeAccessExpired:
		if p.Expires.IsZero() || p.Expires.After(now) {
			return f, drop("grant %s has not expired by its plan", p.Grant)
		}
	case events.TypeExternalIDRotated:
		return b.rotation(ctx, p, f)
	case events.TypeAccessRestored:
		if !p.NoExternalID {
			_, err := b.version(ctx, p, f.VersionID)
			return f, err
		}
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

// queued is when SQS took the event: the same at every delivery, and no word of the event.
func queued(message lambdaevents.SQSMessage, now time.Time) time.Time {
	ms, err := strconv.ParseInt(message.Attributes["SentTimestamp"], 10, 64)
	if at := time.UnixMilli(ms); err == nil && ms > 0 && at.Before(now) {
		return at
	}
	return now
}
