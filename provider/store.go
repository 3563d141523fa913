package provider

import (
	"context"
	"sync"
	"time"
)

// State is what changes of a customer with its rotations. Keep it in the row of the customer; it holds external IDs.
type State struct {
	ID        ExternalID // to enter with
	Previous  ExternalID // the one before; zero: none
	VersionID string     // of ID, in the customer's secret; empty: ID was taken over by hand
	Created   time.Time  // of that version
	Confirmed string     // the version that was confirmed last
	Checked   time.Time  // when the secret is taken as read; zero: look at once

	// Found by the role's tags or an event, where Customer says neither.
	SecretARN, ConfirmURL string

	// Revision is the Store's own: Save compares it.
	Revision int64
}

// Store keeps one State a customer for all workers.
type Store interface {
	// Load gives the state. ErrUnknown: there is none.
	Load(ctx context.Context, customer string) (State, error)
	// Save replaces the state that has this Revision, and counts it up, in one step; revision 0 makes a new one. ErrChanged:
	// another worker was quicker, and nothing was written.
	Save(ctx context.Context, customer string, s State) error
}

// Memory is a Store for one process and for tests. The zero value is empty.
type Memory struct {
	mu   sync.Mutex
	rows map[string]State
}

// Load gives the state.
func (m *Memory) Load(_ context.Context, customer string) (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.rows[customer]
	if !ok {
		return State{}, ErrUnknown
	}
	return s, nil
}

// Save replaces the state.
func (m *Memory) Save(_ context.Context, customer string, s State) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows[customer].Revision != s.Revision {
		return ErrChanged
	}
	if m.rows == nil {
		m.rows = map[string]State{}
	}
	s.Revision++
	m.rows[customer] = s
	return nil
}
