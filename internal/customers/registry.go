package customers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/grant"
)

// Registry is the store as people use it: each of its methods needs the writers' role but those of Reader and Load.
type Registry interface {
	Reader
	// Load gives both rows of a customer. ErrUnknown where there is none.
	Load(ctx context.Context, name string) (Entry, Heard, error)
	// Add makes an entry with its claims, all or nothing. ErrExists, or *Taken.
	Add(ctx context.Context, e Entry) error
	// Change replaces an entry that has was's Revision, and moves its claims, all or nothing. ErrChanged, or *Taken.
	Change(ctx context.Context, was, now Entry) error
	// Remove takes an entry away that has this Revision, with its claims and what was heard of it. A prefix stays its account's.
	Remove(ctx context.Context, e Entry) error
}

// Hearings is the store as functions/enroll uses it. It can't write an Entry.
type Hearings interface {
	// Guests are the accounts that were invited: one read for all of them.
	Guests(ctx context.Context) (Guests, error)
	Load(ctx context.Context, name string) (Entry, Heard, error)
	// Note replaces what was heard of a customer, where that has h's Revision. ErrChanged: somebody was quicker, and nothing was
	// written.
	Note(ctx context.Context, name string, h Heard) error
}

// Guest is a customer as an event finds it: by its account and its grant.
type Guest struct {
	Name  string
	Grant string // empty: not known yet
	Role  string // of one that doesn't run Countersign
}

// Guests are the invited accounts.
type Guests map[string][]Guest

// Find gives the customer that an event is about; "" if nobody invited it. An account with several customers has them by grant;
// an account with one has that, so that another grant or role is seen as the change that it is.
func (g Guests) Find(b Binding) string {
	of := g[b.Account]
	for _, is := range []func(Guest) bool{
		func(g Guest) bool { return g.Grant == b.Grant },
		func(g Guest) bool { return g.Role != "" && g.Role == b.RoleARN },
		func(g Guest) bool { return g.Grant == "" && g.Role == "" },
	} {
		if i := slices.IndexFunc(of, is); i >= 0 {
			return of[i].Name
		}
	}
	if len(of) == 1 {
		return of[0].Name
	}
	return ""
}

// Guest is the entry as an event finds it.
func (e Entry) Guest() Guest {
	g := Guest{Name: e.Name, Grant: e.Grant}
	if e.Grant == "" && e.Kind != KindCountersign {
		g.Role = cmp.Or(e.RoleARN, e.Offered.RoleARN)
	}
	return g
}

// Field names what is one customer's alone.
type Field string

// The fields.
const (
	FieldGrant  Field = "grant"  // account and grant, as "444455556666/migration"
	FieldPrefix Field = "prefix" // of an account: never another account's, and an account has no second one
	FieldRole   Field = "role"
	FieldSecret Field = "secret"
)

// Claim is one thing that an entry keeps for itself.
type Claim struct {
	Field Field
	Value string
}

// Claims are what an entry keeps for itself. What is only offered or proposed is claimed when it is accepted.
func (e Entry) Claims() []Claim {
	g := e.Guest()
	claims := []Claim{{FieldGrant, e.Account + "/" + cmp.Or(cmp.Or(g.Grant, g.Role), "*")}}
	if e.RoleARN != "" {
		claims = append(claims, Claim{FieldRole, e.RoleARN})
	}
	for _, secret := range []string{e.SecretARN, e.StaticSecretARN} {
		if secret != "" {
			claims = append(claims, Claim{FieldSecret, secret})
		}
	}
	return claims
}

// Taken says that something belongs to another customer, or a prefix to another account.
type Taken struct {
	Claim
	By string // the customer, or the account; may be empty
}

func (t *Taken) Error() string {
	if t.By == "" {
		return fmt.Sprintf("%s %s %s", t.Field, t.Value, ErrTaken)
	}
	return fmt.Sprintf("%s %s belongs to %s", t.Field, t.Value, t.By)
}

// Unwrap is ErrTaken.
func (t *Taken) Unwrap() error { return ErrTaken }

// Check says what is wrong with an entry before it is stored.
func (e Entry) Check() error {
	if err := CheckName(e.Name); err != nil {
		return err
	}
	if err := grant.CheckAccount(e.Account); err != nil {
		return fmt.Errorf("customer %s: %w", e.Name, err)
	}
	for _, team := range e.Teams {
		if !nameForm.MatchString(team) {
			return fmt.Errorf("customer %s: team %.60q: 1 to 40 lower-case letters, digits and hyphens", e.Name, team)
		}
	}
	if err := e.checkKind(); err != nil {
		return fmt.Errorf("customer %s: %w", e.Name, err)
	}
	return nil
}

func (e Entry) checkKind() error {
	b, ok := e.accepted()
	if !ok {
		b = e.Offered
	}
	switch e.Kind {
	case KindCountersign:
		if err := grant.CheckPrefix(e.Prefix); err != nil {
			return err
		}
		if e.StaticSecretARN != "" {
			return errors.New("a secret of the provider's own is for static customers")
		}
		if ok || e.Offered != (Binding{}) {
			return b.Check()
		}
		return nil
	case KindStatic:
		if err := CheckStatic(e.StaticSecretARN); err != nil {
			return err
		}
	case KindNone:
		if e.StaticSecretARN != "" {
			return errors.New("a secret is for static customers")
		}
	default:
		return fmt.Errorf("kind %.20q: countersign, static or none", e.Kind)
	}
	if b.Grant != "" {
		return b.Check()
	}
	b.Account = e.Account
	return b.CheckRole()
}

// Accept makes of what a customer proposes what it is entered by: a person's decision, and the only way to it. shown is the
// customer as the person saw it.
func (e Entry) Accept(shown Customer, by string, now time.Time) (Entry, error) {
	b := shown.Proposed
	if b == nil || b.Account != e.Account || b.Prefix != e.Prefix {
		return e, fmt.Errorf("customer %s: what was proposed: %w", e.Name, ErrForeign)
	}
	e.Grant, e.RoleARN, e.SecretARN, e.ConfirmURL = b.Grant, b.RoleARN, b.SecretARN, b.ConfirmURL
	switch {
	case b.Grant == "": // static or without an ID, as it was invited
	case b.SecretARN == "":
		e.Kind, e.StaticSecretARN = KindNone, ""
	default:
		e.Kind, e.StaticSecretARN = KindCountersign, ""
	}
	e = e.Dismiss(shown, now)
	e.Accepted, e.By = now.UTC().Truncate(time.Second), by
	return e, e.Check()
}

// Dismiss sets a proposal aside: what was accepted stays, and the same proposal said again later is shown again. The account's
// clock may be ahead of ours.
func (e Entry) Dismiss(shown Customer, now time.Time) Entry {
	e.Decided, e.Offered = later(now.UTC().Truncate(time.Second), shown.ProposedAt), Binding{}
	return e
}

// NewPrefix makes a prefix of twelve letters and digits that nobody can guess.
func NewPrefix(rand io.Reader) (string, error) {
	const letters = "abcdefghijkmnpqrstuvwxyz23456789" // 32, none that looks like another
	raw := make([]byte, 12)
	if _, err := io.ReadFull(rand, raw); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	for i := range raw {
		raw[i] = letters[raw[i]%32]
	}
	return string(raw), nil
}
