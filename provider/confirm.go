package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Confirmation is the body of a confirm request.
type Confirmation struct {
	VersionID string `json:"versionId"`
	RetireIn  string `json:"retireIn,omitempty"` // "15m": how long the ID before stays; the customer's deadline comes first
}

// Confirmed is the answer to it.
type Confirmed struct {
	Grant     string    `json:"grant"`
	VersionID string    `json:"versionId"`
	RetireAt  time.Time `json:"retireAt,omitzero"` // when the ID before ends
}

// confirm tells the customer that the new ID is in use: in the session that was opened with it, under the name that says so.
func (c *Client) confirm(ctx context.Context, customer Customer, s *State, proof aws.Credentials) (Confirmed, error) {
	answer, err := c.post(ctx, customer, *s, "confirm", Confirmation{s.VersionID, c.retireIn()}, proof)
	if no := (*Refused)(nil); errors.As(err, &no) && no.code == codeConfirmed {
		s.Confirmed = s.VersionID // another worker was quicker
		return Confirmed{customer.Grant, s.VersionID, no.Until}, nil
	}
	if err != nil {
		return Confirmed{}, fmt.Errorf("customer %s: confirming version %s: %w", customer.Name, s.VersionID, err)
	}
	var out Confirmed
	if err := json.Unmarshal(answer, &out); err != nil {
		return Confirmed{}, fmt.Errorf("customer %s: confirming version %s: the answer is no JSON", customer.Name, s.VersionID)
	}
	s.Confirmed = s.VersionID
	return out, nil
}

func (c *Client) retireIn() string {
	switch d := c.RetireIn; {
	case d < 0:
		return "0s"
	case d == 0:
		return "15m"
	default:
		return d.String()
	}
}
