//go:build e2e

package e2e

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/countersign/countersign/e2e/lab"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/provider"
)

// follower is a provider's backend as docs/for-saas.md has it: package provider, one customer, one grant.
type follower struct {
	*provider.Client
	customer provider.Customer
	store    *provider.Memory
}

// newFollower knows what a customer hands over: the role, and the external ID that is current. Secret and confirm URL it finds
// by the role's tags.
func (s *story) newFollower(t *testing.T, who aws.Config, grant string) *follower {
	t.Helper()
	f := &follower{store: &provider.Memory{}, customer: provider.Customer{
		Name: "acme", Account: lab.Customer, RoleARN: lab.RoleARN(grant), Grant: grant, Prefix: "scalr"}}
	f.Client = s.clientFor(t, f, who, false)
	id := must[provider.ExternalID](t)(provider.ParseExternalID(s.current(t, grant).ExternalID))
	if err := f.store.Save(t.Context(), f.customer.Name, provider.State{ID: id}); err != nil {
		t.Fatal(err)
	}
	return f
}

// clientFor is a client of somebody's with a follower's state. Nothing may keep it from following.
func (s *story) clientFor(t *testing.T, f *follower, who aws.Config, byAccount bool) *provider.Client {
	return provider.New(s.Calling(who), f.store, provider.Options{RetireIn: -1, ByAccount: byAccount,
		Problem: func(_ context.Context, _ provider.Customer, err error) { t.Errorf("not followed: %v", err) }})
}

// enter gives the credentials of a session, as configuration.
func (f *follower) enter(t *testing.T, s *story) aws.Config {
	t.Helper()
	creds := must[aws.CredentialsProvider](t)(f.Enter(t.Context(), f.customer))
	keys := must[aws.Credentials](t)(creds.Retrieve(t.Context()))
	return s.With(keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken)
}

// wantHolds checks that the provider has taken over a version and confirmed it.
func (f *follower) wantHolds(t *testing.T, v lab.Version) {
	t.Helper()
	state := must[provider.State](t)(f.store.Load(t.Context(), f.customer.Name))
	id := must[provider.ExternalID](t)(provider.ParseExternalID(v.ExternalID))
	if !state.ID.Equal(id) || state.VersionID != v.ID || state.Confirmed != v.ID {
		t.Errorf("the provider holds version %s and has confirmed %q, want %s for both", state.VersionID, state.Confirmed, v.ID)
	}
}

// hear waits for the webhook about a version and rings the provider's doorbell with it.
func (f *follower) hear(t *testing.T, s *story, version string) {
	t.Helper()
	rung := false
	eventually(t, 15*time.Second, "a webhook about version "+version, func() bool {
		for _, d := range s.around.Receiver.Deliveries() {
			e, err := provider.ParseEvent(d.Body)
			if err != nil || d.Verified != nil || e.RoleARN != f.customer.RoleARN || e.VersionID != version || e.ConfirmURL == "" {
				continue
			}
			if err := f.Ring(t.Context(), f.customer, e); err != nil {
				t.Fatal(err)
			}
			rung = true
		}
		return rung
	})
}

// rotates asks for a rotation as the operator and gives the version that is current then.
func (s *story) rotates(t *testing.T, grant string, args ...string) lab.Version {
	t.Helper()
	before := s.current(t, grant)
	s.countersign(t, 0, append([]string{"rotate", grant, "--reason", "to see who follows"}, args...)...)
	eventually(t, 20*time.Second, "another ID is current", func() bool { return s.current(t, grant).ID != before.ID })
	return s.current(t, grant)
}

// status is what countersign show says.
func (s *story) status(t *testing.T, grant string) (status api.Status) {
	t.Helper()
	decode(t, s.countersign(t, 0, "show", grant, "--json").Stdout, &status)
	if status.Confirmation == nil {
		t.Fatalf("%s is not said to be confirmed or not", grant)
	}
	return status
}

// previous is the accepted ID that has an end or waits for a confirmation.
func previous(status api.Status) (id api.ID, there bool) {
	for _, a := range status.Accepted {
		if a.Unconfirmed || !a.Until.IsZero() {
			return a, true
		}
	}
	return api.ID{}, false
}

