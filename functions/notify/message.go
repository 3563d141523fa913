package notify

import (
	"encoding/json"
	"regexp"
	"slices"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// Two kinds of messages lie on the queue: events, as the bus's rule puts them there, and deliveries, which notify makes of
// them. Both are foreign input: a forged one can make notify look and tell again what plan and Secrets Manager say, and
// nothing else.

// delivery is what one destination is to be told, and how far that has come.
type delivery struct {
	said
	Destination string    `json:"destination"` // see destination.id
	Attempt     int       `json:"attempt"`     // the one to come, counted from 1
	FirstTried  time.Time `json:"firstTried"`  // when the event reached the queue
	NotBefore   time.Time `json:"notBefore,omitzero"`
}

// said is all that is taken from an event.
type said struct {
	ID       string      `json:"eventId"`
	Kind     events.Type `json:"event"`
	Grant    grant.Name  `json:"grant"`
	Version  string      `json:"versionId,omitempty"`
	RevokeID string      `json:"revokeId,omitempty"` // Access Revoked and Access Restored
	Disabled string      `json:"disabled,omitempty"` // Destination Disabled: "webhook 1"
}

// envelope is a message of either kind: with what EventBridge says of an event, or with a delivery.
type envelope struct {
	Deliver    *delivery   `json:"deliver,omitempty"`
	Source     string      `json:"source,omitempty"`
	DetailType events.Type `json:"detail-type,omitempty"`
	Detail     *detail     `json:"detail,omitempty"`
}

// detail is what is read of an event's.
type detail struct {
	Metadata struct {
		ID    string     `json:"id"`
		Grant grant.Name `json:"grant"`
	} `json:"metadata"`
	Data struct {
		VersionID   string `json:"versionId"`
		RevokeID    string `json:"revokeId"`
		Destination string `json:"destination"`
	} `json:"data"`
}

const (
	maxBody     = 256 << 10            // bytes: the largest event that EventBridge carries
	mostAttempt = 100                  // more than any schedule has
	furthest    = 366 * 24 * time.Hour // that an attempt may lie ahead: more than any overlap
)

var (
	eventID       = regexp.MustCompile(`^[0-9a-f]{32}$`)
	versionID     = regexp.MustCompile(`^[A-Za-z0-9-]{32,64}$`)
	destinationID = regexp.MustCompile(`^(mail|webhook|sns)-[0-9a-f]{16}$`)
	webhookName   = regexp.MustCompile(`^webhook [1-9][0-9]?$`)
)

// read takes from a message what may be taken: an event, or a delivery. What it can't read is dropped: it will not read
// better next time.
func (b *batch) read(body string) (said, *delivery, error) {
	if len(body) > maxBody {
		return said{}, nil, drop("larger than an event can be")
	}
	var in envelope
	err := json.Unmarshal([]byte(body), &in)
	switch {
	case err != nil:
		return said{}, nil, drop("neither an event of EventBridge nor a delivery")
	case in.Deliver != nil:
		return in.Deliver.said, in.Deliver, b.checkDelivery(*in.Deliver)
	case in.Source != events.Source:
		return said{}, nil, drop("source %.60q is another's", in.Source)
	case !slices.Contains(events.Types(), in.DetailType):
		return said{}, nil, drop("unknown event %.60q", string(in.DetailType))
	case in.Detail == nil:
		return said{}, nil, drop("%q has no detail", in.DetailType)
	}
	metadata, data := in.Detail.Metadata, in.Detail.Data
	s := said{ID: metadata.ID, Kind: in.DetailType, Grant: metadata.Grant, Version: data.VersionID}
	switch s.Kind {
	case events.TypeAccessRevoked:
		s.Version, s.RevokeID = "", data.RevokeID
	case events.TypeAccessRestored:
		s.RevokeID = data.RevokeID
	case events.TypeDestinationDisabled:
		s.Disabled = data.Destination
	}
	return s, nil, b.checkSaid(s)
}

// checkSaid holds what was said to its form.
func (b *batch) checkSaid(s said) error {
	revocation := s.Kind == events.TypeAccessRevoked || s.Kind == events.TypeAccessRestored
	switch _, err := grant.ParseName(string(s.Grant)); {
	case err != nil || !b.Grants[s.Grant]:
		return drop("grant %.60q is none of this stack", string(s.Grant))
	case !eventID.MatchString(s.ID):
		return drop("event id %.60q is not in our form", s.ID)
	case s.Version != "" && !versionID.MatchString(s.Version), s.Version == "" && (s.Kind == events.TypeExternalIDRotated ||
		s.Kind == events.TypeExternalIDConfirmed || s.Kind == events.TypeRotationUnconfirmed):
		return drop("version id %.80q is not in our form", s.Version)
	case revocation != (s.RevokeID != "") || revocation && !grant.IsRevokeID(s.RevokeID):
		return drop("revoke id %.60q is not in our form", s.RevokeID)
	case (s.Kind == events.TypeDestinationDisabled) != (s.Disabled != "") || s.Disabled != "" && !webhookName.MatchString(s.Disabled):
		return drop("destination %.60q is not in our form", s.Disabled)
	}
	return nil
}

func (b *batch) checkDelivery(d delivery) error {
	switch {
	case !slices.Contains(events.Types(), d.Kind):
		return drop("delivery of an unknown event %.60q", string(d.Kind))
	case !destinationID.MatchString(d.Destination):
		return drop("delivery to %.60q, which is not in our form", d.Destination)
	case d.Attempt < 1 || d.Attempt > mostAttempt:
		return drop("delivery with attempt %d", d.Attempt)
	case d.NotBefore.Sub(b.Now()) > furthest:
		return drop("delivery that waits until %s", d.NotBefore.UTC().Format(time.DateOnly))
	}
	return b.checkSaid(d.said)
}

// encode is the delivery as it lies on the queue.
func (d delivery) encode() ([]byte, error) { return json.Marshal(envelope{Deliver: &d}) }
