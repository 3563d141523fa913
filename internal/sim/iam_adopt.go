package sim

import (
	"context"
	"slices"
	"time"
)

// InlinePolicies is ListRolePolicies.
func (m *IAM) InlinePolicies(ctx context.Context, roleName string) ([]string, error) {
	return step(ctx, m.w, "iam", "ListRolePolicies", roleName, func() (names []string, err error) {
		r, err := m.find(roleName)
		if err != nil {
			return nil, err
		}
		for name, s := range r.inline {
			if s.at(m.w, m.w.asked) != nil {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names, nil
	})
}

// DeleteInlinePolicy is DeleteRolePolicy.
func (m *IAM) DeleteInlinePolicy(ctx context.Context, roleName, policyName string) error {
	return do(ctx, m.w, "iam", "DeleteRolePolicy", roleName+" "+policyName, func() error {
		return m.deleteInline(roleName, policyName)
	})
}

// UntagRole is UntagRole.
func (m *IAM) UntagRole(ctx context.Context, roleName string, keys ...string) error {
	return do(ctx, m.w, "iam", "UntagRole", roleName, func() error {
		r, err := m.writable(roleName)
		if err != nil {
			return err
		}
		for _, key := range keys {
			delete(r.tags, key)
		}
		return nil
	})
}

// Attached is ListAttachedRolePolicies.
func (m *IAM) Attached(ctx context.Context, roleName string) ([]string, error) {
	return step(ctx, m.w, "iam", "ListAttachedRolePolicies", roleName, func() ([]string, error) {
		r, err := m.find(roleName)
		if err != nil {
			return nil, err
		}
		return slices.Clone(r.managed), nil
	})
}

// LastWriter is CloudTrail's LookupEvents: who wrote a role's trust policy last, those aside who may have done it for us. The
// embedded trail is never late, and forgets nothing.
func (m *IAM) LastWriter(ctx context.Context, roleName string, _ time.Time) (string, error) {
	return step(ctx, m.w, "cloudtrail", "LookupEvents", roleName, func() (string, error) {
		r, err := m.find(roleName)
		if err != nil {
			return "", err
		}
		return r.writer, nil
	})
}
