package provider_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign/countersign/provider"
)

const (
	mine    = "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration"
	another = "arn:aws:iam::444455556666:role/countersign/ServiceProvider-nightly"
	tenant  = "arn:aws:iam::777788889999:role/countersign/ServiceProvider-migration"
	secret  = "arn:aws:secretsmanager:eu-central-1:444455556666:secret:countersign/migration-Ab12Cd"
)

// api is where a grant like mine could be confirmed.
const api = "https://a1.execute-api.eu-central-1.amazonaws.com/v1/grants/migration/confirm"

var random = strings.Repeat("q", 32)

func value(grant, role, id string) string {
	return fmt.Sprintf(`{"grant":%q,"roleArn":%q,"externalId":%q}`, grant, role, id)
}

// poisonedSecrets are values of the secret, as nobody should be able to write them.
var poisonedSecrets = []struct{ name, value string }{
	{"another tenant's role", value("migration", tenant, "hestio-"+random)},
	{"another role of the same account", value("migration", another, "hestio-"+random)},
	{"a role of the same name with another path", value("migration", "arn:aws:iam::444455556666:role/ServiceProvider-migration", "hestio-"+random)},
	{"a role in another partition", value("migration", strings.Replace(mine, "arn:aws:", "arn:aws-cn:", 1), "hestio-"+random)},
	{"a role with a space behind it", value("migration", mine+" ", "hestio-"+random)},
	{"another grant", value("nightly", mine, "hestio-"+random)},
	{"another customer's prefix", value("migration", mine, "hestia-"+random)},
	{"a prefix that begins alike", value("migration", mine, "hestio2-"+random)},
	{"the prefix twice", value("migration", mine, "hestio-hestio-"+random)},
	{"no prefix", value("migration", mine, random)},
	{"the prefix in capitals", value("migration", mine, "HESTIO-"+random)},
	{"a short ID", value("migration", mine, "hestio-abc")},
	{"a field more", `{"grant":"migration","roleArn":"` + mine + `","externalId":"hestio-` + random + `","account":"777788889999"}`},
	{"two values", value("migration", mine, "hestio-"+random) + value("migration", tenant, "hestio-"+random)},
	{"no JSON", "hestio-" + random},
}

// poisonedEvents are said of the customer's grant.
var poisonedEvents = []struct {
	name  string
	event func(e *provider.Event)
}{
	{"another tenant's role", func(e *provider.Event) { e.RoleARN = tenant }},
	{"another role of the same account", func(e *provider.Event) { e.RoleARN = another }},
	{"another account", func(e *provider.Event) { e.Account = "777788889999" }},
	{"another grant", func(e *provider.Event) { e.Grant = "nightly" }},
	{"a secret of another account", func(e *provider.Event) { e.SecretARN = strings.Replace(secret, "444455556666", "777788889999", 1) }},
	{"another grant's secret", func(e *provider.Event) { e.SecretARN = strings.Replace(secret, "migration", "nightly", 1) }},
	{"a secret whose name begins alike", func(e *provider.Event) { e.SecretARN = strings.Replace(secret, "migration", "migration-2", 1) }},
	{"a version that is a path", func(e *provider.Event) { e.VersionID = "../../grants/nightly/confirm?x=0000000000000" }},
	{"a secret in another partition", func(e *provider.Event) { e.SecretARN = strings.Replace(secret, "arn:aws:", "arn:aws-cn:", 1) }},
	{"a secret's ARN that goes on", func(e *provider.Event) { e.SecretARN = secret + "?x=1" }},
	{"a confirm URL without a secret", func(e *provider.Event) { e.SecretARN, e.ConfirmURL = "", api }},
	{"a confirm URL with a user", func(e *provider.Event) { e.ConfirmURL = strings.Replace(api, "https://", "https://evil.example@", 1) }},
	{"a confirm URL with a query", func(e *provider.Event) { e.ConfirmURL = api + "?to=evil.example" }},
	{"a confirm URL with a fragment", func(e *provider.Event) { e.ConfirmURL = api + "#evil" }},
	{"a confirm URL with an escape", func(e *provider.Event) { e.ConfirmURL = strings.Replace(api, "migration", "%6digration", 1) }},
	{"a confirm URL that leads up", func(e *provider.Event) { e.ConfirmURL = strings.Replace(api, "/v1/", "/../", 1) }},
	{"a confirm URL that lies deeper", func(e *provider.Event) { e.ConfirmURL = strings.Replace(api, "/v1/", "/v1/grants/", 1) }},
	{"a confirm URL over http", func(e *provider.Event) { e.ConfirmURL = strings.Replace(api, "https:", "http:", 1) }},
	{"a confirm URL of the machine itself", func(e *provider.Event) { e.ConfirmURL = "http://127.0.0.1:1/v1/grants/migration/confirm" }},
	{"a confirm URL of somebody else's", func(e *provider.Event) {
		e.SecretARN, e.ConfirmURL = secret, "https://evil.example/v1/grants/migration/confirm"
	}},
	{"a confirm URL that looks like AWS's", func(e *provider.Event) {
		e.SecretARN, e.ConfirmURL = secret, "https://a.execute-api.eu-central-1.amazonaws.com.evil.example/v1/grants/migration/confirm"
	}},
	{"a confirm URL in another Region than the secret", func(e *provider.Event) {
		e.SecretARN, e.ConfirmURL = secret, "https://a1.execute-api.eu-west-1.amazonaws.com/v1/grants/migration/confirm"
	}},
	{"another grant's confirm URL", func(e *provider.Event) {
		e.SecretARN, e.ConfirmURL = secret, "https://a1.execute-api.eu-central-1.amazonaws.com/v1/grants/nightly/confirm"
	}},
}

