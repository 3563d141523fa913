package functions_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// Somebody pastes the trust policy from before the rotation: the current ID isn't in it. It is put back, and not in silence.
func TestAnIDThatWasEditedOutIsPutBackAndAnnounced(t *testing.T) {
	w := opened(t)
	before := w.document()
	w.rotated(token(1))
	w.Advance(48 * time.Hour)
	w.looks()
	if _, ok := last[*events.TrustDriftDetected](w); ok {
		t.Fatal("a rotation is no drift")
	}
	w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(before)))
	w.looks()
	_, id := w.labelled(grant.StageCurrent)
	if !w.enters(provider, id) {
		t.Error("the current ID is still out")
	}
	if e, ok := last[*events.TrustDriftDetected](w); !ok || !e.Mended || len(e.Findings) == 0 {
		t.Errorf("announced %+v", e)
	}
	w.looks()
	if n := countOf(w.told(), "Trust Drift Detected"); n != 1 {
		t.Errorf("announced %d times", n)
	}
}

// Secrets Manager gives a rotation up without a word, and starts no other one from then on.
func TestARotationThatWasGivenUpIsToldOnce(t *testing.T) {
	for step, done := range map[string][]string{
		"setSecret": {"createSecret"}, "finishSecret": {"createSecret", "setSecret", "testSecret"},
	} {
		w := opened(t)
		_, id := w.labelled(grant.StageCurrent)
		w.Sleep(w.ctx, 48*time.Hour)
		w.start(token(1))
		for _, name := range done {
			w.must(w.step(name, token(1)))
		}
		w.Advance(time.Hour)
		w.looks()
		if _, ok := last[*events.RotationFailed](w); ok {
			t.Error("it may still be tried again")
		}
		for range 2 {
			w.Advance(2 * time.Hour)
			w.looks()
		}
		if e, ok := last[*events.RotationFailed](w); !ok || e.VersionID != token(1) || e.Step != step || e.Next == "" {
			t.Errorf("announced %+v", e)
		}
		if n := countOf(w.told(), "Rotation Failed"); n != 1 || !w.enters(provider, id) {
			t.Errorf("announced %d times", n)
		}
	}
}

// The bus took nothing when an adopted grant was revoked. A restore then can't be finished, because the role's owner has
// taken every ID of ours out: a person has to look, and hears of the revocation first of all.
func TestARevocationIsToldAlthoughItsRestoreIsStuck(t *testing.T) {
	w, first := adopted(t)
	w.busDown()
	w.revoked()
	before := strings.Replace(w.document(), first, "its-owners-next-one", 1)
	id := w.revokeID()
	w.begun(id)
	w.must(w.RunRotations(w.ctx))
	w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(before)))
	w.Schedule = nil
	if _, err := w.look(); err == nil {
		t.Fatal("the restore is not stuck: this test shows nothing")
	}
	if e, ok := last[*events.AccessRevoked](w); !ok || e.RevokeID != id {
		t.Errorf("told %v", w.told())
	}
	if _, ok := last[*events.TrustDriftDetected](w); !ok {
		t.Errorf("told %v", w.told())
	}
	w.lets()
}
