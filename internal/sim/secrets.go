package sim

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/grant"
)

// Secrets is AWS Secrets Manager: versions, staging labels, tags, and the engine that rotates (rotation.go).
type Secrets struct {
	w            *World
	byARN        map[string]*secret
	order        []*secret // as they were created
	function     func(context.Context, RotationEvent) error
	disabledKeys map[string]bool
}

type secret struct {
	arn, name, key string
	policy         *policy // its resource policy; nil: none
	tags           map[string]string
	versions       []*version // as they were created
	past           []past     // labels as they stood, for stale reads
	deleted        bool

	rotates     bool // has a rotation function
	every       time.Duration
	window      time.Duration
	lastRotated time.Time
	next        time.Time // zero: no schedule
	rotation    *rotation // the one that is under way or stuck
}

type version struct {
	id      string
	value   []byte // nil: empty, as RotateSecret makes it
	created time.Time
	stages  []string
}

const (
	maxValue    = 65536 // bytes
	maxVersions = 100
	maxStages   = 20
)

func (s *secret) version(id string) *version {
	for _, v := range s.versions {
		if v.id == id {
			return v
		}
	}
	return nil
}

func (s *secret) at(stage string) *version {
	for _, v := range s.versions {
		if slices.Contains(v.stages, stage) {
			return v
		}
	}
	return nil
}

func (v *version) drop(stage string) {
	v.stages = slices.DeleteFunc(v.stages, func(s string) bool { return s == stage })
}

// label puts a label on a version and takes it from every other one. AWSCURRENT leaves AWSPREVIOUS behind.
func (s *secret) label(to *version, stage string) {
	from := s.at(stage)
	if from == to {
		return
	}
	if from != nil {
		from.drop(stage)
	}
	to.stages = append(to.stages, stage)
	if stage == grant.StageCurrent && from != nil {
		s.label(from, grant.StagePrevious)
	}
}

// drop forgets a version.
func (s *secret) drop(v *version) {
	s.versions = slices.DeleteFunc(s.versions, func(other *version) bool { return other == v })
}

// prune drops the oldest versions without a label once there are more than AWS keeps; it never drops one of the last 24 hours.
func (s *secret) prune(now time.Time) {
	for i := 0; len(s.versions) > maxVersions && i < len(s.versions); {
		if v := s.versions[i]; len(v.stages) == 0 && now.Sub(v.created) > 24*time.Hour {
			s.versions = slices.Delete(s.versions, i, i+1)
			continue
		}
		i++
	}
}