// follows is a provider whose principal has only sts:AssumeRole, through two rotations, a leak and a revoke.
func (s *story) follows(t *testing.T) {
	const grant = "telemetry"
	f := s.newFollower(t, s.backend, grant)
	first := s.current(t, grant)
	f.enter(t, s) // finds the secret, and confirms the ID that it was given
	f.wantHolds(t, first)
	older := must[aws.Config](t)(s.Enter(t.Context(), s.backend, lab.RoleARN(grant), first.ExternalID, "confirm-"+first.ID))
	app := must[aws.Config](t)(s.Enter(t.Context(), s.backend, lab.RoleARN(grant), first.ExternalID, "app"))

	second := s.rotates(t, grant)
	status := s.status(t, grant)
	if id, there := previous(status); !there || !id.Unconfirmed || !status.Confirmation.Extended || !strings.Contains(status.Confirmation.Why, "no rotation came before") {
		t.Errorf("after the first rotation: %+v, %+v", status.Accepted, status.Confirmation)
	}
	s.refusedConfirms(t, first, second, older, app)
	f.hear(t, s, second.ID)
	f.enter(t, s)
	f.wantHolds(t, second)
	s.wantGone(t, "the first ID, once the second is confirmed", grant, first)
	wantAllowed(t, "the second ID", s.enters(t, s.backend, grant, second.ExternalID))

	third := s.rotates(t, grant)
	status = s.status(t, grant)
	if id, there := previous(status); !there || id.Unconfirmed || time.Until(id.Until) < 50*time.Minute || status.Confirmation.Extended ||
		!strings.Contains(status.Confirmation.Why, "confirmed the rotation before") {
		t.Errorf("after the second rotation: %+v, %+v", status.Accepted, status.Confirmation)
	}
	wantAllowed(t, "the second ID, in the overlap", s.enters(t, s.backend, grant, second.ExternalID))
	f.hear(t, s, third.ID)
	session := f.enter(t, s)
	f.wantHolds(t, third)
	s.wantGone(t, "the second ID, an hour early", grant, second)
	if status = s.status(t, grant); status.Confirmation.VersionID != third.ID || status.Confirmation.By != "provider" {
		t.Errorf("confirmed: %+v", status.Confirmation)
	}
	s.asks(t, grant, session, third)
	s.wantAnotherWay(t, f, session)
}

// wantGone waits until IAM refuses a version's ID.
func (s *story) wantGone(t *testing.T, what, grant string, v lab.Version) {
	t.Helper()
	eventually(t, 10*time.Second, what+" is out", func() bool { return lab.Denied(s.enters(t, s.backend, grant, v.ExternalID)) })
}

// refusedConfirms tries what must not count in the overlap of two versions: nothing of it may change anything.
func (s *story) refusedConfirms(t *testing.T, first, second lab.Version, older, app aws.Config) {
	t.Helper()
	const grant = "telemetry"
	_, err := s.Enter(t.Context(), s.backend, lab.RoleARN(grant), first.ExternalID, "confirm-"+second.ID)
	wantDenied(t, "the previous ID, in a session that would confirm", err)
	_, err = s.Enter(t.Context(), s.backend, lab.RoleARN(grant), first.ExternalID, "confirm-"+first.ID)
	wantDenied(t, "the previous ID, in a session that confirmed it while it was current", err)
	wantAllowed(t, "the previous ID, in another session", s.enters(t, s.backend, grant, first.ExternalID))
	other := must[aws.Config](t)(s.Enter(t.Context(), s.engineer, lab.RoleARN("nightly"), s.current(t, "nightly").ExternalID, "confirm-"+second.ID))
	for _, c := range []struct {
		what    string
		who     *aws.Config
		version string
		status  int
		says    string
	}{
		{"a session of the previous ID that once confirmed", &older, second.ID, http.StatusForbidden, "named after another version"},
		{"the same, of its own version", &older, first.ID, http.StatusConflict, "not the current one any more"},
		{"an application's session", &app, second.ID, http.StatusForbidden, "only one called confirm-"},
		{"another grant's session", &other, second.ID, http.StatusForbidden, "a granted role may not operate grants"},
		{"the provider without a session", &s.backend, second.ID, http.StatusForbidden, ""},
		{"a third account", &s.stranger, second.ID, http.StatusForbidden, ""},
		{"nobody, unsigned", nil, second.ID, http.StatusForbidden, ""},
	} {
		got := must[lab.Answer](t)(s.Call(t.Context(), c.who, "execute-api", http.MethodPost, s.api+"/grants/"+grant+"/confirm", "application/json", `{"versionId":"`+c.version+`"}`))
		if got.Status != c.status || !strings.Contains(got.Body, c.says) {
			t.Errorf("%s confirms: %+v, want %d, %q", c.what, got, c.status, c.says)
		}
	}
	if status := s.status(t, grant); status.Confirmation.VersionID != first.ID {
		t.Errorf("confirmed all the same: %+v", status.Confirmation)
	}
}

