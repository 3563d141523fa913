package functions_test

import (
	"context"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// orders is how many orders of turns each interleaving is tried in.
const orders = 150

// interleaved runs actors beside each other, in an order that the seed decides, and asks the invariant before each turn.
func interleaved(t *testing.T, seed uint64, prepare func(w *world), actors map[string]func(w *world) func(context.Context) error, invariant func(w *world)) *world {
	t.Helper()
	w := seeded(t, seed)
	prepare(w)
	for _, name := range []string{"reconcile", "reconcile-2", "revoke", "deploy"} {
		if run := actors[name]; run != nil {
			w.Go(w.ctx, name, run(w))
		}
	}
	w.Schedule = func(sim.Call) sim.Outcome {
		resume := w.quiet()
		defer resume()
		invariant(w)
		return sim.Outcome{}
	}
	w.RunUntil(w.ctx, w.Now().Add(30*time.Minute), w.AnyOrder())
	w.Schedule = nil
	if t.Failed() {
		t.Fatalf("with seed %d", seed)
	}
	return w
}

// seeded is an opened world with a seed.
func seeded(t *testing.T, seed uint64) *world {
	t.Helper()
	w := newWorld(t, seed)
	w.must(w.Create(w.plan))
	w.must(w.deploy("Create"))
	w.Sleep(w.ctx, 48*time.Hour)
	w.ResetCalls()
	return w
}

func reconciling(w *world) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := w.Reconciler.Grant(ctx, "migration")
		return err
	}
}

func revoking(w *world) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := w.Revoker.Revoke(ctx, "migration", operator, "")
		return err
	}
}

func redeploying(w *world) func(context.Context) error {
	return func(ctx context.Context) error { return w.Redeploy(ctx, w.plan) }
}

// currentEnters is the promise to the provider: whatever runs beside what, the current ID gets in.
func currentEnters(w *world) {
	w.t.Helper()
	if _, id := w.labelled(grant.StageCurrent); !w.enters(provider, id) {
		w.t.Errorf("%s: the current ID is locked out", w.Now().Format(time.TimeOnly))
	}
}

func TestReconcileBesideARotation(t *testing.T) {
	for seed := range uint64(orders) {
		w := interleaved(t, seed, func(w *world) { w.start(token(1)) }, map[string]func(*world) func(context.Context) error{
			"reconcile": reconciling, "reconcile-2": reconciling,
		}, currentEnters)
		w.Sleep(w.ctx, time.Hour)
		w.looks()
		_, old := w.labelled(grant.StagePrevious)
		_, fresh := w.labelled(grant.StageCurrent)
		if version, _ := w.labelled(grant.StageCurrent); version != token(1) {
			t.Fatalf("seed %d: the rotation did not end", seed)
		}
		w.lets(old, fresh)
		w.Sleep(w.ctx, 24*time.Hour)
		w.lets(fresh)
	}
}

func TestReconcileThatMendsBesideARotation(t *testing.T) {
	for seed := range uint64(orders) {
		w := interleaved(t, seed, func(w *world) {
			w.start(token(1))
			w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(replaceOnce(t, w.document(), "Engineers-*", "*"))))
		}, map[string]func(*world) func(context.Context) error{"reconcile": reconciling}, currentEnters)
		w.Sleep(w.ctx, time.Hour)
		w.looks()
		_, old := w.labelled(grant.StagePrevious)
		_, fresh := w.labelled(grant.StageCurrent)
		w.lets(old, fresh)
		w.Sleep(w.ctx, 25*time.Hour)
		w.lets(fresh)
	}
}

// A revocation may land between any two calls of a rotation, a reconciliation and a deploy. From the moment the Deny is
// written nobody can do anything, and once a check has run nobody gets in.
func TestARevocationBesideEverything(t *testing.T) {
	for seed := range uint64(orders) {
		w := interleaved(t, seed, func(w *world) { w.start(token(1)) }, map[string]func(*world) func(context.Context) error{
			"reconcile": reconciling, "revoke": revoking, "deploy": redeploying,
		}, func(*world) {})
		if !w.denied() {
			t.Fatalf("seed %d: the Deny is gone", seed)
		}
		w.looks() // the check that the revocation queued
		w.lets()
		w.Sleep(w.ctx, 48*time.Hour)
		w.lets()
		w.looks()
		w.lets()
	}
}

