package functions_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
)

func TestTheProviderAsksForARotation(t *testing.T) {
	w := opened(t, auto)
	w.Sleep(w.ctx, 48*time.Hour)
	w.rotated(token(1))
	w.confirms("0s")
	w.looks()
	version, id := w.labelled(grant.StageCurrent)
	session, err := w.Enter(w.ctx, provider, "migration", id)
	w.must(err)
	ask := func() (int, string) {
		t.Helper()
		_, err := w.AskForRotation(w.ctx, session, "migration")
		return w.refused(err)
	}
	if status, says := ask(); status != http.StatusTooManyRequests || !strings.Contains(says, "less than an hour") {
		t.Errorf("%d %s", status, says)
	}
	w.Sleep(w.ctx, time.Hour)
	session, err = w.Enter(w.ctx, provider, "migration", id)
	w.must(err)
	for path, body := range map[string]string{
		"/grants/migration/rotate": `{"leaked":true}`, "/grants/migration/revoke": `{}`, "/grants/migration/pause": `{}`, "/grants/migration/resume": `{}`,
	} {
		status, answer := w.call(w.Operations.Handle, "POST", path, body, session.ARN)
		if status != http.StatusForbidden {
			t.Errorf("%s %s: %d %s", path, body, status, answer)
		}
	}
	if status, _ := w.call(w.Operations.Handle, "GET", "/grants/migration", "", session.ARN); status != http.StatusForbidden {
		t.Errorf("it may look: %d", status)
	}
	_, err = w.Pause(w.ctx, "migration", w.Now().Add(time.Hour))
	w.must(err)
	if status, says := ask(); status != http.StatusTooManyRequests || !strings.Contains(says, "holds rotations back") {
		t.Errorf("%d %s", status, says)
	}
	_, err = w.Resume(w.ctx, "migration")
	w.must(err)
	answer, err := w.AskForRotation(w.ctx, session, "migration")
	w.must(err)
	if grant.PurposeOf(answer.VersionID) != grant.Scheduled || grant.BySchedule(answer.VersionID) {
		t.Errorf("made %s", answer.VersionID)
	}
	w.must(w.RunRotations(w.ctx))
	_, fresh := w.labelled(grant.StageCurrent)
	w.lets(id, fresh)
	if status, _ := ask(); status != http.StatusTooManyRequests {
		t.Errorf("again: %d", status)
	}
	w.Sleep(w.ctx, 2*time.Hour)
	session, err = w.EnterTo(w.ctx, "migration", version, fresh)
	w.must(err)
	if status, says := ask(); status != http.StatusConflict || !strings.Contains(says, "still accepted") {
		t.Errorf("in the overlap: %d %s", status, says)
	}
	w.plan.ProviderMay = []grant.ProviderAct{grant.ActConfirm}
	w.must(w.Deploy(w.ctx, w.plan))
	if status, says := ask(); status != http.StatusForbidden || !strings.Contains(says, "doesn't let") {
		t.Errorf("turned off: %d %s", status, says)
	}
}
