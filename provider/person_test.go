package provider_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/provider"
)

var jdoe = provider.Person{SessionName: "jdoe=INC-812", SourceIdentity: "jdoe", Patience: -1}

// tries are the sessions that were asked for, and how AWS answered.
func (s *side) tries() (out []string) {
	for _, c := range s.Calls() {
		if c.Action == "AssumeRole" {
			out = append(out, c.Session+" "+c.Answer)
		}
	}
	return out
}

func TestAPersonEntersWithWhatTheSecretHolds(t *testing.T) {
	s := newSide(t, provider.Options{})
	for i := range 2 {
		got, err := s.client.EnterAs(t.Context(), s.customer, jdoe)
		if err != nil || got.VersionID != s.Version() || got.Previous || got.AccountID != s.customer.Account || !got.HasKeys() {
			t.Fatalf("%v: %+v", err, got.VersionID)
		}
		if i == 0 {
			s.Rotate() // nobody does anything
		}
	}
	if s.count("Confirm") != 0 {
		t.Error("a person's entry confirms nothing")
	}
}

// The role takes no source identity: it is offered, and left out on AccessDenied.
func TestTheSourceIdentityIsOffered(t *testing.T) {
	s := newSide(t, provider.Options{})
	got, err := s.client.EnterAs(t.Context(), s.customer, jdoe)
	if err != nil || got.Identified {
		t.Fatalf("%v, identified %v", err, got.Identified)
	}
	if want := []string{"jdoe=INC-812 AccessDenied", "jdoe=INC-812 OK"}; !slices.Equal(s.tries(), want) {
		t.Errorf("tries %q, want %q", s.tries(), want)
	}
}

func TestWhileIAMDoesNotShowTheNewIDThePreviousOneIsTried(t *testing.T) {
	s := newSide(t, provider.Options{})
	s.Lag(10 * time.Minute)
	s.Rotate()
	got, err := s.client.EnterAs(t.Context(), s.customer, jdoe)
	if err != nil || !got.Previous || got.VersionID == s.Version() {
		t.Errorf("%v, previous %v", err, got.Previous)
	}
}

func TestAnIDOfJustNowIsWaitedFor(t *testing.T) {
	s := newSide(t, provider.Options{})
	const document = `{"Version":"2012-10-17","Statement":[{"Effect":"%s","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole",
		"Condition":{"StringEquals":{"sts:ExternalId":"%s"}}}]}`
	s.Trust(fmt.Sprintf(document, "Deny", "another")) // what IAM still shows
	var told []string
	p := provider.Person{Patience: time.Minute, Progress: func(line string) { told = append(told, line) }}
	p.Wait = func(context.Context, time.Duration) error {
		if len(told) == 3 {
			s.Trust(fmt.Sprintf(document, "Allow", s.state(t).ID.Reveal()))
		}
		return nil
	}
	got, err := s.client.EnterAs(t.Context(), s.customer, p)
	if err != nil || got.Waited != 6*time.Second || len(told) != 3 || !strings.Contains(told[0], "waiting for IAM") {
		t.Errorf("%v after %s: %q", err, got.Waited, told)
	}
}

func TestARevokedCustomerIsDeniedWithoutWaiting(t *testing.T) {
	s := newSide(t, provider.Options{})
	s.Revoke()
	p := jdoe
	p.Wait = func(context.Context, time.Duration) error { return errors.New("waited") }
	_, err := s.client.EnterAs(t.Context(), s.customer, p)
	if !errors.Is(err, provider.ErrUnread) {
		t.Errorf("%v", err)
	}
	s.onlyTried(t)
}

func (s *side) onlyTried(t *testing.T) {
	t.Helper()
	if got := s.tries(); len(got) > 0 {
		t.Errorf("tried %q", got)
	}
}

func TestAPoisonedSecretLetsNoPersonTryAnything(t *testing.T) {
	for _, p := range poisonedSecrets {
		t.Run(p.name, func(t *testing.T) {
			s := newSide(t, provider.Options{})
			s.Poison("poison-00000000000000000000000000000000", p.value)
			_, err := s.client.EnterAs(t.Context(), s.customer, jdoe)
			if !errors.Is(err, provider.ErrNotAccepted) || strings.Contains(err.Error(), random) {
				t.Errorf("%v", err)
			}
			s.onlyTried(t)
		})
	}
	s := newSide(t, provider.Options{})
	for _, arn := range []string{"", strings.Replace(secret, "444455556666", "777788889999", 1), strings.Replace(secret, "migration", "nightly", 1)} {
		c := s.customer
		c.SecretARN = arn
		if _, err := s.client.EnterAs(t.Context(), c, jdoe); !errors.Is(err, provider.ErrNotAccepted) {
			t.Errorf("secret %q: %v", arn, err)
		}
	}
	if got := s.count("GetSecretValue"); got != 0 {
		t.Errorf("%d secrets were read", got)
	}
}

func TestARoleIsEnteredWithAnIDAtHand(t *testing.T) {
	s := newSide(t, provider.Options{})
	id := s.state(t).ID
	if got, err := s.client.EnterRole(t.Context(), mine, id, jdoe); err != nil || got.VersionID != "" || got.AccountID != s.customer.Account {
		t.Errorf("%v", err)
	}
	if _, err := s.client.EnterRole(t.Context(), mine, provider.ExternalID{}, jdoe); !errors.Is(err, provider.ErrDenied) {
		t.Errorf("without an ID: %v", err)
	}
	for _, arn := range []string{"", "acme", "arn:aws:iam::444455556666:user/x", mine + "\n"} {
		if _, err := s.client.EnterRole(t.Context(), arn, id, jdoe); err == nil || errors.Is(err, provider.ErrDenied) {
			t.Errorf("%q: %v", arn, err)
		}
	}
	if s.count("GetSecretValue") != 0 {
		t.Error("a secret was read")
	}
}
