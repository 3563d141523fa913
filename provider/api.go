package provider

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"github.com/countersign/countersign/internal/grant"
)

// Refused is an answer of the customer's API that isn't 2xx. It changed nothing. errors.Is finds ErrOlder where another version is
// current than was confirmed, and ErrTooSoon where it is for a later time.
type Refused struct {
	Status int
	Says   string    // in the customer's words
	Next   string    // what to try, as the customer's side sees it
	Until  time.Time // when to ask again; zero: it doesn't say

	code string
}

// The codes of the answers with status 409.
const (
	codeConfirmed  = "confirmed"
	codeNotCurrent = "not-current"
)

// Error is one line.
func (r *Refused) Error() string {
	text := fmt.Sprintf("HTTP %d: %.200q", r.Status, r.Says)
	if !r.Until.IsZero() {
		text += " until " + r.Until.UTC().Format(time.RFC3339)
	}
	return text
}

// Is finds the sentinels.
func (r *Refused) Is(target error) bool {
	return target == ErrOlder && r.code == codeNotCurrent || target == ErrTooSoon && r.Status == http.StatusTooManyRequests
}

// passing says whether the same request may work a minute later.
func passing(err error) bool {
	no := (*Refused)(nil)
	return !errors.As(err, &no) || no.code == codeNotCurrent || no.Status == http.StatusTooManyRequests || no.Status >= 500
}

// patience is how long a customer's API may take.
const patience = 30 * time.Second

// staying makes of a client that calls AWS one that follows no redirect: where a customer's API sends us on may be within our own
// network. A client of another type answers for itself.
func staying(client aws.HTTPClient) aws.HTTPClient {
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	switch c := client.(type) {
	case nil:
		return &http.Client{CheckRedirect: stay}
	case *http.Client:
		own := *c
		own.CheckRedirect = stay
		return &own
	case *awshttp.BuildableClient:
		return &http.Client{Transport: c.GetTransport(), Timeout: c.GetTimeout(), CheckRedirect: stay}
	}
	return client
}

// post sends a request about the grant to the customer's API, signed with a session's credentials.
func (c *Client) post(ctx context.Context, customer Customer, s State, verb string, in any, creds aws.Credentials) ([]byte, error) {
	url, secret := customer.ConfirmURL, customer.SecretARN
	if url == "" {
		url = s.ConfirmURL
	}
	if secret == "" {
		secret = s.SecretARN
	}
	if url == "" || secret == "" {
		return nil, errors.New("nobody said where the customer's API is")
	}
	if err := customer.checkConfirm(url, secret, c.endpoint()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(url, "confirm")+verb, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, creds, request, hex.EncodeToString(sum[:]), "execute-api", grant.SecretRegion(secret), c.Now()); err != nil {
		return nil, fmt.Errorf("signing the request: %w", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 16<<10))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if response.StatusCode/100 == 2 {
		return answer, nil
	}
	var problem struct {
		Error, Message, Next, Code string // Message: API Gateway's own
		Until                      time.Time
	}
	_ = json.Unmarshal(answer, &problem)
	return nil, &Refused{response.StatusCode, problem.Error + problem.Message, problem.Next, problem.Until, problem.Code}
}
