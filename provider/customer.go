package provider

import (
	"errors"
	"fmt"

	"github.com/countersign/countersign/internal/grant"
)

// Customer is what was accepted when the customer connected. Take RoleARN from the customer's own words once, look at it, and
// never from a message afterwards.
type Customer struct {
	Name    string `json:"name"`    // yours: the key in the Store
	Account string `json:"account"` // 12 digits
	RoleARN string `json:"roleArn"`
	Grant   string `json:"grant"`
	// Prefix is what you issued to this customer and to no other, so that no customer can have you use another one's ID; empty:
	// none.
	Prefix string `json:"prefix,omitempty"`
	// SecretARN and ConfirmURL are where the external ID is read and confirmed. Empty: as the role's tags and events say, as long
	// as that is in this account and of this grant.
	SecretARN  string `json:"secretArn,omitempty"`
	ConfirmURL string `json:"confirmUrl,omitempty"`
}

// owner is whose everything has to be that secrets, tags and events speak of.
func (c Customer) owner() grant.Owner {
	return grant.Owner{Account: c.Account, Grant: grant.Name(c.Grant), RoleARN: c.RoleARN, SecretARN: c.SecretARN, ConfirmURL: c.ConfirmURL}
}

// Validate says what is wrong with a customer before anything is done with it.
func (c Customer) Validate() error {
	if c.Name == "" {
		return fmt.Errorf("a customer needs a name")
	}
	if err := grant.CheckAccount(c.Account); err != nil {
		return c.held(err)
	}
	if err := c.owner().CheckRole(); err != nil {
		return c.held(err)
	}
	if c.Prefix != "" {
		if err := grant.CheckPrefix(c.Prefix); err != nil {
			return c.held(err)
		}
	}
	if _, err := grant.ParseName(c.Grant); err != nil {
		return c.held(err)
	}
	if c.SecretARN != "" {
		return c.checkSecret(c.SecretARN)
	}
	return nil
}

// held says whose error it is, and of what isn't the customer's that it was not accepted.
func (c Customer) held(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, grant.ErrForeign):
		return fmt.Errorf("customer %s: %w: %w", c.Name, err, ErrNotAccepted)
	}
	return fmt.Errorf("customer %s: %w", c.Name, err)
}

func (c Customer) refuse(format string, args ...any) error {
	return fmt.Errorf("customer %s: %s: %w", c.Name, fmt.Sprintf(format, args...), ErrNotAccepted)
}

// checkSecret holds a secret's ARN to the customer: its partition and account, its grant's name, and the one that was accepted.
func (c Customer) checkSecret(arn string) error { return c.held(c.owner().CheckSecret(arn)) }

// checkConfirm holds a confirm URL to the customer: an API of API Gateway in the secret's Region, and the grant's own path.
// endpoint is that of an emulator, which may stand in for AWS; empty: none does.
func (c Customer) checkConfirm(raw, secretARN, endpoint string) error {
	return c.held(c.owner().CheckConfirm(raw, secretARN, endpoint))
}

// decode reads the external ID from a secret's value, which is foreign input.
func (c Customer) decode(value []byte) (ExternalID, error) {
	plan := grant.Plan{Grant: grant.Name(c.Grant), RoleARN: c.RoleARN, Prefix: c.Prefix}
	id, err := plan.DecodeValue(value)
	if err == nil && !plan.Makes(id) {
		err = fmt.Errorf("another prefix than %q: %w", c.Prefix, grant.ErrForeignValue)
	}
	if err != nil {
		return ExternalID{}, fmt.Errorf("customer %s: %w: %w", c.Name, ErrNotAccepted, err)
	}
	return id, nil
}
