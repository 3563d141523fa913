package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/cfn"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// Stacks tells of the stack that the grants belong to, and keeps it. All errors are grant.ErrNotFound where there is no such stack.
type Stacks interface {
	// RollingBack says whether CloudFormation is taking an update of the stack back.
	RollingBack(ctx context.Context, stackARN string) (bool, error)
	// Deletable says whether the stack stands and may be deleted without a word: its termination protection is off.
	Deletable(ctx context.Context, stackARN string) (bool, error)
	// Protect turns the stack's termination protection on; where it is on already nothing changes.
	Protect(ctx context.Context, stackARN string) error
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
	before, now := laidOut(e.OldResourceProperties), laidOut(e.ResourceProperties)
	refused, risks := errors.Join(resharded(e), reissued(before, now), handedOver(before, now)), forgets(e, before, now)
	if err := renamed(e); err != nil {
		refused, risks = err, nil // who is asked is named after the new grant, and may look at nothing of the old one
	}
	if refused == nil && len(risks) == 0 {
		return nil
	}
	switch back, err := h.Stacks.RollingBack(ctx, e.StackID); {
	case err != nil:
		return errors.Join(refused, fmt.Errorf("reading whether stack %s rolls back: %w", e.StackID, err))
	case back:
		return nil
	}
	failed := []error{refused}
	for _, r := range risks {
		failed = append(failed, h.refuse(ctx, r))
	}
	return errors.Join(failed...)
}

// renamed refuses another name of the stack.
func renamed(e cfn.Event) error {
	was, is := property(e.OldResourceProperties, "Name"), property(e.ResourceProperties, "Name")
	if was == is {
		return nil
	}
	return fmt.Errorf("the name was %.40q and is %.40q now: the old role would lose its guard before it is deleted; "+
		"set the name back to %.40q, and deploy another stack for another name", was, is, was)
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

// handedOver refuses that a role which the stack made becomes somebody else's, or the other way round: CloudFormation would delete
// the one, permissions first, and find the name of the other taken.
func handedOver(before, now map[grant.Name]parts) error {
	var failed []error
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if next, stays := now[name]; stays && next.elsewhere != before[name].elsewhere {
			failed = append(failed, fmt.Errorf("CreateRole was %t and is %t now: the role of %s can't change hands while its stack stands; "+
				"set CreateRole back, or delete this stack and deploy another one", !before[name].elsewhere, !next.elsewhere, name))
		}
	}
	return errors.Join(failed...)
}

// reissued refuses to make external IDs where the provider's own are in: those aren't in Countersign's form, so none would be
// taken for the current one any more.
func reissued(before, now map[grant.Name]parts) error {
	var failed []error
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if next := now[name]; before[name].issuer == string(grant.IssuedByProvider) && next.secret && next.issuer != before[name].issuer {
			failed = append(failed, fmt.Errorf("grant %s has external IDs that its provider issued, and Countersign can't follow on one of those; "+
				"leave issuedBy: provider, or make a grant of another name and then remove this one", name))
		}
	}
	return errors.Join(failed...)
}

// risk is a grant of which a deploy leaves nothing that says whether it is revoked.
type risk struct {
	name  grant.Name
	role  string // its name
	stays bool   // the grant stays, with other parts
	moves bool   // it may lie in another stack from now on
}

// forgets lists those grants. What says that one is revoked lies in its role and in its secret; either is enough.
func forgets(e cfn.Event, before, now map[grant.Name]parts) (risks []risk) {
	moves := property(e.OldResourceProperties, "Shards") != property(e.ResourceProperties, "Shards")
	forced, _ := e.ResourceProperties["RemoveRevoked"].([]any)
	for _, name := range slices.Sorted(maps.Keys(before)) {
		old := before[name]
		next, stays := now[name]
		if stays && (old.role == next.role || old.secret && next.secret) || !stays && (old.stays || slices.Contains(forced, any(string(name)))) {
			continue
		}
		risks = append(risks, risk{name, old.role[strings.LastIndexByte(old.role, '/')+1:], stays, moves})
	}
	return risks
}

// parts are what of a grant a revocation is written on, whose its role is, and who issues its IDs.
type parts struct {
	role      string // with its path
	secret    bool
	issuer    string // of its external IDs
	stays     bool   // the role, whatever becomes of the grant: it is adopted
	elsewhere bool   // the role is made, so that it may be deleted there too
}

// laidOut reads the property Grants:
//
//	[{"Name": "migration", "Role": "/countersign/ServiceProvider-migration", "Secret": "true", "IssuedBy": "provider"}]
func laidOut(properties map[string]any) map[grant.Name]parts {
	out := map[grant.Name]parts{}
	grants, _ := properties["Grants"].([]any)
	for _, v := range grants {
		p, _ := v.(map[string]any)
		out[grant.Name(property(p, "Name"))] = parts{
			role: property(p, "Role"), secret: property(p, "Secret") == "true", issuer: property(p, "IssuedBy"), stays: property(p, "Adopted") == "true",
			elsewhere: elsewhere(p),
		}
	}
	return out
}

// refuse says why a grant may not go as long as it is revoked. One that can't be looked at may not go either.
func (h *Handler) refuse(ctx context.Context, r risk) error {
	var closed bool
	err := h.patiently(ctx, func() (err error) {
		closed, err = h.isClosed(ctx, r)
		return err
	})
	switch {
	case err != nil && r.stays:
		return fmt.Errorf("looking whether grant %s is revoked, before this deploy replaces its role %s: %w", r.name, r.role, err)
	case err != nil:
		return fmt.Errorf("looking whether grant %s is revoked, before this deploy removes it: %w; "+
			"removeRevoked: [%s] in access.yaml lets it go unseen", r.name, err, r.name)
	case !closed:
		return nil
	case r.stays:
		return fmt.Errorf("grant %s is revoked, and what says so goes with its role %s, which this deploy replaces: it would open again; "+
			"leave its role as it is, or restore the grant first", r.name, r.role)
	case r.moves:
		return fmt.Errorf("grant %s is revoked, and with another number of shards it would leave this stack, and open again in its new one; "+
			"set shards back, or restore the grant or remove it first", r.name)
	}
	return fmt.Errorf("grant %s is revoked, and this deploy removes it with everything that says so: a grant of that name would open again; "+
		"put it back into access.yaml, or say removeRevoked: [%s] there if that is meant", r.name, r.name)
}

// isClosed looks for the marks of a closed grant. What isn't there has none.
func (h *Handler) isClosed(ctx context.Context, r risk) (bool, error) {
	inline, err := h.Roles.InlinePolicy(ctx, r.role, grant.RevocationPolicy)
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		return false, fmt.Errorf("reading revocation of %s: %w", r.name, err)
	}
	if grant.ClosureOf(inline, nil, nil).Closed() {
		return true, nil
	}
	p, err := h.Plans.Plan(ctx, r.name)
	if err != nil {
		return false, fmt.Errorf("reading plan of %s: %w", r.name, err)
	}
	doc, role, err := h.gate().Read(ctx, p)
	switch {
	case errors.Is(err, trust.ErrRefused), errors.Is(err, grant.ErrNotFound):
		doc = nil
	case err != nil:
		return false, err
	}
	tags := role.Tags
	if !p.NoExternalID {
		secret, err := h.Secrets.Describe(ctx, p.SecretARN)
		if err != nil && !errors.Is(err, grant.ErrNotFound) {
			return false, fmt.Errorf("describing secret of %s: %w", r.name, err)
		}
		tags = secret.Tags
	}
	return grant.ClosureOf(inline, doc, tags).Closed(), nil
}
