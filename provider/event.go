package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// Event is what a message says of a customer's grant: one of EventBridge's or a webhook's body. Nothing of it is believed.
type Event struct {
	Type       string
	Grant      string
	Account    string
	RoleARN    string
	SecretARN  string
	VersionID  string
	ConfirmURL string
}

// maxEvent is the longest event that is read, in bytes; EventBridge takes 256 KB.
const maxEvent = 256 << 10

// ParseEvent reads an event as EventBridge or a webhook delivers it. Find your customer by its RoleARN, then Ring.
func ParseEvent(body []byte) (Event, error) {
	type data struct {
		Grant, Account, RoleARN, SecretARN, VersionID, ConfirmURL string
	}
	var e struct {
		Source     string
		DetailType string `json:"detail-type"`
		Detail     struct {
			Metadata struct{ Grant string }
			Data     data
		}
		Type string // of a webhook
		Data data
	}
	if len(body) > maxEvent {
		return Event{}, fmt.Errorf("an event of %d bytes", len(body))
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return Event{}, fmt.Errorf("this is no event: %w", err)
	}
	d, typ := e.Data, e.Type
	if e.DetailType != "" {
		if e.Source != events.Source {
			return Event{}, fmt.Errorf("an event of %.60q", e.Source)
		}
		d, typ = e.Detail.Data, e.DetailType
		d.Grant = e.Detail.Metadata.Grant
	}
	if typ == "" || d.RoleARN == "" {
		return Event{}, fmt.Errorf("an event without type or role")
	}
	return Event{typ, d.Grant, d.Account, d.RoleARN, d.SecretARN, d.VersionID, d.ConfirmURL}, nil
}

// Check refuses an event that is about something else than the customer.
func (c Customer) Check(e Event) error {
	switch {
	case e.RoleARN != c.RoleARN:
		return c.refuse("the event is about role %.150q", e.RoleARN)
	case e.Account != c.Account:
		return c.refuse("the event is about account %.20q", e.Account)
	case e.Grant != c.Grant:
		return c.refuse("the event is about grant %.60q", e.Grant)
	case e.VersionID != "" && !grant.IsProvable(e.VersionID):
		return c.refuse("version %.80q is in no form of Secrets Manager's", e.VersionID)
	}
	if e.SecretARN != "" {
		return c.checkSecret(e.SecretARN)
	}
	return nil
}

// Ring has the next Enter or renewal look at the customer's secret, as a notification asks for. It calls nobody. An event need not
// be genuine: a forged one makes a Client look once more.
func (c *Client) Ring(ctx context.Context, customer Customer, e Event) error {
	if err := customer.Validate(); err != nil {
		return err
	}
	if err := customer.Check(e); err != nil {
		return err
	}
	s, err := c.store.Load(ctx, customer.Name)
	if err != nil {
		return fmt.Errorf("customer %s: %w", customer.Name, err)
	}
	found := e.SecretARN
	if found == "" {
		found = customer.SecretARN
	}
	if e.ConfirmURL != "" {
		if err := customer.checkConfirm(e.ConfirmURL, found, c.endpoint()); err != nil {
			return err
		}
	}
	if e.VersionID != "" && e.VersionID == s.VersionID && s.Confirmed == s.VersionID {
		return nil // known
	}
	if e.SecretARN != "" && customer.SecretARN == "" && e.SecretARN != s.SecretARN {
		s.SecretARN, s.ConfirmURL = e.SecretARN, ""
	}
	if e.ConfirmURL != "" {
		s.ConfirmURL = e.ConfirmURL
	}
	s.Checked = time.Time{}
	return (&entry{c, customer}).save(ctx, &s)
}
