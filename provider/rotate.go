package provider

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/countersign/countersign/internal/grant"
)

// Rotate asks the customer for another external ID now, for whoever believes that somebody saw the current one: in a session of
// the role, with the customer's overlap. versionID is what the secret shows once the rotation has ended, in seconds to minutes; the next
// Enter or renewal a minute from now looks. Once an hour is the most: ErrTooSoon. Other refusals are a *Refused: with status 409
// an earlier ID is still accepted, with 403 this customer doesn't let its provider ask.
//
// A rotation doesn't end the ID that somebody saw before the overlap is over, or Enter confirms: if it is in the wrong hands, tell
// the customer.
func (c *Client) Rotate(ctx context.Context, customer Customer, reason string) (versionID string, err error) {
	if err := customer.Validate(); err != nil {
		return "", err
	}
	s, err := c.store.Load(ctx, customer.Name)
	if err != nil {
		return "", fmt.Errorf("customer %s: %w", customer.Name, err)
	}
	e := &entry{c, customer}
	session, err := e.open(ctx, &s)
	if err != nil {
		return "", err
	}
	if _, err := c.find(ctx, session, customer, &s, true); err != nil {
		return "", err
	}
	answer, err := c.post(ctx, customer, s, "rotate", map[string]string{"reason": reason}, session)
	if err != nil {
		return "", fmt.Errorf("customer %s: asking for a rotation: %w", customer.Name, err)
	}
	var out struct{ VersionID string }
	if err := json.Unmarshal(answer, &out); err != nil || !grant.IsProvable(out.VersionID) {
		return "", fmt.Errorf("customer %s: asking for a rotation: the answer names no version", customer.Name)
	}
	return out.VersionID, e.looked(ctx, s, c.Now().Add(soon-c.Every))
}
