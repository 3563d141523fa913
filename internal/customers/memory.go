package customers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Memory is a registry for tests and simulations. The zero value is empty.
type Memory struct {
	mu      sync.Mutex
	entries map[string]Entry
	heard   map[string]Heard
	claims  map[Claim]string  // by which customer
	issued  map[string]string // account → prefix: kept for good
	owner   map[string]string // prefix → account: the same
}

var (
	_ Registry = (*Memory)(nil)
	_ Hearings = (*Memory)(nil)
)

// Get gives one customer.
func (m *Memory) Get(ctx context.Context, name string) (Customer, error) {
	e, h, err := m.Load(ctx, name)
	return Join(e, h), err
}

// Load gives both rows of a customer.
func (m *Memory) Load(_ context.Context, name string) (Entry, Heard, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[name]
	if !ok {
		return Entry{}, Heard{}, Unknown(name, slices.Sorted(maps.Keys(m.entries)))
	}
	return e, m.heard[name], nil
}

// All gives all customers by name.
func (m *Memory) All(context.Context) ([]Customer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Customer
	for _, name := range slices.Sorted(maps.Keys(m.entries)) {
		out = append(out, Join(m.entries[name], m.heard[name]))
	}
	return out, nil
}

// Guests are the accounts that were invited.
func (m *Memory) Guests(context.Context) (Guests, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := Guests{}
	for _, name := range slices.Sorted(maps.Keys(m.entries)) {
		e := m.entries[name]
		out[e.Account] = append(out[e.Account], e.Guest())
	}
	return out, nil
}

// Note replaces what was heard of a customer.
func (m *Memory) Note(_ context.Context, name string, h Heard) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.heard[name].Revision != h.Revision {
		return ErrChanged
	}
	if m.heard == nil {
		m.heard = map[string]Heard{}
	}
	h.Revision++
	m.heard[name] = h
	return nil
}

// Add makes an entry.
func (m *Memory) Add(_ context.Context, e Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.entries[e.Name]; ok {
		return fmt.Errorf("customer %s: %w", e.Name, ErrExists)
	}
	return m.put(e, nil)
}

// Change replaces an entry.
func (m *Memory) Change(_ context.Context, was, now Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.entries[was.Name]; !ok || e.Revision != was.Revision {
		return ErrChanged
	}
	return m.put(now, was.Claims())
}

func (m *Memory) put(e Entry, was []Claim) error {
	if err := e.Check(); err != nil {
		return err
	}
	for _, c := range e.Claims() {
		if by, taken := m.claims[c]; taken && by != e.Name {
			return &Taken{c, by}
		}
	}
	if e.Prefix != "" {
		if owner := m.owner[e.Prefix]; owner != "" && owner != e.Account {
			return &Taken{Claim{FieldPrefix, e.Prefix}, "account " + owner}
		}
		if prefix := m.issued[e.Account]; prefix != "" && prefix != e.Prefix {
			return &Taken{Claim{FieldPrefix, prefix}, "account " + e.Account}
		}
	}
	if m.issued == nil {
		m.entries, m.claims = map[string]Entry{}, map[Claim]string{}
		m.issued, m.owner = map[string]string{}, map[string]string{}
	}
	for _, c := range was {
		delete(m.claims, c)
	}
	for _, c := range e.Claims() {
		m.claims[c] = e.Name
	}
	if e.Prefix != "" {
		m.owner[e.Prefix], m.issued[e.Account] = e.Account, e.Prefix
	}
	e.Revision++
	e.Teams = slices.Clone(e.Teams)
	m.entries[e.Name] = e
	return nil
}

// Remove takes an entry away.
func (m *Memory) Remove(_ context.Context, e Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if stored, ok := m.entries[e.Name]; !ok || stored.Revision != e.Revision {
		return ErrChanged
	}
	for _, c := range e.Claims() {
		delete(m.claims, c)
	}
	delete(m.entries, e.Name)
	delete(m.heard, e.Name)
	return nil
}
