package sim

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// IAM is AWS IAM: roles with their trust policies, inline policies and tags, managed policies, and the principals that exist.
type IAM struct {
	w          *World
	roles      map[string]*role // by the name in lower case
	found      *role            // asked for last: most calls ask for it again
	managed    map[string]*policy
	principals map[string]string // ARN of a role or user anywhere → its unique id
	ids        map[string]string // unique id → ARN, of those that exist
}

type role struct {
	name, arn  string
	tags       map[string]string
	trust      spread[*stored]
	inline     map[string]*spread[*policy] // nil policy: deleted
	managed    []string                    // ARNs
	boundary   string                      // ARN of a managed policy, or ""
	maxSession time.Duration
	quota      int // of the trust policy
	linked     bool
	lastUsed   time.Time
	writer     string // of the trust policy, the last one that isn't a function of Countersign's
}

// stored is a trust policy as IAM keeps it: principals by their unique ids.
type stored struct {
	policy *policy
	ids    map[string]string // ARN as written → unique id
	shown  []byte            // while no principal is deleted

	document *trust.Document // shown, read by package trust once somebody asked
}

const inlineQuota = 10240 // characters of all inline policies of a role

func newIAM(w *World) *IAM {
	return &IAM{w: w, roles: map[string]*role{}, managed: map[string]*policy{}, principals: map[string]string{}, ids: map[string]string{}}
}

// RoleOptions are what CreateRole takes besides name and trust policy. The zero value is usual.
type RoleOptions struct {
	Path          string // empty: "/"
	Tags          map[string]string
	Managed       []string      // ARNs of managed policies to attach, see ManagedPolicy
	Boundary      string        // ARN of a managed policy
	MaxSession    time.Duration // zero: 1 h
	Quota         int           // of the trust policy; zero: 2,048
	ServiceLinked bool          // nobody may change it: grant.ErrUnmodifiable
}

// CreateRole makes a role. It is how tests set up; nothing is recorded.
func (m *IAM) CreateRole(name string, document []byte, o RoleOptions) (arn string, err error) {
	if _, ok := m.roles[strings.ToLower(name)]; ok {
		return "", refuse(nil, "EntityAlreadyExists", "Role with name %s already exists.", name)
	}
	if o.Path == "" {
		o.Path = "/"
	}
	if o.MaxSession == 0 {
		o.MaxSession = time.Hour
	}
	if o.Quota == 0 {
		o.Quota = trust.DefaultQuota
	}
	r := &role{
		name: name, arn: fmt.Sprintf("arn:aws:iam::%s:role%s%s", m.w.cfg.Account, o.Path, name), tags: map[string]string{},
		inline: map[string]*spread[*policy]{}, managed: slices.Clone(o.Managed), boundary: o.Boundary,
		maxSession: o.MaxSession, quota: o.Quota,
	}
	if err := m.setTrust(r, document); err != nil {
		return "", err
	}
	for _, arn := range append(slices.Clone(o.Managed), o.Boundary) {
		if arn != "" && m.managed[arn] == nil {
			return "", refuse(grant.ErrNotFound, "NoSuchEntity", "Policy %s does not exist or is not attachable.", arn)
		}
	}
	maps.Copy(r.tags, o.Tags)
	r.linked = o.ServiceLinked
	m.roles[strings.ToLower(name)] = r
	m.AddPrincipal(r.arn)
	return r.arn, nil
}

// SetMaxSession is UpdateRole with a MaxSessionDuration, as the template has it from access.yaml. Nothing is recorded.
func (m *IAM) SetMaxSession(name string, d time.Duration) error {
	r, err := m.find(name)
	if err != nil {
		return err
	}
	r.maxSession = d
	return nil
}

// DeleteRole removes a role with everything on it. Nothing is recorded.
func (m *IAM) DeleteRole(name string) {
	if r := m.roles[strings.ToLower(name)]; r != nil {
		m.remove(r)
	}
}

func (m *IAM) remove(r *role) {
	m.DeletePrincipal(r.arn)
	delete(m.roles, strings.ToLower(r.name))
	m.found = nil
}

// ManagedPolicy makes or replaces a managed policy, AWS's own or a customer's. Nothing is recorded.
func (m *IAM) ManagedPolicy(arn string, document []byte) error {
	p, err := m.w.cfg.Policies.identityPolicy(document)
	if err != nil {
		return err
	}
	m.managed[arn] = p
	return nil
}

