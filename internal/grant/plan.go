package grant

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/trust"
)

// Plan is what the template says of a grant: the content of its SSM parameter, which only CloudFormation writes.
type Plan struct {
	Grant           Name   `json:"grant"`
	Provider        string `json:"provider"`        // name of the provider in access.yaml
	ProviderAccount string `json:"providerAccount"` // 12 digits
	Account         string `json:"account"`         // the customer's, 12 digits
	Region          string `json:"region"`
	RoleARN         string `json:"roleArn"`
	Adopted         bool   `json:"adopted,omitempty"`

	NoExternalID bool   `json:"noExternalId,omitempty"` // then there is no secret and no rotation
	SecretARN    string `json:"secretArn,omitempty"`
	KeyARN       string `json:"keyArn,omitempty"`
	ConfirmURL   string `json:"confirmUrl,omitempty"` // where the provider confirms that it uses a new external ID
	Prefix       string `json:"prefix,omitempty"`

	Principals     []string         `json:"principals"`
	Conditions     trust.Conditions `json:"conditions,omitempty"`
	SourceIdentity bool             `json:"sourceIdentity,omitempty"`
	Quota          int              `json:"quota,omitempty"` // characters; zero is AWS's default

	IssuedBy    Issuer   `json:"issuedBy,omitempty"`
	RotateEvery string   `json:"rotateEvery,omitempty"` // as in access.yaml
	Overlap     Duration `json:"overlap,omitempty"`
	// WhenUnconfirmed is what becomes of the previous ID at its deadline, see Outlook.
	WhenUnconfirmed Unconfirmed   `json:"whenUnconfirmed,omitempty"`
	ProviderMay     []ProviderAct `json:"providerMay,omitempty"` // what sessions of the role may ask for
	Expires         time.Time     `json:"expires,omitzero"`
	Notify          Notify        `json:"notify,omitempty"`
}

// Duration is a time.Duration that reads and writes as "24h0m0s".
type Duration time.Duration

// MarshalText writes the duration as Go does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration takes; negative ones are refused.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return err
	}
	if v < 0 {
		return fmt.Errorf("negative duration %s", v)
	}
	*d = Duration(v)
	return nil
}

// ParsePlan reads a plan and refuses what its functions could not act on. want is the grant that was asked for.
func ParsePlan(src []byte, want Name) (Plan, error) {
	var p Plan
	dec := json.NewDecoder(bytes.NewReader(src))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return Plan{}, fmt.Errorf("plan of %s: %w: %w", want, ErrNotConfigured, err)
	}
	switch {
	case p.Grant != want:
		return Plan{}, fmt.Errorf("plan of %s names grant %.60q: %w", want, p.Grant, ErrNotConfigured)
	case p.RoleName() == "":
		return Plan{}, fmt.Errorf("plan of %s has no role: %w", want, ErrNotConfigured)
	case len(p.Principals) == 0:
		return Plan{}, fmt.Errorf("plan of %s has no principals: %w", want, ErrNotConfigured)
	case p.NoExternalID == (p.SecretARN != ""):
		return Plan{}, fmt.Errorf("plan of %s: either a secret or noExternalId: %w", want, ErrNotConfigured)
	}
	return p, nil
}

// RoleName is the last part of the role's ARN, by which IAM's API knows the role.
func (p Plan) RoleName() string {
	_, rest, ok := strings.Cut(p.RoleARN, ":role/")
	if !ok {
		return ""
	}
	return rest[strings.LastIndexByte(rest, '/')+1:]
}

// Trust is the part of the plan that the trust policy follows, with no IDs and the gate kept.
func (p Plan) Trust() trust.Plan {
	kind := trust.Created
	if p.Adopted {
		kind = trust.Adopted
	}
	return trust.Plan{
		Role: kind, Principals: p.Principals, Conditions: p.Conditions, NoExternalID: p.NoExternalID,
		SourceIdentity: p.SourceIdentity, Expires: p.Expires, Quota: p.Quota,
	}
}

// IDs are the external IDs that a trust policy shall accept.
type IDs struct {
	Current, Pending, Previous ID
	Until                      time.Time // end of Previous; zero: without one
	Endless                    bool      // Previous may have had no end until now
	Retired                    []ID
}

// TrustWith is Trust with the given IDs revealed into it.
func (p Plan) TrustWith(ids IDs) trust.Plan {
	t := p.Trust()
	t.Current, t.Pending = ids.Current.Reveal(), ids.Pending.Reveal()
	t.Previous = trust.Previous{ID: ids.Previous.Reveal(), Until: ids.Until, Endless: ids.Endless}
	for _, id := range ids.Retired {
		t.Retired = append(t.Retired, id.Reveal())
	}
	return t
}

// Where names the grant's objects in an event.
func (p Plan) Where() events.Where {
	return events.Where{
		Provider: p.Provider, ProviderAccount: p.ProviderAccount, Account: p.Account,
		RoleARN: p.RoleARN, SecretARN: p.SecretARN, KeyARN: p.KeyARN,
	}
}

// Check is a message on the check queue: look at this grant. It says nothing else, so a forged one only makes us look.
type Check struct {
	Grant Name `json:"grant"`
}
