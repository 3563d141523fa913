package deliver

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// Two kinds of messages lie on notify's queue, and with the dead letters: events, as a rule of the bus puts them there, and
// deliveries, which notify makes of them. (Two more, of which nothing is told by themselves, only notify knows.) All are foreign
// input: a forged one can make notify look and tell again what plan and Secrets Manager say, or that a mail didn't arrive, and
// nothing else.

// Queued is what one destination is to be told, and how far that has come.
type Queued struct {
	Said
	Destination string    `json:"destination"` // see IDOf
	Attempt     int       `json:"attempt"`     // the one to come, counted from 1; of a dead letter the last one
	FirstTried  time.Time `json:"firstTried"`  // when the event reached the queue
	NotBefore   time.Time `json:"notBefore,omitzero"`
	SentAgain   time.Time `json:"sentAgain,omitzero"` // when a person took it from the dead letters: attempts count from there
	Reason      string    `json:"reason,omitempty"`   // of a dead letter: why the last attempt failed, in words that name no address
}

// Said is all that is taken from an event.
type Said struct {
	ID       string      `json:"eventId"`
	Kind     events.Type `json:"event"`
	Grant    grant.Name  `json:"grant"`
	Version  string      `json:"versionId,omitempty"`
	RevokeID string      `json:"revokeId,omitempty"` // Access Revoked and Access Restored
	Disabled string      `json:"disabled,omitempty"` // Destination Disabled: "webhook 1"

	Undelivered *Undelivered `json:"undelivered,omitempty"` // Mail Undelivered
}

// Received is a message as SQS hands it out. It is hidden from others for a while, and comes again if nobody ends it.
type Received struct {
	ID, Receipt string
	Body        string
	Sent        time.Time
	Attributes  map[string]string // SQS's own, and those that the sender gave it
}

// envelope is a message of either kind: with what EventBridge says of an event, or with a delivery.
type envelope struct {
	Deliver    *Queued     `json:"deliver,omitempty"`
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
		Kind        string `json:"kind"`
		Permanent   bool   `json:"permanent"`
		Cause       string `json:"cause"`
	} `json:"data"`
}

const (
	maxQueued   = 256 << 10 // bytes: the largest event that EventBridge carries
	maxReason   = 300       // bytes: more than any reason has
	mostAttempt = 100       // more than any schedule has
)

var (
	eventID       = regexp.MustCompile(`^[0-9a-f]{32}$`)
	versionID     = regexp.MustCompile(`^[A-Za-z0-9-]{32,64}$`)
	destinationID = regexp.MustCompile(`^(mail|webhook|sns)-[0-9a-f]{16}$`)
	webhookName   = regexp.MustCompile(`^webhook [1-9][0-9]?$`)
)

// IsVersionID says whether a string has the form of a version's id.
func IsVersionID(s string) bool { return versionID.MatchString(s) }

// ReadQueued takes from a message what may be taken: what an event said, or a delivery as well. An error says that it is
// neither, or not in our form: it will not read better next time. Whose grant it names is not checked.
func ReadQueued(body string) (Said, *Queued, error) {
	if len(body) > maxQueued {
		return Said{}, nil, errors.New("larger than an event can be")
	}
	var in envelope
	err := json.Unmarshal([]byte(body), &in)
	switch {
	case err != nil:
		return Said{}, nil, errors.New("neither an event of EventBridge nor a delivery")
	case in.Deliver != nil:
		return in.Deliver.Said, in.Deliver, in.Deliver.check()
	case in.Source != events.Source:
		return Said{}, nil, fmt.Errorf("source %.60q is another's", in.Source)
	case !slices.Contains(events.Types(), in.DetailType):
		return Said{}, nil, fmt.Errorf("unknown event %.60q", string(in.DetailType))
	case in.Detail == nil:
		return Said{}, nil, fmt.Errorf("%q has no detail", in.DetailType)
	}
	metadata, data := in.Detail.Metadata, in.Detail.Data
	s := Said{ID: metadata.ID, Kind: in.DetailType, Grant: metadata.Grant, Version: data.VersionID}
	switch s.Kind {
	case events.TypeAccessRevoked:
		s.Version, s.RevokeID = "", data.RevokeID
	case events.TypeAccessRestored:
		s.RevokeID = data.RevokeID
	case events.TypeDestinationDisabled:
		s.Disabled = data.Destination
	case events.TypeMailUndelivered:
		s.Undelivered = &Undelivered{data.Destination, data.Kind, data.Permanent, data.Cause}
	}
	return s, nil, s.check()
}

// check holds what was said to its form.
func (s Said) check() error {
	revocation := s.Kind == events.TypeAccessRevoked || s.Kind == events.TypeAccessRestored
	switch _, err := grant.ParseName(string(s.Grant)); {
	case err != nil:
		return err
	case !eventID.MatchString(s.ID):
		return fmt.Errorf("event id %.60q is not in our form", s.ID)
	case s.Version != "" && !versionID.MatchString(s.Version), s.Version == "" && (s.Kind == events.TypeExternalIDRotated ||
		s.Kind == events.TypeExternalIDConfirmed || s.Kind == events.TypeRotationUnconfirmed):
		return fmt.Errorf("version id %.80q is not in our form", s.Version)
	case revocation != (s.RevokeID != "") || revocation && !grant.IsRevokeID(s.RevokeID):
		return fmt.Errorf("revoke id %.60q is not in our form", s.RevokeID)
	case (s.Kind == events.TypeDestinationDisabled) != (s.Disabled != "") || s.Disabled != "" && !webhookName.MatchString(s.Disabled):
		return fmt.Errorf("destination %.60q is not in our form", s.Disabled)
	case (s.Kind == events.TypeMailUndelivered) != (s.Undelivered != nil) || s.Undelivered != nil && !s.Undelivered.inForm():
		return errors.New("what became of a mail is not in our form")
	}
	return nil
}

func (q Queued) check() error {
	switch {
	case !slices.Contains(events.Types(), q.Kind) && q.Kind != events.WeeklyDigest:
		return fmt.Errorf("delivery of an unknown event %.60q", string(q.Kind))
	case !destinationID.MatchString(q.Destination):
		return fmt.Errorf("delivery to %.60q, which is not in our form", q.Destination)
	case q.Attempt < 1 || q.Attempt > mostAttempt:
		return fmt.Errorf("delivery with attempt %d", q.Attempt)
	case len(q.Reason) > maxReason:
		return errors.New("delivery with a reason that is none of ours")
	}
	return q.Said.check()
}

// Encode is the delivery as it lies on the queue.
func (q Queued) Encode() ([]byte, error) { return json.Marshal(envelope{Deliver: &q}) }

// Again is the delivery as it is sent again from the dead letters: the same event to the same destination, and the attempts
// from the first one on.
func (q Queued) Again(now time.Time) Queued {
	q.Attempt, q.NotBefore, q.SentAgain, q.Reason = 1, time.Time{}, now.UTC().Truncate(time.Second), ""
	return q
}
