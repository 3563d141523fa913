package functions_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/functions/rotate"
	"github.com/countersign/countersign/internal/grant"
)

// later puts a plan in place as a later version might write it.
func (w *world) later() {
	w.t.Helper()
	document, err := json.Marshal(w.plan)
	w.must(err)
	w.must(w.Parameters.Put("/countersign/migration", strings.Replace(string(document), "{", `{"notBefore":"2026-03-01T00:00:00Z",`, 1)))
}

// A function that reads a plan of a later version does nothing by it: the field that it doesn't know might be a limit. Who is in stays
// in, deadlines and ends hold, and access can be taken away.
func TestAPlanOfALaterVersionIsNotFollowed(t *testing.T) {
	w := opened(t)
	_, old := w.labelled(grant.StageCurrent)
	w.rotated(token(1))
	_, now := w.labelled(grant.StageCurrent)
	w.lets(old, now)
	w.later()
	for name, act := range map[string]func() error{
		"reconcile": func() error { _, err := w.look(); return err },
		"rotate": func() error {
			return w.Rotator.Handle(w.ctx, rotate.Event{Step: "createSecret", SecretID: w.plan.SecretARN, ClientRequestToken: token(1)})
		},
		"a deploy": func() error { return w.deploy("Update") },
	} {
		err := act()
		w.fails(err, grant.ErrNotConfigured)
		if !strings.Contains(err.Error(), "notBefore") {
			t.Errorf("%s doesn't name the field: %v", name, err)
		}
	}
	w.lets(old, now)
	w.Sleep(w.ctx, 25*time.Hour)
	w.lets(now) // by IAM's own clock

	if _, err := w.Revoke(w.ctx, "migration", "project ended"); err != nil {
		t.Logf("revoke says: %v", err)
	}
	if !w.denied() {
		t.Error("the grant can't be revoked")
	}
	document, err := json.Marshal(w.plan)
	w.must(err)
	w.must(w.Parameters.Put("/countersign/migration", string(document))) // the later version reads it
	w.looks()
	w.lets()
}

// Tags that a later version wrote are left alone, and open nothing.
func TestTagsOfALaterVersionAreLeftAlone(t *testing.T) {
	w := opened(t)
	_, id := w.labelled(grant.StageCurrent)
	w.must(w.Secrets.Tag(w.ctx, w.plan.SecretARN, map[string]string{"countersign:reviewed": "2026-01-05"}))
	w.looks()
	w.rotated(token(1))
	_, now := w.labelled(grant.StageCurrent)
	w.lets(id, now)
	if w.tags()["countersign:reviewed"] != "2026-01-05" {
		t.Error("the tag is gone")
	}
	w.revoked()
	w.must(w.Secrets.Tag(w.ctx, w.plan.SecretARN, map[string]string{"countersign:reopened": "2026-01-06"}))
	w.looks()
	w.lets()
}
