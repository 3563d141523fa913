package functions_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/functions/reconcile"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// Whoever can only tag, move labels and send messages opens nothing: not before a restore, not beside one.
func TestAForgerCannotRestore(t *testing.T) {
	for name, forge := range map[string]func(w *world, id string) (asked bool){
		"the tags of a restore": func(w *world, id string) (asked bool) {
			w.must(w.Secrets.Tag(w.ctx, w.plan.SecretARN, map[string]string{grant.TagRestored: id}))
			return false
		},
		"a restore's version beside the labels": func(w *world, id string) (asked bool) {
			w.must(w.Secrets.Rotate(w.ctx, w.plan.SecretARN, "restore-"+strings.TrimPrefix(id, "rv-")+"-00000000"))
			_ = w.RunRotations(w.ctx)
			return false
		},
		"an older revocation's tag": func(w *world, id string) (asked bool) {
			w.must(w.Secrets.Tag(w.ctx, w.plan.SecretARN, map[string]string{grant.TagRevoked: "rv-20250101T000000Z-00000000", grant.TagRestored: "rv-20250101T000000Z-00000000"}))
			return false
		},
		"the old version made current": func(w *world, id string) (asked bool) {
			answer := w.begun(id)
			current, _ := w.labelled(grant.StageCurrent)
			w.must(w.step("createSecret", answer.VersionID))
			w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StageCurrent, answer.VersionID, current))
			w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StageCurrent, current, answer.VersionID))
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, _, session := revokedAndRestored(t, nil)
			asked := forge(w, w.revokeID())
			for range 3 {
				w.looks()
				w.Sleep(w.ctx, time.Hour)
			}
			if session.Allowed("s3:GetObject", "arn:aws:s3:::bucket/key", 0) || asked == w.denied() {
				t.Error("the forger opened it")
			}
			if v, id := w.labelled(grant.StageCurrent); asked {
				w.lets(id)
				if grant.PurposeOf(v) != grant.Restore {
					t.Errorf("it is open to %s", v)
				}
			}
		})
	}
}

// The label comes first by a forger's hand: the version is the restore's own, so the grant opens to its ID and to no other.
func TestALabelMovedTooEarlyOpensToTheNewIDOnly(t *testing.T) {
	w, old, _ := revokedAndRestored(t, nil)
	answer := w.begun(w.revokeID())
	current, _ := w.labelled(grant.StageCurrent)
	w.must(w.step("createSecret", answer.VersionID))
	w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StageCurrent, answer.VersionID, current))
	w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StagePending, current, answer.VersionID))
	w.looks()
	w.lets(w.valueOf(answer.VersionID))
	for _, id := range old {
		if w.enters(provider, id) {
			t.Error("an old ID gets in")
		}
	}
}

// Whatever call of a restore goes wrong, the grant is closed or wholly restored, and asking again restores it.
func TestARestoreConvergesWhateverCallGoesWrong(t *testing.T) {
	for _, actor := range []string{"revoke", "rotate", "reconcile"} {
		t.Run(actor, func(t *testing.T) {
			everyFault(t, actor, func(t *testing.T, schedule func(sim.Call) sim.Outcome) *world {
				w, old, session := revokedAndRestored(t, schedule)
				id := w.revokeID()
				var version string
				for range 2 {
					_ = w.Invoke(w.ctx, "revoke", func(ctx context.Context) error {
						answer, err := w.Revoker.Restore(ctx, "migration", operator, api.RestoreRequest{Reason: "back", RevokeID: id})
						if err == nil {
							version = answer.VersionID
						}
						return err
					})
					if version != "" {
						break
					}
				}
				for range 3 {
					w.Sleep(w.ctx, 20*time.Minute)
					_, _ = w.look()
				}
				w.Schedule = nil
				w.looks()
				if version == "" {
					t.Fatal("no restore was accepted")
				}
				fresh := w.valueOf(version)
				w.lets(fresh)
				if slices.Contains(old, fresh) || session.Allowed("s3:GetObject", "arn:aws:s3:::bucket/key", 0) {
					t.Fatal("something of before is back")
				}
				if state, err := w.look(); state != reconcile.Open || err != nil {
					t.Fatalf("%s, %v", state, err)
				}
				for _, f := range []grant.Fact{grant.FactRevoked, grant.FactRestored, grant.FactRetired} {
					if change := f.Unannounced(w.tags()); change != "" {
						t.Fatalf("%s is not announced: %s", f, change)
					}
				}
				return w
			})
		})
	}
}

// An old reading of IAM's shows the Deny or the closed trust policy of a grant that is restored already.
func TestAnOldReadingDoesNotRevokeARestoredGrant(t *testing.T) {
	w, _, _ := revokedAndRestored(t, nil)
	closed, deny := w.document(), w.inline()
	answer := w.begun(w.revokeID())
	w.must(w.RunRotations(w.ctx))
	intent := w.inline()
	w.looks()
	fresh := w.valueOf(answer.VersionID)
	for name, stale := range map[string]func() error{
		"the trust policy": func() error { return w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(closed)) },
		"the Deny": func() error {
			return w.IAM.PutInlinePolicy(w.ctx, w.plan.RoleName(), grant.RevocationPolicy, []byte(deny))
		},
		"the intent": func() error {
			return w.IAM.PutInlinePolicy(w.ctx, w.plan.RoleName(), grant.RevocationPolicy, []byte(intent))
		},
	} {
		open, dated := w.document(), w.inline()
		w.must(stale())
		_, _ = w.look()
		w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(open)))
		w.must(w.IAM.PutInlinePolicy(w.ctx, w.plan.RoleName(), grant.RevocationPolicy, []byte(dated)))
		w.looks()
		w.lets(fresh)
		if n := countOf(w.told(), "Access Revoked"); n != 1 {
			t.Errorf("%s: revoked %d times", name, n)
		}
		if d, err := trust.Parse([]byte(w.document())); err != nil || d.Closed() {
			t.Errorf("%s closed it: %v", name, err)
		}
	}
}
