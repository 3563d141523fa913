//go:build e2e

package e2e

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/countersign/countersign/e2e/lab"
	"github.com/countersign/countersign/internal/api"
)

const revoked = "migration" // the grant that is revoked and stays so until the end

func (s *story) revoke(t *testing.T) {
	id := s.current(t, revoked).ExternalID
	live := must[aws.Config](t)(s.Enter(t.Context(), s.engineer, lab.RoleARN(revoked), id, "live"))
	wantAllowed(t, "the live session before", listBuckets(t.Context(), live))
	s.countersign(t, 0, "revoke", revoked, "--reason", "project ended", "--yes")
	wantDenied(t, "the live session at its next call", listBuckets(t.Context(), live))
	eventually(t, 10*time.Second, "the role is closed", func() bool { return lab.Denied(s.enters(t, s.engineer, revoked, id)) })
	s.live = live
	var status api.Status
	decode(t, s.countersign(t, 0, "show", revoked, "--json").Stdout, &status)
	if status.State != api.Closed || status.RevokeID == "" || len(status.Missing) != 0 {
		t.Errorf("status %+v", status)
	}
	secret := must[string](t)(s.Secret(t.Context(), revoked))
	_, err := secretsmanager.NewFromConfig(s.engineer).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &secret})
	wantDenied(t, "the provider, reading the secret from its account", err)
	_, err = secretsmanager.NewFromConfig(live).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &secret})
	wantDenied(t, "the live session, reading its secret", err)
	t.Run("the other grants stay open", func(t *testing.T) { s.othersEnter(t) })
	t.Run("everybody is told", func(t *testing.T) {
		eventually(t, 15*time.Second, "a webhook, a mail and a message to the customer's own operators about it", func() bool {
			told := false
			for _, d := range s.around.Receiver.Deliveries() {
				told = told || strings.Contains(string(d.Body), status.RevokeID)
			}
			mailed := false
			for _, m := range must[[]lab.Mail](t)(s.Mails(t.Context())) {
				mailed = mailed || strings.Contains(m.BodyText, status.RevokeID)
			}
			waiting := must[string](t)(s.Waiting(t.Context(), s.around.Queue))
			return told && mailed && strings.Contains(waiting, status.RevokeID)
		})
	})
	t.Run("the provider's own bus in its account gets it", func(t *testing.T) {
		eventually(t, 10*time.Second, "the event in the provider's queue", func() bool {
			there := must[string](t)(s.Waiting(t.Context(), s.around.ProviderQueue))
			return strings.Contains(there, status.RevokeID) && strings.Contains(there, lab.Customer)
		})
		if there := must[string](t)(s.Waiting(t.Context(), s.around.ProviderQueue)); strings.Contains(there, "nightly") {
			t.Error("hestio's bus was handed events of another provider's grant")
		}
	})
	t.Run("its history says who and why, and a replay reaches one subscription only", func(t *testing.T) {
		s.history(t, status.RevokeID)
	})
	t.Run("a dead letter is shown, and told when it is sent again", func(t *testing.T) { s.sendsAgain(t, status.RevokeID) })
}

// history reads the trail, and replays the archive to the trail alone: nobody is told again, and the history stays the same.
func (s *story) history(t *testing.T, revokeID string) {
	type entry struct {
		Event      string
		By, Reason string
	}
	read := func() (all []entry) {
		var answer struct{ Happenings []entry }
		decode(t, s.countersign(t, 0, "history", revoked, "--json").Stdout, &answer)
		return answer.Happenings
	}
	want := entry{"Access Revoked", "arn:aws:iam::" + lab.Customer + ":user/operator", "project ended"}
	eventually(t, 10*time.Second, "the revocation with who and why in the history", func() bool { return slices.Contains(read(), want) })

	const group = "/aws/events/countersign"
	told := func() (n int) {
		for _, d := range s.around.Receiver.Deliveries() {
			if strings.Contains(string(d.Body), revokeID) {
				n++
			}
		}
		return n
	}
	kept := func() (n int) {
		for _, line := range must[[]string](t)(s.LogLines(t.Context(), group)) {
			if strings.Contains(line, revokeID) && strings.Contains(line, "Access Revoked") {
				n++
			}
		}
		return n
	}
	toldBefore, keptBefore := told(), kept()
	s.countersign(t, 0, "events", "replay", "--since", "1h", "--until", time.Now().UTC().Format(time.RFC3339), "--to", "countersign-trail", "--yes")
	eventually(t, 10*time.Second, "the trail has the revocation once more", func() bool { return kept() > keptBefore })
	time.Sleep(time.Second) // notify would have told by now
	if n := told(); n != toldBefore {
		t.Errorf("the provider was told %d times, %d before a replay that wasn't for it", n, toldBefore)
	}
	revocations := 0
	for _, e := range read() {
		if e == want {
			revocations++
		}
	}
	if revocations != 1 {
		t.Errorf("the history tells the revocation %d times", revocations)
	}
}

