package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/countersign/countersign/internal/grant"
)

// keepsStack says whether the grant was found revoked, and would be forgotten to be with its stack: one of that name, deployed again,
// would open. An adopted role stays closed without its stack.
func (f found) keepsStack() bool { return f.state == Closed && !f.plan.Adopted }

// protect turns on the termination protection of the stack, for a grant that was found revoked. Nothing of ours ever takes the
// protection off: that is a person's to do.
//
// It comes last: closing and announcing don't depend on it. The error is one that may pass; any other is logged alone.
func (h *Handler) protect(ctx context.Context, name grant.Name) error {
	deletable, err := h.Stacks.Deletable(ctx, h.Stack)
	if err == nil && !deletable {
		return nil
	}
	if err == nil {
		err = h.Stacks.Protect(ctx, h.Stack)
	}
	if err == nil {
		h.Log.WarnContext(ctx, "a grant of the stack is revoked: termination protection turned on", "grant", string(name), "stack", h.Stack)
		return nil
	}
	h.Log.ErrorContext(ctx, "termination protection not turned on: the stack can be deleted although a grant of it is revoked",
		"grant", string(name), "stack", h.Stack, "reason", err.Error())
	if errors.Is(err, grant.ErrThrottled) || errors.Is(err, grant.ErrUnavailable) || errors.Is(err, grant.ErrConflict) {
		return fmt.Errorf("protecting the stack of %s: %w", name, err)
	}
	return nil
}
