// Package entry is a person's way into a customer's account: it reads the customer in the registry, holds what it finds to what was
// accepted there, opens a session, and says in plain words why it can't.
//
// It decides which customer is meant and what a refusal's likely cause is. Account, prefix, role and secret come from the accepted
// row and from nowhere else. It trusts the registry. It keeps nothing, and shows no external ID.
package entry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/customers"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/provider"
)

// KindAdHoc is the kind of an entry by a role's ARN that stands in no registry.
const KindAdHoc customers.Kind = "ad hoc"

// Base is who the engineer is in the provider's own account.
type Base struct {
	Account string `json:"account"`
	ARN     string `json:"arn"`
}

// Request is where somebody wants to go, and why.
type Request struct {
	Customer string              `json:"customer,omitempty"` // its name
	RoleARN  string              `json:"roleArn,omitempty"`  // instead of a name: a role that no customer stands for
	ID       provider.ExternalID `json:"-"`                  // for it; zero: none
	Reason   string              `json:"reason,omitempty"`
	Patience time.Duration       `json:"patience,omitempty"` // see provider.Person
}

// Visit is what is known of an open session: facts to show, none to decide by.
type Visit struct {
	Customer string         `json:"customer,omitempty"` // the provider's own word; empty for an ARN
	Account  string         `json:"account"`
	RoleARN  string         `json:"roleArn"`
	Kind     customers.Kind `json:"kind"`
	Region   string         `json:"region,omitempty"`
	Engineer string         `json:"engineer"`
	Session  string         `json:"session"`
	Known    bool           `json:"sourceIdentity"` // the role took the engineer as source identity
	Reason   string         `json:"reason,omitempty"`
	From     Base           `json:"from"`
	Since    time.Time      `json:"since"`
	Expires  time.Time      `json:"expires"` // of the credentials, which are renewed before
	Previous bool           `json:"previousId,omitempty"`
}

// Label is the customer's name, or where there is none the account.
func (v Visit) Label() string {
	if v.Customer != "" {
		return v.Customer
	}
	return v.Account
}

// RoleName is the last part of the role's ARN.
func (v Visit) RoleName() string { return v.RoleARN[strings.LastIndexByte(v.RoleARN, '/')+1:] }

// Opened is a session that somebody entered.
type Opened struct {
	Visit
	Credentials aws.Credentials
}

// Secrets are the provider's own.
type Secrets interface {
	// SecretString reads the current value.
	SecretString(ctx context.Context, secretARN string) (string, error)
}

// Keep keeps sessions for a while, sealed. Nothing depends on it.
type Keep interface {
	Get(name string) ([]byte, bool)
	Put(name string, content []byte) error
	Drop(name string) error
}

// Way leads from the provider's own credentials into customers' accounts.
type Way struct {
	Customers customers.Reader
	Client    *provider.Client // with the provider's own credentials
	Secrets   Secrets
	Who       func(ctx context.Context) (Base, error) // GetCallerIdentity
	Now       func() time.Time
	Wait      func(context.Context, time.Duration) error
	Keep      Keep // nil: each entry is a new session
}

// Enter opens a session. Its errors are Refusals. progress is told what is waited for.
func (w *Way) Enter(ctx context.Context, r Request, progress func(string)) (Opened, error) {
	base, err := w.Who(ctx)
	if err != nil {
		return Opened{}, refuse(err, customers.Customer{}, Base{}, w.Now())
	}
	if r.Customer == "" {
		return w.byARN(ctx, base, r, progress)
	}
	c, err := w.Find(ctx, r.Customer)
	if err != nil {
		w.drop(r.Customer)
		return Opened{}, refuse(err, c, base, w.Now())
	}
	p := w.person(base, r, progress)
	if kept, ok := w.kept(c, base, p.SessionName); ok {
		return kept, nil
	}
	got, err := w.open(ctx, c, p)
	if err != nil {
		return Opened{}, refuse(err, c, base, w.Now())
	}
	v := w.visit(base, r, p, got)
	v.Customer, v.Account, v.RoleARN, v.Kind, v.Region = c.Name, c.Account, c.RoleARN, kindOf(c), grant.SecretRegion(c.SecretARN)
	w.keep(Opened{v, got.Credentials})
	return Opened{v, got.Credentials}, nil
}

// Verify proves that a customer's role opens to its external ID only, whether that changes or is fixed. Who may not be entered is not
// tried: that is a Refusal. Other errors are those of Client.Verify.
func (w *Way) Verify(ctx context.Context, name string, o provider.VerifyOptions) (provider.Receipt, error) {
	c, err := w.Find(ctx, name)
	if err != nil {
		return provider.Receipt{}, refuse(err, c, Base{}, w.Now())
	}
	switch kind := kindOf(c); {
	case kind == customers.KindCountersign:
		return w.Client.Verify(ctx, accepted(c), o)
	case kind == customers.KindNone:
		return provider.Receipt{}, &Refusal{
			Cause: CauseNothing, Says: fmt.Sprintf("the role of %s needs no external ID: there is nothing to prove", name),
			Next: "Ask the customer for one: without it your account alone is what the role asks for.",
		}
	case o.Confirm:
		return provider.Receipt{}, &Refusal{
			Cause: CauseNothing, Says: fmt.Sprintf("the external ID of %s is fixed (%s): there is nothing to confirm", name, kind), Next: "Without --confirm it is proven.",
		}
	}
	base, err := w.Who(ctx)
	if err != nil {
		return provider.Receipt{}, refuse(err, c, Base{}, w.Now())
	}
	id, err := w.static(ctx, c)
	if err != nil {
		return provider.Receipt{}, refuse(err, c, base, w.Now())
	}
	return w.Client.VerifyRole(ctx, c.RoleARN, id, o)
}