func TestADeployBesideARotation(t *testing.T) {
	for seed := range uint64(orders) {
		w := interleaved(t, seed, func(w *world) { w.start(token(1)) }, map[string]func(*world) func(context.Context) error{
			"deploy": func(w *world) func(context.Context) error {
				return func(ctx context.Context) error {
					if err := w.Redeploy(ctx, w.plan); err != nil {
						return err
					}
					_, err := w.Reconciler.Grant(ctx, "migration")
					return err
				}
			},
		}, func(*world) {})
		w.Sleep(w.ctx, time.Hour)
		w.looks()
		_, id := w.labelled(grant.StageCurrent)
		if !w.enters(provider, id) {
			t.Fatalf("seed %d: the current ID is locked out: %s", seed, w.document())
		}
		w.Sleep(w.ctx, 26*time.Hour)
		w.looks()
		if version, _ := w.labelled(grant.StageCurrent); version != token(1) {
			t.Fatalf("seed %d: the rotation did not end", seed)
		}
		w.lets(id)
	}
}

// Reconcile looked, a rotation let its new ID in, and then reconcile writes: it must notice.
func TestReconcileDoesNotTakeOutWhatARotationHasJustPutIn(t *testing.T) {
	w := seeded(t, 1)
	_, old := w.labelled(grant.StageCurrent)
	w.start(token(1))
	w.must(w.step("createSecret", token(1)))
	w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(replaceOnce(t, w.document(), "Engineers-*", "*"))))
	p := w.Go(w.ctx, "reconcile", reconciling(w))
	for reads := 0; reads < 2; { // up to the read before its write
		c, ok := p.Call()
		if !ok {
			t.Fatal("reconcile ended early")
		}
		if c.Action == "GetRole" {
			if reads++; reads == 2 {
				break
			}
		}
		p.Resume(sim.Outcome{})
	}
	w.must(w.step("setSecret", token(1)))
	for {
		if ended, err := p.Ended(); ended {
			w.must(err)
			break
		}
		p.Resume(sim.Outcome{})
		w.lets(old, w.valueOf(token(1)))
	}
	w.must(w.step("finishSecret", token(1)))
}

func TestAnAnnouncementThatWasLostComesAtTheNextLook(t *testing.T) {
	w := opened(t)
	w.Sleep(w.ctx, 48*time.Hour)
	w.start(token(1))
	w.busDown()
	if w.RunRotations(w.ctx) == nil {
		t.Fatal("the bus was down")
	}
	w.Schedule = nil
	w.looks()
	e, ok := last[*events.ExternalIDRotated](w)
	if !ok || e.VersionID != token(1) || e.PreviousUntil.IsZero() {
		t.Errorf("announced %+v", e)
	}
}

// The bus was down when an ID ended, and another rotation came before it was up again.
func TestAnEndThatWasNotAnnouncedIsNotForgottenByTheNextRotation(t *testing.T) {
	w := opened(t)
	first, _ := w.labelled(grant.StageCurrent)
	w.Sleep(w.ctx, 48*time.Hour)
	w.rotated(token(1))
	w.Sleep(w.ctx, 25*time.Hour)
	w.busDown()
	if _, err := w.look(); err == nil {
		t.Fatal("the bus was down")
	}
	w.Schedule = nil
	w.rotated(token(2))
	w.looks()
	if e, ok := last[*events.PreviousRetired](w); !ok || e.VersionID != first {
		t.Errorf("announced %+v, want the end of %s", e, first)
	}
}

