package provider_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/provider"
)

// newer notes that a version from an hour later was used before.
func (s *side) newer(t *testing.T) {
	t.Helper()
	s.edit(t, func(st *provider.State) {
		st.VersionID, st.Created, st.Checked = "rotate-ffffffffffffffffffffffffffffffff", st.Created.Add(time.Hour), time.Time{}
	})
}

// edit changes what the store has.
func (s *side) edit(t *testing.T, change func(*provider.State)) {
	t.Helper()
	st := s.state(t)
	change(&st)
	if err := s.store.Save(t.Context(), s.customer.Name, st); err != nil {
		t.Fatal(err)
	}
}

// An older version is one that the secret had before: labels that were moved back.
func TestAnOlderVersionIsRefused(t *testing.T) {
	s := newSide(t, provider.Options{})
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	s.newer(t)
	for way, err := range both(t, s) {
		if !errors.Is(err, provider.ErrOlder) || !errors.Is(err, provider.ErrNotAccepted) {
			t.Errorf("%s: %v", way, err)
		}
	}
	s.onlyAccepted(t, provider.ExternalID{})
}

// By account as well: the secret is then read without any session.
func TestAnOlderVersionIsRefusedByAccount(t *testing.T) {
	s := newSide(t, provider.Options{ByAccount: true})
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	s.newer(t)
	s.Leak()
	s.edit(t, func(st *provider.State) { st.Created = st.Created.Add(1000 * time.Hour) })
	was := s.state(t)
	if _, err := s.enter(t); !errors.Is(err, provider.ErrOlder) {
		t.Errorf("Enter: %v", err)
	}
	if _, err := s.client.Verify(t.Context(), s.customer, provider.VerifyOptions{Confirm: true, Wait: atOnce}); !errors.Is(err, provider.ErrOlder) {
		t.Errorf("Verify: %v", err)
	}
	if now := s.state(t); !now.ID.Equal(was.ID) || now.VersionID != was.VersionID {
		t.Error("it was followed")
	}
}

