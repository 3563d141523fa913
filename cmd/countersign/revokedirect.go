package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/countersign/countersign/internal/aws/iam"
	"github.com/countersign/countersign/internal/aws/secretsmanager"
	"github.com/countersign/countersign/internal/aws/ssm"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// direct revokes without the API: the same IAM calls with the operator's own credentials.
type direct struct {
	cfg   aws.Config
	grant grant.Name
	role  string // as stack or file tell; "" means the default
}

func (d direct) roleName() string { return cmp.Or(d.role, d.grant.DefaultRole()) }

// revokeDirectly writes the Deny first, before anything is read. Each later act is tried even if an earlier one failed.
func (c *cli) revokeDirectly(ctx context.Context, d direct, r *revocation, p progress) error {
	roles := iam.NewUrgent(d.cfg)
	id, idErr := grant.NewRevokeID(c.now(), rand.Reader) // without one the Deny is written all the same
	if err := roles.PutInlinePolicy(ctx, d.roleName(), grant.RevocationPolicy, grant.DenyFor(id)); err != nil {
		return fmt.Errorf("writing the Deny on role %s: %w", d.roleName(), err)
	}
	r.Done = []string{"deny"}
	p.step("Deny written: live sessions fail at their next call")

	note := func(act, words string, err error) {
		if err != nil {
			r.Failed = append(r.Failed, act)
			p.step("%s failed, reconcile makes up for it: %s", act, err)
			return
		}
		r.Done = append(r.Done, act)
		p.step("%s", words)
	}
	plan, planErr := ssm.New(d.cfg).Plan(ctx, d.grant)
	want := trust.Plan{Role: trust.Created} // where the plan can't be read: Countersign made the role
	if planErr == nil {
		want = plan.Trust()
	}
	note("trust", "trust policy closed", d.closeTrust(ctx, roles, want))
	err := idErr
	if err == nil {
		if err = d.tag(ctx, roles, id, planErr == nil && plan.NoExternalID); err == nil {
			r.RevokeID = id
		}
	}
	note("tag", "noted as "+id+"; the provider is told at the next check, without the reason", err)
	return nil
}

// closeTrust puts our Deny into the trust policy.
func (d direct) closeTrust(ctx context.Context, roles *iam.Client, want trust.Plan) error {
	want.Gate = trust.Close
	role, err := roles.Role(ctx, d.roleName())
	if err != nil {
		return fmt.Errorf("reading the trust policy: %w", err)
	}
	doc, err := trust.Parse(role.Trust)
	if err != nil {
		return fmt.Errorf("reading the trust policy: %w", err)
	}
	closed, diff, err := trust.Apply(doc, want)
	if err != nil {
		return fmt.Errorf("closing the trust policy: %w", err)
	}
	if diff.Empty() {
		return nil
	}
	if err := roles.SetTrust(ctx, d.roleName(), closed.Bytes()); err != nil {
		return fmt.Errorf("closing the trust policy: %w", err)
	}
	return nil
}

// tag notes the revoke where the grant's facts are: on its secret, on its role where it has none.
func (d direct) tag(ctx context.Context, roles *iam.Client, revokeID string, noSecret bool) error {
	fact := map[string]string{grant.TagRevoked: revokeID}
	if !noSecret {
		err := secretsmanager.New(d.cfg).Tag(ctx, d.grant.Secret(), fact)
		if !errors.Is(err, grant.ErrNotFound) {
			return err
		}
	}
	return roles.TagRole(ctx, d.roleName(), fact)
}

// look says whether IAM gives back the Deny and the closed trust policy.
func (d direct) look(ctx context.Context) (bool, error) {
	roles := iam.New(d.cfg)
	inline, err := roles.InlinePolicy(ctx, d.roleName(), grant.RevocationPolicy)
	if r := grant.ReadRevocation(inline); err != nil || !r.Denies || r.RestoreTo != "" { // a restore under way is to be undone
		return false, err
	}
	role, err := roles.Role(ctx, d.roleName())
	if err != nil {
		return false, err
	}
	doc, err := trust.Parse(role.Trust)
	if err != nil {
		return false, err
	}
	return doc.Closed(), nil
}