func listBuckets(ctx context.Context, who aws.Config) error {
	_, err := storage(who).ListBuckets(ctx, &s3.ListBucketsInput{})
	return err
}

func (s *story) othersEnter(t *testing.T) {
	t.Helper()
	for _, grant := range []string{"nightly", "platform"} {
		wantAllowed(t, grant, s.enters(t, s.engineer, grant, s.current(t, grant).ExternalID))
	}
}

// nobodyEnters tries the revoked role with every ID that it ever had, and the session from before.
func (s *story) nobodyEnters(t *testing.T) {
	t.Helper()
	wantDenied(t, "without an ID", s.enters(t, s.engineer, revoked, ""))
	for _, v := range must[[]lab.Version](t)(s.Versions(t.Context(), revoked)) {
		if v.ExternalID != "" {
			wantDenied(t, "with the ID of version "+v.ID, s.enters(t, s.engineer, revoked, v.ExternalID))
		}
	}
	wantDenied(t, "the session from before", listBuckets(t.Context(), s.live))
}

// rotateWhileRevoked lets the closed grant's secret rotate, as its schedule would, and at an operator's wish.
func (s *story) rotateWhileRevoked(t *testing.T) {
	secret := must[string](t)(s.Secret(t.Context(), revoked))
	token := "cut-" + strings.Repeat("8", 32)
	before := s.current(t, revoked)
	_ = must[*secretsmanager.RotateSecretOutput](t)(secretsmanager.NewFromConfig(s.operator).RotateSecret(t.Context(),
		&secretsmanager.RotateSecretInput{SecretId: &secret, ClientRequestToken: &token}))
	eventually(t, 20*time.Second, "the rotation has run", func() bool { return s.current(t, revoked).ID == token })
	if s.current(t, revoked).ExternalID == before.ExternalID {
		t.Error("the ID is still the same")
	}
	s.nobodyEnters(t)
}

func (s *story) deployAgain(t *testing.T) { s.deployWatched(t, s.first) }

func (s *story) deployChanged(t *testing.T) {
	second := <-s.changed
	if second.err != nil {
		t.Fatal(second.err)
	}
	s.second = second.folder
	s.deployWatched(t, s.second)
	if got := s.maxSession(t, "nightly"); got != 7200 {
		t.Errorf("longest session %d s, want 7200: the role was not changed", got)
	}
}

// deployWatched deploys while somebody tries the closed role all the time, and compares the IDs before and after.
func (s *story) deployWatched(t *testing.T, template string) {
	grants := []string{"migration", "nightly", "platform", "telemetry", "snapshots"}
	before := map[string]lab.Version{}
	for _, grant := range grants {
		before[grant] = s.current(t, grant)
	}
	var old []string
	for _, v := range must[[]lab.Version](t)(s.Versions(t.Context(), revoked)) {
		old = append(old, v.ExternalID)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var watch sync.WaitGroup
	tries := 0
	watch.Go(func() {
		for ctx.Err() == nil {
			for _, id := range old {
				if _, err := s.Enter(ctx, s.engineer, lab.RoleARN(revoked), id, "during-deploy"); err == nil {
					t.Error("somebody entered the revoked role while it was deployed")
				}
				tries++
			}
			if listBuckets(ctx, s.live) == nil {
				t.Error("the session from before the revoke was let in while it was deployed")
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	var out, back time.Time // when the provider of an open grant was first refused, and last
	refusals := 0
	watch.Go(func() {
		for ctx.Err() == nil {
			if _, err := s.Enter(ctx, s.engineer, lab.RoleARN("nightly"), before["nightly"].ExternalID, "during-deploy"); lab.Denied(err) {
				if back = time.Now(); out.IsZero() {
					out = back
				}
				refusals++
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	err := s.Deploy(t.Context(), template)
	cancel()
	watch.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if tries == 0 {
		t.Error("nobody tried while it was deployed: nothing was shown")
	}
	t.Logf("%d tries to enter the revoked role while it was deployed; an open one refused its provider %d times within %d ms", tries, refusals, back.Sub(out).Milliseconds())
	for _, grant := range grants {
		now := s.current(t, grant)
		if now.ID != before[grant].ID || now.ExternalID != before[grant].ExternalID {
			t.Errorf("%s: the current version changed from %s to %s", grant, before[grant].ID, now.ID)
		}
	}
	s.nobodyEnters(t)
	s.othersEnter(t)
	wantDenied(t, "legacy, revoked too", s.enters(t, s.outsider, "legacy", ""))
}