// A revocation whose event was lost, and which was undone before anybody looked.
func TestARevocationThatWasUndoneIsStillAnnounced(t *testing.T) {
	w := opened(t)
	w.busDown()
	w.revoked()
	w.Schedule = nil
	id := w.revokeID()
	w.begun(id)
	w.must(w.RunRotations(w.ctx))
	w.looks()
	if e, ok := last[*events.AccessRevoked](w); !ok || e.RevokeID != id {
		t.Errorf("announced %+v, want the revocation %s", e, id)
	}
	if n := countOf(w.told(), "Access Restored"); n != 1 {
		t.Errorf("%d announcements of the restore", n)
	}
}

// A revocation whose event was lost, while its Deny stands and the tags call it undone: somebody tagged so, or the Deny is an old
// reading of IAM's.
func TestARevocationThatTheTagsCallUndoneIsStillAnnounced(t *testing.T) {
	w := opened(t)
	w.busDown()
	w.revoked()
	id := w.revokeID()
	w.must(w.Secrets.Tag(w.ctx, w.plan.SecretARN, map[string]string{grant.TagRestored: id}))
	if _, err := w.look(); err == nil {
		t.Error("a look ended well although the bus was down")
	}
	w.Schedule = nil
	w.looks()
	if e, ok := last[*events.AccessRevoked](w); !ok || e.RevokeID != id {
		t.Errorf("announced %+v, want the revocation %s", e, id)
	}
}

// While one look is opening a grant that an operator restores, another one is shown late that there is no Deny, and writes one over the
// operator's intent. The first one has noted by then that the revocation is undone: it takes that back, or everybody would leave all as it
// is from then on. Where it dies first, the operator can restore once more.
func TestARestoreWhoseIntentIsLostCanBeAskedForAgain(t *testing.T) {
	for name, dies := range map[string]bool{"it goes on": false, "it dies": true} {
		t.Run(name, func(t *testing.T) {
			w := opened(t)
			w.revoked()
			w.Sleep(w.ctx, 5*time.Minute)
			w.looks()
			id := w.revokeID()
			w.begun(id)
			w.must(w.RunRotations(w.ctx))
			w.Schedule = func(c sim.Call) sim.Outcome {
				if c.Actor != "reconcile" || c.Action != "TagResource" {
					return sim.Outcome{}
				}
				w.Schedule = nil
				w.must(w.IAM.PutInlinePolicy(w.ctx, w.plan.RoleName(), grant.RevocationPolicy, grant.DenyFor(id)))
				if dies {
					return sim.Outcome{Fault: sim.CrashAfter}
				}
				return sim.Outcome{}
			}
			_, _ = w.look()
			if w.Schedule != nil {
				t.Fatal("nothing was tagged")
			}
			w.Sleep(w.ctx, 5*time.Minute)
			w.looks()
			if !dies {
				w.lets()
			}
			for _, id := range w.allIDs() {
				if s, err := w.STS.AssumeRole(w.ctx, provider, w.plan.RoleARN, id, "jdoe"); err == nil && s.Allowed("s3:GetObject", "arn:aws:s3:::data/x", 0) {
					t.Error("a session acts in a revoked grant")
				}
			}
			if undone := w.tags()[grant.TagRestored] == id; undone != dies {
				t.Errorf("the tags call the revocation undone: %t", undone)
			}
			answer := w.begun(id)
			w.must(w.RunRotations(w.ctx))
			w.looks()
			w.lets(w.valueOf(answer.VersionID))
		})
	}
}

// The last step of a restore's rotation comes again once the grant is open, while the bus is down.
func TestALateStepOfARestoreLeavesNothingUnannounced(t *testing.T) {
	w := opened(t)
	w.revoked()
	w.Sleep(w.ctx, 5*time.Minute)
	w.looks()
	restore := w.begun(w.revokeID()).VersionID
	w.must(w.RunRotations(w.ctx))
	w.looks()
	w.busDown()
	if w.step("finishSecret", restore) == nil {
		t.Fatal("the bus was down")
	}
	w.Schedule = nil
	w.looks()
	if change := grant.FactRotated.Unannounced(w.tags()); change != "" {
		t.Errorf("%s still waits to be announced", change)
	}
}
