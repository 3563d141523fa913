package lab

import (
	"io"
	"net"
	"net/http"
	"sync"

	webhook "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Delivery is one request that a Receiver took.
type Delivery struct {
	Header   http.Header
	Body     []byte
	Verified error // nil: signature and time are right
}

// Receiver is a provider's webhook endpoint on the loopback. It verifies with the Standard Webhooks project's own library.
type Receiver struct {
	URL  string
	Took func(Delivery) // called for each request, if not nil

	server *http.Server
	mu     sync.Mutex
	got    []Delivery
}

// NewReceiver starts an endpoint that knows the signing key (whsec_…).
func NewReceiver(key string, took func(Delivery)) (*Receiver, error) {
	verifier, err := webhook.NewWebhook(key)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Receiver{URL: "http://" + listener.Addr().String() + "/countersign", Took: took}
	r.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(io.LimitReader(request.Body, 1<<20))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		d := Delivery{Header: request.Header, Body: body, Verified: verifier.Verify(body, request.Header)}
		r.mu.Lock()
		r.got = append(r.got, d)
		r.mu.Unlock()
		if r.Took != nil {
			r.Took(d)
		}
		if d.Verified != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})}
	go func() { _ = r.server.Serve(listener) }()
	return r, nil
}

// Deliveries are all requests so far.
func (r *Receiver) Deliveries() []Delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Delivery(nil), r.got...)
}

// Close ends the endpoint.
func (r *Receiver) Close() { _ = r.server.Close() }
