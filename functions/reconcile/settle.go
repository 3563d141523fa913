package reconcile

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/metric"
	"github.com/countersign/countersign/internal/outbox"
	"github.com/countersign/countersign/internal/trust"
)

// unnoted is how long a promotion may go without its note until its announcement is taken to be lost.
const unnoted = 15 * time.Minute

// settle announces what has come to be, once the trust policy is as it shall be or can't be brought there. seen is the drift
// of all looks; what of it isn't in the decision any more was mended.
func (h *Handler) settle(ctx context.Context, f facts, d decision, seen []string) error {
	failed := []error{d.fault, h.drift(ctx, f, d, seen)}
	for _, n := range news(f, d) {
		if n.fact == grant.FactFailed && !n.noted { // a step's own failure was counted where it failed
			h.Meter.Add(ctx, metric.StepsFailed, 1)
		}
		if n.noted {
			failed = append(failed, h.Outbox.Publish(ctx, f.plan, n.fact, n.change, n.data))
		} else {
			failed = append(failed, h.Outbox.Announce(ctx, f.plan, f.tags, n.fact, n.change, n.data))
		}
	}
	return errors.Join(failed...)
}

// item is something to announce. noted: another function noted it, or should have.
type item struct {
	fact   grant.Fact
	change string
	data   events.Data
	noted  bool
}

// news is what of the facts was not announced yet. A grant that can't be brought to its plan has no news but older ones.
func news(f facts, d decision) []item {
	var out []item
	where, tags := f.plan.Where(), f.tags
	if change := grant.FactFailed.Unannounced(tags); change != "" {
		failure := grant.ParseFailure(change)
		reason, next := failure.Words(f.plan.Grant)
		out = append(out, item{grant.FactFailed, change, events.RotationFailed{
			Where: where, VersionID: failure.VersionID, Step: failure.Step, Reason: reason, Next: next,
		}, true})
	}
	if failure := stuck(f); failure.VersionID != "" {
		reason, next := failure.Words(f.plan.Grant)
		out = append(out, item{grant.FactFailed, failure.String(), events.RotationFailed{
			Where: where, VersionID: failure.VersionID, Step: failure.Step, Reason: reason, Next: next,
		}, false})
	}
	before := f.previous
	if change := grant.FactRetired.Unannounced(tags); change != "" && change != before.versionID { // labels moved on since
		out = append(out, item{grant.FactRetired, change, events.PreviousRetired{Where: where, VersionID: change}, true})
	}
	if change := grant.FactRevoked.Unannounced(tags); grant.IsRevokeID(change) { // and undone since
		out = append(out, item{grant.FactRevoked, change, events.AccessRevoked{Where: where, RevokeID: change, By: "unknown"}, true})
	}
	if d.state != Open || d.fault != nil {
		return out
	}
	version := cmp.Or(f.current.versionID, "open")
	if first := cmp.Or(tags[grant.FactGranted.Tag()], version); first != tags[grant.FactGranted.AnnouncedTag()] {
		data := events.AccessGranted{Where: where, VersionID: first, Expires: f.plan.Expires}
		if f.plan.NoExternalID {
			data.VersionID = ""
		}
		out = append(out, item{grant.FactGranted, first, data, false})
	}
	if undone := tags[grant.TagRestored]; undone != "" && undone == tags[grant.TagRevoked] && !f.closure.DeadBefore.IsZero() &&
		tags[grant.FactRestored.AnnouncedTag()] != undone {
		data := events.AccessRestored{Where: where, RevokeID: undone, VersionID: f.current.versionID, ValidFrom: f.closure.DeadBefore}
		out = append(out, item{grant.FactRestored, undone, data, true})
	}
	if lostRotation(f) {
		out = append(out, item{grant.FactRotated, version, f.rotated(d.end), true})
	}
	out = append(out, f.confirmations(d.end)...)
	if before.err == nil && before.versionID != "" && !d.end.Keep && tags[grant.FactRetired.AnnouncedTag()] != before.versionID {
		out = append(out, item{grant.FactRetired, before.versionID, events.PreviousRetired{Where: where, VersionID: before.versionID}, false})
	}
	if end := f.plan.Expires; !end.IsZero() && !f.now.Before(end) {
		if change := end.UTC().Format(time.RFC3339); tags[grant.FactExpired.AnnouncedTag()] != change {
			out = append(out, item{grant.FactExpired, change, events.AccessExpired{Where: where, Expires: end.UTC()}, false})
		}
	}
	return out
}

// stuck is a rotation that made its ID long ago and has not promoted it, unless its failure was told already.
func stuck(f facts) grant.Failure {
	p := f.pending
	if f.doc == nil || p.err != nil || p.versionID == "" || f.now.Sub(p.created) < grant.Retries || grant.ParseFailure(f.tags[grant.FactFailed.Tag()]).VersionID == p.versionID {
		return grant.Failure{}
	}
	step := "setSecret"
	if p.id.AcceptedBy(f.doc) {
		step = "finishSecret"
	}
	return grant.Failure{VersionID: p.versionID, Step: step, Code: grant.Stuck}
}

