package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/outbox"
)

// close puts back what is missing of a closed grant's marks, each whatever becomes of the others, gives a revocation without
// an id one, takes an intent to restore away that another revocation contradicts, and announces what nobody announced.
func (h *Handler) close(ctx context.Context, g gate.Gate, f facts) error {
	c, role := f.closure, f.plan.RoleName()
	if c.Undone {
		h.Log.WarnContext(ctx, "the tags call the revocation undone that the Deny stands for: left as it is", "grant", string(f.plan.Grant), "revoke_id", c.DenyID)
		return h.announceNoted(ctx, f, "")
	}
	if c.Trust && !c.Deny && !c.Tag && f.now.Before(c.DeadBefore) {
		return fmt.Errorf("the trust policy of %s shows a revocation that was undone a moment ago: %w", role, grant.ErrNotYetVisible)
	}
	var failed []error
	id := c.RevokeID
	if id == "" {
		var err error
		if id, err = grant.NewRevokeID(f.now, h.Rand); err != nil {
			failed = append(failed, err)
		}
	}
	switch {
	case errors.Is(f.denyErr, grant.ErrUnavailable), errors.Is(f.denyErr, grant.ErrThrottled):
		// Written over unread, it might take an intent to restore away. The next look reads it.
		failed = append(failed, fmt.Errorf("reading revocation of %s: %w", f.plan.Grant, f.denyErr))
	case !c.Deny || c.DenyID != id:
		if err := h.Roles.PutInlinePolicy(ctx, role, grant.RevocationPolicy, grant.DenyFor(id)); err != nil {
			failed = append(failed, fmt.Errorf("denying on %s: %w", role, err))
		}
	}
	if !c.Trust {
		if _, err := g.Close(ctx, role, f.plan.Trust()); err != nil {
			failed = append(failed, err)
		}
	}
	switch {
	case f.tagsErr != nil:
		failed = append(failed, fmt.Errorf("describing secret of %s: %w", f.plan.Grant, f.tagsErr))
	case id != "":
		failed = append(failed, h.takeBack(ctx, f, id), h.announceRevoked(ctx, f, id))
	}
	return errors.Join(failed...)
}

// takeBack takes back the note of a restore that was given up before the Deny was lifted: the grant stays closed until
// somebody restores it anew. One that was announced did lift it, and a Deny with its intent is an old reading.
func (h *Handler) takeBack(ctx context.Context, f facts, id string) error {
	if f.closure.RestoreTo == "" || f.tags[grant.TagRestored] != id || f.tags[grant.FactRestored.AnnouncedTag()] == id {
		return nil
	}
	h.Log.WarnContext(ctx, "a restore was given up half-way: closed again", "grant", string(f.plan.Grant), "revoke_id", id)
	return h.Outbox.Note(ctx, f.plan, grant.FactRestored, outbox.Nothing)
}

// announceRevoked announces the revocation, and before it another one that was noted and not announced.
func (h *Handler) announceRevoked(ctx context.Context, f facts, id string) error {
	if err := h.announceNoted(ctx, f, id); err != nil {
		return err
	}
	return h.Outbox.Announce(ctx, f.plan, f.tags, grant.FactRevoked, id, events.AccessRevoked{Where: f.plan.Where(), RevokeID: id, By: "unknown"})
}

// announceNoted announces a revocation that was noted and not announced, unless it is the given one.
func (h *Handler) announceNoted(ctx context.Context, f facts, but string) error {
	id := grant.FactRevoked.Unannounced(f.tags)
	if id == but || !grant.IsRevokeID(id) {
		return nil
	}
	return h.Outbox.Publish(ctx, f.plan, grant.FactRevoked, id, events.AccessRevoked{Where: f.plan.Where(), RevokeID: id, By: "unknown"})
}
