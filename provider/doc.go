// Package provider is the provider's side of Countersign: it enters a customer's role with the external ID that is current,
// follows rotations, and confirms that it did, so that the ID before can go.
//
//	client := provider.New(cfg, store, provider.Options{})
//	creds, err := client.Enter(ctx, customer)   // refreshing credentials, for any AWS client
//
// It enters the one role that was accepted when the customer connected, and no other: what a secret, a tag or an event says is
// compared with that, and refused where account, role, prefix or grant differ. It trusts the Store. A message is a doorbell,
// see Client.Ring: whoever forges one makes it look once more, and nothing else.
//
// An external ID never stands in an error or a log. docs/for-saas.md tells the same for other languages.
package provider

import (
	"errors"

	"github.com/countersign/countersign/internal/grant"
)

// ExternalID is an external ID. It prints as a fingerprint in every format and encoder; Reveal is the only way to its value.
type ExternalID = grant.ID

// ParseExternalID takes any value that AWS accepts as an external ID. The error never carries the value.
func ParseExternalID(value string) (ExternalID, error) { return grant.ParseID(value) }

// What went wrong, for errors.Is.
var (
	// ErrNotAccepted says that a secret, a tag or an event names something else than the customer that was accepted. Nothing
	// was done with it, and the ID in use stays in use.
	ErrNotAccepted = errors.New("this is not what was accepted")
	// ErrOlder says that the secret shows an older version than was used before.
	ErrOlder = errors.New("an older version than the one in use")
	// ErrTooSoon says that the customer's side wants to be asked later.
	ErrTooSoon = errors.New("asked too soon")
	// ErrDenied says that the role lets nobody in with the external IDs that are known here: the customer has revoked the access,
	// or rotated while nobody looked.
	ErrDenied = errors.New("AWS refuses every external ID that is known here")
	// ErrUnread says that AWS let nobody read the secret, in the session or by account: the customer revoked the access, or restored
	// it minutes ago, or lets it be read the other way only; or a policy of the provider's own is too narrow.
	ErrUnread = errors.New("AWS lets nobody read the secret")
	// ErrOpen says that the role opens without an external ID, or with any: the customer's misconfiguration.
	ErrOpen = errors.New("the role opens without the external ID")
	// ErrUnknown says that a Store has nothing of a customer.
	ErrUnknown = errors.New("no such customer")
	// ErrChanged says that a Store has a newer state than the one that was to be replaced.
	ErrChanged = errors.New("the state has changed meanwhile")
)
