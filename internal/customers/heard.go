package customers

import (
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/events"
)

// Entry is what people decided about a customer. Only people write it.
type Entry struct {
	Name            string
	Account, Prefix string
	Kind            Kind
	StaticSecretARN string
	Teams           []string

	// Grant is the grant that was invited; empty: the first that the account speaks of. The rest is empty until a person
	// accepted it.
	Grant, RoleARN, SecretARN, ConfirmURL string

	Offered   Binding   // known beforehand and not accepted yet: what a person gave with the invitation
	Invited   time.Time // events from before it are none of ours
	Accepted  time.Time
	By        string    // who accepted
	Dismissed time.Time // proposals up to here were looked at and refused

	Revision int64 // the store's
}

// Heard is what an account said of a customer, newest of each. Only functions/enroll writes it. Hearing the same events in
// another order, or again, gives the same facts.
type Heard struct {
	Of Binding // the role and secret that the facts are about

	Granted, Restored, Ended time.Time // Ended: the grant's end was announced
	Revoked                  time.Time
	RevokedBy, Reason        string
	Rotated                  time.Time
	Reported                 time.Time
	StackVersion             string
	Expires                  time.Time
	ConfirmURL               string
	Confirmable              time.Time // when ConfirmURL was said

	Proposed   Binding // what the account said last that nobody had accepted
	ProposedAt time.Time

	Revision int64 // the store's
}

// Ahead is how far an event's time may lie before ours: clocks differ. What is dated later is dropped, or it would keep
// everything that follows out.
const Ahead = 2 * time.Minute

// Why an event changes nothing, for errors.Is.
var (
	ErrAhead  = errors.New("dated in the future")
	ErrBefore = errors.New("from before the invitation")
)

// Outcome is what an event did to a customer's row.
type Outcome int

// The outcomes.
const (
	Known    Outcome = iota // a repeat, or older than what is known: the row stays as it is
	Noted                   // facts of the binding that was accepted, or that waits for it
	Proposes                // a binding that a person has to look at, where none waited: an account can't ring twice
)

// accepted is the binding that a person accepted; ok is false if there is none.
func (e Entry) accepted() (b Binding, ok bool) {
	return Binding{e.Account, e.Prefix, e.Grant, e.RoleARN, e.SecretARN, e.ConfirmURL}, !e.Accepted.IsZero()
}

// Hear works out a customer's facts after one more event of its account. It never changes what was accepted, and nothing
// older than what is known replaces it.
func (e Entry) Hear(h Heard, s Said, now time.Time) (Heard, Outcome, error) {
	switch {
	case s.Time.After(now.Add(Ahead)):
		return h, Known, fmt.Errorf("%s of %s: %w", s.Time.Format(time.RFC3339), e.Account, ErrAhead)
	case s.Time.Before(e.Invited.Truncate(time.Second)):
		return h, Known, fmt.Errorf("%s of %s: %w", s.Time.Format(time.RFC3339), e.Account, ErrBefore)
	}
	s.Binding.Prefix = e.Prefix
	url := s.Binding.ConfirmURL
	s.Binding.ConfirmURL = "" // a fact of its own
	if b, ok := e.accepted(); ok && b.Same(s.Binding) {
		out := h.about(s.Binding).fact(s, url)
		return out, outcome(h, out), nil
	} else if ok {
		return e.propose(h, s)
	}
	if h.Proposed.Same(s.Binding) {
		out := h.about(s.Binding).fact(s, url)
		out.ProposedAt = later(out.ProposedAt, s.Time)
		return out, outcome(h, out), nil
	}
	out, what, err := e.propose(h, s)
	if what != Known {
		out = out.about(s.Binding).fact(s, url)
	}
	return out, what, err
}

// propose notes another binding than was accepted, for a person to look at. The facts of the accepted one stay.
func (e Entry) propose(h Heard, s Said) (Heard, Outcome, error) {
	if !s.Time.After(h.ProposedAt) || !e.open(s.Time) {
		return h, Known, nil
	}
	again := h.Proposed != (Binding{}) && e.open(h.ProposedAt) // whatever it is, somebody was told to look
	h.Proposed, h.ProposedAt = s.Binding, s.Time
	if again {
		return h, Noted, nil
	}
	return h, Proposes, nil
}

