package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/countersign/countersign/internal/grant"
)

// recent is how old a version may be so that waiting for IAM to show it makes sense.
const recent = 5 * time.Minute

// Person says who enters by hand, and how patient they are.
type Person struct {
	SessionName string // what the customer's CloudTrail shows; empty: Options.SessionName
	// SourceIdentity is offered to the role, and left out where its trust policy takes none; empty: none.
	SourceIdentity string
	// Patience is how long to wait until IAM shows an ID that was made just now; zero: 2 minutes, negative: not at all.
	Patience time.Duration
	// Progress is told what is waited for; nil: nobody.
	Progress func(string)
	// Wait sleeps; nil: as time does.
	Wait func(context.Context, time.Duration) error
}

// Session is what a person got.
type Session struct {
	aws.Credentials
	VersionID  string        // of the secret that let them in; empty: the ID came from elsewhere
	Previous   bool          // it was the ID before the current one
	Identified bool          // the role took the source identity
	Waited     time.Duration // until IAM showed it
}

// EnterAs opens one session, for a person: the secret is read with the provider's own credentials, nothing is kept and nothing
// confirmed. On AccessDenied, and on nothing else, the ID before is tried; and where the current one is minutes old, both are again,
// until IAM shows one of them.
func (c *Client) EnterAs(ctx context.Context, customer Customer, p Person) (Session, error) {
	if err := customer.Validate(); err != nil {
		return Session{}, err
	}
	if err := customer.checkSecret(customer.SecretARN); err != nil {
		return Session{}, err
	}
	p = c.patient(p)
	const pause = 2 * time.Second
	for waited := time.Duration(0); ; waited += pause {
		current, s, err := c.openBySecret(ctx, customer, p)
		if err == nil {
			s.Waited = waited
			return s, nil
		}
		age := max(0, c.Now().Sub(current.created))
		if !errors.Is(err, ErrDenied) || age-waited > recent || waited >= p.Patience {
			return Session{}, err
		}
		p.Progress(fmt.Sprintf("the ID was rotated %d s ago; waiting for IAM to show it: %s of %s", int(age.Seconds()), waited, p.Patience))
		if err := p.Wait(ctx, pause); err != nil {
			return Session{}, err
		}
	}
}

// EnterRole opens one session in a role that no customer of ours stands for: with an ID that the caller has, or with none.
func (c *Client) EnterRole(ctx context.Context, roleARN string, id ExternalID, p Person) (Session, error) {
	account := grant.RoleAccount(roleARN)
	if account == "" {
		return Session{}, fmt.Errorf("%.150q is not a role's ARN", roleARN)
	}
	return c.openAs(ctx, Customer{Name: account, Account: account, RoleARN: roleARN}, id, c.patient(p))
}

func (c *Client) patient(p Person) Person {
	if p.SessionName == "" {
		p.SessionName = c.SessionName
	}
	if p.Patience == 0 {
		p.Patience = 2 * time.Minute
	}
	if p.Progress == nil {
		p.Progress = func(string) {}
	}
	if p.Wait == nil {
		p.Wait = sleep
	}
	return p
}

// openBySecret tries what the secret holds now: the current ID, and on AccessDenied the one before.
func (c *Client) openBySecret(ctx context.Context, customer Customer, p Person) (current version, s Session, err error) {
	for _, stage := range []string{grant.StageCurrent, grant.StagePrevious} {
		v, err := c.read(ctx, c.cfg.Copy(), customer, customer.SecretARN, stage)
		switch {
		case stage == grant.StageCurrent && err != nil:
			return v, s, err
		case noVersion(err):
			return current, s, fmt.Errorf("customer %s, role %s: %w", customer.Name, customer.RoleARN, ErrDenied)
		case err != nil:
			return current, s, err
		}
		if stage == grant.StageCurrent {
			current = v
		}
		s, err := c.openAs(ctx, customer, v.value, p)
		if !errors.Is(err, ErrDenied) {
			s.VersionID, s.Previous = v.id, stage == grant.StagePrevious
			return current, s, err
		}
	}
	return current, s, fmt.Errorf("customer %s, role %s: %w", customer.Name, customer.RoleARN, ErrDenied)
}

// noVersion says that a secret has no version of that stage, or none with an external ID yet.
func noVersion(err error) bool {
	missing := (*smtypes.ResourceNotFoundException)(nil)
	return errors.As(err, &missing) || errors.Is(err, grant.ErrNotFound)
}

// openAs is one ID, with the source identity, and without where that is refused.
func (c *Client) openAs(ctx context.Context, customer Customer, id ExternalID, p Person) (Session, error) {
	sources := []string{p.SourceIdentity, ""}
	if p.SourceIdentity == "" {
		sources = sources[1:]
	}
	for _, source := range sources {
		creds, err := c.assume(ctx, customer, id, p.SessionName, source)
		if err == nil {
			return Session{Credentials: creds, Identified: source != ""}, nil
		}
		if !denied(err) {
			return Session{}, err
		}
	}
	return Session{}, fmt.Errorf("role %s: %w", customer.RoleARN, ErrDenied)
}

// given is a value that may be left out, or empty.
func given(value []string) *string {
	if len(value) == 0 || value[0] == "" {
		return nil
	}
	return &value[0]
}
