// Package customers is the provider's registry: which customers there are, which role and secret each of them is bound to, and
// what their accounts have said since.
//
// A person invites a customer (account and prefix), its account's events propose a binding (grant, role, secret), and a person
// accepts that. What people decided (Entry) and what accounts said (Heard) lie in different rows with different writers, so that
// no event ever changes what a person accepted: it can at most propose something else, or say that access was taken away.
//
// It decides what an event may change, and when two customers would share what must be one's alone. It trusts the account that
// EventBridge vouches for, and of an event nothing else. It does no I/O, and holds no external ID.
package customers

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Kind is how the customer's role is opened.
type Kind string

// The kinds.
const (
	KindCountersign Kind = "countersign" // the customer runs Countersign: the external ID is in its secret, and changes
	KindStatic      Kind = "static"      // a fixed external ID, kept in a secret of the provider's own
	KindNone        Kind = "none"        // a role without an external ID
)

// State is how far a customer has come.
type State string

// The states.
const (
	StateInvited  State = "invited"  // a person expects it; its account has said nothing yet
	StatePending  State = "pending"  // its account proposed a binding; a person has to accept it
	StateAccepted State = "accepted" // may be entered
	StateRevoked  State = "revoked"  // the customer has taken the access away
	StateExpired  State = "expired"  // its end has passed
)

// Customer is one entry of the registry: what people decided, joined with what its account has said. The name is the
// provider's own word; everything below RoleARN that an account said is foreign text.
type Customer struct {
	Name    string `json:"name"`
	Account string `json:"account"` // 12 digits
	Prefix  string `json:"prefix,omitempty"`

	// What was accepted. Empty until a person accepted it, and taken from here alone on every entry.
	Grant      string `json:"grant,omitempty"`
	RoleARN    string `json:"roleArn,omitempty"`
	SecretARN  string `json:"secretArn,omitempty"`
	ConfirmURL string `json:"confirmUrl,omitempty"` // as the account last said it, in the form that its grant and Region allow

	Kind            Kind     `json:"kind"`
	StaticSecretARN string   `json:"staticSecretArn,omitempty"` // of a static one: the provider's own secret that holds the external ID
	Teams           []string `json:"teams,omitempty"`

	State State     `json:"state"`
	Since time.Time `json:"since,omitzero"` // of State

	Invited    time.Time `json:"invited,omitzero"`
	Accepted   time.Time `json:"accepted,omitzero"`
	AcceptedBy string    `json:"acceptedBy,omitempty"` // ARN of the person's session

	Rotated      time.Time `json:"rotated,omitzero"`  // the last rotation that was said
	Reported     time.Time `json:"reported,omitzero"` // the last sign of life: any event of the accepted binding
	Expires      time.Time `json:"expires,omitzero"`  // as said when access was granted, and daily since
	RevokedBy    string    `json:"revokedBy,omitempty"`
	Reason       string    `json:"reason,omitempty"` // the customer's, for the revocation
	StackVersion string    `json:"stackVersion,omitempty"`

	// Proposed is what the account says now and nobody has accepted: the first binding of a pending customer, or another one
	// than was accepted.
	Proposed   *Binding  `json:"proposed,omitempty"`
	ProposedAt time.Time `json:"proposedAt,omitzero"`
}

// Binding is what belongs to one customer and to no other.
type Binding struct {
	Account    string `json:"account"`
	Prefix     string `json:"prefix,omitempty"`
	Grant      string `json:"grant,omitempty"`
	RoleARN    string `json:"roleArn,omitempty"`
	SecretARN  string `json:"secretArn,omitempty"` // empty: the grant has no external ID
	ConfirmURL string `json:"confirmUrl,omitempty"`
}

// Same says whether two bindings name the same role and secret of the same grant. The confirm URL is none of it: it changes
// with a deploy, and can't be used for another grant.
func (b Binding) Same(o Binding) bool {
	return b.Account == o.Account && b.Prefix == o.Prefix && b.Grant == o.Grant && b.RoleARN == o.RoleARN && b.SecretARN == o.SecretARN
}

// What the registry answers, for errors.Is.
var (
	ErrUnknown     = errors.New("no such customer")
	ErrExists      = errors.New("there is such a customer")
	ErrTaken       = errors.New("belongs to another customer")
	ErrChanged     = errors.New("changed meanwhile")
	ErrNotAccepted = errors.New("nobody has accepted this customer")
	ErrRevoked     = errors.New("the customer has revoked this access")
	ErrExpired     = errors.New("this access has ended")
)

// Reader reads the registry.
type Reader interface {
	// Get gives one customer. ErrUnknown where there is none.
	Get(ctx context.Context, name string) (Customer, error)
	// All gives all customers by name.
	All(ctx context.Context) ([]Customer, error)
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// CheckName refuses what can't be a customer's name: 1 to 40 lower-case letters, digits and hyphens, the first no hyphen.
func CheckName(name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("customer %.60q: 1 to 40 lower-case letters, digits and hyphens, not starting with a hyphen", name)
	}
	return nil
}

// Binding is what was accepted of a customer.
func (c Customer) Binding() Binding {
	return Binding{c.Account, c.Prefix, c.Grant, c.RoleARN, c.SecretARN, c.ConfirmURL}
}

// MayEnter says why a customer can't be entered; nil: it can, as far as the registry knows.
func (c Customer) MayEnter() error {
	switch c.State {
	case StateAccepted:
		return nil
	case StateRevoked:
		return fmt.Errorf("%s: %w", c.Name, ErrRevoked)
	case StateExpired:
		return fmt.Errorf("%s: %w", c.Name, ErrExpired)
	}
	return fmt.Errorf("%s: %w", c.Name, ErrNotAccepted)
}

// Of reports whether one of the teams serves the customer.
func (c Customer) Of(team string) bool { return slices.Contains(c.Teams, team) }
