package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
)

// close puts back what is missing of a closed grant's marks, each whatever becomes of the others, and announces a
// revocation that nobody announced.
func (h *Handler) close(ctx context.Context, g gate.Gate, f facts) error {
	var failed []error
	role := f.plan.RoleName()
	if !f.closure.Deny {
		if err := h.Roles.PutInlinePolicy(ctx, role, grant.RevocationPolicy, []byte(grant.DenyRevocation)); err != nil {
			failed = append(failed, fmt.Errorf("denying on %s: %w", role, err))
		}
	}
	if !f.closure.Trust {
		if _, err := g.Close(ctx, role, f.plan.Trust()); err != nil {
			failed = append(failed, err)
		}
	}
	if f.tagsErr != nil {
		return errors.Join(append(failed, fmt.Errorf("describing secret of %s: %w", f.plan.Grant, f.tagsErr))...)
	}
	revokeID := f.closure.RevokeID
	if !f.closure.Tag {
		var err error
		if revokeID, err = grant.NewRevokeID(f.now, h.Rand); err != nil {
			return errors.Join(append(failed, err)...)
		}
	}
	data := events.AccessRevoked{Where: f.plan.Where(), RevokeID: revokeID, By: "unknown"}
	if err := h.Outbox.Announce(ctx, f.plan, f.tags, grant.FactRevoked, revokeID, data); err != nil {
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}
