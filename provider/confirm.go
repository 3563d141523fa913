package provider

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
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

// alreadyConfirmed is what the answer to a repeated confirmation says.
const alreadyConfirmed = "is confirmed already"

// confirm tells the customer that the new ID is in use: in the session that was opened with it, under the name that says so.
func (e *entry) confirm(ctx context.Context, s *State, proof aws.Credentials) error {
	_, err := e.Client.confirm(ctx, e.customer, s, proof)
	return err
}

func (c *Client) confirm(ctx context.Context, customer Customer, s *State, proof aws.Credentials) (Confirmed, error) {
	url, secret := customer.ConfirmURL, customer.SecretARN
	if url == "" {
		url = s.ConfirmURL
	}
	if secret == "" {
		secret = s.SecretARN
	}
	if url == "" || secret == "" {
		return Confirmed{}, fmt.Errorf("customer %s: nobody said where to confirm version %s", customer.Name, s.VersionID)
	}
	if err := customer.checkConfirm(url, secret, c.endpoint()); err != nil {
		return Confirmed{}, err
	}
	body, err := json.Marshal(Confirmation{s.VersionID, c.retireIn()})
	if err != nil {
		return Confirmed{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return Confirmed{}, fmt.Errorf("customer %s: confirming: %w", customer.Name, err)
	}
	request.Header.Set("Content-Type", "application/json")
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, proof, request, hex.EncodeToString(sum[:]), "execute-api", regionOf(secret), c.Now()); err != nil {
		return Confirmed{}, fmt.Errorf("customer %s: signing the confirmation: %w", customer.Name, err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return Confirmed{}, fmt.Errorf("customer %s: confirming version %s: %w", customer.Name, s.VersionID, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 16<<10))
	if err != nil {
		return Confirmed{}, fmt.Errorf("customer %s: confirming version %s: %w", customer.Name, s.VersionID, err)
	}
	if response.StatusCode/100 != 2 {
		var problem struct {
			Error, Message string
			Until          time.Time
		}
		_ = json.Unmarshal(answer, &problem)
		if response.StatusCode == http.StatusConflict && strings.Contains(problem.Error, alreadyConfirmed) {
			s.Confirmed = s.VersionID // another worker was quicker
			return Confirmed{customer.Grant, s.VersionID, problem.Until}, nil
		}
		return Confirmed{}, fmt.Errorf("customer %s: confirming version %s: HTTP %d: %.200q", customer.Name, s.VersionID, response.StatusCode, problem.Error+problem.Message)
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
