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

	Offered  Binding   // known beforehand and not accepted yet: what a person gave with the invitation
	Invited  time.Time // events from before it are none of ours
	Accepted time.Time
	By       string    // who accepted
	Decided  time.Time // proposals up to here were looked at

	Revision int64 // the store's
}

// Heard is what an account said of a customer, newest of each. Only functions/enroll writes it. Hearing the same events in
// another order, or again, gives the same facts.
type Heard struct {
	Invitation time.Time // of the entry that this was said of; of one that was removed and invited again nothing is known
	Of         Binding   // the role and secret that the facts are about

	Granted, Restored, Ended time.Time // Ended: the grant's end was announced
	Revoked                  time.Time
	RevokedBy, Reason        string
	Rotated                  time.Time
	Reported                 time.Time
	StackVersion             string
	Expires                  time.Time
	Dated                    time.Time // when Expires was said
	ConfirmURL               string
	Confirmable              time.Time // when ConfirmURL was said

	Proposed   Binding // what the account said last that nobody had accepted
	ProposedAt time.Time
	Rang       time.Time // the ProposedAt of the proposal that people were told of

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

// accepted is the binding that a person accepted; ok is false if there is none.
func (e Entry) accepted() (b Binding, ok bool) {
	return Binding{e.Account, e.Prefix, e.Grant, e.RoleARN, e.SecretARN, e.ConfirmURL}, !e.Accepted.IsZero()
}

// Hear works out a customer's facts after one more event of its account. It never changes what was accepted, and nothing
// older than what is known replaces it.
func (e Entry) Hear(h Heard, s Said, now time.Time) (Heard, error) {
	switch {
	case s.Time.After(now.Add(Ahead)):
		return h, fmt.Errorf("%s of %s: %w", s.Time.Format(time.RFC3339), e.Account, ErrAhead)
	case s.Time.Before(e.Invited.Truncate(time.Second)):
		return h, fmt.Errorf("%s of %s: %w", s.Time.Format(time.RFC3339), e.Account, ErrBefore)
	}
	h = e.own(h)
	s.Binding.Prefix = e.Prefix
	url := s.Binding.ConfirmURL
	s.Binding.ConfirmURL = "" // a fact of its own
	b, accepted := e.accepted()
	if accepted && b.Same(s.Binding) {
		return h.about(s.Binding).fact(s, url), nil
	}
	if e.open(s.Time) && (h.Proposed.Same(s.Binding) || s.Time.After(h.ProposedAt)) {
		h.Proposed, h.ProposedAt = s.Binding, later(h.ProposedAt, s.Time)
	}
	if !accepted && h.Proposed.Same(s.Binding) {
		return h.about(s.Binding).fact(s, url), nil
	}
	return h, nil
}

// own is what was heard of this entry, and nothing if it was heard of another one of that name.
func (e Entry) own(h Heard) Heard {
	if h.Invitation.Equal(e.Invited) {
		return h
	}
	return Heard{Invitation: e.Invited, Revision: h.Revision}
}

// open says whether a proposal of that time still waits for a person.
func (e Entry) open(at time.Time) bool {
	return at.After(e.Decided) && !at.Before(e.Invited.Truncate(time.Second))
}

// waits says whether what the account proposes is for a person to decide.
func (e Entry) waits(h Heard) bool {
	h = e.own(h)
	b, _ := e.accepted()
	return h.Proposed != (Binding{}) && !h.Proposed.Same(b) && e.open(h.ProposedAt)
}

// Rings says whether people have to be told that something waits. Once is enough until they decide, whatever the account says
// next: it can't ring twice.
func (e Entry) Rings(h Heard) bool { return e.waits(h) && !e.open(h.Rang) }

// about gives the facts if they are about this binding, and none if they are about another one.
func (h Heard) about(b Binding) Heard {
	if h.Of.Same(b) {
		return h
	}
	return Heard{Invitation: h.Invitation, Of: b, Proposed: h.Proposed, ProposedAt: h.ProposedAt, Rang: h.Rang, Revision: h.Revision}
}

// fact takes over what is newer than what is known. Of two at the same second the greater one stays, whichever came first.
func (h Heard) fact(s Said, url string) Heard {
	if newer(s.Time, h.Reported, s.StackVersion, h.StackVersion) {
		h.Reported, h.StackVersion = s.Time, s.StackVersion
	}
	if url != "" && newer(s.Time, h.Confirmable, url, h.ConfirmURL) {
		h.ConfirmURL, h.Confirmable = url, s.Time
	}
	ends := s.Type == events.TypeAccessGranted || s.Type == events.TypeGrantReported // they say when, or that it never does
	if ends && newer(s.Time, h.Dated, s.Expires.String(), h.Expires.String()) {
		h.Dated, h.Expires = s.Time, s.Expires
	}
	switch s.Type {
	case events.TypeAccessGranted:
		h.Granted, h.Rotated = later(h.Granted, s.Time), later(h.Rotated, s.Time)
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

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Join is the customer: what people decided, with what its account said of exactly that.
func Join(e Entry, h Heard) Customer {
	h = e.own(h)
	c := Customer{
		Name: e.Name, Account: e.Account, Prefix: e.Prefix, Grant: e.Grant, Kind: e.Kind, StaticSecretARN: e.StaticSecretARN, Teams: e.Teams,
		State: StateInvited, Since: e.Invited, Invited: e.Invited,
	}
	b, accepted := e.accepted()
	if accepted {
		c.RoleARN, c.SecretARN, c.ConfirmURL = e.RoleARN, e.SecretARN, e.ConfirmURL
		c.State, c.Since, c.Accepted, c.AcceptedBy = StateAccepted, e.Accepted, e.Accepted, e.By
	}
	if e.waits(h) {
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