// Find reads a customer that may be entered, by its name.
func (w *Way) Find(ctx context.Context, name string) (customers.Customer, error) {
	c, err := w.Customers.Get(ctx, name)
	switch {
	case errors.Is(err, customers.ErrUnknown):
		return customers.Customer{Name: name}, err
	case err != nil:
		return customers.Customer{Name: name}, fmt.Errorf("%w: %w", errRegistry, err)
	}
	if err := c.MayEnter(); err != nil {
		return c, err
	}
	if err := c.Binding().CheckRole(); err != nil {
		return c, fmt.Errorf("%s: %w: %w", c.Name, err, provider.ErrNotAccepted)
	}
	return c, nil
}

func (w *Way) byARN(ctx context.Context, base Base, r Request, progress func(string)) (Opened, error) {
	p := w.person(base, r, progress)
	got, err := w.Client.EnterRole(ctx, r.RoleARN, r.ID, p)
	if err != nil {
		return Opened{}, refuse(err, customers.Customer{RoleARN: r.RoleARN, Kind: KindAdHoc}, base, w.Now())
	}
	v := w.visit(base, r, p, got)
	v.Account, v.RoleARN, v.Kind = grant.RoleAccount(r.RoleARN), r.RoleARN, KindAdHoc
	return Opened{v, got.Credentials}, nil
}

// open opens a session in a customer's role, the way that its kind asks for.
func (w *Way) open(ctx context.Context, c customers.Customer, p provider.Person) (provider.Session, error) {
	switch kindOf(c) {
	case customers.KindStatic:
		id, err := w.static(ctx, c)
		if err != nil {
			return provider.Session{}, err
		}
		return w.Client.EnterRole(ctx, c.RoleARN, id, p)
	case customers.KindNone:
		return w.Client.EnterRole(ctx, c.RoleARN, provider.ExternalID{}, p)
	}
	return w.Client.EnterAs(ctx, accepted(c), p)
}

// accepted is what was accepted of a customer, as package provider takes it.
func accepted(c customers.Customer) provider.Customer {
	return provider.Customer{
		Name: c.Name, Account: c.Account, RoleARN: c.RoleARN, Grant: c.Grant, Prefix: c.Prefix, SecretARN: c.SecretARN, ConfirmURL: c.ConfirmURL,
	}
}

// static reads a fixed external ID from the provider's own secret: the value itself, or JSON with a member externalId.
func (w *Way) static(ctx context.Context, c customers.Customer) (provider.ExternalID, error) {
	value, err := w.Secrets.SecretString(ctx, c.StaticSecretARN)
	if err != nil {
		return provider.ExternalID{}, fmt.Errorf("%w: %w", errStatic, err)
	}
	var in struct{ ExternalID string }
	if strings.HasPrefix(strings.TrimSpace(value), "{") && json.Unmarshal([]byte(value), &in) == nil {
		value = in.ExternalID
	}
	id, err := provider.ParseExternalID(strings.TrimSpace(value))
	if err != nil {
		return id, fmt.Errorf("your own secret of %s holds no external ID: %w", c.Name, err)
	}
	return id, nil
}

func (w *Way) person(base Base, r Request, progress func(string)) provider.Person {
	engineer := Engineer(base.ARN)
	return provider.Person{
		SessionName: SessionName(engineer, r.Reason), SourceIdentity: engineer, Patience: r.Patience, Progress: progress, Wait: w.Wait,
	}
}

func (w *Way) visit(base Base, r Request, p provider.Person, got provider.Session) Visit {
	return Visit{
		Engineer: p.SourceIdentity, Session: p.SessionName, Known: got.Identified, Reason: r.Reason, From: base,
		Since: w.Now().UTC(), Expires: got.Expires.UTC(), Previous: got.Previous,
	}
}

func kindOf(c customers.Customer) customers.Kind {
	switch {
	case c.Kind == "" || c.Kind == customers.KindCountersign && c.SecretARN != "":
		return customers.KindCountersign
	case c.Kind == customers.KindCountersign:
		return customers.KindNone // a grant without an external ID
	}
	return c.Kind
}

// notInName is what AWS takes in no session's name and no source identity.
var notInName = regexp.MustCompile(`[^\w+=,.@-]+`)

// Engineer is who an ARN of the provider's account belongs to, as AWS takes it for a source identity: the session's name of an
// assumed role, which single sign-on sets to the person, or a user's name.
func Engineer(arn string) string {
	name := notInName.ReplaceAllString(arn[strings.LastIndexByte(arn, '/')+1:], "-")
	if len(name) < 2 {
		return "countersign"
	}
	return name[:min(len(name), 64)]
}

// SessionName is what the customer's CloudTrail shows: the engineer, and the reason behind an equals sign. It never begins as the
// sessions do that confirm a rotation.
func SessionName(engineer, reason string) string {
	name := engineer
	if strings.HasPrefix(name, "confirm-") {
		name = "as-" + name
	}
	if reason = strings.Trim(notInName.ReplaceAllString(reason, "-"), "-"); reason != "" {
		name = name[:min(len(name), 40)] + "=" + reason
	}
	return name[:min(len(name), 64)]
}

var (
	errRegistry = errors.New("the registry of customers can't be read")
	errStatic   = errors.New("your own secret with the external ID can't be read")
)
