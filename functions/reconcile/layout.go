package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-lambda-go/cfn"
)

// Stacks tells of the stack that a custom resource belongs to.
type Stacks interface {
	// RollingBack says whether CloudFormation is taking an update of the stack back. grant.ErrNotFound where there is no such stack.
	RollingBack(ctx context.Context, stackID string) (bool, error)
}

// layout refuses what would take access away, or give it back, without anybody having said so. All grants wait for it, and
// CloudFormation removes things only behind a successful update: a refusal has touched nothing.
//
// What a refused deploy changed is taken back by another update, from the new properties to the old ones. That one is never
// refused, or the stack would be stuck.
func (h *Handler) layout(ctx context.Context, e cfn.Event) error {
	if e.RequestType != cfn.RequestUpdate {
		return nil
	}
	refused := resharded(e)
	if refused == nil {
		return nil
	}
	switch back, err := h.Stacks.RollingBack(ctx, e.StackID); {
	case err != nil:
		return errors.Join(refused, fmt.Errorf("reading whether stack %s rolls back: %w", e.StackID, err))
	case back:
		return nil
	}
	return refused
}

// resharded refuses to change the number of shards of a live stack unless the old one is stated.
func resharded(e cfn.Event) error {
	before, now := property(e.OldResourceProperties, "Shards"), property(e.ResourceProperties, "Shards")
	if before == now || property(e.ResourceProperties, "ReshardedFrom") == before {
		return nil
	}
	return fmt.Errorf("shards was %s and is %s now: grants would move between stacks and their providers lose access meanwhile; "+
		"set shards back to %s, or say reshardedFrom: %s in access.yaml if that is meant", before, now, before, before)
}
