package adopt

import (
	"context"
	"errors"
	"fmt"

	"github.com/countersign/countersign/internal/grant"
)

// Secrets reads and writes versions of a grant's secret.
type Secrets interface {
	Describe(ctx context.Context, secretARN string) (grant.Secret, error)
	// History lists versions, those without a label too.
	History(ctx context.Context, secretARN string) ([]grant.VersionInfo, error)
	// Version reads by version id; grant.ErrNotFound where the version is absent or empty.
	Version(ctx context.Context, secretARN, versionID string) (grant.Version, error)
	// PutVersion is idempotent and moves no label then; grant.ErrConflict where the version has another value.
	PutVersion(ctx context.Context, secretARN, versionID string, value []byte, stages ...string) error
}

// Writer writes what of a role isn't its trust policy.
type Writer interface {
	PutInlinePolicy(ctx context.Context, roleName, policyName string, document []byte) error
	TagRole(ctx context.Context, roleName string, tags map[string]string) error
}

// Hand hands a role's external ID over to a grant that is deployed for it.
type Hand struct {
	Secrets Secrets
	Roles   Writer
}

// Handed is what came of it.
type Handed struct {
	VersionID string   `json:"versionId"`
	Done      []string `json:"done"` // tags, secret, policy: what was missing and is there now
}

// Over stores the ID as the grant's current one, and tags the role with what the provider looks for. The trust policy is not
// written: it accepts this ID already. Killed anywhere, or done twice at once, the same again ends well: the version's id is the
// same, and AWS ignores a version that is there, whatever label it has by then.
func (h Hand) Over(ctx context.Context, p grant.Plan, l Live, id grant.ID) (Handed, error) {
	var out Handed
	switch {
	case !p.Adopted || p.RoleARN != l.ARN:
		return out, fmt.Errorf("grant %s is not deployed for this role: %w", p.Grant, grant.ErrNotConfigured)
	case !id.AcceptedBy(l.Trust):
		return out, fmt.Errorf("the trust policy doesn't accept the external ID any more: %w", grant.ErrDrift)
	}
	token, missing, err := h.version(ctx, p, l, id)
	if err != nil {
		return out, err
	}
	out.VersionID = token
	// The tags come first: once the ID is in, everything that the provider looks for is there.
	if tags := missingTags(p, l.Tags); len(tags) > 0 {
		if err := h.Roles.TagRole(ctx, l.Name, tags); err != nil {
			return out, fmt.Errorf("tagging role %s: %w", l.Name, err)
		}
		out.Done = append(out.Done, "tags")
	}
	if missing {
		value, err := p.EncodeValue(id)
		if err != nil {
			return out, fmt.Errorf("encoding the value: %w", err)
		}
		if err := h.Secrets.PutVersion(ctx, p.SecretARN, token, value, grant.StageCurrent, grant.StageAdopted); err != nil {
			return out, fmt.Errorf("storing the external ID of %s: %w", p.Grant, err)
		}
		out.Done = append(out.Done, "secret")
	}
	if l.Released() { // adopted anew: the functions look at it again
		if err := h.Roles.PutInlinePolicy(ctx, l.Name, grant.RevocationPolicy, []byte(grant.OpenRevocation)); err != nil {
			return out, fmt.Errorf("writing %s of %s: %w", grant.RevocationPolicy, l.Name, err)
		}
		out.Done = append(out.Done, "policy")
	}
	return out, nil
}

// version is the version that holds the ID, or shall, and whether it is still to be stored.
func (h Hand) version(ctx context.Context, p grant.Plan, l Live, id grant.ID) (token string, missing bool, err error) {
	secret, err := h.Secrets.Describe(ctx, p.SecretARN)
	if err != nil {
		return "", false, fmt.Errorf("describing the secret of %s: %w", p.Grant, err)
	}
	current := secret.At(grant.StageCurrent)
	now, err := h.id(ctx, p, current)
	switch {
	case err == nil && (now == id || now.AcceptedBy(l.Trust)):
		return current, false, nil // and rotations go on from there
	case err == nil && !l.Released():
		return "", false, fmt.Errorf("the grant has an external ID already, which the trust policy doesn't accept: %w", grant.ErrDrift)
	case err != nil && !errors.Is(err, grant.ErrNotFound) && !errors.Is(err, grant.ErrOtherRole):
		return "", false, err
	}
	if pending := secret.At(grant.StagePending); pending != "" && pending != current {
		return "", false, grant.ErrBusy
	}
	history, err := h.Secrets.History(ctx, p.SecretARN)
	if err != nil {
		return "", false, fmt.Errorf("listing versions of the secret of %s: %w", p.Grant, err)
	}
	before := 0 // IDs with which the role was adopted before
	for _, v := range history {
		if !grant.IsAdopted(v.ID) {
			continue
		}
		switch was, err := h.id(ctx, p, v.ID); {
		case err != nil && !errors.Is(err, grant.ErrNotFound) && !errors.Is(err, grant.ErrOtherRole):
			return "", false, err
		case err != nil || was != id:
			before++
		}
	}
	return grant.AdoptedToken(p.SecretARN, p.RoleARN, before), true, nil
}

// id reads the ID of a version.
func (h Hand) id(ctx context.Context, p grant.Plan, versionID string) (grant.ID, error) {
	v, err := h.Secrets.Version(ctx, p.SecretARN, versionID)
	if err != nil {
		return grant.ID{}, fmt.Errorf("reading version %s: %w", versionID, err)
	}
	return p.DecodeVersion(v)
}

// missingTags are the role's tags by which its sessions find their grant, as the template gives them to roles of its own.
func missingTags(p grant.Plan, have map[string]string) map[string]string {
	out := map[string]string{}
	for key, value := range map[string]string{grant.TagGrant: string(p.Grant), grant.TagSecret: p.SecretARN, grant.TagConfirm: p.ConfirmURL} {
		if value != "" && have[key] != value {
			out[key] = value
		}
	}
	return out
}
