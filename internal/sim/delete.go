package sim

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/grant"
)

// deleteInline is DeleteRolePolicy.
func (m *IAM) deleteInline(roleName, policyName string) error {
	r, err := m.writable(roleName)
	if err != nil {
		return err
	}
	s := r.inline[policyName]
	if s == nil || s.at(m.w, 0) == nil {
		return refuse(grant.ErrNotFound, "NoSuchEntity", "The role policy with name %s cannot be found.", clip(policyName))
	}
	s.put(m.w, nil)
	return nil
}

// deleteRole is DeleteRole: it refuses a role that still has inline policies.
func (m *IAM) deleteRole(name string) error {
	r, err := m.writable(name)
	if err != nil {
		return err
	}
	for policy, s := range r.inline {
		if s.at(m.w, 0) != nil {
			return refuse(grant.ErrConflict, "DeleteConflict", "Cannot delete entity, must delete policies first: %s", clip(policy))
		}
	}
	m.remove(r)
	return nil
}

// reschedule is RotateSecret with RotateImmediately false. A rotation that isn't complete refuses it.
func (m *Secrets) reschedule(secretARN string, every time.Duration) error {
	s, err := m.live(secretARN)
	if err != nil {
		return err
	}
	if err := s.free(); err != nil {
		return err
	}
	return m.EnableRotation(secretARN, every, time.Hour)
}

// testRotation is what Secrets Manager does after that: testSecret on an empty pending version, which it removes again. Its
// outcome changes nothing.
func (m *Secrets) testRotation(ctx context.Context, secretARN string) {
	s, err := m.live(secretARN)
	if err != nil || m.function == nil {
		return
	}
	s.remember(m.w.now)
	v := &version{id: m.w.uuid(), created: m.w.now}
	s.versions = append(s.versions, v)
	s.label(v, grant.StagePending)
	_ = m.InvokeStep(ctx, RotationEvent{Step: "testSecret", SecretID: s.arn, ClientRequestToken: v.id, RotationToken: m.w.uuid()})
	s.remember(m.w.now)
	if v.value == nil {
		s.drop(v)
	}
}

// cancel is CancelRotateSecret: the schedule ends, labels stay where they are.
func (m *Secrets) cancel(secretARN string) error {
	s, err := m.live(secretARN)
	if err != nil {
		return err
	}
	s.rotates, s.every, s.next, s.rotation = false, 0, time.Time{}, nil
	return nil
}