// poisonedTags are tags of the role.
var poisonedTags = []struct {
	name string
	tags map[string]string
}{
	{"a secret of another account", map[string]string{"countersign:secret": strings.Replace(secret, "444455556666", "777788889999", 1)}},
	{"another grant's secret", map[string]string{"countersign:secret": strings.Replace(secret, "migration", "nightly", 1)}},
	{"no ARN", map[string]string{"countersign:secret": "countersign/migration"}},
	{"a secret in another partition", map[string]string{"countersign:secret": strings.Replace(secret, "arn:aws:", "arn:aws-cn:", 1)}},
	{"a secret whose name begins alike", map[string]string{"countersign:secret": strings.Replace(secret, "migration", "migration-2", 1)}},
	{"a secret's ARN that goes on", map[string]string{"countersign:secret": secret + "x"}},
	{"a confirm URL of another grant's", map[string]string{"countersign:confirm": strings.Replace(api, "migration", "nightly", 1)}},
	{"a confirm URL of somebody else's", map[string]string{"countersign:confirm": "https://evil.example/v1/grants/migration/confirm"}},
}

// onlyAccepted fails if a role was assumed, or tried, that was not accepted, or with an ID of the poison.
func (s *side) onlyAccepted(t *testing.T, poison provider.ExternalID) {
	t.Helper()
	assumed := 0
	for _, c := range s.Calls() {
		if c.Action != "AssumeRole" {
			continue
		}
		assumed++
		if c.On != mine {
			t.Errorf("assumed %s", c.On)
		}
		if !poison.IsZero() && c.ID == poison.Fingerprint() {
			t.Error("a poisoned ID was tried")
		}
	}
	if assumed == 0 {
		t.Error("nothing was assumed: this proves nothing")
	}
}

// both are the ways through which poison must not come.
func both(t *testing.T, s *side) map[string]error {
	_, entered := s.enter(t)
	if entered != nil {
		t.Errorf("the ID in use doesn't enter any more: %v", entered)
	}
	_, verified := s.client.Verify(t.Context(), s.customer, provider.VerifyOptions{Confirm: true, Wait: atOnce})
	return map[string]error{"Enter": errors.Join(s.problems...), "Verify": verified}
}

func TestPoisonedSecretsAssumeNoOtherRole(t *testing.T) {
	poison, err := provider.ParseExternalID("hestio-" + random)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range poisonedSecrets {
		t.Run(p.name, func(t *testing.T) {
			s := newSide(t, provider.Options{ByAccount: true})
			if _, err := s.enter(t); err != nil {
				t.Fatal(err)
			}
			was := s.state(t)
			s.Poison("poison-00000000000000000000000000000000", p.value)
			s.ring(t)
			for way, err := range both(t, s) {
				if !errors.Is(err, provider.ErrNotAccepted) {
					t.Errorf("%s: %v", way, err)
				}
				if err != nil && strings.Contains(err.Error(), random) {
					t.Errorf("%s tells the value", way)
				}
			}
			if now := s.state(t); !now.ID.Equal(was.ID) || now.VersionID != was.VersionID || s.count("Confirm") != 1 {
				t.Error("it was followed")
			}
			s.onlyAccepted(t, poison)
		})
	}
}

func TestPoisonedEventsAreRefused(t *testing.T) {
	for _, p := range poisonedEvents {
		t.Run(p.name, func(t *testing.T) {
			s := newSide(t, provider.Options{})
			s.customer.SecretARN, s.customer.ConfirmURL = "", ""
			e := provider.Event{
				Type: "External ID Rotated", Grant: "migration", Account: "444455556666", RoleARN: mine, SecretARN: secret,
				VersionID: "rotate-00000000000000000000000000000000",
			}
			whole := e
			whole.ConfirmURL = api
			for _, good := range []provider.Event{whole, e} {
				before := s.state(t)
				if err := s.client.Ring(t.Context(), s.customer, good); err != nil {
					t.Fatalf("the event itself: %v", err)
				}
				before.Revision = s.state(t).Revision
				if err := s.store.Save(t.Context(), s.customer.Name, before); err != nil {
					t.Fatal(err)
				}
			}
			was := s.state(t)
			p.event(&e)
			if err := s.client.Ring(t.Context(), s.customer, e); !errors.Is(err, provider.ErrNotAccepted) {
				t.Errorf("%v", err)
			}
			if s.state(t) != was {
				t.Error("it left something behind")
			}
			for way, err := range both(t, s) {
				if err != nil {
					t.Errorf("%s: %v", way, err)
				}
			}
			s.onlyAccepted(t, provider.ExternalID{})
		})
	}
}

func TestPoisonedTagsAreRefused(t *testing.T) {
	for _, p := range poisonedTags {
		t.Run(p.name, func(t *testing.T) {
			s := newSide(t, provider.Options{})
			s.customer.SecretARN, s.customer.ConfirmURL = "", ""
			s.Tag(p.tags)
			for way, err := range both(t, s) {
				if !errors.Is(err, provider.ErrNotAccepted) {
					t.Errorf("%s: %v", way, err)
				}
			}
			if s.count("GetSecretValue")+s.count("Confirm") != 0 {
				t.Error("it was followed")
			}
			s.onlyAccepted(t, provider.ExternalID{})
		})
	}
}