// about gives the facts if they are about this binding, and none if they are about another one.
func (h Heard) about(b Binding) Heard {
	if h.Of.Same(b) {
		return h
	}
	return Heard{Of: b, Proposed: h.Proposed, ProposedAt: h.ProposedAt, Revision: h.Revision}
}

// fact takes over what is newer than what is known. Of two at the same second the greater one stays, whichever came first.
func (h Heard) fact(s Said, url string) Heard {
	if newer(s.Time, h.Reported, s.StackVersion, h.StackVersion) {
		h.Reported, h.StackVersion = s.Time, s.StackVersion
	}
	if url != "" && newer(s.Time, h.Confirmable, url, h.ConfirmURL) {
		h.ConfirmURL, h.Confirmable = url, s.Time
	}
	switch s.Type {
	case events.TypeAccessGranted:
		if newer(s.Time, h.Granted, s.Expires.String(), h.Expires.String()) {
			h.Granted, h.Expires = s.Time, s.Expires
		}
		h.Rotated = later(h.Rotated, s.Time)
	case events.TypeExternalIDRotated:
		h.Rotated = later(h.Rotated, s.Time)
	case events.TypeAccessRestored:
		h.Restored = later(h.Restored, s.Time)
	case events.TypeAccessExpired:
		h.Ended = later(h.Ended, s.Time)
	case events.TypeAccessRevoked:
		if newer(s.Time, h.Revoked, s.RevokedBy+"\x00"+s.Reason, h.RevokedBy+"\x00"+h.Reason) {
			h.Revoked, h.RevokedBy, h.Reason = s.Time, s.RevokedBy, s.Reason
		}
	}
	return h
}

// newer says whether something replaces what was said before it.
func newer(at, was time.Time, text, before string) bool {
	return at.After(was) || at.Equal(was) && text > before
}

func outcome(before, after Heard) Outcome {
	if before == after {
		return Known
	}
	return Noted
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Join is the customer: what people decided, with what its account said of exactly that.
func Join(e Entry, h Heard) Customer {
	c := Customer{
		Name: e.Name, Account: e.Account, Prefix: e.Prefix, Grant: e.Grant, Kind: e.Kind, StaticSecretARN: e.StaticSecretARN, Teams: e.Teams,
		State: StateInvited, Since: e.Invited, Invited: e.Invited,
	}
	b, accepted := e.accepted()
	if accepted {
		c.RoleARN, c.SecretARN, c.ConfirmURL = e.RoleARN, e.SecretARN, e.ConfirmURL
		c.State, c.Since, c.Accepted, c.AcceptedBy = StateAccepted, e.Accepted, e.Accepted, e.By
	}
	if h.Proposed != (Binding{}) && !h.Proposed.Same(b) && e.open(h.ProposedAt) {
		c.Proposed, c.ProposedAt = new(h.Proposed), h.ProposedAt
		if h.Of.Same(h.Proposed) {
			c.Proposed.ConfirmURL = h.ConfirmURL
		}
	} else if e.Offered != (Binding{}) && !accepted {
		c.Proposed, c.ProposedAt = new(e.Offered), e.Invited
	}
	if !accepted && c.Proposed != nil {
		c.State, c.Since = StatePending, c.ProposedAt
	}
	if !accepted && c.Proposed == nil || accepted && !h.Of.Same(b) {
		return c // what was said is about something else
	}
	c.Rotated, c.Reported, c.Expires, c.StackVersion = h.Rotated, h.Reported, h.Expires, h.StackVersion
	if accepted && h.ConfirmURL != "" {
		c.ConfirmURL = h.ConfirmURL
	}
	if accepted {
		c.close(e, h)
	}
	return c
}

// open says whether a proposal of that time still waits for a person.
func (e Entry) open(at time.Time) bool {
	return at.After(e.Dismissed) && at.After(e.Accepted) && !at.Before(e.Invited.Truncate(time.Second))
}

// close says what took the access away, if it was not given back later. At the same second, closed wins.
func (c *Customer) close(e Entry, h Heard) {
	open := later(h.Granted, h.Restored)
	switch {
	case !h.Revoked.IsZero() && !h.Revoked.Before(open):
		c.State, c.Since, c.RevokedBy, c.Reason = StateRevoked, h.Revoked, h.RevokedBy, h.Reason
	case !h.Ended.IsZero() && !h.Ended.Before(open) && !h.Ended.Before(e.Accepted):
		c.State, c.Since = StateExpired, h.Ended
	}
}
