package functions_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
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

// The restore's version as the previous one says that a rotation followed. With an older one current none did.
func TestTheRestoresVersionAsPreviousOpensNothing(t *testing.T) {
	w, _, _ := revokedAndRestored(t, nil)
	answer := w.begun(w.revokeID())
	w.must(w.step("createSecret", answer.VersionID))
	previous, _ := w.labelled(grant.StagePrevious)
	w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StagePrevious, answer.VersionID, previous))
	w.looks()
	w.lets()
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

// Another revocation lands between a restore's two looks at the Deny, or between reconcile's last look and the one right
// before it would lift it: neither writes over it, so at no moment the Deny is gone.
func TestTheDenyIsReadOnceMoreBeforeItIsWrittenOver(t *testing.T) {
	for _, c := range []struct {
		name, actor string
		read        int // which GetRolePolicy of the actor the revocation comes before
	}{{"by a restore", "revoke", 2}, {"by reconcile", "reconcile", 3}} {
		t.Run(c.name, func(t *testing.T) {
			w, _, _ := revokedAndRestored(t, nil)
			first := w.revokeID()
			if c.actor == "reconcile" {
				w.begun(first)
				w.must(w.RunRotations(w.ctx))
			}
			w.Advance(time.Minute)
			reads, second := 0, ""
			w.Schedule = func(call sim.Call) sim.Outcome {
				if call.Actor != c.actor {
					return sim.Outcome{}
				}
				resume := w.quiet()
				defer resume()
				if call.Action == "GetRolePolicy" {
					if reads++; reads == c.read {
						w.revoked()
						second = w.revokeID()
					}
				}
				if second != "" && w.revokeID() != second {
					t.Fatalf("before %s: the Deny of the second revocation is gone: %s", call.Action, w.inline())
				}
				return sim.Outcome{}
			}
			err := w.Invoke(w.ctx, c.actor, func(ctx context.Context) error {
				if c.actor == "reconcile" {
					_, err := w.Reconciler.Grant(ctx, "migration")
					return err
				}
				_, err := w.Revoker.Restore(ctx, "migration", operator, api.RestoreRequest{Reason: "back", RevokeID: first})
				return err
			})
			w.Schedule = nil
			if c.actor == "revoke" && (err == nil || !strings.Contains(err.Error(), "another revocation of migration came")) {
				t.Errorf("the restore answers %v", err)
			}
			if got := grant.ReadRevocation([]byte(w.inline())); second == "" || got.RevokeID != second || got.RestoreTo != "" {
				t.Errorf("the Deny is now %+v, want that of %s", got, second)
			}
			w.lets()
		})
	}
}

// A restore has written over the Deny of another revocation, between two of its own calls. The tag tells, and the grant stays
// closed under that revocation.
func TestATagOfAnotherRevocationEndsARestore(t *testing.T) {
	w, _, _ := revokedAndRestored(t, nil)
	w.begun(w.revokeID())
	const other = "rv-20260102T030405Z-0badcafe"
	w.must(w.Secrets.Tag(w.ctx, w.plan.SecretARN, map[string]string{grant.TagRevoked: other}))
	w.must(w.RunRotations(w.ctx))
	w.Schedule = func(call sim.Call) sim.Outcome {
		if !w.denied() {
			t.Errorf("before %s: nothing denies any more", call.Action)
		}
		return sim.Outcome{}
	}
	w.looks()
	w.Schedule = nil
	w.lets()
	if got := grant.ReadRevocation([]byte(w.inline())); got.RevokeID != other || got.RestoreTo != "" || !got.Denies {
		t.Errorf("the Deny is %+v", got)
	}
	if e, ok := last[*events.AccessRevoked](w); !ok || e.RevokeID != other {
		t.Errorf("announced %+v", e)
	}
}

// Who may move labels and invoke rotate calls a grant unborn, by the version that the template made, and an ID that is over
// pending.
func TestAGrantThatIsCalledUnbornTakesNoOldID(t *testing.T) {
	for name, restored := range map[string]bool{"its birth again": false, "its restore again": true} {
		t.Run(name, func(t *testing.T) {
			w := opened(t)
			old, _ := w.labelled(grant.StageCurrent)
			if restored {
				w.revoked()
				w.Sleep(w.ctx, 5*time.Minute)
				w.looks()
				old = w.begun(w.revokeID()).VersionID
				w.must(w.RunRotations(w.ctx))
				w.looks()
				w.Sleep(w.ctx, 48*time.Hour)
			}
			cut := "cut-0123456789abcdef0123456789abcdef"
			w.rotated(cut)
			w.looks()
			fresh := w.valueOf(cut)
			w.lets(fresh)
			w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StageCurrent, w.Secrets.Stored(w.plan.SecretARN)[0].ID, cut))
			w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StagePending, old, cut))
			for _, step := range []string{"createSecret", "setSecret", "testSecret", "finishSecret"} {
				_ = w.step(step, old)
				w.lets(fresh)
			}
			_, _ = w.look()
			w.lets(fresh)
		})
	}
}
