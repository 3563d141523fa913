package events

import "time"

// Where names the objects of a grant: where to enter, and where the external ID is read. SecretARN and KeyARN are empty
// for a grant without an external ID.
type Where struct {
	Provider        string `json:"provider"`
	ProviderAccount string `json:"providerAccount"`
	Account         string `json:"account"` // the customer's
	RoleARN         string `json:"roleArn"`
	SecretARN       string `json:"secretArn,omitempty"`
	KeyARN          string `json:"keyArn,omitempty"`
}

// AccessGranted says that a grant opened for the first time.
type AccessGranted struct {
	Where
	VersionID string    `json:"versionId,omitempty"` // of the first external ID
	Expires   time.Time `json:"expires,omitzero"`
}

// AccessExpired says that the grant's end has passed. IAM enforced it by itself.
type AccessExpired struct {
	Where
	Expires time.Time `json:"expires"`
}

// AccessRevoked says that access was taken away, live sessions included.
type AccessRevoked struct {
	Where
	RevokeID string `json:"revokeId"`
	Reason   string `json:"reason"`
	By       string `json:"by"` // ARN of the operator; "unknown" where reconcile found the Deny
}

// AccessRestored says that a revoked grant is open again, with a new external ID. Sessions from before ValidFrom stay dead.
type AccessRestored struct {
	Where
	RevokeID  string    `json:"revokeId"` // of the revocation that was undone
	VersionID string    `json:"versionId,omitempty"`
	ValidFrom time.Time `json:"validFrom"`
}

// ExternalIDRotated says that a new external ID is current.
type ExternalIDRotated struct {
	Where
	VersionID     string    `json:"versionId"`
	Cause         string    `json:"cause"`                  // scheduled, requested, leaked or restored
	PreviousUntil time.Time `json:"previousUntil,omitzero"` // absent: the previous one ended at once
	ConfirmURL    string    `json:"confirmUrl,omitempty"`   // where the provider confirms that it uses the new one
	Extended      bool      `json:"extended,omitempty"`     // behind PreviousUntil it is accepted until somebody confirms the new one
}

// ExternalIDConfirmed says that somebody confirmed that the current external ID is in use.
type ExternalIDConfirmed struct {
	Where
	VersionID     string    `json:"versionId"`
	PreviousUntil time.Time `json:"previousUntil,omitzero"` // absent: the previous one is not accepted any more
	By            string    `json:"by"`                     // provider or operator
}

// RotationUnconfirmed says that nobody has confirmed the current external ID yet, and the overlap is going by.
type RotationUnconfirmed struct {
	Where
	VersionID     string    `json:"versionId"`
	Reminder      string    `json:"reminder"` // half, nine-tenths or over
	PreviousUntil time.Time `json:"previousUntil"`
	Extended      bool      `json:"extended"` // behind PreviousUntil the previous one is accepted until somebody confirms; else it ends then
}

// RotationFailed says that a rotation was refused, and what a person can do.
type RotationFailed struct {
	Where
	VersionID string `json:"versionId"`
	Step      string `json:"step"`
	Reason    string `json:"reason"`
	Next      string `json:"next"`
}

// PreviousRetired says that the external ID before the current one is not accepted any more.
type PreviousRetired struct {
	Where
	VersionID string `json:"versionId"` // of the retired one
}

// TrustDriftDetected says that a trust policy was not what the plan asks for.
type TrustDriftDetected struct {
	Where
	Findings []string `json:"findings,omitempty"`
	Mended   bool     `json:"mended"`
}

// GrantReported is a grant's daily sign of life: how it stands. Nothing has changed.
type GrantReported struct {
	Where
	State      string    `json:"state"`               // open or closed, as reconcile found it, or left it
	VersionID  string    `json:"versionId,omitempty"` // of the current external ID
	Expires    time.Time `json:"expires,omitzero"`
	ConfirmURL string    `json:"confirmUrl,omitempty"` // where the provider confirms that it uses a new ID
}

// OperationRequested says that an operator asked for something, and that it was accepted. What came of it is said by others.
type OperationRequested struct {
	Where
	Operation string    `json:"operation"`           // rotate, rotate-leaked, restore, confirm, pause or resume
	VersionID string    `json:"versionId,omitempty"` // under which the rotation was started
	RevokeID  string    `json:"revokeId,omitempty"`  // of the revocation that a restore undoes
	Until     time.Time `json:"until,omitzero"`      // end of a pause
	Reason    string    `json:"reason"`
	By        string    `json:"by"` // ARN of the operator
}

// TestRequested says that an operator wants to see whether messages arrive. Nothing has changed.
type TestRequested struct {
	Where
	Reason string `json:"reason"`
	By     string `json:"by"` // ARN of the operator
}

