package provider_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/countersign/countersign/provider"
	"github.com/countersign/countersign/provider/providertest"
)

// side is a provider with one customer.
type side struct {
	*providertest.Account
	store    provider.Store
	client   *provider.Client
	customer provider.Customer
	problems []error
	now      time.Time
}

func newSide(t *testing.T, o provider.Options) *side {
	s := &side{Account: providertest.New(t), now: time.Now()}
	s.store, s.customer = s.Store(), s.Customer()
	o.Problem = func(_ context.Context, _ provider.Customer, err error) { s.problems = append(s.problems, err) }
	o.Now = func() time.Time { return s.now }
	s.client = provider.New(s.Config(), s.store, o)
	return s
}

func (s *side) enter(t *testing.T) (aws.Credentials, error) {
	t.Helper()
	creds, err := s.client.Enter(t.Context(), s.customer)
	if err != nil {
		return aws.Credentials{}, err
	}
	return creds.Retrieve(t.Context())
}

func (s *side) state(t *testing.T) provider.State {
	t.Helper()
	st, err := s.store.Load(t.Context(), s.customer.Name)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// follow has the provider enter, the customer rotate and say so, and the provider enter with what is new.
func (s *side) follow(t *testing.T) {
	t.Helper()
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	s.Rotate()
	s.ring(t)
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
}

// ring has the next Enter look.
func (s *side) ring(t *testing.T) {
	t.Helper()
	e := provider.Event{Type: "External ID Rotated", Grant: s.customer.Grant, Account: s.customer.Account, RoleARN: s.customer.RoleARN, VersionID: s.Version()}
	if err := s.client.Ring(t.Context(), s.customer, e); err != nil {
		t.Fatal(err)
	}
}

// count counts the calls of an action.
func (s *side) count(action string) (n int) {
	for _, c := range s.Calls() {
		if c.Action == action {
			n++
		}
	}
	return n
}

// The provider's principal may only assume roles: the embedded STS lets it, and the secret is read in the sessions.
func TestAProviderFollowsTwoRotationsInSessionAndConfirms(t *testing.T) {
	s := newSide(t, provider.Options{RetireIn: -1})
	for range 3 {
		if _, err := s.enter(t); err != nil {
			t.Fatal(err)
		}
		st := s.state(t)
		if st.VersionID != s.Version() || st.Confirmed != st.VersionID {
			t.Fatalf("follows %s, has confirmed %s; current is %s", st.VersionID, st.Confirmed, s.Version())
		}
		if until := s.Until(); !until.IsZero() {
			t.Errorf("confirmed, and the ID before stays until %s", until)
		}
		if before := s.state(t).Previous; !before.IsZero() {
			if _, err := s.assume(t, before, "countersign"); err == nil {
				t.Error("confirmed with retireIn 0s, and the ID before still opens")
			}
		}
		s.Rotate()
		s.ring(t)
	}
	if len(s.problems) > 0 {
		t.Error(errors.Join(s.problems...))
	}
}

func (s *side) assume(t *testing.T, id provider.ExternalID, session string) (*sts.AssumeRoleOutput, error) {
	return sts.NewFromConfig(s.Config()).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: &s.customer.RoleARN, RoleSessionName: &session, ExternalId: new(id.Reveal()),
	})
}

func TestASecretIsReadWhenItIsTimeAndNotBefore(t *testing.T) {
	s := newSide(t, provider.Options{Every: 6 * time.Hour})
	for _, step := range []struct {
		later time.Duration
		reads int
	}{{0, 1}, {time.Hour, 1}, {4 * time.Hour, 1}, {2 * time.Hour, 2}} {
		s.now = s.now.Add(step.later)
		if _, err := s.enter(t); err != nil {
			t.Fatal(err)
		}
		if got := s.count("GetSecretValue"); got != step.reads {
			t.Errorf("%s later: read %d times, want %d", step.later, got, step.reads)
		}
	}
}

// The ID before is tried on AccessDenied alone, never without an ID, and another worker's discovery is taken over.
func TestThePreviousIDIsTriedOnAccessDeniedAlone(t *testing.T) {
	s := newSide(t, provider.Options{})
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	st := s.state(t)
	wrong, err := provider.ParseExternalID("hestio-" + strings.Repeat("x", 32))
	if err != nil {
		t.Fatal(err)
	}
	st.ID, st.Previous = wrong, st.ID
	if err := s.store.Save(t.Context(), s.customer.Name, st); err != nil {
		t.Fatal(err)
	}
	before := len(s.Calls())
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range s.Calls()[before:] {
		ids = append(ids, c.Action+" "+c.ID+" "+c.Answer)
	}
	if want := []string{"AssumeRole " + wrong.Fingerprint() + " AccessDenied", "AssumeRole " + st.Previous.Fingerprint() + " OK"}; !slices.Equal(ids, want) {
		t.Errorf("called %v, want %v", ids, want)
	}
}