// find takes the ARN or the name of a secret.
func (m *Secrets) find(id string) (*secret, error) {
	s, ok := m.byARN[id]
	if !ok {
		for _, other := range m.order {
			if other.name == id {
				return other, nil
			}
		}
		return nil, refuse(grant.ErrNotFound, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	}
	return s, nil
}

// live is find for calls that a secret refuses once it is marked as deleted.
func (m *Secrets) live(id string) (*secret, error) {
	s, err := m.find(id)
	if err != nil {
		return nil, err
	}
	if s.deleted {
		return nil, refuse(nil, "InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
	}
	return s, nil
}

// Create makes a secret with its first version, AWSCURRENT. key is the ARN of its KMS key, "" for AWS's own. It is how tests
// set up; nothing is recorded.
func (m *Secrets) Create(name, key string, value []byte, tags map[string]string) (arn string, err error) {
	for _, s := range m.order {
		if s.name == name {
			return "", refuse(grant.ErrConflict, "ResourceExistsException", "The operation failed because the secret %s already exists.", name)
		}
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	arn = fmt.Sprintf("arn:aws:secretsmanager:%s:%s:secret:%s-%s", m.w.cfg.Region, m.w.cfg.Account, name, m.w.unique(alphabet, 6))
	m.add(arn, name, key, value, tags)
	return arn, nil
}

func (m *Secrets) add(arn, name, key string, value []byte, tags map[string]string) *secret {
	s := &secret{arn: arn, name: name, key: key, tags: map[string]string{}}
	maps.Copy(s.tags, tags)
	s.versions = []*version{{id: m.w.uuid(), value: bytes.Clone(value), created: m.w.now, stages: []string{grant.StageCurrent}}}
	m.byARN[arn] = s
	m.order, m.w.acting = append(m.order, s), nil
	return s
}

// Delete marks a secret as deleted, as DeleteSecret with a recovery window does. Nothing is recorded.
func (m *Secrets) Delete(secretARN string) error {
	s, err := m.live(secretARN)
	if err != nil {
		return err
	}
	s.deleted = true
	return nil
}

// drop deletes a secret at once, as DeleteSecret with ForceDeleteWithoutRecovery does.
func (m *Secrets) drop(secretARN string) {
	delete(m.byARN, secretARN)
	m.order = slices.DeleteFunc(m.order, func(s *secret) bool { return s.arn == secretARN })
}

// Restore takes the mark back, as RestoreSecret does. Nothing is recorded.
func (m *Secrets) Restore(secretARN string) error {
	s, err := m.find(secretARN)
	if err == nil {
		s.deleted = false
	}
	return err
}

// SetKey disables or enables a KMS key: while it is disabled no value can be read or written with it.
func (m *Secrets) SetKey(keyARN string, enabled bool) { m.disabledKeys[keyARN] = !enabled }

func (m *Secrets) keyWorks(s *secret, code string) error {
	if m.disabledKeys[s.key] {
		return refuse(nil, code, "KMS key %s is disabled.", s.key)
	}
	return nil
}

// Describe is DescribeSecret.
func (m *Secrets) Describe(ctx context.Context, secretARN string) (grant.Secret, error) {
	return step(ctx, m.w, "secretsmanager", "DescribeSecret", secretARN, func() (grant.Secret, error) {
		s, err := m.find(secretARN)
		if err != nil {
			return grant.Secret{}, err
		}
		return s.describe(m.w), nil
	})
}

func (s *secret) describe(w *World) grant.Secret {
	stages := s.seen(w.now, w.stale)
	if w.stale > 0 {
		stages = maps.Clone(stages)
		for id := range stages {
			stages[id] = slices.Clone(stages[id])
		}
	}
	return grant.Secret{
		ARN: s.arn, Stages: stages, Tags: maps.Clone(s.tags), RotationEnabled: s.rotates,
		NextRotation: s.next, LastRotated: s.lastRotated, Deleted: s.deleted,
	}
}

// Version is GetSecretValue by version id. A version without a value is not found, as AWS says it.
func (m *Secrets) Version(ctx context.Context, secretARN, versionID string) (grant.Version, error) {
	return step(ctx, m.w, "secretsmanager", "GetSecretValue", secretARN, func() (grant.Version, error) {
		return m.read(secretARN, func(s *secret) (*version, string) { return s.version(versionID), "VersionId: " + clip(versionID) })
	})
}

// SecretString is GetSecretValue of AWSCURRENT.
func (m *Secrets) SecretString(ctx context.Context, secretARN string) (string, error) {
	v, err := m.AtStage(ctx, secretARN, grant.StageCurrent)
	return string(v.Value), err
}

// AtStage is GetSecretValue by staging label.
func (m *Secrets) AtStage(ctx context.Context, secretARN, stage string) (grant.Version, error) {
	return step(ctx, m.w, "secretsmanager", "GetSecretValue", secretARN, func() (grant.Version, error) {
		return m.read(secretARN, func(s *secret) (*version, string) {
			return s.seenAt(stage, m.w.now, m.w.stale), "staging label: " + clip(stage)
		})
	})
}

func (m *Secrets) read(id string, choose func(*secret) (v *version, what string)) (grant.Version, error) {
	s, err := m.live(id)
	if err != nil {
		return grant.Version{}, err
	}
	v, what := choose(s)
	if v == nil || v.value == nil {
		return grant.Version{}, refuse(grant.ErrNotFound, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for %s", what)
	}
	if err := m.keyWorks(s, "DecryptionFailure"); err != nil {
		return grant.Version{}, err
	}
	return grant.Version{ID: v.id, Value: bytes.Clone(v.value), Created: v.created}, nil
}

// Versions is ListSecretVersionIds: the versions with a label, newest first.
func (m *Secrets) Versions(ctx context.Context, secretARN string) ([]grant.VersionInfo, error) {
	return m.list(ctx, secretARN, false)
}

// History is ListSecretVersionIds with IncludeDeprecated: every version, newest first.
func (m *Secrets) History(ctx context.Context, secretARN string) ([]grant.VersionInfo, error) {
	return m.list(ctx, secretARN, true)
}

func (m *Secrets) list(ctx context.Context, secretARN string, unlabelled bool) ([]grant.VersionInfo, error) {
	return step(ctx, m.w, "secretsmanager", "ListSecretVersionIds", secretARN, func() ([]grant.VersionInfo, error) {
		s, err := m.find(secretARN)
		if err != nil {
			return nil, err
		}
		var out []grant.VersionInfo
		stages := s.seen(m.w.now, m.w.stale)
		for _, v := range s.versions {
			if on := stages[v.id]; unlabelled || len(on) > 0 {
				out = append(out, grant.VersionInfo{ID: v.id, Stages: slices.Clone(on), Created: v.created})
			}
		}
		slices.SortStableFunc(out, func(a, b grant.VersionInfo) int { return cmp.Compare(b.Created.UnixNano(), a.Created.UnixNano()) })
		return out, nil
	})
}

// PutVersion is PutSecretValue with versionID as ClientRequestToken. Without stages the version becomes AWSCURRENT.
func (m *Secrets) PutVersion(ctx context.Context, secretARN, versionID string, value []byte, stages ...string) error {
	return do(ctx, m.w, "secretsmanager", "PutSecretValue", secretARN, func() error {
		if err := checkToken(versionID); err != nil {
			return err
		}
		if len(value) == 0 || len(value) > maxValue || len(stages) > maxStages {
			return refuse(nil, "InvalidParameterException", "a value of 1 to %d bytes and at most %d labels", maxValue, maxStages)
		}
		s, err := m.live(secretARN)
		if err != nil {
			return err
		}
		if err := m.keyWorks(s, "EncryptionFailure"); err != nil {
			return err
		}
		v := s.version(versionID)
		switch {
		case v == nil:
			v = &version{id: versionID, created: m.w.now}
			s.versions = append(s.versions, v)
		case v.value != nil && bytes.Equal(v.value, value):
			return nil // "the request is ignored"
		case v.value != nil:
			return refuse(grant.ErrConflict, "ResourceExistsException",
				"You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.", clip(versionID), s.arn)
		}
		v.value = bytes.Clone(value)
		s.remember(m.w.now)
		if len(stages) == 0 {
			stages = []string{grant.StageCurrent}
		}
		for _, stage := range stages {
			s.label(v, stage)
		}
		s.prune(m.w.now)
		return nil
	})
}

// MoveStage is UpdateSecretVersionStage: toVersion is MoveToVersionId, fromVersion RemoveFromVersionId, "" leaves one out.
func (m *Secrets) MoveStage(ctx context.Context, secretARN, stage, toVersion, fromVersion string) error {
	return do(ctx, m.w, "secretsmanager", "UpdateSecretVersionStage", secretARN, func() error {
		s, err := m.live(secretARN)
		if err != nil {
			return err
		}
		if stage == "" || toVersion == "" && fromVersion == "" {
			return refuse(nil, "InvalidParameterException", "a label and one version at least")
		}
		has := s.at(stage)
		s.remember(m.w.now)
		var to *version
		if toVersion != "" {
			if to = s.version(toVersion); to == nil {
				return refuse(grant.ErrNotFound, "ResourceNotFoundException", "Secrets Manager can't find the specified secret version %s.", clip(toVersion))
			}
		}
		switch {
		case fromVersion != "" && (has == nil || has.id != fromVersion):
			return refuse(nil, "InvalidParameterException", "Staging label %s is not attached to version %s.", clip(stage), clip(fromVersion))
		case fromVersion == "" && has != nil && has != to:
			return refuse(nil, "InvalidParameterException", "The parameter RemoveFromVersionId can't be empty. Staging label %s is currently "+
				"attached to version %s, so you must explicitly reference that version in RemoveFromVersionId.", clip(stage), has.id)
		case to == nil && stage == grant.StageCurrent:
			return refuse(nil, "InvalidParameterException", "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.")
		case to == nil:
			has.drop(stage)
		default:
			if len(to.stages) >= maxStages && has != to {
				return refuse(grant.ErrQuota, "LimitExceededException", "a version has at most %d labels", maxStages)
			}
			s.label(to, stage)
		}
		return nil
	})
}

// Tag is TagResource.
func (m *Secrets) Tag(ctx context.Context, secretARN string, tags map[string]string) error {
	return do(ctx, m.w, "secretsmanager", "TagResource", secretARN, func() error {
		s, err := m.live(secretARN)
		if err != nil {
			return err
		}
		if err := checkTags(s.tags, tags, "InvalidParameterException", "LimitExceededException"); err != nil {
			return err
		}
		maps.Copy(s.tags, tags)
		return nil
	})
}

func checkToken(token string) error {
	if len(token) < 32 || len(token) > 64 {
		return refuse(nil, "InvalidParameterException", "ClientRequestToken must be 32-64 characters long.")
	}
	return nil
}
