package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/outbox"
	"github.com/countersign/countersign/internal/trust"
)

// mayReopen says whether a revoked grant may be opened: an operator's intent stands in the Deny itself, the version that it
// names is current, and nothing speaks of another revocation. Events, messages and tags can only keep it closed.
func (f facts) mayReopen() bool {
	c := f.closure
	return c.RestoreTo != "" && c.RevokeID == grant.UndoneBy(c.RestoreTo) && f.tags[grant.TagRevoked] == c.RevokeID &&
		(f.plan.NoExternalID || f.current.versionID == c.RestoreTo || f.succeeded())
}

// succeeded says whether a rotation has followed on the version that may reopen: its ID is younger still.
func (f facts) succeeded() bool {
	return f.previous.versionID == f.closure.RestoreTo && f.previous.err == nil && f.current.err == nil &&
		!notOlder(f.previous.created, f.current.created)
}

// reopen brings a revoked grant a write further to being open: the trust policy with the new external ID alone; then the
// tag, and, last, a Deny of the sessions from before in place of the Deny of all. The caller looks again behind each; the
// look behind the last one closes again if another revocation came meanwhile. It returns what had drifted.
func (h *Handler) reopen(ctx context.Context, g gate.Gate, f facts) (drift []string, err error) {
	id, role := f.closure.RevokeID, f.plan.RoleName()
	if f.tags[grant.FactRestored.AnnouncedTag()] == id {
		return nil, fmt.Errorf("the Deny on %s is one that was lifted already: %w", role, grant.ErrNotYetVisible)
	}
	want, err := f.reopened()
	if err != nil {
		return nil, err
	}
	if found, wrote, err := h.mend(ctx, g, f, want); err != nil || wrote {
		return found, err
	}
	if f.tags[grant.TagRestored] != id {
		if err := h.Outbox.Note(ctx, f.plan, grant.FactRestored, id); err != nil {
			return nil, err
		}
	}
	if err := h.liftKept(ctx, f); err != nil {
		return nil, err
	}
	inline, err := h.Roles.InlinePolicy(ctx, role, grant.RevocationPolicy)
	if err != nil {
		return nil, fmt.Errorf("reading revocation of %s: %w", f.plan.Grant, err)
	}
	if grant.ReadRevocation(inline).RestoreTo != f.closure.RestoreTo { // another revocation came: the next look sees it
		return nil, h.forgetUndone(ctx, g, f, inline)
	}
	if err := h.Roles.PutInlinePolicy(ctx, role, grant.RevocationPolicy, grant.RestoredRevocation(h.Now().Add(cmp.Or(h.Margin, grant.RestoreMargin)))); err != nil {
		return nil, fmt.Errorf("lifting the Deny on %s: %w", role, err)
	}
	h.Log.InfoContext(ctx, "restored", "grant", string(f.plan.Grant), "revoke_id", id, "version_id", f.closure.RestoreTo)
	return nil, nil
}

// forgetUndone takes the note of a restore back that was made beside a Deny of that very revocation without the intent: another look, to
// which IAM showed the Deny late, has written over it, and the operator has to ask again. Left alone, the note would keep everybody from
// closing the grant wholly. This Deny, too, may be an old one, of a grant that is open by now: IAM is given time to catch up first.
func (h *Handler) forgetUndone(ctx context.Context, g gate.Gate, f facts, inline []byte) error {
	id := f.closure.RevokeID
	if r := grant.ReadRevocation(inline); r.RevokeID != id || r.RestoreTo != "" {
		return nil
	}
	if err := h.letSettle(ctx, f.plan.Grant, "the intent to restore is gone from the Deny"); err != nil {
		return err
	}
	now, err := h.gather(ctx, g, f.plan)
	if err != nil || !now.closure.Undone || now.closure.DenyID != id || now.tags[grant.FactRestored.AnnouncedTag()] == id {
		return err
	}
	h.Log.WarnContext(ctx, "a restore lost its intent half-way: closed again", "grant", string(f.plan.Grant), "revoke_id", id)
	return h.Outbox.Note(ctx, f.plan, grant.FactRestored, outbox.Nothing)
}

// liftKept lifts the Deny that would have kept an adopted role closed without its grant, where somebody had let that go and took
// it back. The Deny of the revocation itself still stands.
func (h *Handler) liftKept(ctx context.Context, f facts) error {
	if !f.plan.Adopted {
		return nil
	}
	kept, err := h.Roles.InlinePolicy(ctx, f.plan.RoleName(), grant.KeptClosedPolicy)
	switch {
	case errors.Is(err, grant.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("reading %s of %s: %w", grant.KeptClosedPolicy, f.plan.RoleName(), err)
	case !grant.ReadRevocation(kept).Denies:
		return nil
	}
	lifted := grant.RestoredRevocation(h.Now().Add(cmp.Or(h.Margin, grant.RestoreMargin)))
	if err := h.Roles.PutInlinePolicy(ctx, f.plan.RoleName(), grant.KeptClosedPolicy, lifted); err != nil {
		return fmt.Errorf("lifting %s on %s: %w", grant.KeptClosedPolicy, f.plan.RoleName(), err)
	}
	return nil
}

// reopened is the trust policy of a restored grant: the external ID that the restore made, with one that followed on it if
// there is any, and none of the older ones.
func (f facts) reopened() (trust.Plan, error) {
	switch {
	case f.docErr != nil:
		return trust.Plan{}, f.docErr
	case f.current.err != nil:
		return trust.Plan{}, fmt.Errorf("version %s: %w", f.current.versionID, f.current.err)
	case f.previous.created.After(f.current.created):
		return trust.Plan{}, fmt.Errorf("version %s is current, the younger %s previous: %w", f.current.versionID, f.previous.versionID, grant.ErrBackwards)
	}
	if before, older := f.older(); older { // under the Deny; the next look opens
		return f.plan.TrustWith(f.beside(before, f.current.id)), nil
	}
	if f.succeeded() { // the restore's own ID has the overlap of any other
		ids, _ := wanted(f)
		want := f.plan.TrustWith(ids)
		want.Gate = trust.Open
		return want, nil
	}
	ids := grant.IDs{Current: f.current.id}
	for _, s := range f.strays {
		ids.Retired = append(ids.Retired, s.ID)
	}
	for _, v := range []version{f.previous, f.pending} {
		if v.err == nil && !v.id.IsZero() && v.id != ids.Current && !slices.Contains(ids.Retired, v.id) {
			ids.Retired = append(ids.Retired, v.id)
		}
	}
	want := f.plan.TrustWith(ids)
	want.Gate = trust.Open
	return want, nil
}
