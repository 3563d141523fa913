package provider_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/countersign/countersign/provider"
)

// said is a receipt in one line a check.
func said(r provider.Receipt) (out []string) {
	for _, c := range r.Checks {
		line := string(c.Name)
		if c.Opens {
			line += ": opens"
		} else {
			line += ": refused"
		}
		if !c.Good {
			line += ", and that is wrong"
		}
		out = append(out, line)
	}
	return out
}

// atOnce waits for nothing.
func atOnce(context.Context, time.Duration) error { return nil }

func (s *side) verify(t *testing.T, o provider.VerifyOptions) (provider.Receipt, error) {
	t.Helper()
	if o.Wait == nil {
		o.Wait = atOnce
	}
	r, err := s.client.Verify(t.Context(), s.customer, o)
	fitsSchema(t, r)
	return r, err
}

func fitsSchema(t *testing.T, r provider.Receipt) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(provider.ReceiptSchema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("urn:receipt", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("urn:receipt")
	if err != nil {
		t.Fatal(err)
	}
	line, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(line, &v); err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(v); err != nil {
		t.Error(err)
	}
	v["more"] = true
	if schema.Validate(v) == nil {
		t.Error("the schema takes another field")
	}
}

func TestVerifyChangesNothingUnlessItConfirms(t *testing.T) {
	s := newSide(t, provider.Options{})
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	s.Rotate()
	was, confirms := s.state(t), s.count("Confirm")
	r, err := s.verify(t, provider.VerifyOptions{})
	want := []string{"no external ID: refused", "a random external ID: refused", "the current external ID: opens", "the external ID before: opens",
		"the external ID before, in a session that confirms: refused"}
	if err != nil || !slices.Equal(said(r), want) || r.Confirmed || r.VersionID != s.Version() || r.Statement != provider.Statement {
		t.Errorf("%v %q %+v", err, said(r), r)
	}
	if s.state(t) != was || s.count("Confirm") != confirms || !s.Kept() {
		t.Error("it changed something")
	}
	r, err = s.verify(t, provider.VerifyOptions{Confirm: true})
	if err != nil || !r.Confirmed || s.state(t).Confirmed != s.Version() || s.Kept() || s.Until().IsZero() || !s.Until().Equal(r.RetireAt) {
		t.Errorf("not confirmed: %v, the ID before stays until %s, said %s", err, s.Until(), r.RetireAt)
	}
	s.Expire()
	r, err = s.verify(t, provider.VerifyOptions{})
	if err != nil || said(r)[3] != "the external ID before: refused" {
		t.Errorf("behind the deadline: %v %q", err, said(r))
	}
}

// A role with a fixed external ID opens to that one alone; nothing is read.
func TestVerifyARoleWithAFixedID(t *testing.T) {
	s := newSide(t, provider.Options{})
	id := s.state(t).ID
	reads := s.count("GetSecretValue")
	r, err := s.client.VerifyRole(t.Context(), s.customer.RoleARN, id, provider.VerifyOptions{})
	fitsSchema(t, r)
	want := []string{"no external ID: refused", "a random external ID: refused", "the fixed external ID: opens"}
	if err != nil || !slices.Equal(said(r), want) || r.Account != s.customer.Account || r.By == "" || s.count("GetSecretValue") != reads {
		t.Errorf("%v %q %+v", err, said(r), r)
	}
	s.Revoke()
	r, err = s.client.VerifyRole(t.Context(), s.customer.RoleARN, id, provider.VerifyOptions{})
	if !errors.Is(err, provider.ErrDenied) || said(r)[2] != "the fixed external ID: refused, and that is wrong" {
		t.Errorf("%v %q", err, said(r))
	}
	for _, role := range []string{"", "arn:aws:iam::444455556666:user/x"} {
		if _, err := s.client.VerifyRole(t.Context(), role, id, provider.VerifyOptions{}); err == nil {
			t.Errorf("%q is a role", role)
		}
	}
	if _, err := s.client.VerifyRole(t.Context(), s.customer.RoleARN, provider.ExternalID{}, provider.VerifyOptions{}); err == nil {
		t.Error("no external ID is one")
	}
}

// A provider that keeps no external ID: what was accepted and what the secret says is enough to prove and to confirm.
func TestVerifyByAccountNeedsNoStoredID(t *testing.T) {
	s := newSide(t, provider.Options{})
	forget := func() {
		s.store = &provider.Memory{}
		s.client = provider.New(s.Config(), s.store, provider.Options{ByAccount: true})
		if err := s.store.Save(t.Context(), s.customer.Name, provider.State{}); err != nil {
			t.Fatal(err)
		}
	}
	forget()
	s.customer.ConfirmURL = "" // as the role's tags say
	r, err := s.verify(t, provider.VerifyOptions{})
	if want := []string{"no external ID: refused", "a random external ID: refused", "the current external ID: opens"}; err != nil || !slices.Equal(said(r), want) {
		t.Errorf("before any rotation: %v %q", err, said(r))
	}
	s.Rotate()
	r, err = s.verify(t, provider.VerifyOptions{Confirm: true})
	want := []string{"no external ID: refused", "a random external ID: refused", "the current external ID: opens", "the external ID before: opens",
		"the external ID before, in a session that confirms: refused"}
	if err != nil || !slices.Equal(said(r), want) || !r.Confirmed || r.VersionID != s.Version() || s.Kept() {
		t.Errorf("%v %q %+v", err, said(r), r)
	}
	s.Revoke()
	forget()
	r, err = s.verify(t, provider.VerifyOptions{})
	if !errors.Is(err, provider.ErrUnread) || errors.Is(err, provider.ErrDenied) || len(r.Checks) != 2 {
		t.Errorf("revoked: %v %q", err, said(r))
	}
}

func TestVerifyWaitsUntilIAMShowsTheID(t *testing.T) {
	s := newSide(t, provider.Options{})
	s.WhenUnconfirmed("cut")
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	s.Lag(10 * time.Minute)
	s.Rotate()
	waits := 0
	var progress []string
	o := provider.VerifyOptions{
		Progress: func(line string) { progress = append(progress, line) },
		Wait:     func(context.Context, time.Duration) error { waits++; return nil },
	}
	r, err := s.verify(t, o)
	if !errors.Is(err, provider.ErrDenied) || waits != 24 || r.Seconds != 120 {
		t.Errorf("%v after %d waits, %d s", err, waits, r.Seconds)
	}
	if !strings.Contains(strings.Join(progress, "\n"), "waiting for IAM to show version "+s.Version()) {
		t.Errorf("progress %q", progress)
	}
	waits = 0
	o.Wait = func(context.Context, time.Duration) error {
		if waits++; waits == 3 {
			s.Expire() // time goes on
		}
		return nil
	}
	r, err = s.verify(t, o)
	if err != nil || r.Seconds != 15 {
		t.Errorf("%v after %d s", err, r.Seconds)
	}
}

// A trust policy without the condition is the customer's mistake, and told as such; so is one that takes any ID.
func TestVerifyTellsOfARoleThatIsOpen(t *testing.T) {
	const allow = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"CONDITION}]}`
	for condition, want := range map[string][]string{
		``: {"no external ID: opens, and that is wrong", "a random external ID: opens, and that is wrong"},
		`,"Condition":{"StringLike":{"sts:ExternalId":"hestio-*"}}`:        {"no external ID: refused", "a random external ID: opens, and that is wrong"},
		`,"Condition":{"StringLikeIfExists":{"sts:ExternalId":"other-*"}}`: {"no external ID: opens, and that is wrong", "a random external ID: refused"},
	} {
		s := newSide(t, provider.Options{})
		s.Trust(strings.Replace(allow, "CONDITION", condition, 1))
		for _, confirm := range []bool{false, true} {
			r, err := s.verify(t, provider.VerifyOptions{Confirm: confirm})
			if !errors.Is(err, provider.ErrOpen) || !slices.Equal(said(r)[:2], want) || r.Confirmed {
				t.Errorf("%s: %v %q", condition, err, said(r))
			}
		}
	}
}

func TestVerifyOfARevokedGrant(t *testing.T) {
	s := newSide(t, provider.Options{ByAccount: true})
	s.Revoke()
	r, err := s.verify(t, provider.VerifyOptions{})
	if !errors.Is(err, provider.ErrDenied) || errors.Is(err, provider.ErrOpen) || !slices.Equal(said(r), []string{"no external ID: refused", "a random external ID: refused"}) {
		t.Errorf("%v %q", err, said(r))
	}
}

func TestVerifyAfterALeakReadsByAccount(t *testing.T) {
	s := newSide(t, provider.Options{ByAccount: true})
	s.Leak()
	r, err := s.verify(t, provider.VerifyOptions{Confirm: true})
	if err != nil || !r.Confirmed {
		t.Errorf("%v %q", err, said(r))
	}
}

// A trust policy in which the ID before opens any session would let whoever has that one confirm.
func TestVerifyTellsOfAPreviousIDThatConfirms(t *testing.T) {
	s := newSide(t, provider.Options{})
	s.follow(t)
	st := s.state(t)
	s.Trust(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole",
		"Condition":{"StringEquals":{"sts:ExternalId":["` + st.ID.Reveal() + `","` + st.Previous.Reveal() + `"]}}}]}`)
	confirms := s.count("Confirm")
	r, err := s.verify(t, provider.VerifyOptions{Confirm: true})
	if !errors.Is(err, provider.ErrOpen) || r.Confirmed || s.count("Confirm") != confirms {
		t.Errorf("%v %q", err, said(r))
	}
	if got := said(r); got[len(got)-1] != "the external ID before, in a session that confirms: opens, and that is wrong" {
		t.Errorf("%q", got)
	}
}