// Delivery says how telling one destination went.
type Delivery struct {
	EventID     string `json:"eventId"`
	Event       Type   `json:"event"`
	Channel     string `json:"channel"`     // mail, webhook or sns
	Destination string `json:"destination"` // its place in the plan, as "webhook 1": addresses stay out of events
	Attempt     int    `json:"attempt"`     // counted from 1; where it was sent again, from 1 anew
	Reason      string `json:"reason,omitempty"`

	SentAgain time.Time `json:"sentAgain,omitzero"` // when a person took it from the dead letters; absent: nobody did
}

// DeliverySucceeded says that a destination took the message.
type DeliverySucceeded struct{ Delivery }

// DeliveryFailed says that an attempt to tell a destination failed.
type DeliveryFailed struct {
	Delivery
	Next time.Time `json:"next,omitzero"` // the next attempt; absent: none follows
}

// DestinationDisabled says that a destination wants no message any more. It is told of nothing until its address changes or
// the mark is taken off.
type DestinationDisabled struct {
	EventID     string `json:"eventId"` // of the event that it refused
	Event       Type   `json:"event"`
	Channel     string `json:"channel"`     // webhook
	Destination string `json:"destination"` // its place in the plan
	SecretARN   string `json:"secretArn"`   // of the secret that signs for it and carries the mark
	Tag         string `json:"tag"`         // the mark: the key of a tag
	Reason      string `json:"reason"`
}

// What may have become of a mail that SES took.
const (
	MailBounced    = "bounce"            // the recipient's server did not take it
	MailComplaint  = "complaint"         // it arrived, and its reader called it spam
	MailRejected   = "reject"            // SES found a virus in it
	MailUnrendered = "rendering-failure" // SES could not fill its template; our mails have none
)

// MailUndelivered says that a mail which SES took did not arrive, or was not wanted. Nothing follows from it by itself.
type MailUndelivered struct {
	EventID     string `json:"eventId"`         // of the event that the mail told of
	Destination string `json:"destination"`     // its place in the plan, as "mail 1": addresses stay out of events
	Kind        string `json:"kind"`            // see MailBounced
	Permanent   bool   `json:"permanent"`       // a bounce that SES calls permanent: the next mail will fare the same
	Cause       string `json:"cause,omitempty"` // of a bounce, SES's own word for it, as "MailboxFull"
}

// Type is the event's detail type.
func (AccessGranted) Type() Type       { return TypeAccessGranted }
func (AccessExpired) Type() Type       { return TypeAccessExpired }
func (AccessRevoked) Type() Type       { return TypeAccessRevoked }
func (AccessRestored) Type() Type      { return TypeAccessRestored }
func (ExternalIDRotated) Type() Type   { return TypeExternalIDRotated }
func (ExternalIDConfirmed) Type() Type { return TypeExternalIDConfirmed }
func (RotationUnconfirmed) Type() Type { return TypeRotationUnconfirmed }
func (RotationFailed) Type() Type      { return TypeRotationFailed }
func (PreviousRetired) Type() Type     { return TypePreviousRetired }
func (TrustDriftDetected) Type() Type  { return TypeTrustDriftDetected }
func (GrantReported) Type() Type       { return TypeGrantReported }
func (OperationRequested) Type() Type  { return TypeOperationRequested }
func (TestRequested) Type() Type       { return TypeTestRequested }
func (DeliverySucceeded) Type() Type   { return TypeDeliverySucceeded }
func (DeliveryFailed) Type() Type      { return TypeDeliveryFailed }
func (DestinationDisabled) Type() Type { return TypeDestinationDisabled }
func (MailUndelivered) Type() Type     { return TypeMailUndelivered }

// newData makes the empty body that Parse fills.
var newData = map[Type]func() Data{
	TypeAccessGranted:       func() Data { return new(AccessGranted) },
	TypeAccessExpired:       func() Data { return new(AccessExpired) },
	TypeAccessRevoked:       func() Data { return new(AccessRevoked) },
	TypeAccessRestored:      func() Data { return new(AccessRestored) },
	TypeExternalIDRotated:   func() Data { return new(ExternalIDRotated) },
	TypeExternalIDConfirmed: func() Data { return new(ExternalIDConfirmed) },
	TypeRotationUnconfirmed: func() Data { return new(RotationUnconfirmed) },
	TypeRotationFailed:      func() Data { return new(RotationFailed) },
	TypePreviousRetired:     func() Data { return new(PreviousRetired) },
	TypeTrustDriftDetected:  func() Data { return new(TrustDriftDetected) },
	TypeGrantReported:       func() Data { return new(GrantReported) },
	TypeOperationRequested:  func() Data { return new(OperationRequested) },
	TypeTestRequested:       func() Data { return new(TestRequested) },
	TypeDeliverySucceeded:   func() Data { return new(DeliverySucceeded) },
	TypeDeliveryFailed:      func() Data { return new(DeliveryFailed) },
	TypeDestinationDisabled: func() Data { return new(DestinationDisabled) },
	TypeMailUndelivered:     func() Data { return new(MailUndelivered) },
}