// Where an event or a tag may say another secret or API of the same grant, what was accepted goes first.
func TestPoisonedEventsBesideWhatWasAccepted(t *testing.T) {
	for name, change := range map[string]func(*provider.Event){
		"another secret of the same name": func(e *provider.Event) { e.SecretARN = strings.Replace(secret, "Ab12Cd", "Zz99Zz", 1) },
		"another API":                     func(e *provider.Event) { e.ConfirmURL = api },
	} {
		s := newSide(t, provider.Options{})
		was := s.state(t)
		e := provider.Event{Type: "External ID Rotated", Grant: "migration", Account: "444455556666", RoleARN: mine, SecretARN: secret, VersionID: s.Version()}
		change(&e)
		if err := s.client.Ring(t.Context(), s.customer, e); !errors.Is(err, provider.ErrNotAccepted) || s.state(t) != was {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a store holds was found by a tag or an event, perhaps of an older release's: it is looked at again before it is used.
func TestAPoisonedStateIsNotFollowed(t *testing.T) {
	theirs := strings.Replace(secret, "444455556666", "777788889999", 1)
	for name, c := range map[string]struct {
		change func(*provider.State)
		ends   string // the version that is stored in the end: "", or what is current
	}{
		"a secret of another account": {func(st *provider.State) { st.SecretARN, st.ConfirmURL = theirs, api }, "current"},
		"a confirm URL of somebody else's": {func(st *provider.State) {
			st.SecretARN, st.ConfirmURL = secret, "http://127.0.0.1:1/v1/grants/migration/confirm"
		}, "current"},
	} {
		s := newSide(t, provider.Options{})
		s.customer.SecretARN, s.customer.ConfirmURL = "", ""
		s.edit(t, c.change)
		if _, err := s.enter(t); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, call := range s.Calls() {
			if call.Action == "GetSecretValue" && call.On != secret {
				t.Errorf("%s: read %s", name, call.On)
			}
		}
		told := errors.Join(s.problems...)
		if wrong := strings.Contains(name, "URL"); errors.Is(told, provider.ErrNotAccepted) != wrong || s.state(t).VersionID != s.Version() || (s.state(t).Confirmed == "") != wrong {
			t.Errorf("%s: %v", name, told)
		}
	}
	s := newSide(t, provider.Options{ByAccount: true})
	s.customer.SecretARN, s.customer.ConfirmURL = "", ""
	s.Leak()
	s.edit(t, func(st *provider.State) { st.SecretARN = theirs })
	if _, err := s.enter(t); !errors.Is(err, provider.ErrNotAccepted) {
		t.Errorf("by account: %v", err)
	}
	if _, err := s.client.Verify(t.Context(), s.customer, provider.VerifyOptions{Wait: atOnce}); !errors.Is(err, provider.ErrNotAccepted) {
		t.Errorf("Verify by account: %v", err)
	}
	if n := s.count("GetSecretValue"); n != 0 {
		t.Errorf("another account's secret was asked for %d times", n)
	}
}

// Secrets Manager takes version ids of up to 64 characters, and anybody who may write the secret could choose one that makes no session's
// name.
func TestAVersionOfAnotherFormIsRefused(t *testing.T) {
	for _, id := range []string{strings.Repeat("v", 57), strings.Repeat("../", 12)} {
		s := newSide(t, provider.Options{})
		if _, err := s.enter(t); err != nil {
			t.Fatal(err)
		}
		s.Poison(id, value("migration", mine, "hestio-"+random))
		s.edit(t, func(st *provider.State) { st.Checked = time.Time{} })
		for way, err := range both(t, s) {
			if !errors.Is(err, provider.ErrNotAccepted) {
				t.Errorf("%s: %v", way, err)
			}
		}
		if n := s.count("Confirm"); n != 1 {
			t.Errorf("confirmed %d times", n)
		}
	}
}

// A customer that isn't whole is asked nothing, whatever is wanted of it.
func TestNothingIsAskedForACustomerThatIsNone(t *testing.T) {
	s := newSide(t, provider.Options{})
	s.customer.Account = "777788889999"
	e := provider.Event{Type: "External ID Rotated", Grant: "migration", Account: "777788889999", RoleARN: mine}
	s.customer.SecretARN, s.customer.ConfirmURL = "", ""
	_, entered := s.client.Enter(t.Context(), s.customer)
	_, verified := s.client.Verify(t.Context(), s.customer, provider.VerifyOptions{Wait: atOnce})
	_, rotated := s.client.Rotate(t.Context(), s.customer, "")
	for way, err := range map[string]error{"Enter": entered, "Verify": verified, "Rotate": rotated, "Ring": s.client.Ring(t.Context(), s.customer, e)} {
		if !errors.Is(err, provider.ErrNotAccepted) {
			t.Errorf("%s: %v", way, err)
		}
	}
	if calls := s.Calls(); len(calls) != 0 {
		t.Errorf("called %v", calls)
	}
	file := provider.OpenFile(filepath.Join(t.TempDir(), "customers.json"))
	if err := file.Accept(s.customer, s.state(t).ID); !errors.Is(err, provider.ErrNotAccepted) {
		t.Errorf("a file: %v", err)
	}
}

func TestParseEventTakesEventsAlone(t *testing.T) {
	good := `{"source":"countersign","detail-type":"External ID Rotated","detail":{"metadata":{"grant":"migration"},"data":{"account":"444455556666","roleArn":"` + mine + `"}}}`
	if e, err := provider.ParseEvent([]byte(good)); err != nil || e.Grant != "migration" || e.RoleARN != mine || e.Type != "External ID Rotated" {
		t.Fatalf("%+v %v", e, err)
	}
	for name, body := range map[string]string{
		"another source": strings.Replace(good, `"countersign"`, `"aws.iam"`, 1),
		"no source":      strings.Replace(good, `"source":"countersign",`, ``, 1),
		"no role":        strings.Replace(good, mine, "", 1),
		"no type":        `{"data":{"grant":"migration","roleArn":"` + mine + `"}}`,
		"no JSON":        "External ID Rotated",
		"no end":         strings.Replace(good, "{", `{"x":"`+strings.Repeat("x", 256<<10)+`",`, 1),
		"nothing":        "",
	} {
		if e, err := provider.ParseEvent([]byte(body)); err == nil {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// A customer that was accepted wrongly is none.
func TestACustomerIsWhole(t *testing.T) {
	good := provider.Customer{Name: "acme", Account: "444455556666", RoleARN: mine, Grant: "migration", Prefix: "hestio", SecretARN: secret}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*provider.Customer){
		"no name":                 func(c *provider.Customer) { c.Name = "" },
		"another account":         func(c *provider.Customer) { c.Account, c.SecretARN = "777788889999", "" },
		"a short account":         func(c *provider.Customer) { c.Account = "4444" },
		"a user":                  func(c *provider.Customer) { c.RoleARN = strings.Replace(mine, ":role/", ":user/", 1) },
		"no grant":                func(c *provider.Customer) { c.Grant = "" },
		"a grant that is a path":  func(c *provider.Customer) { c.Grant, c.SecretARN = "../nightly", "" },
		"a prefix with a hyphen":  func(c *provider.Customer) { c.Prefix = "hes-tio" },
		"another grant's secret":  func(c *provider.Customer) { c.Grant = "nightly" },
		"another tenant's secret": func(c *provider.Customer) { c.SecretARN = strings.Replace(secret, "4444", "7777", 1) },
	} {
		c := good
		edit(&c)
		if c.Validate() == nil {
			t.Errorf("%s is fine", name)
		}
	}
}
