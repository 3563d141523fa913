package provider_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/provider"
)

// wire is a network that may answer itself, or change an answer.
type wire struct {
	answer func(form url.Values) (status int, body string) // status 0: the account answers
	change func(body string) string
}

func (w wire) Do(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		sent, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	if form, err := url.ParseQuery(string(sent)); err == nil && w.answer != nil {
		if status, body := w.answer(form); status != 0 {
			return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		}
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil || w.change == nil {
		return got, err
	}
	body, err := io.ReadAll(got.Body)
	_ = got.Body.Close()
	changed := w.change(string(body))
	got.Body, got.ContentLength = io.NopCloser(strings.NewReader(changed)), int64(len(changed))
	got.Header.Del("Content-Length")
	return got, err
}

func (s *side) over(w wire, o provider.Options) {
	cfg := s.Config()
	cfg.HTTPClient = w
	o.Now = func() time.Time { return s.now }
	o.Problem = func(_ context.Context, _ provider.Customer, err error) { s.problems = append(s.problems, err) }
	s.client = provider.New(cfg, s.store, o)
}

// Whatever isn't AccessDenied says nothing about an ID: the one before is left alone, and the error is told.
func TestAnotherErrorThanAccessDeniedTriesNoOtherID(t *testing.T) {
	s := newSide(t, provider.Options{})
	s.follow(t)
	tried := 0
	s.over(wire{answer: func(form url.Values) (int, string) {
		if form.Get("Action") == "AssumeRole" {
			tried++
			return http.StatusForbidden, `<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>expired</Message></Error></ErrorResponse>`
		}
		return 0, ""
	}}, provider.Options{})
	if _, err := s.enter(t); err == nil || errors.Is(err, provider.ErrDenied) || tried != 1 {
		t.Errorf("%v after %d tries", err, tried)
	}
}

func TestAnotherSecretThanAskedForIsRefused(t *testing.T) {
	s := newSide(t, provider.Options{})
	s.over(wire{change: func(body string) string {
		return strings.Replace(body, secret, strings.Replace(secret, "Ab12Cd", "Zz99Zz", 1), 1)
	}}, provider.Options{})
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(errors.Join(s.problems...), provider.ErrNotAccepted) || s.state(t).VersionID != "" {
		t.Errorf("%v", s.problems)
	}
}

// A version never changes its value.
func TestAVersionWithAnotherIDThanBeforeIsRefused(t *testing.T) {
	s := newSide(t, provider.Options{})
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	wrong, err := provider.ParseExternalID("hestio-" + random)
	if err != nil {
		t.Fatal(err)
	}
	st := s.state(t)
	st.ID, st.Previous, st.Checked, st.Confirmed = wrong, st.ID, time.Time{}, ""
	if err := s.store.Save(t.Context(), s.customer.Name, st); err != nil {
		t.Fatal(err)
	}
	for way, err := range both(t, s) {
		if !errors.Is(err, provider.ErrNotAccepted) {
			t.Errorf("%s: %v", way, err)
		}
	}
}

// staleOnce is a store of a worker that loaded its row before another one wrote.
type staleOnce struct {
	provider.Store
	old  provider.State
	used bool
}

func (s *staleOnce) Load(ctx context.Context, customer string) (provider.State, error) {
	if !s.used {
		s.used = true
		return s.old, nil
	}
	return s.Store.Load(ctx, customer)
}

func TestAWorkerWithAnEndedIDReloads(t *testing.T) {
	s := newSide(t, provider.Options{RetireIn: -1})
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	old := s.state(t)
	s.Rotate()
	s.ring(t)
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	if before := s.state(t).Previous; !before.Equal(old.ID) {
		t.Error("the ID before was not kept")
	}
	client := provider.New(s.Config(), &staleOnce{Store: s.store, old: old}, provider.Options{})
	if _, err := client.Enter(t.Context(), s.customer); err != nil {
		t.Errorf("another worker had stored the new ID: %v", err)
	}
}

// A new ID that IAM doesn't show yet is tried again after a minute, not after six hours and not at once.
func TestWhenANewIDIsTriedAgain(t *testing.T) {
	s := newSide(t, provider.Options{})
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	s.Lag(10 * time.Minute)
	s.Rotate()
	s.ring(t)
	for _, step := range []struct {
		later time.Duration
		reads int
	}{{0, 2}, {50 * time.Second, 2}, {20 * time.Second, 3}} {
		s.now = s.now.Add(step.later)
		if _, err := s.enter(t); err != nil {
			t.Fatal(err)
		}
		if got := s.count("GetSecretValue"); got != step.reads {
			t.Errorf("%s later: read %d times, want %d", step.later, got, step.reads)
		}
	}
}

// AWS's ValidationError quotes the parameter: what Enter and Verify say doesn't.
func TestAnErrorOfAWSThatQuotesTheIDIsNotPassedOn(t *testing.T) {
	s := newSide(t, provider.Options{})
	id := s.state(t).ID.Reveal()
	s.over(wire{answer: func(form url.Values) (int, string) {
		if form.Get("Action") != "AssumeRole" {
			return 0, ""
		}
		return http.StatusBadRequest, `<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>1 validation error: Value '` + id + `' at 'externalId' failed</Message></Error></ErrorResponse>`
	}}, provider.Options{})
	_, entered := s.enter(t)
	_, verified := s.client.Verify(t.Context(), s.customer, provider.VerifyOptions{Wait: atOnce})
	for way, err := range map[string]error{"Enter": entered, "Verify": verified} {
		if err == nil || strings.Contains(err.Error(), id) || !strings.Contains(err.Error(), "ValidationError") {
			t.Errorf("%s passes on what AWS said, or nothing", way)
		}
	}
}
