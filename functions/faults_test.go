package functions_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// troubles are the faults that a single call can have.
var troubles = []sim.Fault{sim.Fail, sim.Lose, sim.Throttle, sim.CrashBefore, sim.CrashAfter}

// nth makes the nth call of an actor go wrong, once.
func nth(actor string, n int, fault sim.Fault) func(sim.Call) sim.Outcome {
	return func(c sim.Call) sim.Outcome {
		if c.Actor == actor && c.N == n {
			return sim.Outcome{Fault: fault}
		}
		return sim.Outcome{}
	}
}

// since makes every call of an actor from the nth on go wrong.
func since(actor string, n int, fault sim.Fault) func(sim.Call) sim.Outcome {
	return func(c sim.Call) sim.Outcome {
		if c.Actor == actor && c.N >= n {
			return sim.Outcome{Fault: fault}
		}
		return sim.Outcome{}
	}
}

// everyFault runs a story once for every call of an actor and every fault, until the story has fewer calls than that.
// The story must end well whatever call it was.
func everyFault(t *testing.T, actor string, story func(t *testing.T, schedule func(sim.Call) sim.Outcome) *world) {
	t.Helper()
	for _, fault := range troubles {
		t.Run(fault.String(), func(t *testing.T) {
			hit := 0
			for n := 1; ; n++ {
				w := story(t, nth(actor, n, fault))
				if t.Failed() {
					t.Fatalf("with call %d", n)
				}
				if !slices.ContainsFunc(w.Calls(actor), func(r sim.Record) bool { return r.Fault == fault }) {
					break
				}
				hit++
			}
			if hit == 0 {
				t.Fatal("no call was ever hit")
			}
			t.Logf("%d calls", hit)
		})
	}
}

func TestARotationConvergesWhateverCallGoesWrong(t *testing.T) {
	for _, purpose := range []string{token(1), "cut-0123456789abcdef0123456789abcdef"} {
		t.Run(purpose[:3], func(t *testing.T) {
			everyFault(t, "rotate", func(t *testing.T, schedule func(sim.Call) sim.Outcome) *world {
				w := opened(t)
				_, old := w.labelled(grant.StageCurrent)
				w.Sleep(w.ctx, 48*time.Hour)
				w.ResetCalls()
				w.start(purpose)
				w.Schedule = schedule
				_ = w.RunRotations(w.ctx)
				if !w.enters(provider, old) {
					if _, id := w.labelled(grant.StageCurrent); !w.enters(provider, id) {
						t.Fatal("nobody gets in after the fault")
					}
				}
				w.Sleep(w.ctx, time.Hour) // Secrets Manager tries again
				if version, _ := w.labelled(grant.StageCurrent); version != purpose {
					t.Fatal("the rotation did not end")
				}
				fresh := w.valueOf(purpose)
				if purpose == token(1) {
					w.lets(old, fresh)
				} else {
					w.lets(fresh)
				}
				e, ok := last[*events.ExternalIDRotated](w)
				if !ok || e.VersionID != purpose || w.tags()[grant.FactRotated.AnnouncedTag()] != purpose {
					t.Fatalf("announced %+v, tags %v", e, w.tags())
				}
				w.Sleep(w.ctx, 25*time.Hour)
				w.lets(fresh)
				return w
			})
		})
	}
}

// A rotation whose function died for good: reconcile brings the trust policy to what the labels say, and announces.
func TestReconcileFinishesAPromotionThatNobodyTriesAgain(t *testing.T) {
	for _, fault := range troubles {
		t.Run(fault.String(), func(t *testing.T) {
			finished := 0
			for n := 1; ; n++ {
				w := opened(t)
				_, old := w.labelled(grant.StageCurrent)
				w.Sleep(w.ctx, 48*time.Hour)
				w.start(token(1))
				for _, step := range []string{"createSecret", "setSecret", "testSecret"} {
					w.must(w.step(step, token(1)))
				}
				w.ResetCalls()
				w.Schedule = nth("rotate", n, fault)
				if fault == sim.Throttle { // one such call the step makes up for by itself
					w.Schedule = since("rotate", n, fault)
				}
				if w.step("finishSecret", token(1)) == nil {
					break
				}
				w.Schedule = nil
				version, current := w.labelled(grant.StageCurrent)
				w.lets(old, w.valueOf(token(1)))
				w.Advance(time.Hour)
				w.looks()
				w.lets(old, w.valueOf(token(1)))
				if version != token(1) {
					continue // the label didn't move: both IDs stay
				}
				finished++
				e, ok := last[*events.ExternalIDRotated](w)
				if !ok || e.VersionID != token(1) || e.PreviousUntil.IsZero() || e.PreviousUntil.After(w.Now().Add(24*time.Hour)) {
					t.Fatalf("call %d: announced %+v", n, e)
				}
				w.Advance(25 * time.Hour)
				w.lets(current)
			}
			if finished == 0 {
				t.Error("no half-done promotion was seen")
			}
		})
	}
}

