package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/cfn"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

const cloudFormation = "cloudformation" // the actor

// deployment is one run of CloudFormation, with what would take it back.
type deployment struct {
	s      *Stacks
	stack  *stack
	revert bool

	back []func(context.Context) error // puts changed parts back, in the order of the changes
	gone []func(context.Context) error // deletes made parts, in the opposite order
}

// try makes one call, again while it is throttled or unanswered, as CloudFormation does.
func (d *deployment) try(ctx context.Context, service, action, resource string, apply func() error) error {
	var err error
	for attempt := range 5 {
		if attempt > 0 {
			if err := d.s.w.Wait(ctx, time.Second<<(attempt-1)); err != nil {
				return err
			}
		}
		err = do(ctx, d.s.w, service, action, resource, apply)
		if !errors.Is(err, grant.ErrThrottled) && !errors.Is(err, grant.ErrUnavailable) {
			break
		}
	}
	return err
}

// once is try for a call that makes something: what was made by an attempt whose answer got lost is no conflict.
func (d *deployment) once(ctx context.Context, service, action, resource string, apply func() error) error {
	made := false
	return d.try(ctx, service, action, resource, func() error {
		if made {
			return nil
		}
		err := apply()
		made = err == nil
		return err
	})
}

// fail takes an update back, and says why.
func (d *deployment) fail(ctx context.Context, why error) error {
	d.stack.status = updateRollingBack
	undoing := d.rollBack(ctx)
	d.stack.status = UpdateRolledBack
	if undoing != nil {
		d.stack.status = UpdateRollbackFailed
	}
	return errors.Join(fmt.Errorf("updating stack %s: %w", d.stack.name, why), undoing)
}

// rollBack takes everything back that was done so far, as far as that works.
func (d *deployment) rollBack(ctx context.Context) error {
	var all error
	d.stack.left = nil
	for _, back := range d.back {
		if err := back(ctx); err != nil {
			d.stack.left = append(d.stack.left, back)
			all = errors.Join(all, fmt.Errorf("rolling back: %w", err))
		}
	}
	for _, gone := range slices.Backward(d.gone) {
		if err := gone(ctx); err != nil {
			all = errors.Join(all, fmt.Errorf("rolling back: %w", err))
		}
	}
	return all
}

// create makes the parts of a grant.
func (d *deployment) create(ctx context.Context, g *stackGrant) error {
	d.gone = append(d.gone, func(ctx context.Context) error { return d.remove(ctx, g) })
	if err := d.managed(ctx, nil, g.Policies); err != nil {
		return err
	}
	for _, step := range []func(context.Context, *stackGrant) error{d.createRole, d.createSecret} {
		if err := step(ctx, g); err != nil {
			return err
		}
	}
	if err := d.putPlan(ctx, g.Plan); err != nil {
		return err
	}
	if err := d.schedule(ctx, g.Plan); err != nil {
		return err
	}
	return d.bring(ctx, cfn.RequestCreate, g, nil)
}

func (d *deployment) createRole(ctx context.Context, g *stackGrant) error {
	p := g.Plan
	if p.Adopted {
		return nil
	}
	_, missing := d.s.w.IAM.find(p.RoleName())
	g.foreign = missing == nil && !g.RoleStays
	if !g.RoleStays {
		if err := d.once(ctx, "iam", "CreateRole", p.RoleName(), func() error { return d.makeRole(g.Template) }); err != nil {
			return err
		}
	}
	for _, policy := range g.inline() {
		if err := d.putPolicy(ctx, p, policy); err != nil {
			return err
		}
	}
	return nil
}

func (d *deployment) createSecret(ctx context.Context, g *stackGrant) error {
	if g.Plan.NoExternalID {
		return nil
	}
	return d.once(ctx, "secretsmanager", "CreateSecret", g.Plan.SecretARN, func() error { return d.s.w.makeSecret(g.Plan) })
}

