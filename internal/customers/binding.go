package customers

import (
	"errors"
	"fmt"

	"github.com/countersign/countersign/internal/grant"
)

// ErrForeign says that a part of a binding lies in another account, or belongs to another grant, than the rest.
var ErrForeign = grant.ErrForeign

// CheckStatic refuses what is no ARN of a secret, as the provider keeps a fixed external ID in.
func CheckStatic(arn string) error {
	if grant.SecretRegion(arn) == "" {
		return fmt.Errorf("%.200q is not a secret's full ARN", arn)
	}
	return nil
}

// owner is whose everything of a binding has to be. The confirm URL is the grant's, whichever it is.
func (b Binding) owner() grant.Owner {
	return grant.Owner{Account: b.Account, Grant: grant.Name(b.Grant), RoleARN: b.RoleARN, SecretARN: b.SecretARN}
}

// CheckRole refuses what is no role of the binding's account.
func (b Binding) CheckRole() error { return told(b.owner().CheckRole()) }

// CheckSecret holds a secret's ARN to the binding.
func (b Binding) CheckSecret(arn string) error { return told(b.owner().CheckSecret(arn)) }

// CheckConfirm holds a confirm URL to the binding. endpoint is that of an emulator, which may stand in for AWS; empty: none does.
func (b Binding) CheckConfirm(raw, secretARN, endpoint string) error {
	return told(b.owner().CheckConfirm(raw, secretARN, endpoint))
}

// Check says what is wrong with a whole binding. It needs account, role and grant.
func (b Binding) Check() error {
	if err := grant.CheckAccount(b.Account); err != nil {
		return err
	}
	if err := b.CheckRole(); err != nil {
		return err
	}
	if b.Prefix != "" {
		if err := grant.CheckPrefix(b.Prefix); err != nil {
			return err
		}
	}
	if _, err := grant.ParseName(b.Grant); err != nil {
		return err
	}
	if b.SecretARN != "" {
		return b.CheckSecret(b.SecretARN)
	}
	return nil
}

// told says of what is foreign that it is.
func told(err error) error {
	if errors.Is(err, ErrForeign) {
		return fmt.Errorf("%w: %w", err, ErrForeign)
	}
	return err
}
