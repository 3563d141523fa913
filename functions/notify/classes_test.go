package notify

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// Each destination is told of the classes that it asked for, in the words of whom it is for.
func TestDestinationsAreToldOfWhatTheyAskedFor(t *testing.T) {
	const retired = "birth-4f0c8e1d2b3a49586776859493a2b1c0"
	on := func(classes ...events.Class) []events.Class { return classes }
	for _, tt := range []struct {
		name    string
		changes func(n grant.Notify)
		data    events.Data
		told    []string
	}{
		{"a mail that wants all", func(n grant.Notify) { n[1].On = on(events.All) }, events.PreviousRetired{VersionID: retired}, []string{mailB, webhook}},
		{"a webhook for revocations: a rotation", func(n grant.Notify) { n[2].On = on(events.Revoke) }, rotated(scheduled), []string{mailA, mailB}},
		{"a webhook for revocations: a revocation", func(n grant.Notify) { n[2].On = on(events.Revoke) },
			events.AccessRevoked{RevokeID: revocation}, []string{mailA, mailB, webhook, sns("access revoked")}},
		{"a mail for digests: a revocation", func(n grant.Notify) { n[0].On = on(events.Digest) },
			events.AccessRevoked{RevokeID: revocation}, []string{mailB, webhook, sns("access revoked")}},
		{"a mail for digests: a test", func(n grant.Notify) { n[0].On = on(events.Digest) },
			events.TestRequested{}, []string{mailA, mailB, webhook, sns("TEST, nothing has changed")}},
		{"a mail of the operators: a rotation", func(n grant.Notify) { n[0].For = events.Operators }, rotated(scheduled), []string{mailB, webhook}},
		{"a mail and a webhook of the operators: a failure", func(n grant.Notify) { n[0].For, n[2].For = events.Operators, events.Operators },
			events.RotationFailed{VersionID: scheduled}, []string{mailA, webhook, sns("rotation failed")}},
		{"a topic that wants all: a rotation", func(n grant.Notify) { n[3].On = on(events.All) }, rotated(scheduled),
			[]string{mailA, mailB, webhook, sns("new external ID")}},
		{"operators never hear it in the provider's words", func(n grant.Notify) { n[1].For, n[1].On = events.Operators, on(events.All) },
			rotated(scheduled), []string{mailA, mailB, webhook}},
	} {
		w := newWorld(t)
		tt.changes(w.plans["migration"].Notify)
		if failed := w.handle(body(t, event("migration", tt.data))); failed != nil {
			t.Errorf("%s: failed: %s", tt.name, w.log.String())
		}
		if diff := cmp.Diff(tt.told, w.told()); diff != "" {
			t.Errorf("%s (-want +told):\n%s", tt.name, diff)
		}
		for _, m := range w.mail {
			p := w.plans["migration"].Notify
			if to := m.To[0]; to == p[1].Address && p[1].For == events.Operators && m.Subject != "[Countersign] migration: new external ID" {
				t.Errorf("%s: %s reads %q", tt.name, to, m.Subject)
			}
		}
	}
}

// A delivery that waits is told only if its destination still asks for it.
func TestADeliveryThatNobodyAsksForAnyMoreIsDropped(t *testing.T) {
	w := newWorld(t)
	waits := w.to("mail 1", nil)
	w.plans["migration"].Notify[0].On = []events.Class{events.Action}
	if failed := w.handle(waits); failed != nil || w.told() != nil || w.dead != nil {
		t.Errorf("failed %v, told %v, dead %v", failed, w.told(), w.dead)
	}
}