// update brings a grant from what its template said to what it says. A role of another name or path is another role: it is made
// beside the old one, which cleanUp deletes.
func (d *deployment) update(ctx context.Context, old, next *stackGrant) error {
	was, p := old.Plan, next.Plan
	if p.Adopted != was.Adopted || p.Adopted && p.RoleARN != was.RoleARN || p.SecretARN != was.SecretARN && !p.NoExternalID && !was.NoExternalID {
		return errors.New("a part that is replaced by another one is not simulated")
	}
	steps := []func(context.Context, *stackGrant, *stackGrant) error{
		d.updateRole, d.updatePolicies, d.updateSecret, d.updatePlan, d.updateSchedule, d.updateGrant,
	}
	if p.RoleARN != was.RoleARN {
		steps = slices.Replace(steps, 0, 2, d.replaceRole)
	}
	for _, step := range steps {
		if err := step(ctx, old, next); err != nil {
			return err
		}
	}
	return nil
}

func (d *deployment) replaceRole(ctx context.Context, old, next *stackGrant) error {
	if err := d.managed(ctx, old.Policies, next.Policies); err != nil {
		return err
	}
	d.gone = append(d.gone, func(ctx context.Context) error { return d.removeRole(ctx, next) })
	return d.createRole(ctx, next)
}

func (d *deployment) updateSecret(ctx context.Context, old, next *stackGrant) error {
	if !old.Plan.NoExternalID || next.Plan.NoExternalID {
		return nil
	}
	d.gone = append(d.gone, func(ctx context.Context) error { return d.removeSecret(ctx, next) })
	return d.createSecret(ctx, next)
}

// updateRole writes the role's properties if one of them changed: CloudFormation then writes the trust policy too.
func (d *deployment) updateRole(ctx context.Context, old, next *stackGrant) error {
	if err := d.managed(ctx, old.Policies, next.Policies); err != nil {
		return err
	}
	if next.Plan.Adopted || old.roleProperties() == next.roleProperties() && !d.revert {
		return nil
	}
	put := func(t Template) func(context.Context) error {
		return func(ctx context.Context) error {
			return d.try(ctx, "iam", "UpdateAssumeRolePolicy", t.Plan.RoleName(), func() error {
				r, err := d.s.w.IAM.writable(t.Plan.RoleName())
				if err != nil {
					return err
				}
				r.managed = t.managedARNs()
				return d.s.w.IAM.setTrust(r, []byte(trust.BornDocument))
			})
		}
	}
	d.back = append(d.back, put(old.Template))
	return put(next.Template)(ctx)
}

// updatePolicies writes the inline policies whose body changed in the template. What stands on the role is not looked at.
func (d *deployment) updatePolicies(ctx context.Context, old, next *stackGrant) error {
	if next.Plan.Adopted {
		return nil
	}
	before := old.inline()
	for _, policy := range next.inline() {
		i := slices.IndexFunc(before, func(b Policy) bool { return b.Name == policy.Name })
		switch {
		case i < 0:
			d.gone = append(d.gone, func(ctx context.Context) error { return d.dropPolicy(ctx, next.Plan, policy.Name) })
		case before[i].Document == policy.Document:
			continue
		default:
			d.back = append(d.back, func(ctx context.Context) error { return d.putPolicy(ctx, old.Plan, before[i]) })
		}
		if err := d.putPolicy(ctx, next.Plan, policy); err != nil {
			return err
		}
	}
	return nil
}

func (d *deployment) updatePlan(ctx context.Context, old, next *stackGrant) error {
	before, _ := json.Marshal(old.Plan)
	now, _ := json.Marshal(next.Plan)
	drifted := d.revert && d.s.w.Parameters.values[next.Plan.Grant.Parameter()] != string(now)
	if string(before) == string(now) && !drifted {
		return nil
	}
	d.back = append(d.back, func(ctx context.Context) error { return d.putPlan(ctx, old.Plan) })
	return d.putPlan(ctx, next.Plan)
}

func (d *deployment) updateSchedule(ctx context.Context, old, next *stackGrant) error {
	switch {
	case old.Plan.NoExternalID:
		return d.schedule(ctx, next.Plan) // of a secret that was made just now
	case old.Plan.RotateEvery == next.Plan.RotateEvery, next.Plan.NoExternalID:
		return nil
	}
	d.back = append(d.back, func(ctx context.Context) error { return d.schedule(ctx, old.Plan) })
	return d.schedule(ctx, next.Plan)
}

func (d *deployment) updateGrant(ctx context.Context, old, next *stackGrant) error {
	if old.digest() == next.digest() {
		return nil
	}
	d.back = append(d.back, func(ctx context.Context) error { return d.bring(ctx, cfn.RequestUpdate, old, &next.Template) })
	return d.bring(ctx, cfn.RequestUpdate, next, &old.Template)
}