// lostRotation says whether the current ID was promoted and not announced, nor is about to be.
func lostRotation(f facts) bool {
	version := f.current.versionID
	switch {
	case f.tags[grant.FactGranted.AnnouncedTag()] == version: // a role's own ID, with which it was adopted
		return false
	case f.plan.NoExternalID || f.tags[grant.FactRotated.AnnouncedTag()] == version:
		return false
	case f.tags[grant.FactRotated.Tag()] == version:
		return true
	case grant.PurposeOf(version) == grant.Birth || grant.PurposeOf(version) == grant.Restore:
		return false // announced as Access Granted, as Access Restored
	}
	return f.now.Sub(f.current.created) > unnoted
}

// fingerprints are left out of events: those of IDs that aren't ours change from run to run.
var fingerprints = regexp.MustCompile(`#[0-9a-f]{6}\b`)

// drift announces what was found beside the plan, once for as long as it is the same.
func (h *Handler) drift(ctx context.Context, f facts, d decision, seen []string) error {
	found := merge(seen, d.drift)
	if d.fault != nil {
		found = append(found, faultText(d.fault, f.plan.Grant))
	}
	for i := range found {
		found[i] = fingerprints.ReplaceAllString(found[i], "an external ID")
	}
	noted := f.tags[grant.FactDrift.Tag()]
	if len(found) == 0 {
		return h.driftOver(ctx, f, noted)
	}
	if errors.Is(d.fault, grant.ErrBackwards) {
		h.Meter.Add(ctx, metric.LabelsBackwards, 1)
	} else {
		h.Meter.Add(ctx, metric.TrustDrifts, 1)
	}
	sum := sha256.Sum256([]byte(strings.Join(found, "\n")))
	key := hex.EncodeToString(sum[:6])
	change := key + "-" + strconv.FormatInt(f.now.Unix(), 10)
	if strings.HasPrefix(noted, key+"-") {
		change = noted
	}
	data := events.TrustDriftDetected{Where: f.plan.Where(), Findings: found, Mended: d.fault == nil && len(d.drift) == 0}
	again := data.Mended && f.tags[grant.FactReverted.Tag()] == key
	if again {
		data.Findings = append(data.Findings, h.writer(ctx, f))
	}
	h.Log.WarnContext(ctx, "trust policy drifted", "grant", string(f.plan.Grant), "findings", found, "mended", data.Mended)
	if err := h.Outbox.Announce(ctx, f.plan, f.tags, grant.FactDrift, change, data); err != nil {
		return err
	}
	if !data.Mended {
		return nil
	}
	if !again {
		if err := h.Outbox.Note(ctx, f.plan, grant.FactReverted, key); err != nil {
			return err
		}
	}
	return h.Outbox.Forget(ctx, f.plan, grant.FactDrift) // the same again will be news
}

// lookBack is for how long back the writer of an edit is looked for that came again.
const lookBack = 24 * time.Hour

// writer says who wrote an edit that was reverted before.
func (h *Handler) writer(ctx context.Context, f facts) string {
	const again = "the same edit was reverted before; "
	who := ""
	if h.Writers != nil {
		var err error
		if who, err = h.Writers.LastWriter(ctx, f.plan.RoleName(), f.now.Add(-lookBack)); err != nil {
			h.Log.WarnContext(ctx, "who wrote the trust policy is not known", "grant", string(f.plan.Grant), "reason", err.Error())
		}
	}
	if who == "" {
		return again + "CloudTrail does not tell who writes it"
	}
	return again + who + " writes it: have that leave the trust policy alone"
}

// driftOver forgets a drift that isn't there any more. One that nobody was told of is announced first, without its findings.
func (h *Handler) driftOver(ctx context.Context, f facts, noted string) error {
	if noted == "" || noted == outbox.Nothing {
		return nil
	}
	if grant.FactDrift.Unannounced(f.tags) != "" {
		data := events.TrustDriftDetected{Where: f.plan.Where(), Mended: true}
		if err := h.Outbox.Publish(ctx, f.plan, grant.FactDrift, noted, data); err != nil {
			return err
		}
	}
	return h.Outbox.Forget(ctx, f.plan, grant.FactDrift)
}

// faultText says for people why a grant can't be brought to its plan.
func faultText(err error, name grant.Name) string {
	var refusal *trust.Refusal
	if errors.As(err, &refusal) {
		return refusal.Error()
	}
	if failure, ok := grant.FailureOf(err, "", ""); ok {
		reason, next := failure.Words(name)
		return reason + "; " + next
	}
	return "the grant can't be brought to its plan"
}

// merge appends what isn't there yet.
func merge(list, more []string) []string {
	list = slices.Clone(list)
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}
