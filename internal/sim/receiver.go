package sim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/countersign/countersign/internal/deliver"
)

// Receiver is a provider's webhook endpoint on the virtual clock: a deliver.Doer that checks signatures with the Standard
// Webhooks project's own library, and behaves as it is told.
type Receiver struct {
	// Behave says how an attempt is answered; n counts from 1. Nil: 204 for what is signed rightly, else 401.
	Behave func(n int, d Delivery) Behaviour

	w        *World
	verifier *standardwebhooks.Webhook
	got      []Delivery
	poured   int
}

// Delivery is one request that a Receiver took.
type Delivery struct {
	ID       string // webhook-id: the same for every attempt at one message
	At       time.Time
	URL      string
	Body     []byte
	Verified error // nil: signature and time are right
}

// Behaviour is how a Receiver answers. The zero value: at once, 204 or 401.
type Behaviour struct {
	Status     int
	RetryAfter string        // header, with the status
	Giant      bool          // the answer has no end
	Slow       time.Duration // before it answers; past deliver.Timeout the sender has hung up
	Hang       bool          // never answers
	Err        error         // the connection breaks
}

// What breaks a connection.
var (
	ErrReset  = errors.New("connection reset by peer")
	ErrBadTLS = error(&tls.CertificateVerificationError{Err: errors.New("certificate signed by unknown authority")})
)

// signatureTolerance is how far a signature's time may be off, by the Standard Webhooks specification.
const signatureTolerance = 5 * time.Minute

// NewReceiver makes an endpoint that knows the signing key (whsec_…).
func (w *World) NewReceiver(key string) (*Receiver, error) {
	verifier, err := standardwebhooks.NewWebhook(key)
	if err != nil {
		return nil, fmt.Errorf("reading the signing key: %w", err)
	}
	return &Receiver{w: w, verifier: verifier}, nil
}

// Deliveries are all requests so far, misbehaviour or not.
func (r *Receiver) Deliveries() []Delivery { return append([]Delivery(nil), r.got...) }

// Do takes one request. It is a call of whoever the request's context names, to the service webhook.
func (r *Receiver) Do(request *http.Request) (*http.Response, error) {
	return step(request.Context(), r.w, "webhook", "POST", request.URL.Hostname(), func() (*http.Response, error) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, fmt.Errorf("reading the webhook: %w", err)
		}
		d := Delivery{
			ID: request.Header.Get("webhook-id"), At: r.w.now, URL: request.URL.String(), Body: body, Verified: r.verify(body, request.Header),
		}
		r.got = append(r.got, d)
		var b Behaviour
		if r.Behave != nil {
			b = r.Behave(len(r.got), d)
		}
		if b.Hang || b.Slow >= deliver.Timeout {
			r.w.Advance(deliver.Timeout)
			return nil, context.DeadlineExceeded
		}
		r.w.Advance(b.Slow)
		switch {
		case b.Err != nil:
			return nil, b.Err
		case b.Status == 0 && d.Verified != nil:
			b.Status = http.StatusUnauthorized
		case b.Status == 0:
			b.Status = http.StatusNoContent
		}
		answer := &http.Response{StatusCode: b.Status, Header: http.Header{}, Body: http.NoBody, Request: request}
		if b.RetryAfter != "" {
			answer.Header.Set("Retry-After", b.RetryAfter)
		}
		if b.Giant {
			answer.Body = io.NopCloser(endless{&r.poured})
		}
		return answer, nil
	})
}

// Poured is how many bytes of endless answers were read.
func (r *Receiver) Poured() int { return r.poured }

// endless is a body that never ends.
type endless struct{ poured *int }

func (e endless) Read(p []byte) (int, error) {
	*e.poured += len(p)
	return len(p), nil
}

// verify checks the signature by the library and its time by the virtual clock.
func (r *Receiver) verify(body []byte, header http.Header) error {
	if err := r.verifier.VerifyIgnoringTimestamp(body, header); err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(header.Get("webhook-timestamp"), 10, 64)
	if err != nil {
		return fmt.Errorf("reading webhook-timestamp: %w", err)
	}
	if off := r.w.now.Sub(time.Unix(seconds, 0)).Abs(); off > signatureTolerance {
		return errors.New("the signature's time is off by " + off.String())
	}
	return nil
}