// bring calls Custom::Grant.
func (d *deployment) bring(ctx context.Context, kind cfn.RequestType, g *stackGrant, old *Template) error {
	if d.s.custom == nil {
		return nil
	}
	id, err := d.s.call(ctx, d.s.request(d.stack, kind, g, old))
	if id != "" {
		g.physicalID = id // a failed one too: it is deleted in the rollback
	}
	if err != nil {
		return fmt.Errorf("Custom::Grant of %s: %w", g.Plan.Grant, err)
	}
	return nil
}

// managed makes the customer's managed policies, or new versions of them.
func (d *deployment) managed(ctx context.Context, old, next []Policy) error {
	for _, policy := range next {
		if policy.ARN == "" || slices.Contains(old, policy) {
			continue
		}
		if err := d.try(ctx, "iam", "CreatePolicy", policy.ARN, func() error { return d.s.w.IAM.ManagedPolicy(policy.ARN, []byte(policy.Document)) }); err != nil {
			return err
		}
	}
	return nil
}

func (d *deployment) makeRole(t Template) error {
	_, rest, _ := strings.Cut(t.Plan.RoleARN, ":role")
	arn, err := d.s.w.IAM.CreateRole(t.Plan.RoleName(), []byte(trust.BornDocument), RoleOptions{
		Path: rest[:strings.LastIndexByte(rest, '/')+1], Quota: t.Plan.Quota, Managed: t.managedARNs(),
		Tags: map[string]string{grant.TagGrant: string(t.Plan.Grant)},
	})
	if err == nil && arn != t.Plan.RoleARN {
		err = fmt.Errorf("the plan's role %s is not in account %s", t.Plan.RoleARN, d.s.w.cfg.Account)
	}
	return err
}

func (d *deployment) putPolicy(ctx context.Context, p grant.Plan, policy Policy) error {
	return d.try(ctx, "iam", "PutRolePolicy", p.RoleName()+" "+policy.Name, func() error {
		r, err := d.s.w.IAM.writable(p.RoleName())
		if err != nil {
			return err
		}
		return d.s.w.IAM.putInline(r, policy.Name, []byte(policy.Document))
	})
}

func (d *deployment) dropPolicy(ctx context.Context, p grant.Plan, name string) error {
	err := d.try(ctx, "iam", "DeleteRolePolicy", p.RoleName()+" "+name, func() error { return d.s.w.IAM.deleteInline(p.RoleName(), name) })
	if errors.Is(err, grant.ErrNotFound) {
		return nil
	}
	return err
}

func (d *deployment) putPlan(ctx context.Context, p grant.Plan) error {
	return d.try(ctx, "ssm", "PutParameter", p.Grant.Parameter(), func() error { return d.s.w.putPlan(p) })
}

// schedule is RotateSecret with RotateImmediately false: it sets function and schedule, and lets the engine try testSecret.
func (d *deployment) schedule(ctx context.Context, p grant.Plan) error {
	if p.NoExternalID {
		return nil
	}
	every, err := period(p.RotateEvery)
	if err != nil {
		return err
	}
	m := d.s.w.Secrets
	if err := d.try(ctx, "secretsmanager", "RotateSecret", p.SecretARN, func() error { return m.reschedule(p.SecretARN, every) }); err != nil {
		return err
	}
	m.testRotation(ctx, p.SecretARN)
	return nil
}

// inline are the role's inline policies in the order in which they are made: CountersignRevocation first.
func (t Template) inline() []Policy {
	out := []Policy{{Name: grant.RevocationPolicy, Document: t.Revocation}}
	if t.Revocation == "" {
		out[0].Document = grant.OpenRevocation
	}
	for _, p := range t.Policies {
		if p.ARN == "" {
			out = append(out, p)
		}
	}
	return out
}

func (t Template) managedARNs() (arns []string) {
	for _, p := range t.Policies {
		if p.ARN != "" {
			arns = append(arns, p.ARN)
		}
	}
	return arns
}

func (t Template) roleProperties() string {
	return fmt.Sprint(t.Description, t.managedARNs(), t.Plan.Quota)
}

// digest is a hash of everything that Custom::Grant depends on.
func (t Template) digest() string {
	text, err := json.Marshal(t)
	if err != nil {
		return err.Error()
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
