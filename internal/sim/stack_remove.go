package sim

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-lambda-go/cfn"

	"github.com/countersign/countersign/internal/grant"
)

// cleanUp deletes what an update left behind.
func (d *deployment) cleanUp(ctx context.Context, old, next *stackGrant) {
	switch {
	case old.Plan.Adopted:
	case old.Plan.RoleARN != next.Plan.RoleARN:
		_ = d.removeRole(ctx, old)
	default:
		now := next.inline()
		for _, policy := range old.inline() {
			if !slices.ContainsFunc(now, func(n Policy) bool { return n.Name == policy.Name }) {
				_ = d.dropPolicy(ctx, old.Plan, policy.Name)
			}
		}
	}
	if next.Plan.NoExternalID && !old.Plan.NoExternalID {
		_ = d.unschedule(ctx, old)
		_ = d.removeSecret(ctx, old)
	}
}

// remove deletes the parts of a grant that are there.
func (d *deployment) remove(ctx context.Context, g *stackGrant) error {
	if g.physicalID != "" {
		if err := d.bring(ctx, cfn.RequestDelete, g, nil); err != nil {
			return err
		}
		g.physicalID = ""
	}
	if err := d.removeRole(ctx, g); err != nil {
		return err
	}
	if err := d.unschedule(ctx, g); err != nil {
		return err
	}
	w, p := d.s.w, g.Plan
	if err := d.try(ctx, "ssm", "DeleteParameter", p.Grant.Parameter(), func() error {
		delete(w.Parameters.values, p.Grant.Parameter())
		return nil
	}); err != nil {
		return err
	}
	return d.removeSecret(ctx, g)
}

// removeRole deletes the policies that the template declares, CountersignRevocation last of them, and the role, if the stack made it.
func (d *deployment) removeRole(ctx context.Context, g *stackGrant) error {
	p := g.Plan
	if p.Adopted || g.foreign {
		return nil
	}
	for _, policy := range slices.Backward(g.inline()) {
		if err := d.dropPolicy(ctx, p, policy.Name); err != nil {
			return err
		}
	}
	if g.RoleStays {
		return nil
	}
	err := d.try(ctx, "iam", "DeleteRole", p.RoleName(), func() error { return d.s.w.IAM.deleteRole(p.RoleName()) })
	if errors.Is(err, grant.ErrNotFound) {
		return nil
	}
	return err
}

func (d *deployment) unschedule(ctx context.Context, g *stackGrant) error {
	m, arn := d.s.w.Secrets, g.Plan.SecretARN
	if s, err := m.find(arn); err != nil || !s.rotates {
		return nil
	}
	return d.try(ctx, "secretsmanager", "CancelRotateSecret", arn, func() error { return m.cancel(arn) })
}

// removeSecret deletes the secret without a recovery window, as CloudFormation does.
func (d *deployment) removeSecret(ctx context.Context, g *stackGrant) error {
	m, arn := d.s.w.Secrets, g.Plan.SecretARN
	if _, err := m.find(arn); err != nil {
		return nil
	}
	return d.once(ctx, "secretsmanager", "DeleteSecret", arn, func() error { m.drop(arn); return nil })
}