// asks is what a session may read and ask for, and what not.
func (s *story) asks(t *testing.T, grant string, session aws.Config, current lab.Version) {
	t.Helper()
	for _, name := range []string{grant, "migration", "nightly", "platform", "snapshots"} {
		secret := must[string](t)(s.Secret(t.Context(), name))
		_, err := secretsmanager.NewFromConfig(session).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &secret})
		if name == grant {
			wantAllowed(t, "reading its own grant's secret", err)
		} else {
			wantDenied(t, "reading the secret of "+name, err)
		}
	}
	proof := must[aws.Config](t)(s.Enter(t.Context(), s.backend, lab.RoleARN(grant), current.ExternalID, "confirm-"+current.ID))
	for _, c := range []struct {
		what, path, body string
		status           int
		says             string
	}{
		{"confirming again", "/grants/" + grant + "/confirm", `{"versionId":"` + current.ID + `"}`, http.StatusConflict, "confirmed already"},
		{"asking for a rotation", "/grants/" + grant + "/rotate", `{}`, http.StatusTooManyRequests, "less than an hour ago"},
		{"asking for one without an overlap", "/grants/" + grant + "/rotate", `{"leaked":true}`, http.StatusForbidden, "for no other"},
		{"asking for another grant's", "/grants/nightly/rotate", `{}`, http.StatusForbidden, "a granted role may not operate grants"},
		{"confirming another grant's", "/grants/nightly/confirm", `{"versionId":"` + current.ID + `"}`, http.StatusForbidden, "a granted role may not operate grants"},
		{"revoking", "/grants/" + grant + "/revoke", `{"reason":"mine"}`, http.StatusForbidden, ""},
	} {
		got := must[lab.Answer](t)(s.Call(t.Context(), &proof, "execute-api", http.MethodPost, s.api+c.path, "application/json", c.body))
		if got.Status != c.status || !strings.Contains(got.Body, c.says) {
			t.Errorf("%s: %+v, want %d, %q", c.what, got, c.status, c.says)
		}
	}
}

// wantAnotherWay cuts the ID that the provider has: no session opens any more in which it could read the next one, so it takes
// another principal, who may read by account, or an operator. After a revoke nobody of the provider's reads anything.
func (s *story) wantAnotherWay(t *testing.T, f *follower, open aws.Config) {
	t.Helper()
	grant := f.customer.Grant
	secret := must[string](t)(s.Secret(t.Context(), grant))
	reads := func(who aws.Config) error {
		_, err := secretsmanager.NewFromConfig(who).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &secret})
		return err
	}
	denied := func(what string, c *provider.Client) {
		t.Helper()
		if _, err := c.Enter(t.Context(), f.customer); !errors.Is(err, provider.ErrDenied) {
			t.Errorf("%s: %v, want %v", what, err, provider.ErrDenied)
		}
	}
	fourth := s.rotates(t, grant, "--leaked")
	s.wantGone(t, "the leaked ID", grant, s.labelled(t, grant, "AWSPREVIOUS"))
	wantAllowed(t, "a session from before the leak, which a rotation doesn't end", reads(open))
	denied("in session, after a leak", f.Client)
	denied("by account with a principal that may only assume roles", s.clientFor(t, f, s.backend, true))
	wantAllowed(t, "an operator, who can tell it", reads(s.operator))
	f.Client = s.clientFor(t, f, s.engineer, true)
	live := f.enter(t, s)
	f.wantHolds(t, fourth)
	wantAllowed(t, "the session, before the revoke", reads(live))

	s.countersign(t, 0, "revoke", grant, "--reason", "contract ended", "--yes")
	wantDenied(t, "the live session, reading its secret", reads(live))
	eventually(t, 10*time.Second, "the role is closed", func() bool { return lab.Denied(s.enters(t, s.backend, grant, fourth.ExternalID)) })
	denied("in session, revoked", s.clientFor(t, f, s.backend, false))
	denied("by account, revoked", f.Client)
	s.wantRefused(t, "a live session, revoked", &live, http.MethodPost, "/grants/"+grant+"/confirm", `{"versionId":"`+fourth.ID+`"}`)
}

// labelled is the version under a label.
func (s *story) labelled(t *testing.T, grant, stage string) lab.Version {
	t.Helper()
	v, ok := lab.Labelled(must[[]lab.Version](t)(s.Versions(t.Context(), grant)), stage)
	if !ok {
		t.Fatalf("%s has no version %s", grant, stage)
	}
	return v
}
