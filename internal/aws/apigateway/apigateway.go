// Package apigateway calls Countersign's own API behind API Gateway, signed with the operator's credentials.
//
// It decides what an answer means, in grant's sentinels. It tries each call once and gives up after Timeout, so that whoever
// revokes goes on without the API. It sends credentials' signatures to https only, or to this machine.
package apigateway

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
)

// How long a call may take, from start to the answer's last byte. The list reads every grant of a stack in turn.
const (
	Timeout     = 5 * time.Second
	ListTimeout = 28 * time.Second // API Gateway gives up after 29
)

const maxAnswer = 1 << 20 // bytes

// Refusal is an answer that isn't 2xx. errors.Is finds the sentinel that its status stands for.
type Refusal struct {
	Status int
	api.Problem
	kind error
}

// Error says what the API said.
func (r *Refusal) Error() string {
	return fmt.Sprintf("the API refused (%d): %s", r.Status, cmp.Or(r.Problem.Error, http.StatusText(r.Status)))
}

// Unwrap is the sentinel; nil where none fits.
func (r *Refusal) Unwrap() error { return r.kind }

// Client calls one deployed API.
type Client struct {
	base        *url.URL
	region      string
	credentials aws.CredentialsProvider
	http        *http.Client
	now         func() time.Time
}

// New makes a client for the API at base, the stack's output ApiUrl.
func New(cfg aws.Config, base string) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("not the URL of an API: %.200q", base)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !onThisMachine(u.Hostname())) {
		return nil, fmt.Errorf("the API must be called over https: %.200q", base)
	}
	return &Client{
		base: u, region: cfg.Region, credentials: cfg.Credentials, now: time.Now,
		http: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

func onThisMachine(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Grants lists the grants of the stack.
func (c *Client) Grants(ctx context.Context) (api.List, error) {
	var out api.List
	return out, c.call(ctx, ListTimeout, http.MethodGet, nil, &out, "grants")
}

// Grant tells the state of one grant. grant.ErrNotFound where the stack has none of that name.
func (c *Client) Grant(ctx context.Context, name grant.Name) (api.Status, error) {
	var out api.Status
	return out, c.call(ctx, Timeout, http.MethodGet, nil, &out, "grants", string(name))
}

// Rotate starts a rotation. grant.ErrOverlapOpen while a previous external ID lives and the request isn't leaked.
func (c *Client) Rotate(ctx context.Context, name grant.Name, r api.RotateRequest) (api.RotateAnswer, error) {
	var out api.RotateAnswer
	return out, c.call(ctx, Timeout, http.MethodPost, r, &out, "grants", string(name), "rotate")
}

// Confirm says that the current version is in use. grant.ErrConflict where it is not the current one, or confirmed already.
func (c *Client) Confirm(ctx context.Context, name grant.Name, r api.ConfirmRequest) (api.ConfirmAnswer, error) {
	var out api.ConfirmAnswer
	return out, c.call(ctx, Timeout, http.MethodPost, r, &out, "grants", string(name), "confirm")
}

// Pause holds scheduled rotations back, and tells until when.
func (c *Client) Pause(ctx context.Context, name grant.Name, r api.PauseRequest) (api.PauseAnswer, error) {
	var out api.PauseAnswer
	return out, c.call(ctx, Timeout, http.MethodPost, r, &out, "grants", string(name), "pause")
}

// Resume ends a pause.
func (c *Client) Resume(ctx context.Context, name grant.Name, r api.ResumeRequest) (api.PauseAnswer, error) {
	var out api.PauseAnswer
	return out, c.call(ctx, Timeout, http.MethodPost, r, &out, "grants", string(name), "resume")
}

// Test has a test message sent to each destination of the grant. grant.ErrConflict where it has none.
func (c *Client) Test(ctx context.Context, name grant.Name, r api.TestRequest) (api.TestAnswer, error) {
	var out api.TestAnswer
	return out, c.call(ctx, Timeout, http.MethodPost, r, &out, "grants", string(name), "test")
}

// Revoke takes the access away. After grant.ErrUnavailable it may have worked.
func (c *Client) Revoke(ctx context.Context, name grant.Name, r api.RevokeRequest) (api.RevokeAnswer, error) {
	var out api.RevokeAnswer
	return out, c.call(ctx, Timeout, http.MethodPost, r, &out, "grants", string(name), "revoke")
}

// Restore has a revoked grant opened again. grant.ErrConflict where another revocation stands than the one that is named.
func (c *Client) Restore(ctx context.Context, name grant.Name, r api.RestoreRequest) (api.RestoreAnswer, error) {
	var out api.RestoreAnswer
	return out, c.call(ctx, Timeout, http.MethodPost, r, &out, "grants", string(name), "restore")
}

func (c *Client) call(ctx context.Context, timeout time.Duration, method string, in, out any, path ...string) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("writing the request: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath(path...).String(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("writing the request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if err := c.sign(ctx, req, body); err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		// Not the error itself: it repeats the URL, and says less than this.
		reason := "it can't be reached"
		if errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			reason = fmt.Sprintf("no answer within %s", timeout)
		}
		return fmt.Errorf("calling the API at %s: %s: %w", c.base.Host, reason, grant.ErrUnavailable)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the API's answer: %w", grant.ErrUnavailable)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return refusal(res.StatusCode, answer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("reading the API's answer: not in its form: %w", grant.ErrUnavailable)
	}
	return nil
}

func (c *Client) sign(ctx context.Context, req *http.Request, body []byte) error {
	if c.credentials == nil {
		return errors.New("no AWS credentials are configured")
	}
	creds, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("reading AWS credentials: %w", err)
	}
	sum := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(ctx, creds, req, hex.EncodeToString(sum[:]), "execute-api", c.region, c.now())
	if err != nil {
		return fmt.Errorf("signing the request: %w", err)
	}
	return nil
}

// refusal reads an answer of our handlers, or of API Gateway itself, which says "message" or "Message".
func refusal(status int, answer []byte) error {
	r := &Refusal{Status: status, kind: kindOf(status)}
	var gateway struct{ Message string } // matches either case
	if json.Unmarshal(answer, &r.Problem) != nil || r.Problem.Error == "" {
		_ = json.Unmarshal(answer, &gateway)
		r.Problem.Error = gateway.Message
	}
	if status == http.StatusConflict && r.Until.IsZero() {
		r.kind = grant.ErrConflict
	}
	return r
}

func kindOf(status int) error {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return grant.ErrDenied
	case status == http.StatusNotFound:
		return grant.ErrNotFound
	case status == http.StatusConflict:
		return grant.ErrOverlapOpen
	case status == http.StatusTooManyRequests:
		return grant.ErrThrottled
	case status >= http.StatusInternalServerError:
		return grant.ErrUnavailable
	}
	return nil
}
