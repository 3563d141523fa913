// Package events holds what Countersign says on its EventBridge bus: one Go type, one JSON Schema (schemas/) and one
// example (examples/) for each event.
//
// An event is a doorbell: it tells that something changed and where to look, never an external ID. Events come at least
// once and in any order; drop repeats by Metadata.ID.
package events

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Source is the source of every event.
const Source = "countersign"

// Version is the version of the events' form. A change that could break a reader raises it.
const Version = "1"

// Type is an event's detail type.
type Type string

// The events, with who emits them.
const (
	TypeAccessGranted       Type = "Access Granted"               // reconcile
	TypeAccessExpired       Type = "Access Expired"               // reconcile
	TypeAccessRevoked       Type = "Access Revoked"               // revoke; reconcile for a Deny that nobody announced
	TypeAccessRestored      Type = "Access Restored"              // reconcile
	TypeExternalIDRotated   Type = "External ID Rotated"          // rotate
	TypeExternalIDConfirmed Type = "External ID Confirmed"        // reconcile
	TypeRotationUnconfirmed Type = "Rotation Unconfirmed"         // reconcile
	TypeRotationFailed      Type = "Rotation Failed"              // rotate
	TypePreviousRetired     Type = "Previous External ID Retired" // reconcile
	TypeTrustDriftDetected  Type = "Trust Drift Detected"         // reconcile
	TypeGrantReported       Type = "Grant Reported"               // reconcile, once a day
	TypeOperationRequested  Type = "Operation Requested"          // operate, revoke
	TypeTestRequested       Type = "Test Requested"               // operate
	TypeDeliverySucceeded   Type = "Delivery Succeeded"           // notify
	TypeDeliveryFailed      Type = "Delivery Failed"              // notify
	TypeDestinationDisabled Type = "Destination Disabled"         // notify
	TypeMailUndelivered     Type = "Mail Undelivered"             // notify
)

// Metadata says which event this is.
type Metadata struct {
	ID           string    `json:"id"`      // the same for every repeat of one change
	Version      string    `json:"version"` // of the form, see Version
	Time         time.Time `json:"time"`    // when it was announced, UTC to the second
	Grant        string    `json:"grant"`
	StackVersion string    `json:"stackVersion"`
}

// Data is the body of one kind of event.
type Data interface{ Type() Type }

// Event is one event: its detail type is Data.Type(), its detail {metadata, data}.
type Event struct {
	Metadata Metadata `json:"metadata"`
	Data     Data     `json:"data"`
}

// New makes an event about a change of a grant. The id is a hash of grant, type and change, so that announcing the same
// change again gives the same id.
func New(grant, change, stackVersion string, now time.Time, data Data) Event {
	sum := sha256.Sum256([]byte(strings.Join([]string{grant, string(data.Type()), change}, "\x00")))
	return Event{
		Metadata: Metadata{
			ID: hex.EncodeToString(sum[:16]), Version: Version, Time: now.UTC().Truncate(time.Second),
			Grant: grant, StackVersion: stackVersion,
		},
		Data: data,
	}
}

// Parse reads an event from its detail type and its detail.
func Parse(t Type, detail []byte) (Event, error) {
	data, ok := newData[t]
	if !ok {
		return Event{}, fmt.Errorf("unknown event %.60q", t)
	}
	e := Event{Data: data()}
	var raw struct {
		Metadata Metadata        `json:"metadata"`
		Data     json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(detail, &raw); err != nil {
		return Event{}, fmt.Errorf("reading event %q: %w", t, err)
	}
	if err := json.Unmarshal(raw.Data, e.Data); err != nil {
		return Event{}, fmt.Errorf("reading event %q: %w", t, err)
	}
	e.Metadata = raw.Metadata
	return e, nil
}
