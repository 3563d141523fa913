package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
)

// remove closes the grant's role for good: the stack deletes it next. A role that is gone needs no closing.
//
// A role that isn't the stack's lives on. It is left alone if nobody ever got in by this stack, as when its creation is taken back, or
// if it was given back; else it is closed under a name of its own, for the template takes CountersignRevocation off it.
func (h *Handler) remove(ctx context.Context, name grant.Name, stays bool) error {
	role, known := h.Grants[name]
	plan, err := h.Plans.Plan(ctx, name)
	planned := err == nil
	switch {
	case planned:
		role = plan.RoleName()
	case !errors.Is(err, grant.ErrNotConfigured):
		return fmt.Errorf("reading plan of %s: %w", name, err)
	case !known:
		role = name.DefaultRole()
	}
	g := h.gate()
	denies := []string{grant.RevocationPolicy}
	if stays || plan.Adopted {
		if planned {
			leave, err := h.leaves(ctx, g, plan)
			if leave || err != nil {
				return err
			}
		}
		denies = append(denies, grant.KeptClosedPolicy)
	}
	err = nil
	for _, policy := range denies {
		denied := h.Roles.PutInlinePolicy(ctx, role, policy, []byte(grant.DenyRevocation))
		if errors.Is(denied, grant.ErrNotFound) {
			return nil
		}
		if denied != nil {
			err = errors.Join(err, fmt.Errorf("denying on %s: %w", role, denied))
		}
	}
	if _, closing := g.Close(ctx, role, plan.Trust()); closing != nil && !errors.Is(closing, grant.ErrNotFound) {
		err = errors.Join(err, closing)
	}
	return err
}

// leaves says whether a role that the stack lets go stays as it stands.
func (h *Handler) leaves(ctx context.Context, g gate.Gate, plan grant.Plan) (bool, error) {
	f, err := h.gather(ctx, g, plan)
	switch {
	case errors.Is(err, grant.ErrNotFound):
		return true, nil // there is no such role any more
	case err != nil:
		return false, err
	}
	never := !f.closure.Closed() && errors.Is(f.current.err, grant.ErrNotFound)
	if f.released || !never || !plan.Adopted && (f.doc == nil || !f.doc.Born()) {
		return f.released, nil
	}
	had, err := h.had(ctx, plan)
	return !had, err
}

// had says whether a grant ever had an ID. Its secret's versions tell, since labels can be moved. A pending one may be that of a birth
// that failed: where the birth document stands beside it, nobody got in.
func (h *Handler) had(ctx context.Context, plan grant.Plan) (bool, error) {
	history, err := h.Secrets.History(ctx, plan.SecretARN)
	if err != nil {
		return false, fmt.Errorf("listing versions of the secret of %s: %w", plan.Grant, err)
	}
	for _, info := range history {
		if slices.Contains(info.Stages, grant.StagePending) && !grant.IsAdopted(info.ID) {
			continue
		}
		v, err := h.Secrets.Version(ctx, plan.SecretARN, info.ID)
		switch {
		case errors.Is(err, grant.ErrNotFound): // an empty version
			continue
		case err != nil:
			return false, fmt.Errorf("reading version %s: %w", info.ID, err)
		}
		if _, err := plan.DecodeVersion(v); !errors.Is(err, grant.ErrNotFound) { // not the template's constant
			return true, nil
		}
	}
	return false, nil
}

// keptClosed refuses to open a role that an earlier stack left closed.
func (h *Handler) keptClosed(ctx context.Context, name grant.Name) error {
	return h.patiently(ctx, func() error {
		plan, err := h.Plans.Plan(ctx, name)
		if err != nil {
			return fmt.Errorf("reading plan of %s: %w", name, err)
		}
		kept, err := h.Roles.InlinePolicy(ctx, plan.RoleName(), grant.KeptClosedPolicy)
		switch {
		case errors.Is(err, grant.ErrNotFound):
			return nil
		case err != nil:
			return fmt.Errorf("reading %s of %s: %w", grant.KeptClosedPolicy, plan.RoleName(), err)
		case grant.ReadRevocation(kept).Denies:
			return errKept(plan)
		}
		return nil
	})
}

// errKept is of a role that stays closed until a person says otherwise.
func errKept(plan grant.Plan) error {
	return fmt.Errorf("role %s was closed when the stack that ran it was deleted, or revoked since; delete it, make it anew and deploy again. Or, if "+
		"its provider may enter again, first give it a trust policy that lets nobody in, then take its inline policy %s off: %w",
		plan.RoleName(), grant.KeptClosedPolicy, grant.ErrClosed)
}
