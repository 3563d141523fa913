package deliver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Timeout is how long a webhook's endpoint has for everything: name, connection, handshake, answer.
const Timeout = 10 * time.Second

// maxAnswer is how much of an answer is read, in bytes. None of it is kept.
const maxAnswer = 16 << 10

var (
	// ErrBadURL says that a webhook's URL is not https, or holds what a webhook's URL must not hold.
	ErrBadURL = errors.New("not an https URL with a host, a port for webhooks and no user")
	// ErrRedirected says that an endpoint wanted to send the message elsewhere.
	ErrRedirected = errors.New("endpoint redirects")
)

// StatusError is an answer other than 2xx. 3xx is ErrRedirected.
type StatusError struct {
	Code       int
	RetryAfter string // the header, as the endpoint wrote it: for Wait alone, and never shown
}

func (e *StatusError) Error() string { return fmt.Sprintf("endpoint answered %d", e.Code) }

// Wait is how long the endpoint asks to be left alone: Retry-After in seconds or as a date. Zero: it doesn't say.
func (e *StatusError) Wait(now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(e.RetryAfter, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(e.RetryAfter); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// Gone says that the endpoint answered 410: it wants no message any more.
func Gone(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Code == http.StatusGone
}

// NewClient makes the HTTP client for webhooks. It speaks https to public addresses on port 443, or on one that the URL
// names from 1024 on, checked after the name is resolved; it follows no redirect, uses no proxy and keeps no connection. loopback also allows http and any port
// on the machine itself: for a local emulator only.
func NewClient(loopback bool) *http.Client { return newClient(loopback, nil, newDialer(loopback)) }

func newDialer(loopback bool) *net.Dialer {
	return &net.Dialer{Timeout: Timeout, ControlContext: control(loopback)}
}

func newClient(loopback bool, roots *x509.CertPool, dialer *net.Dialer) *http.Client {
	return &http.Client{
		Timeout:       Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &guarded{loopback: loopback, next: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			MaxResponseHeaderBytes: 64 << 10,
			DisableKeepAlives:      true,
			DisableCompression:     true,
		}},
	}
}

// guarded refuses a URL before anything is sent.
type guarded struct {
	loopback bool
	next     http.RoundTripper
}

func (g *guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := checkURL(r.URL, g.loopback); err != nil {
		return nil, err
	}
	return g.next.RoundTrip(r)
}

func checkURL(u *url.URL, loopback bool) error {
	switch {
	case u.Hostname() == "" || u.User != nil || u.Opaque != "" || isNumber(u.Hostname()):
		return ErrBadURL
	case loopback && isLoopback(u.Hostname()) && (u.Scheme == "http" || u.Scheme == "https"):
		return nil
	case u.Scheme != "https":
		return ErrBadURL
	case u.Port() != "":
		if port, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || !isPort(uint16(port)) {
			return ErrBadURL
		}
	}
	return nil
}

// isPort says whether a webhook may go to a port: of those below 1024, where mail and name servers listen, only to 443.
func isPort(port uint16) bool { return port == 443 || port >= 1024 }

// isNumber says whether a host ends in a number and is no address as Go writes it: 2130706433, 0x7f.1 and 0177.0.0.1 are
// loopback to some readers and names to others.
func isNumber(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	_, err := strconv.ParseUint(last, 0, 64)
	return err == nil || strings.Trim(last, "0123456789") == ""
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.Unmap().IsLoopback())
}

// Doer sends one HTTP request; *http.Client is one.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Post sends a webhook and says whether the endpoint took it: an answer of 2xx. Its errors may name the URL; Reason
// gives words that don't.
func Post(d Doer, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), Timeout)
	defer cancel()
	answer, err := d.Do(r.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("posting webhook: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // nothing was written
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer)); err != nil && answer.StatusCode/100 != 2 {
		return fmt.Errorf("reading the webhook's answer: %w", err)
	}
	switch answer.StatusCode / 100 {
	case 2:
		return nil
	case 3:
		return ErrRedirected
	}
	return &StatusError{answer.StatusCode, answer.Header.Get("Retry-After")}
}

// Reason says in plain words why a webhook was not taken. It names no address and nothing that the endpoint said.
func Reason(err error) string {
	var (
		status  *StatusError
		dns     *net.DNSError
		cert    *tls.CertificateVerificationError
		timeout net.Error
	)
	switch {
	case errors.Is(err, ErrBadURL):
		return "the URL is not https, or holds a user or a port for something else: correct it in access.yaml or in the secret"
	case errors.Is(err, ErrForbiddenAddress):
		return "the host is not at a public address: webhooks reach the internet only"
	case errors.Is(err, ErrBadKey):
		return "the signing secret is neither whsec_ and base64 of 24 to 64 bytes nor {\"url\",\"key\"}: put one in"
	case errors.Is(err, ErrRedirected):
		return "the endpoint redirects: give its final URL"
	case errors.As(err, &status):
		return fmt.Sprintf("the endpoint answered %d", status.Code)
	case errors.As(err, &cert):
		return "the endpoint's certificate is not trusted"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "the endpoint did not answer in time"
	case errors.As(err, &dns):
		return "the host's name does not resolve"
	}
	return "the connection failed"
}