// AddPrincipal lets a role or user exist, in whatever account, so that trust policies may name it. Added again after it was
// deleted it is another one, with another unique id.
func (m *IAM) AddPrincipal(arn string) {
	if _, ok := m.principals[arn]; ok {
		return
	}
	prefix := "AROA"
	if strings.Contains(arn, ":user/") {
		prefix = "AIDA"
	}
	id := prefix + m.w.unique("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 17)
	m.principals[arn], m.ids[id] = id, arn
}

// DeletePrincipal removes a role or user. Trust policies that name it show its unique id from now on.
func (m *IAM) DeletePrincipal(arn string) {
	delete(m.ids, m.principals[arn])
	delete(m.principals, arn)
}

func (m *IAM) find(name string) (*role, error) {
	if m.found != nil && m.found.name == name {
		return m.found, nil
	}
	if r := m.roles[strings.ToLower(name)]; r != nil {
		m.found = r
		return r, nil
	}
	return nil, refuse(grant.ErrNotFound, "NoSuchEntity", "The role with name %s cannot be found.", clip(name))
}

// writable is find for calls that a service-linked role refuses.
func (m *IAM) writable(name string) (*role, error) {
	r, err := m.find(name)
	if err == nil && r.linked {
		return nil, refuse(grant.ErrUnmodifiable, "UnmodifiableEntity", "Cannot perform the operation on the protected role '%s'", r.name)
	}
	return r, err
}

// Role is GetRole.
func (m *IAM) Role(ctx context.Context, roleName string) (grant.Role, error) {
	return step(ctx, m.w, "iam", "GetRole", roleName, func() (grant.Role, error) {
		r, err := m.find(roleName)
		if err != nil {
			return grant.Role{}, err
		}
		document := m.shown(r.trust.at(m.w, m.w.asked))
		return grant.Role{ARN: r.arn, Trust: bytes.Clone(document), Tags: maps.Clone(r.tags), LastUsed: r.lastUsed}, nil
	})
}

// SetTrust is UpdateAssumeRolePolicy.
func (m *IAM) SetTrust(ctx context.Context, roleName string, document []byte) error {
	return do(ctx, m.w, "iam", "UpdateAssumeRolePolicy", roleName, func() error {
		r, err := m.writable(roleName)
		if err != nil {
			return err
		}
		if err := m.setTrust(r, document); err != nil {
			return err
		}
		if who := m.w.actor(ctx); who.name != "rotate" && who.name != "reconcile" && who.name != "revoke" {
			r.writer = who.arn
		}
		return nil
	})
}

func (m *IAM) setTrust(r *role, document []byte) error {
	p, err := m.w.cfg.Policies.trustPolicy(document)
	if err != nil {
		return err
	}
	if p.size > r.quota {
		return refuse(grant.ErrQuota, "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: %d", r.quota)
	}
	s, err := m.resolve(p)
	if err != nil {
		return err
	}
	r.trust.put(m.w, s)
	return nil
}

// InlinePolicy is GetRolePolicy.
func (m *IAM) InlinePolicy(ctx context.Context, roleName, policyName string) ([]byte, error) {
	return step(ctx, m.w, "iam", "GetRolePolicy", roleName+" "+policyName, func() ([]byte, error) {
		r, err := m.find(roleName)
		if err != nil {
			return nil, err
		}
		if s := r.inline[policyName]; s != nil {
			if p := s.at(m.w, m.w.asked); p != nil {
				return bytes.Clone(p.source), nil
			}
		}
		return nil, refuse(grant.ErrNotFound, "NoSuchEntity", "The role policy with name %s cannot be found.", clip(policyName))
	})
}

// PutInlinePolicy is PutRolePolicy.
func (m *IAM) PutInlinePolicy(ctx context.Context, roleName, policyName string, document []byte) error {
	return do(ctx, m.w, "iam", "PutRolePolicy", roleName+" "+policyName, func() error {
		r, err := m.writable(roleName)
		if err != nil {
			return err
		}
		return m.putInline(r, policyName, document)
	})
}

func (m *IAM) putInline(r *role, policyName string, document []byte) error {
	p, err := m.w.cfg.Policies.identityPolicy(document)
	if err != nil {
		return err
	}
	size := p.size
	for name, s := range r.inline {
		if other := s.at(m.w, 0); other != nil && name != policyName {
			size += other.size
		}
	}
	if size > inlineQuota {
		return refuse(grant.ErrQuota, "LimitExceeded", "Maximum policy size of %d bytes exceeded for role %s", inlineQuota, r.name)
	}
	if r.inline[policyName] == nil {
		r.inline[policyName] = &spread[*policy]{}
		r.inline[policyName].put(m.w, nil)
	}
	r.inline[policyName].put(m.w, p)
	return nil
}

// TagRole is TagRole.
func (m *IAM) TagRole(ctx context.Context, roleName string, tags map[string]string) error {
	return do(ctx, m.w, "iam", "TagRole", roleName, func() error {
		r, err := m.writable(roleName)
		if err != nil {
			return err
		}
		if err := checkTags(r.tags, tags, "InvalidInput", "LimitExceeded"); err != nil {
			return err
		}
		maps.Copy(r.tags, tags)
		return nil
	})
}