func TestANewIDThatIAMDoesNotShowYetIsTriedLater(t *testing.T) {
	s := newSide(t, provider.Options{})
	s.WhenUnconfirmed("cut")
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	was := s.state(t)
	s.Lag(10 * time.Minute)
	s.Rotate()
	s.ring(t)
	if _, err := s.enter(t); err != nil {
		t.Fatalf("the ID before still opens: %v", err)
	}
	if now := s.state(t); now.VersionID != was.VersionID || !now.ID.Equal(was.ID) {
		t.Fatal("an ID was kept that AWS doesn't take yet")
	}
	s.Expire() // the lag is over, and so is the overlap
	s.now = s.now.Add(2 * time.Minute)
	if _, err := s.enter(t); !errors.Is(err, provider.ErrDenied) {
		t.Fatalf("slept through the whole overlap: %v", err)
	}
}

func TestAfterALeakTheAccountIsTheWay(t *testing.T) {
	for _, byAccount := range []bool{false, true} {
		s := newSide(t, provider.Options{ByAccount: byAccount})
		if _, err := s.enter(t); err != nil {
			t.Fatal(err)
		}
		s.Leak()
		_, err := s.enter(t)
		if byAccount && err != nil || !byAccount && !errors.Is(err, provider.ErrDenied) {
			t.Errorf("by account %v: %v", byAccount, err)
		}
		s.Revoke()
		if _, err := s.enter(t); !errors.Is(err, provider.ErrDenied) {
			t.Errorf("by account %v, revoked: %v", byAccount, err)
		}
		s.Restore()
		if _, err := s.enter(t); byAccount && err != nil {
			t.Errorf("by account, restored: %v", err)
		}
	}
}

func TestASessionReadsItsOwnSecretAlone(t *testing.T) {
	s := newSide(t, provider.Options{})
	creds, err := s.enter(t)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.Config()
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return creds, nil })
	read := func(cfg aws.Config, arn string) error {
		_, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &arn})
		return err
	}
	other := strings.Replace(s.customer.SecretARN, "migration", "nightly", 1)
	for _, c := range []struct {
		what string
		err  error
		want string
	}{
		{"its own", read(cfg, s.customer.SecretARN), ""},
		{"its own by name", read(cfg, "countersign/migration"), ""},
		{"another grant's", read(cfg, other), "AccessDenied"},
		{"a stranger", read(s.Stranger(), s.customer.SecretARN), "AccessDenied"},
	} {
		if (c.err == nil) != (c.want == "") || c.err != nil && !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v", c.what, c.err)
		}
	}
	s.Revoke()
	if err := read(cfg, s.customer.SecretARN); err == nil {
		t.Error("a revoked session reads its secret")
	}
	if err := read(s.Config(), s.customer.SecretARN); err == nil {
		t.Error("the provider reads a revoked grant's secret by account")
	}
}

func TestWhereTheSecretIsIsFoundInTheRolesTags(t *testing.T) {
	s := newSide(t, provider.Options{})
	s.customer.SecretARN, s.customer.ConfirmURL = "", ""
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	if st := s.state(t); st.Confirmed != s.Version() {
		t.Errorf("not confirmed: %+v", s.problems)
	}
}

// 40 workers with what they loaded before a rotation: each gets in, one version is stored, and it is confirmed.
func TestAFleetFollows(t *testing.T) {
	s := newSide(t, provider.Options{})
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	s.Rotate()
	s.ring(t)
	var wg sync.WaitGroup
	failed := make(chan error, 40)
	for i := range 40 {
		client := provider.New(s.Config(), s.store, provider.Options{SessionName: fmt.Sprintf("worker-%d", i), Problem: func(_ context.Context, _ provider.Customer, err error) { failed <- err }})
		wg.Go(func() {
			if _, err := client.Enter(t.Context(), s.customer); err != nil {
				failed <- err
			}
		})
	}
	wg.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	if st := s.state(t); st.VersionID != s.Version() || st.Confirmed != s.Version() {
		t.Errorf("stored %s, confirmed %s, current %s", st.VersionID, st.Confirmed, s.Version())
	}
}

// A confirmation that was heard but not noted here is not a failure the second time.
func TestAVersionThatIsConfirmedAlreadyIsConfirmed(t *testing.T) {
	s := newSide(t, provider.Options{})
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	st := s.state(t)
	st.Confirmed, st.Checked = "", time.Time{}
	if err := s.store.Save(t.Context(), s.customer.Name, st); err != nil {
		t.Fatal(err)
	}
	if _, err := s.enter(t); err != nil || len(s.problems) > 0 || s.state(t).Confirmed != s.Version() {
		t.Errorf("%v %v", err, s.problems)
	}
}

// A provider whose database was restored from a backup has an older ID, and the version that belongs to it.
func TestARestoredDatabaseFollows(t *testing.T) {
	s := newSide(t, provider.Options{DoNotConfirm: true})
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	backup := s.state(t)
	s.Rotate()
	s.ring(t)
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	backup.Revision, backup.Checked = s.state(t).Revision, time.Time{}
	if err := s.store.Save(t.Context(), s.customer.Name, backup); err != nil {
		t.Fatal(err)
	}
	if _, err := s.enter(t); err != nil {
		t.Fatal(err)
	}
	if st := s.state(t); st.VersionID != s.Version() {
		t.Errorf("stays with %s", st.VersionID)
	}
}