func TestABirthConvergesWhateverCallGoesWrong(t *testing.T) {
	for _, actor := range []string{"rotate", "reconcile"} {
		t.Run(actor, func(t *testing.T) {
			everyFault(t, actor, func(t *testing.T, schedule func(sim.Call) sim.Outcome) *world {
				w := deployed(t)
				w.Schedule = schedule
				for range 3 { // Lambda tries an asynchronous event three times
					if w.deploy("Create") == nil {
						break
					}
					w.lets(w.allIDs()[:min(len(w.allIDs()), 1)]...)
				}
				for _, run := range w.Invocations() {
					if run.Function == "reconcile" && run.Err != nil && !errors.Is(run.Err, sim.ErrCrashed) {
						t.Fatalf("one fault failed the deploy: %v", run.Err)
					}
				}
				w.Schedule = nil
				version, id := w.labelled(grant.StageCurrent)
				if grant.PurposeOf(version) != grant.Birth {
					t.Fatal("no first ID")
				}
				w.lets(id)
				if n := len(w.allIDs()); n != 1 {
					t.Fatalf("%d IDs were made", n)
				}
				w.looks()
				if _, ok := last[*events.AccessGranted](w); !ok {
					t.Fatal("not announced")
				}
				return w
			})
		})
	}
}

func TestARevocationClosesWhateverCallGoesWrong(t *testing.T) {
	everyFault(t, "revoke", func(t *testing.T, schedule func(sim.Call) sim.Outcome) *world {
		w := opened(t)
		_, id := w.labelled(grant.StageCurrent)
		session, err := w.STS.AssumeRole(w.ctx, provider, w.plan.RoleARN, id, "jdoe")
		w.must(err)
		w.ResetCalls()
		w.Schedule = schedule
		for range 2 { // who gets no answer asks again
			err := w.Invoke(w.ctx, "revoke", func(ctx context.Context) error {
				_, err := w.Revoker.Revoke(ctx, "migration", operator, "project ended")
				return err
			})
			if err == nil {
				break
			}
		}
		if session.Allowed("s3:GetObject", "arn:aws:s3:::bucket/key", 0) {
			t.Fatal("the session goes on")
		}
		w.Advance(time.Minute)
		w.looks()
		w.lets()
		tags := w.tags()
		if tags[grant.TagRevoked] == "" || tags[grant.FactRevoked.AnnouncedTag()] != tags[grant.TagRevoked] || !w.denied() {
			t.Fatalf("tags %v", tags)
		}
		return w
	})
}

func TestReconcileConvergesWhateverCallGoesWrong(t *testing.T) {
	for name, story := range map[string]func(w *world) (in []string){
		"the birth document was put back in an overlap": func(w *world) []string {
			w.rotated(token(1))
			w.must(w.Redeploy(w.ctx, w.plan))
			_, old := w.labelled(grant.StagePrevious)
			_, id := w.labelled(grant.StageCurrent)
			return []string{old, id}
		},
		"a Deny by hand": func(w *world) []string {
			w.must(w.IAM.PutInlinePolicy(w.ctx, w.plan.RoleName(), grant.RevocationPolicy, []byte(grant.DenyRevocation)))
			return nil
		},
		"a deadline has passed": func(w *world) []string {
			w.rotated(token(1))
			w.Advance(25 * time.Hour)
			_, id := w.labelled(grant.StageCurrent)
			return []string{id}
		},
	} {
		t.Run(name, func(t *testing.T) {
			everyFault(t, "reconcile", func(t *testing.T, schedule func(sim.Call) sim.Outcome) *world {
				w := opened(t)
				in := story(w)
				w.ResetCalls()
				w.Schedule = schedule
				_, _ = w.look()
				w.Schedule = nil
				w.looks()
				w.lets(in...)
				for _, f := range []grant.Fact{grant.FactGranted, grant.FactRotated, grant.FactRetired, grant.FactRevoked, grant.FactDrift} {
					if change := f.Unannounced(w.tags()); change != "" {
						t.Fatalf("%s is not announced: %s", f, change)
					}
				}
				return w
			})
		})
	}
}
