package provider_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/provider"
)

// between answers a Client's requests about a grant, or lets them through: nil.
type between struct {
	answer func(*http.Request) *http.Response
}

func (b between) Do(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Path, "/grants/") {
		if out := b.answer(r); out != nil {
			return out, nil
		}
	}
	return http.DefaultClient.Do(r)
}

func says(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// through makes a client whose requests about grants go through answer.
func (s *side) through(answer func(*http.Request) *http.Response) {
	cfg := s.Config()
	cfg.HTTPClient = between{answer}
	s.client = provider.New(cfg, s.store, s.client.Options)
}

// What becomes of a confirmation, by its answer: told or not, and when the next Enter confirms again.
func TestWhatAnAnswerToAConfirmationMeans(t *testing.T) {
	const never = time.Hour // not within this test
	for _, c := range []struct {
		name      string
		answer    func(s *side) *http.Response // nil: Countersign's own
		confirmed bool
		is        error         // told; nil: nothing
		status    int           // of what is told; 0: another error
		again     time.Duration // until it is confirmed, no: never
	}{
		{"202", func(*side) *http.Response { return nil }, true, nil, 0, 0},
		{"409, confirmed already", func(s *side) *http.Response {
			return says(409, `{"error":"version x is confirmed already","code":"confirmed","until":"2026-01-05T09:15:00Z"}`)
		}, true, nil, 0, 0},
		{"409, and a rotation came in between", func(s *side) *http.Response { s.Rotate(); return nil }, false, provider.ErrOlder, 409, time.Minute},
		{"409, for another reason", func(*side) *http.Response { return says(409, `{"error":"grant migration is revoked"}`) }, false, &provider.Refused{}, 409, never},
		{"403, the customer doesn't let it", func(s *side) *http.Response { s.ProviderMay(); return nil }, false, &provider.Refused{}, 403, never},
		{"403, API Gateway's", func(*side) *http.Response { return says(403, `{"message":"Missing Authentication Token"}`) }, false, &provider.Refused{}, 403, never},
		{"429, API Gateway's", func(*side) *http.Response { return says(429, `{"message":"Too Many Requests"}`) }, false, provider.ErrTooSoon, 429, time.Minute},
		{"500", func(*side) *http.Response { return says(500, `{"error":"describing secret"}`) }, false, &provider.Refused{}, 500, time.Minute},
		{"202, and no JSON", func(*side) *http.Response { return says(202, `<html>`) }, false, nil, 0, time.Minute},
		{"a redirect", func(*side) *http.Response { return says(307, ``) }, false, &provider.Refused{}, 307, never},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSide(t, provider.Options{})
			first := true
			s.through(func(*http.Request) *http.Response {
				if !first {
					return nil
				}
				first = false
				return c.answer(s)
			})
			if _, err := s.enter(t); err != nil {
				t.Fatalf("it doesn't enter: %v", err)
			}
			if got := s.state(t).Confirmed != ""; got != c.confirmed {
				t.Errorf("noted as confirmed: %v", got)
			}
			told := errors.Join(s.problems...)
			no := (*provider.Refused)(nil)
			switch is := errors.As(told, &no); {
			case (told == nil) != c.confirmed:
				t.Errorf("told %v", told)
			case is != (c.status != 0) || is && no.Status != c.status:
				t.Errorf("told %v", told)
			case c.is != nil && !errors.As(c.is, &no) && !errors.Is(told, c.is):
				t.Errorf("told %v, want %v", told, c.is)
			}
			for _, wait := range []time.Duration{59 * time.Second, 2 * time.Second} {
				if c.confirmed {
					return
				}
				s.now = s.now.Add(wait)
				if _, err := s.enter(t); err != nil {
					t.Fatal(err)
				}
				done := s.state(t).Confirmed == s.Version()
				if want := c.again == time.Minute && wait < 59*time.Second; done != want {
					t.Errorf("%s later: confirmed %v, want %v", wait, done, want)
				}
			}
		})
	}
}

// A provider that never confirms is never locked out, however long it sleeps; who confirmed once is, behind the deadline.
func TestAProviderThatNeverConfirmsGetsIn(t *testing.T) {
	s := newSide(t, provider.Options{DoNotConfirm: true})
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	s.Rotate()
	s.Wait(400 * time.Hour)
	if !s.Kept() || !s.Until().IsZero() {
		t.Errorf("kept %v, until %s", s.Kept(), s.Until())
	}
	if _, err := s.enter(t); err != nil {
		t.Errorf("it is locked out: %v", err)
	}
	if n := s.count("Confirm"); n != 0 {
		t.Errorf("it was told not to confirm, and did %d times", n)
	}
	s.Confirm()
	s.Expire()
	if _, err := s.enter(t); !errors.Is(err, provider.ErrDenied) {
		t.Errorf("an operator confirmed, and the ID before still opens: %v", err)
	}
}

func TestAProviderAsksForARotation(t *testing.T) {
	s := newSide(t, provider.Options{})
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	was := s.Version()
	refused := func(what string, status int) provider.Refused {
		t.Helper()
		version, err := s.client.Rotate(t.Context(), s.customer, "one of ours left")
		no := (*provider.Refused)(nil)
		if !errors.As(err, &no) || no.Status != status || version != "" || errors.Is(err, provider.ErrTooSoon) != (status == 429) {
			t.Fatalf("%s: %q %v", what, version, err)
		}
		return *no
	}
	if no := refused("within the hour", 429); no.Until.Before(s.Clock()) || no.Until.After(s.Clock().Add(time.Hour)) || s.Version() != was {
		t.Errorf("%+v", no)
	}
	s.Wait(time.Hour)
	version, err := s.client.Rotate(t.Context(), s.customer, "one of ours left")
	if err != nil || version != s.Version() || version == was {
		t.Fatalf("%q %v, current is %s", version, err, s.Version())
	}
	s.now = s.now.Add(time.Minute)
	if _, err := s.enter(t); err != nil || s.state(t).Confirmed != version || len(s.problems) > 0 {
		t.Errorf("not followed: %v %v", err, s.problems)
	}
	refused("again", 429)
	s.Wait(10 * time.Minute) // in what retireIn leaves of the overlap the hour isn't over either
	refused("ten minutes later", 429)

	s.ProviderMay("confirm")
	s.Wait(2 * time.Hour)
	refused("turned off", 403)
	s.ProviderMay("confirm", "rotate")
	s.client = provider.New(s.Config(), s.store, provider.Options{DoNotConfirm: true})
	if _, err := s.client.Rotate(t.Context(), s.customer, ""); err != nil {
		t.Fatal(err)
	}
	s.Wait(2 * time.Hour)
	if no := refused("while the one before is accepted", 409); !strings.Contains(no.Says, "still accepted") {
		t.Errorf("%+v", no)
	}
	s.Revoke()
	if _, err := s.client.Rotate(t.Context(), s.customer, ""); !errors.Is(err, provider.ErrDenied) {
		t.Errorf("revoked: %v", err)
	}
}
