package customers

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// Types are the events that a registry hears: all that a customer's stack hands on to a provider's bus.
func Types() []events.Type {
	return slices.DeleteFunc(events.Types(), func(t events.Type) bool { return !t.Forwarded() })
}

// Said is what an account said in one event. Its form is checked, and that all of it lies in the account that EventBridge
// vouches for; nothing else of it is certain.
type Said struct {
	ID      string // the same for every repeat
	Type    events.Type
	Time    time.Time // when it was announced, by the account's own clock
	Binding Binding   // without a prefix: events carry none

	VersionID, StackVersion     string
	RevokeID, RevokedBy, Reason string
	Expires                     time.Time
}

// The longest foreign texts that a row keeps, in bytes; EventBridge would bring 256 KB.
const (
	mostEvent  = 256 << 10
	mostReason = 500
	mostWord   = 200
)

// Read takes from an event, as EventBridge delivers it to a queue, what may be taken. An error says why it is none of ours.
func Read(body []byte) (Said, error) {
	if len(body) > mostEvent {
		return Said{}, fmt.Errorf("an event of %d bytes", len(body))
	}
	var envelope events.Envelope
	if err := json.Unmarshal(body, &envelope); err != nil {
		return Said{}, fmt.Errorf("no event: %w", err)
	}
	if envelope.Source != events.Source {
		return Said{}, fmt.Errorf("an event of source %.60q", envelope.Source)
	}
	if err := grant.CheckAccount(envelope.Account); err != nil {
		return Said{}, err
	}
	var detail struct {
		Metadata events.Metadata
		Data     struct {
			Account, RoleARN, SecretARN, ConfirmURL, VersionID string
			RevokeID, Reason, By                               string
			Expires                                            time.Time
		}
	}
	if err := json.Unmarshal(envelope.Detail, &detail); err != nil {
		return Said{}, fmt.Errorf("an event %.60q that can't be read: %w", envelope.DetailType, err)
	}
	m, d := detail.Metadata, detail.Data
	s := Said{
		ID: cut(m.ID, mostWord), Type: envelope.DetailType, Time: m.Time.UTC().Truncate(time.Second), VersionID: d.VersionID, StackVersion: cut(m.StackVersion, mostWord),
		Binding: Binding{Account: envelope.Account, Grant: m.Grant, RoleARN: d.RoleARN, SecretARN: d.SecretARN, ConfirmURL: d.ConfirmURL},
		Expires: d.Expires.UTC().Truncate(time.Second),
	}
	if s.Type == events.TypeAccessRevoked {
		s.RevokeID, s.RevokedBy, s.Reason = cut(d.RevokeID, mostWord), cut(d.By, mostWord), cut(d.Reason, mostReason)
	}
	return s, s.check(d.Account)
}

func (s Said) check(account string) error {
	if account != s.Binding.Account {
		return fmt.Errorf("account %s speaks of account %.20q: %w", s.Binding.Account, account, ErrForeign)
	}
	if s.Time.IsZero() {
		return fmt.Errorf("an event without a time")
	}
	if s.VersionID != "" && !grant.IsProvable(s.VersionID) {
		return fmt.Errorf("version %.80q is in no form of a grant's", s.VersionID)
	}
	if err := s.Binding.Check(); err != nil {
		return err
	}
	if s.Binding.ConfirmURL != "" {
		return s.Binding.CheckConfirm(s.Binding.ConfirmURL, s.Binding.SecretARN, "")
	}
	return nil
}

// cut shortens a foreign text to at most n bytes, between two characters.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
