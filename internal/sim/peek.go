package sim

import (
	"slices"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// What invariants ask after each step. None of it is a call: nothing is recorded and no time passes.

// Shown is a role's trust policy as a replica shows it now, 0 the control plane; nil where there is no such role or package
// trust can't read it. The same document is the same pointer.
func (m *IAM) Shown(roleName string, replica int) *trust.Document {
	r, err := m.find(roleName)
	if err != nil {
		return nil
	}
	d, _ := m.document(r.trust.at(m.w, replica))
	return d
}

// document is a trust policy as package trust reads it. The same document is the same pointer.
func (m *IAM) document(s *stored) (*trust.Document, error) {
	if s.document != nil && !m.deleted(s) {
		return s.document, nil
	}
	d, err := m.w.cfg.Policies.document(m.shown(s))
	if err == nil {
		s.document = d
	}
	return d, err
}

// ShownPolicy is the body of a role's inline policy as a replica shows it now, nil where there is none. It must not be changed.
func (m *IAM) ShownPolicy(roleName, policyName string, replica int) []byte {
	r, err := m.find(roleName)
	if err != nil || r.inline[policyName] == nil {
		return nil
	}
	if p := r.inline[policyName].at(m.w, replica); p != nil {
		return p.source
	}
	return nil
}

// ShownRevocation is what a role's CountersignRevocation says, as a replica shows it now. It is asked after every step, of
// the same few policies.
func (m *IAM) ShownRevocation(roleName string, replica int) grant.Revocation {
	r, err := m.find(roleName)
	if err != nil || r.inline[grant.RevocationPolicy] == nil {
		return grant.Revocation{}
	}
	p := r.inline[grant.RevocationPolicy].at(m.w, replica)
	if p == nil {
		return grant.Revocation{}
	}
	if p.revocation == nil {
		revocation := grant.ReadRevocation(p.source)
		p.revocation = &revocation
	}
	return *p.revocation
}

// RoleTags are a role's tags. They must not be changed.
func (m *IAM) RoleTags(roleName string) map[string]string {
	r, err := m.find(roleName)
	if err != nil {
		return nil
	}
	return r.tags
}

// Labelled is the version at a label and its value, which must not be changed; "" and nil where there is none.
func (m *Secrets) Labelled(secretARN, stage string) (versionID string, value []byte) {
	s, err := m.find(secretARN)
	if err != nil {
		return "", nil
	}
	if v := s.at(stage); v != nil {
		return v.id, v.value
	}
	return "", nil
}

// Tags are a secret's tags. They must not be changed.
func (m *Secrets) Tags(secretARN string) map[string]string {
	s, err := m.find(secretARN)
	if err != nil {
		return nil
	}
	return s.tags
}

// Stored lists every version of a secret, labelled or not, oldest first. Values must not be changed.
func (m *Secrets) Stored(secretARN string) []grant.Version {
	s, err := m.find(secretARN)
	if err != nil {
		return nil
	}
	out := make([]grant.Version, 0, len(s.versions))
	for _, v := range s.versions {
		out = append(out, grant.Version{ID: v.id, Value: v.value, Created: v.created})
	}
	return out
}

// Last is the event that the bus took last, false before the first one.
func (b *Bus) Last() (detail []byte, ok bool) {
	if len(b.archive) == 0 {
		return nil, false
	}
	return b.archive[len(b.archive)-1].Detail, true
}

// Visible lists when each message is received next, the first one first.
func (q *Queue) Visible() []time.Time {
	out := make([]time.Time, 0, len(q.messages))
	for _, m := range q.messages {
		out = append(out, m.visible)
	}
	slices.SortFunc(out, time.Time.Compare)
	return out
}

// Standing is a grant's plan as the parameter has it now.
func (p *Parameters) Standing(name grant.Name) (grant.Plan, error) {
	return p.w.cfg.Policies.plan(p.values[name.Parameter()], name)
}

// Labels lists a secret's labels with the version that has each: "AWSCURRENT birth-…".
func (m *Secrets) Labels(secretARN string) (list []string) {
	s, err := m.find(secretARN)
	if err != nil {
		return nil
	}
	for _, v := range s.versions {
		for _, stage := range v.stages {
			list = append(list, stage+" "+v.id)
		}
	}
	return list
}
