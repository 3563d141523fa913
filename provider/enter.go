package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	confirmSession = "confirm-"
	soon           = time.Minute     // until a new ID is tried again that AWS doesn't take yet
	early          = 5 * time.Minute // before its end a session is renewed
)

// Enter enters a customer's role and gives credentials that renew themselves and follow the customer's rotations. A failure of the
// first session is told here, later ones by the credentials.
//
// With each renewal the ID in use is tried, and the one before it on AccessDenied only. If the secret was last read Options.Every
// ago, or an event rang, the session then reads it; a new ID is tried in a session named confirm-<version>, kept once AWS took it,
// and confirmed.
func (c *Client) Enter(ctx context.Context, customer Customer) (aws.CredentialsProvider, error) {
	if err := customer.Validate(); err != nil {
		return nil, err
	}
	cache := aws.NewCredentialsCache(&entry{c, customer}, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = early })
	if _, err := cache.Retrieve(ctx); err != nil {
		return nil, err
	}
	return cache, nil
}

// entry is one customer's role.
type entry struct {
	*Client
	customer Customer
}

// Retrieve opens a session.
func (e *entry) Retrieve(ctx context.Context) (aws.Credentials, error) {
	s, err := e.store.Load(ctx, e.customer.Name)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("customer %s: %w", e.customer.Name, err)
	}
	creds, err := e.open(ctx, &s)
	if errors.Is(err, ErrDenied) && e.ByAccount {
		creds, err = e.openByAccount(ctx, &s, err)
	}
	if err != nil {
		return aws.Credentials{}, err
	}
	if !e.due(s) {
		return creds, nil
	}
	fresh, err := e.follow(ctx, s, creds)
	if err != nil {
		e.Problem(ctx, e.customer, err)
	}
	if fresh.HasKeys() {
		return fresh, nil
	}
	return creds, nil
}

// due says whether the secret is to be read.
func (e *entry) due(s State) bool {
	return s.Checked.IsZero() || !e.Now().Before(s.Checked.Add(e.Every))
}

// open tries the ID in use, then the one before, and once more what another worker may have stored meanwhile.
func (e *entry) open(ctx context.Context, s *State) (aws.Credentials, error) {
	for range 2 {
		for _, id := range []ExternalID{s.ID, s.Previous} {
			if id.IsZero() {
				continue // a role is never tried without an ID here
			}
			creds, err := e.assume(ctx, e.customer, id, e.SessionName)
			if err == nil || !denied(err) {
				return creds, err
			}
		}
		now, err := e.store.Load(ctx, e.customer.Name)
		if err != nil {
			return aws.Credentials{}, fmt.Errorf("customer %s: %w", e.customer.Name, err)
		}
		if now.Revision == s.Revision {
			break
		}
		*s = now
	}
	return aws.Credentials{}, fmt.Errorf("customer %s, role %s: %w", e.customer.Name, e.customer.RoleARN, ErrDenied)
}

// openByAccount reads the secret with the provider's own credentials.
func (e *entry) openByAccount(ctx context.Context, s *State, refused error) (aws.Credentials, error) {
	arn := e.customer.SecretARN
	if arn == "" {
		arn = s.SecretARN
	}
	if arn == "" {
		return aws.Credentials{}, refused
	}
	if err := e.customer.checkSecret(arn); err != nil {
		return aws.Credentials{}, err
	}
	v, err := e.read(ctx, e.cfg.Copy(), e.customer, arn)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("%w; by account: %w", refused, err)
	}
	if err := e.check(*s, v); err != nil {
		return aws.Credentials{}, fmt.Errorf("%w; by account: %w", refused, err)
	}
	if v.value.Equal(s.ID) {
		return aws.Credentials{}, refused
	}
	return e.take(ctx, s, v)
}

// check refuses a version that can't come behind the one in use.
func (e *entry) check(s State, v version) error {
	switch {
	case v.id == s.VersionID && !v.value.Equal(s.ID):
		return e.customer.refuse("version %s holds another external ID than before", v.id)
	case v.id != s.VersionID && !s.Created.IsZero() && v.created.Before(s.Created):
		return fmt.Errorf("customer %s: version %s: %w: %w", e.customer.Name, v.id, ErrNotAccepted, ErrOlder)
	}
	return nil
}

// follow reads the secret in a session and goes over to what is current there. The credentials are those of a session with a
// new ID; empty where there is none.
func (e *entry) follow(ctx context.Context, s State, creds aws.Credentials) (aws.Credentials, error) {
	arn, err := e.find(ctx, creds, e.customer, &s, !e.DoNotConfirm)
	if err != nil {
		return aws.Credentials{}, errors.Join(err, e.looked(ctx, s, e.Now()))
	}
	v, err := e.read(ctx, e.as(creds, ""), e.customer, arn)
	if err == nil {
		err = e.check(s, v)
	}
	if err != nil {
		return aws.Credentials{}, errors.Join(err, e.looked(ctx, s, e.Now()))
	}
	if v.id == s.VersionID && (s.Confirmed == v.id || e.DoNotConfirm) {
		return aws.Credentials{}, e.looked(ctx, s, e.Now())
	}
	return e.take(ctx, &s, v)
}

// take enters with a version's ID under the name that proves it, stores it, and confirms.
func (e *entry) take(ctx context.Context, s *State, v version) (aws.Credentials, error) {
	proof, err := e.assume(ctx, e.customer, v.value, confirmSession+v.id)
	if denied(err) { // IAM doesn't show it everywhere yet
		return aws.Credentials{}, errors.Join(err, e.looked(ctx, *s, e.Now().Add(soon-e.Every)))
	}
	if err != nil {
		return aws.Credentials{}, err
	}
	if !v.value.Equal(s.ID) {
		s.Previous = s.ID
	}
	s.ID, s.VersionID, s.Created, s.Checked = v.value, v.id, v.created, e.Now()
	if err := e.save(ctx, s); err != nil {
		return proof, err
	}
	creds, err := e.assume(ctx, e.customer, s.ID, e.SessionName)
	if err != nil {
		creds = proof
	}
	if e.DoNotConfirm || s.Confirmed == v.id {
		return creds, nil
	}
	if _, err := e.confirm(ctx, e.customer, s, proof); err != nil {
		if passing(err) {
			s.Checked = e.Now().Add(soon - e.Every)
		}
		return creds, errors.Join(err, e.save(ctx, s))
	}
	return creds, e.save(ctx, s)
}

// looked notes when the secret was read, so that it is not read with each session.
func (e *entry) looked(ctx context.Context, s State, at time.Time) error {
	s.Checked = at
	return e.save(ctx, &s)
}

// save stores; a worker that was quicker has stored the same, or what is newer.
func (e *entry) save(ctx context.Context, s *State) error {
	switch err := e.store.Save(ctx, e.customer.Name, *s); {
	case errors.Is(err, ErrChanged):
		now, err := e.store.Load(ctx, e.customer.Name)
		if err != nil {
			return fmt.Errorf("customer %s: %w", e.customer.Name, err)
		}
		*s = now
	case err != nil:
		return fmt.Errorf("customer %s: storing its state: %w", e.customer.Name, err)
	default:
		s.Revision++
	}
	return nil
}

// roleName is the last part of a role's ARN.
func roleName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
