//go:build e2e

package e2e

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/countersign/countersign/e2e/lab"
	"github.com/countersign/countersign/internal/api"
)

// overlapEnds rotates the grant with the short overlap and waits for the previous ID's end. Meanwhile the guard and the
// API's refusals are tried: both must work with no function running, too.
func (s *story) overlapEnds(t *testing.T) {
	const grant = "nightly"
	before := s.current(t, grant)
	began := time.Now()
	s.countersign(t, 0, "rotate", grant, "--reason", "to watch it")
	eventually(t, 20*time.Second, "another ID is current", func() bool { return s.current(t, grant).ID != before.ID })
	after := s.current(t, grant)
	wantAllowed(t, "the new ID in the overlap", s.enters(t, s.engineer, grant, after.ExternalID))
	wantAllowed(t, "the previous ID in the overlap", s.enters(t, s.engineer, grant, before.ExternalID))

	quiet := s.untilQuiet(t)
	if s.enters(t, s.engineer, grant, before.ExternalID) != nil {
		t.Fatal("the overlap ended before the functions had: nothing can be shown; lengthen it")
	}
	var beside sync.WaitGroup
	beside.Go(func() { t.Run("the guard", s.guard) })
	beside.Go(func() { t.Run("revokes that are refused", s.refusedRevokes) })
	eventually(t, overlap+5*time.Second, "the previous ID is out", func() bool { return lab.Denied(s.enters(t, s.engineer, grant, before.ExternalID)) })
	ended := time.Now()
	beside.Wait()
	wantAllowed(t, "the new ID after the overlap", s.enters(t, s.engineer, grant, after.ExternalID))
	for _, run := range must[[]lab.Invocation](t)(s.Invocations(t.Context())) {
		if run.Start.After(quiet) {
			t.Errorf("%s ran %.1f s after the functions had ended", run.Function, run.Start.Sub(quiet).Seconds())
		}
	}
	t.Logf("the functions were quiet after %.1f s, the previous ID was out after %.1f s", quiet.Sub(began).Seconds(), ended.Sub(began).Seconds())
}

// untilQuiet waits until no function has run for a second, and gives the time since when.
func (s *story) untilQuiet(t *testing.T) time.Time {
	t.Helper()
	var last time.Time
	eventually(t, 30*time.Second, "the functions have ended", func() bool {
		for _, run := range must[[]lab.Invocation](t)(s.Invocations(t.Context())) {
			if run.End.IsZero() {
				return false
			}
			if run.End.After(last) {
				last = run.End
			}
		}
		return time.Since(last) > time.Second
	})
	return last
}

// scheduleFires opens the next window of the daily grant. Nobody calls RotateSecret.
func (s *story) scheduleFires(t *testing.T) {
	const grant = "nightly"
	before := s.current(t, grant)
	secret := must[string](t)(s.Secret(t.Context(), grant))
	describe := func() *secretsmanager.DescribeSecretOutput {
		return must[*secretsmanager.DescribeSecretOutput](t)(secretsmanager.NewFromConfig(s.operator).DescribeSecret(t.Context(),
			&secretsmanager.DescribeSecretInput{SecretId: &secret}))
	}
	planned := describe()
	if err := s.OpenNextWindow(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "another ID is current", func() bool { return s.current(t, grant).ID != before.ID })
	after := s.current(t, grant)
	for _, ours := range []string{"birth-", "cut-", "rotate-", "restore-"} {
		if strings.HasPrefix(after.ID, ours) {
			t.Errorf("version %s was asked for, not scheduled", after.ID)
		}
	}
	wantAllowed(t, "the new ID", s.enters(t, s.engineer, grant, after.ExternalID))
	wantDenied(t, "the ID before the previous one", s.enters(t, s.engineer, grant, s.oldest(t, grant).ExternalID))
	if next := describe().NextRotationDate; !next.After(*planned.NextRotationDate) {
		t.Errorf("next rotation by %v, was %v", next, planned.NextRotationDate)
	}
}

// oldest is the first external ID that a grant had.
func (s *story) oldest(t *testing.T, grant string) lab.Version {
	t.Helper()
	for _, v := range must[[]lab.Version](t)(s.Versions(t.Context(), grant)) {
		if strings.HasPrefix(v.ID, "birth-") {
			return v
		}
	}
	t.Fatalf("%s has no version from its birth", grant)
	return lab.Version{}
}

// pauseHolds lets a window of the daily grant open while it is paused: nothing is rotated and nothing is stuck. The chapter
// after it opens the next one.
func (s *story) pauseHolds(t *testing.T) {
	const grant = "nightly"
	before := s.current(t, grant)
	secret := must[string](t)(s.Secret(t.Context(), grant))
	s.countersign(t, 0, "pause", grant, "--for", "2d", "--reason", "change freeze")
	var status api.Status
	decode(t, s.countersign(t, 0, "show", grant, "--json").Stdout, &status)
	if left := time.Until(status.PausedUntil); left < 47*time.Hour || left > 48*time.Hour {
		t.Errorf("paused until %s", status.PausedUntil)
	}
	putOff := func() (n int) {
		for _, line := range must[[]string](t)(s.LogLines(t.Context(), "/aws/lambda/countersign-rotate")) {
			if strings.Contains(line, `"rotation put off"`) {
				n++
			}
		}
		return n
	}
	if err := s.OpenNextWindow(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "a rotation is put off", func() bool { return putOff() > 0 })
	s.untilQuiet(t)
	if now := s.current(t, grant); now.ID != before.ID {
		t.Errorf("%s became current while paused", now.ID)
	}
	if v, pending := lab.Labelled(must[[]lab.Version](t)(s.Versions(t.Context(), grant)), "AWSPENDING"); pending && v.ID != before.ID {
		t.Errorf("%s is left pending", v.ID)
	}
	wantAllowed(t, "the ID from before, while paused", s.enters(t, s.engineer, grant, before.ExternalID))
	s.countersign(t, 0, "resume", grant, "--reason", "freeze called off")
}
