package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/countersign/countersign/events"
)

// Snapshot is everything that stands in an account at a moment in which no process runs. Exhaustive exploration starts from
// one again and again.
type Snapshot struct {
	now     time.Time
	serial  int
	roles   map[string]*role
	managed map[string]*policy
	known   [2]map[string]string // principals and ids of IAM
	order   []*secret
	values  map[string]string
	queues  map[string][]message
	buses   map[string][]events.Envelope
	timers  []hands
	stacks  map[string]*stack
}

// Snapshot takes one. The functions that consume queues and rotate secrets, and the rules of buses, are no part of it, nor are calls, mails and
// topics, nor is randomness: that stays the seed's of the world that is put there.
func (w *World) Snapshot() *Snapshot {
	s := &Snapshot{
		now: w.now, serial: w.serial, roles: cloneRoles(w.IAM.roles), managed: maps.Clone(w.IAM.managed),
		known: [2]map[string]string{maps.Clone(w.IAM.principals), maps.Clone(w.IAM.ids)}, order: cloneSecrets(w.Secrets.order),
		values: maps.Clone(w.Parameters.values), queues: map[string][]message{}, buses: map[string][]events.Envelope{}, stacks: clone(w.Stacks.stacks),
	}
	for name, q := range w.queues {
		for _, m := range q.messages {
			s.queues[name] = append(s.queues[name], *m)
		}
	}
	for name, b := range w.buses {
		s.buses[name] = slices.Clone(b.archive)
	}
	for _, t := range w.timers {
		s.timers = append(s.timers, t.hands)
	}
	return s
}

// Restore puts a world of the same configuration, with the same timers and consumers, to where another one was.
func (w *World) Restore(s *Snapshot) {
	w.now, w.serial, w.acting = s.now, s.serial, nil
	w.IAM.roles, w.IAM.found, w.IAM.managed = cloneRoles(s.roles), nil, maps.Clone(s.managed)
	w.IAM.principals, w.IAM.ids = maps.Clone(s.known[0]), maps.Clone(s.known[1])
	w.Secrets.order, w.Secrets.byARN = cloneSecrets(s.order), map[string]*secret{}
	for _, one := range w.Secrets.order {
		w.Secrets.byARN[one.arn] = one
	}
	w.Parameters.values, w.Stacks.stacks = maps.Clone(s.values), clone(s.stacks)
	for name, messages := range s.queues {
		q := w.Queue(name)
		q.messages = nil
		for _, m := range messages {
			q.messages = append(q.messages, &m)
		}
	}
	for name, archive := range s.buses {
		w.Bus(name).archive = slices.Clone(archive)
	}
	for i := range w.timers {
		w.timers[i].hands = s.timers[i]
	}
}

func cloneRoles(roles map[string]*role) map[string]*role {
	out := make(map[string]*role, len(roles))
	for name, r := range roles {
		one := *r
		one.tags = maps.Clone(r.tags)
		one.trust.writes = slices.Clone(r.trust.writes)
		one.inline = make(map[string]*spread[*policy], len(r.inline))
		for name, s := range r.inline {
			one.inline[name] = &spread[*policy]{slices.Clone(s.writes)}
		}
		out[name] = &one
	}
	return out
}

func cloneSecrets(secrets []*secret) []*secret {
	out := make([]*secret, len(secrets))
	for i, s := range secrets {
		one := *s
		one.tags = maps.Clone(s.tags)
		one.versions = make([]*version, len(s.versions))
		for j, v := range s.versions {
			version := *v
			version.stages = slices.Clone(v.stages)
			one.versions[j] = &version
		}
		if s.rotation != nil {
			rotation := *s.rotation
			one.rotation = &rotation
		}
		out[i] = &one
	}
	return out
}
