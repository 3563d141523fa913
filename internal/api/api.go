// Package api is what the functions behind API Gateway say to the CLI, as JSON. It holds no external ID.
package api

import "time"

// State says whether a grant lets its provider in.
type State string

// The states of a grant.
const (
	Born    State = "born"    // deployed; the first external ID isn't in yet
	Open    State = "open"    // the provider may enter
	Closed  State = "closed"  // revoked
	Expired State = "expired" // its end has passed
)

// Status is one grant, as IAM and Secrets Manager told it at CheckedAt.
type Status struct {
	Grant           string `json:"grant"`
	State           State  `json:"state"`
	Provider        string `json:"provider"`
	ProviderAccount string `json:"providerAccount"`
	Account         string `json:"account"`
	Region          string `json:"region"`
	RoleARN         string `json:"roleArn"`
	SecretARN       string `json:"secretArn,omitempty"` // empty: the grant has no external ID

	VersionID   string    `json:"versionId,omitempty"` // of the current external ID
	Accepted    []ID      `json:"accepted,omitempty"`  // what the trust policy accepts, fingerprints only
	RotateEvery string    `json:"rotateEvery,omitempty"`
	LastRotated time.Time `json:"lastRotated,omitzero"`
	// NextRotation is the end of the next window, as Secrets Manager gives it.
	NextRotation time.Time `json:"nextRotation,omitzero"`
	// PausedUntil is until when the schedule starts no rotation; zero: it does.
	PausedUntil time.Time `json:"pausedUntil,omitzero"`
	// Confirmation is absent for a grant without an external ID.
	Confirmation *Confirmation `json:"confirmation,omitempty"`

	LastUsed  time.Time `json:"lastUsed,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`
	CheckedAt time.Time `json:"checkedAt"`

	RevokeID string `json:"revokeId,omitempty"`
	// RestoreTo is the version that a closed grant will be open to, once somebody has asked for a restore.
	RestoreTo string `json:"restoreTo,omitempty"`
	// DeadBefore is since when a restored grant can be entered: sessions issued before are refused.
	DeadBefore time.Time `json:"deadBefore,omitzero"`
	Missing    []string  `json:"missing,omitempty"` // marks of a closed grant that don't stand yet: deny, trust, tag
	// Undone says that the tags call the revocation undone that the Deny stands for. Right behind a restore IAM may just show that
	// late; else nothing mends it by itself.
	Undone bool     `json:"undone,omitempty"`
	Drift  []string `json:"drift,omitempty"`
	Fault  string   `json:"fault,omitempty"` // why the rest could not be read
}

// ID is one accepted external ID.
type ID struct {
	Fingerprint string    `json:"fingerprint"`
	Until       time.Time `json:"until,omitzero"`        // zero: no end
	Unconfirmed bool      `json:"unconfirmed,omitempty"` // the previous one, accepted until somebody confirms the current one
}

// Confirmation is what was confirmed last, and what happens if nothing more is.
type Confirmation struct {
	VersionID string    `json:"versionId,omitempty"` // empty: nothing was ever confirmed
	By        string    `json:"by,omitempty"`        // provider or operator
	RetireAt  time.Time `json:"retireAt,omitzero"`   // when the external ID before that version ends

	WhenUnconfirmed string `json:"whenUnconfirmed,omitempty"` // as in access.yaml
	// Why says in an overlap that nobody has confirmed yet why the previous external ID stays behind it (Extended), or ends.
	Extended bool   `json:"extended,omitempty"`
	Why      string `json:"why,omitempty"`
}

// List is the answer to GET /grants.
type List struct {
	Grants []Status `json:"grants"`
}

// RevokeRequest is the body of POST /grants/{grant}/revoke.
type RevokeRequest struct {
	Reason string `json:"reason"`
	// DenyOnly writes the Deny and nothing else. It is for many grants: live sessions of all of them end first, and the same
	// request without it does the rest.
	DenyOnly bool `json:"denyOnly,omitempty"`
}

// RevokeAnswer says what was accepted. Failed lists the acts that did not work; reconcile makes up for them.
type RevokeAnswer struct {
	Grant    string   `json:"grant"`
	RevokeID string   `json:"revokeId"`
	Done     []string `json:"done"` // of deny, trust, tag, event, check
	Failed   []string `json:"failed,omitempty"`
}

// RestoreRequest is the body of POST /grants/{grant}/restore.
type RestoreRequest struct {
	Reason   string `json:"reason"`
	RevokeID string `json:"revokeId"` // of the revocation to undo: Status.RevokeID
}

// RestoreAnswer says that a grant will be open once the version with a new external ID is in.
type RestoreAnswer struct {
	Grant     string `json:"grant"`
	RevokeID  string `json:"revokeId"`
	VersionID string `json:"versionId"`
}

// RotateRequest is the body of POST /grants/{grant}/rotate.
type RotateRequest struct {
	Reason string `json:"reason"`
	Leaked bool   `json:"leaked"` // the previous ID ends at once
	// Run makes the request one of many that belong together, 12 hex digits: a grant that this run has rotated, or is rotating,
	// isn't rotated again.
	Run string `json:"run,omitempty"`
}

// RotateAnswer says under which version id the rotation was started.
type RotateAnswer struct {
	Grant     string `json:"grant"`
	VersionID string `json:"versionId"`
	Done      bool   `json:"done,omitempty"` // the run has rotated the grant before
}

// PauseRequest is the body of POST /grants/{grant}/pause.
type PauseRequest struct {
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero"` // at most 90 days from now; zero: 14 days
}

// ResumeRequest is the body of POST /grants/{grant}/resume.
type ResumeRequest struct {
	Reason string `json:"reason"`
}

// PauseAnswer says until when the schedule starts no rotation.
type PauseAnswer struct {
	Grant string    `json:"grant"`
	Until time.Time `json:"until,omitzero"` // zero: it isn't paused
}

// TestRequest is the body of POST /grants/{grant}/test.
type TestRequest struct {
	Reason string `json:"reason"`
}

// TestAnswer says under which event the test messages go out, and to which destinations, as "webhook 1".
type TestAnswer struct {
	Grant        string   `json:"grant"`
	EventID      string   `json:"eventId"`
	Destinations []string `json:"destinations"`
}

// ConfirmRequest is the body of POST /grants/{grant}/confirm: the current external ID is in use. The provider sends it from a
// session of the granted role named "confirm-" and the version id, an operator from wherever.
type ConfirmRequest struct {
	VersionID string `json:"versionId"` // of the secret's current version
	// RetireIn is how long the external ID before it may stay, as "15m"; empty: 15 minutes. Never longer than its overlap.
	RetireIn string `json:"retireIn,omitempty"`
	Reason   string `json:"reason,omitempty"` // an operator's
}

// ConfirmAnswer says when the external ID before the confirmed version ends.
type ConfirmAnswer struct {
	Grant     string    `json:"grant"`
	VersionID string    `json:"versionId"`
	RetireAt  time.Time `json:"retireAt"`
}

// Problem is the body of every answer that isn't 2xx.
type Problem struct {
	Error string    `json:"error"`
	Next  string    `json:"next,omitempty"` // what to try
	Code  Code      `json:"code,omitempty"` // for programs: why a confirmation changes nothing
	Until time.Time `json:"until,omitzero"` // 409: when the overlap ends; 429: when to ask again
}

// Code says why a confirmation changes nothing.
type Code string

// The codes, of answers with status 409.
const (
	Confirmed  Code = "confirmed"   // this version is confirmed already: nothing has to be done
	NotCurrent Code = "not-current" // the secret's current version is another one: read it again
)
