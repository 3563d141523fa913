// Package adopt takes over roles that were there before Countersign, and gives them back.
//
// It decides whether a role can be adopted, what a rotation would make of its trust policy, and who else loses access by a
// revoke. Taking over writes no trust policy: the external ID in use goes into the secret, by one call of the operator's own
// credentials, and everybody enters as before. Giving back leaves the owner's statements with the current ID as a plain
// condition. It trusts nothing that it reads, and prints no external ID. It never opens a closed role unless told to.
package adopt

import (
	"context"
	"errors"
	"fmt"
	"unicode"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// Reader reads roles.
type Reader interface {
	Role(ctx context.Context, roleName string) (grant.Role, error)
	InlinePolicies(ctx context.Context, roleName string) ([]string, error)
	// InlinePolicy is grant.ErrNotFound where the role has none of that name.
	InlinePolicy(ctx context.Context, roleName, policyName string) ([]byte, error)
	Attached(ctx context.Context, roleName string) ([]string, error)
}

// Live is a role as it stands.
type Live struct {
	ARN, Partition, Account, Path, Name string

	Trust    *trust.Document
	Tags     map[string]string
	Inline   map[string][]byte // inline policies by name
	Attached int               // managed policies
}

// Look reads a role. It refuses what needs no look: names that say that others write the role.
func Look(ctx context.Context, roles Reader, roleARN string) (Live, error) {
	l := Live{ARN: roleARN, Inline: map[string][]byte{}}
	var err error
	if l.Partition, l.Account, l.Path, l.Name, err = grant.SplitRoleARN(roleARN); err != nil {
		return Live{}, err
	}
	if why := grant.Unadoptable(l.Name, l.Path); why != "" {
		return Live{}, &trust.Refusal{Reason: l.Name + " can't be adopted: " + why}
	}
	role, err := roles.Role(ctx, l.Name)
	if err != nil {
		return Live{}, fmt.Errorf("reading role %s: %w", l.Name, err)
	}
	if role.ARN != roleARN {
		return Live{}, fmt.Errorf("the role of that name is %s: %w", role.ARN, grant.ErrNotFound)
	}
	l.Tags = role.Tags
	if l.Trust, err = trust.Parse(role.Trust); err != nil {
		return Live{}, fmt.Errorf("reading the trust policy of %s: %w", l.Name, err)
	}
	names, err := roles.InlinePolicies(ctx, l.Name)
	if err != nil {
		return Live{}, fmt.Errorf("listing inline policies of %s: %w", l.Name, err)
	}
	for _, name := range names {
		body, err := roles.InlinePolicy(ctx, l.Name, name)
		switch {
		case errors.Is(err, grant.ErrNotFound): // gone meanwhile
		case err != nil:
			return Live{}, fmt.Errorf("reading inline policy %.128s of %s: %w", name, l.Name, err)
		default:
			l.Inline[name] = body
		}
	}
	attached, err := roles.Attached(ctx, l.Name)
	if err != nil {
		return Live{}, fmt.Errorf("listing policies of %s: %w", l.Name, err)
	}
	l.Attached = len(attached)
	return l, nil
}

// AWS's quotas of a role, in characters without white space, and in policies.
const (
	InlineQuota   = 10240 // of all inline policies together
	ManagedPolicy = 10    // attached at once
)

// denyRoom is what Countersign's own inline policies take at most: the Deny of a revocation in its longest form, and the one
// that keeps a role closed once the grant is gone.
var denyRoom = max(len(grant.OpenRevocation), len(grant.ReleasedRevocation), len(grant.RestoreIntent("restore-20260901T160200Z-5d0c2e9a-0a77b3c4")),
	len(grant.DenyFor("rv-20260901T160200Z-5d0c2e9a")), 170) + len(grant.DenyRevocation)

// InlineSize is what the role's inline policies take, Countersign's own aside.
func (l Live) InlineSize() (n int) {
	for name, body := range l.Inline {
		if name == grant.RevocationPolicy || name == grant.KeptClosedPolicy {
			continue
		}
		for _, r := range string(body) {
			if !unicode.IsSpace(r) {
				n++
			}
		}
	}
	return n
}

// Closure is how the role is closed, as far as the role itself tells.
func (l Live) Closure() grant.Closure {
	c := grant.ClosureOf(l.Inline[grant.RevocationPolicy], l.Trust, nil)
	c.Deny = c.Deny || grant.ReadRevocation(l.Inline[grant.KeptClosedPolicy]).Denies
	return c
}

// Released says whether the role was given back and its grant is still deployed.
func (l Live) Released() bool {
	return grant.ReadRevocation(l.Inline[grant.RevocationPolicy]).Released
}
