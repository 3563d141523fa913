package functions_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// pause sends a request to pause or resume the grant.
func (w *world) pause(verb, body string) (int, api.PauseAnswer, api.Problem) {
	w.t.Helper()
	status, text := w.call(w.Operations.Handle, http.MethodPost, "/grants/migration/"+verb, body, operator)
	var answer api.PauseAnswer
	var p api.Problem
	w.must(json.Unmarshal([]byte(text), &answer))
	w.must(json.Unmarshal([]byte(text), &p))
	return status, answer, p
}

// paused pauses until a date that is this far away.
func (w *world) paused(d time.Duration) time.Time {
	w.t.Helper()
	status, answer, p := w.pause("pause", `{"reason":"year-end freeze","until":"`+w.Now().Add(d).UTC().Format(time.RFC3339)+`"}`)
	if status != http.StatusOK {
		w.t.Fatalf("pause answers %d: %+v", status, p)
	}
	return answer.Until
}

func TestAPauseHoldsTheScheduleBackAndBlocksNothing(t *testing.T) {
	w := opened(t)
	born, old := w.labelled(grant.StageCurrent)
	until := w.paused(60 * 24 * time.Hour)
	if s := w.show(); !s.PausedUntil.Equal(until) {
		t.Errorf("shown as paused until %s, want %s", s.PausedUntil, until)
	}
	logged := w.log.Len()
	w.Sleep(w.ctx, 45*24*time.Hour) // the month's rotation, and Secrets Manager's tries again
	if current, _ := w.labelled(grant.StageCurrent); current != born {
		t.Errorf("the schedule rotated to %s", current)
	}
	if pending, _ := w.labelled(grant.StagePending); pending != "" && pending != born {
		t.Errorf("%s is left pending and blocks every rotation", pending)
	}
	w.lets(old)
	tries := strings.Count(w.log.String()[logged:], `"rotation put off"`)
	if tries < 2 {
		t.Errorf("%d rotations were put off: the schedule did not try", tries)
	}
	if strings.Contains(w.log.String()[logged:], `"level":"ERROR"`) || strings.Contains(w.log.String()[logged:], `"level":"WARN"`) {
		t.Errorf("logged as something to look at: %s", w.log.String()[logged:])
	}
	if told := w.told(); slices.Contains(told, "Rotation Failed") || w.tags()[grant.FactFailed.Tag()] != "" {
		t.Errorf("told as a failure: %v", told)
	}
	for _, c := range w.Calls("rotate") {
		if c.Action == "PutSecretValue" || c.Action == "UpdateAssumeRolePolicy" {
			t.Errorf("a rotation that is put off calls %s", c.Action)
		}
	}
	if _, ok := last[*events.RotationFailed](w); ok {
		t.Error("a failure was announced")
	}

	w.Sleep(w.ctx, 40*24*time.Hour) // the pause is over, and another month too
	current, fresh := w.labelled(grant.StageCurrent)
	if current == born || !grant.BySchedule(current) {
		t.Errorf("after the pause %s is current", current)
	}
	if w.enters(provider, old) || !w.enters(provider, fresh) {
		t.Error("the schedule's rotation after the pause is not the usual one")
	}
	if s := w.show(); !s.PausedUntil.IsZero() {
		t.Errorf("still shown as paused: %s", s.PausedUntil)
	}
}

func TestAPauseStopsOnlyWhatTheScheduleStarts(t *testing.T) {
	t.Run("rotate", func(t *testing.T) {
		w := opened(t)
		_, old := w.labelled(grant.StageCurrent)
		w.paused(time.Hour * 48)
		status, body := w.call(w.Operations.Handle, http.MethodPost, "/grants/migration/rotate", `{"reason":"new engineer"}`, operator)
		if status != http.StatusAccepted {
			t.Fatalf("%d: %s", status, body)
		}
		w.must(w.RunRotations(w.ctx))
		_, fresh := w.labelled(grant.StageCurrent)
		w.lets(old, fresh)
	})
	t.Run("rotate --leaked", func(t *testing.T) {
		w := opened(t)
		w.paused(time.Hour * 48)
		w.rotated("cut-0123456789abcdef0123456789abcdef")
		_, fresh := w.labelled(grant.StageCurrent)
		w.lets(fresh)
	})
	t.Run("revoke", func(t *testing.T) {
		w := opened(t)
		w.paused(time.Hour * 48)
		w.revoked()
		w.lets()
	})
	t.Run("restore", func(t *testing.T) {
		w := opened(t)
		w.paused(time.Hour * 48)
		w.revoked()
		answer := w.begun(w.revokeID())
		w.must(w.RunRotations(w.ctx))
		w.looks()
		current, fresh := w.labelled(grant.StageCurrent)
		if current != answer.VersionID {
			t.Errorf("%s is current, want %s", current, answer.VersionID)
		}
		w.lets(fresh)
	})
	t.Run("birth", func(t *testing.T) {
		w := deployed(t)
		w.paused(time.Hour * 48)
		w.must(w.deploy("Create"))
		_, id := w.labelled(grant.StageCurrent)
		w.lets(id)
	})
	t.Run("a deadline that runs", func(t *testing.T) {
		w := opened(t)
		_, old := w.labelled(grant.StageCurrent)
		w.rotated(token(1))
		_, fresh := w.labelled(grant.StageCurrent)
		e, _ := last[*events.ExternalIDRotated](w)
		document := w.document()
		w.paused(90 * 24 * time.Hour)
		if w.document() != document {
			t.Error("the pause changed the trust policy")
		}
		w.Advance(e.PreviousUntil.Sub(w.Now()) - time.Second)
		w.lets(old, fresh)
		w.Advance(time.Second)
		w.lets(fresh)
		w.looks()
		if _, ok := last[*events.PreviousRetired](w); !ok {
			t.Error("the end of the previous ID was not announced")
		}
	})
	t.Run("a rotation that has stored its ID", func(t *testing.T) {
		w := opened(t)
		_, old := w.labelled(grant.StageCurrent)
		w.start(token(1))
		w.must(w.step("createSecret", token(1)))
		w.must(w.step("setSecret", token(1)))
		w.paused(time.Hour * 48)
		w.must(w.RunRotations(w.ctx)) // from createSecret on
		w.lets(old, w.valueOf(token(1)))
		if current, _ := w.labelled(grant.StageCurrent); current != token(1) {
			t.Error("it was not finished: an ID stays in the trust policy that the secret doesn't call current")
		}
	})
	t.Run("a rotation that has only begun", func(t *testing.T) {
		w := opened(t)
		_, old := w.labelled(grant.StageCurrent)
		w.start(token(1))
		w.paused(time.Hour * 48)
		w.fails(w.RunRotations(w.ctx), grant.ErrPaused)
		w.lets(old)
		if w.valueOf(token(1)) != "" {
			t.Error("a value was stored")
		}
		w.must(w.Secrets.Rotate(w.ctx, w.plan.SecretARN, "rotate-0123456789abcdef0123456789abcdef")) // nothing is stuck
	})
}

// Clearing the pending label is the one write of a rotation that is put off. Where it fails, the next try makes up for it.
func TestAPutOffRotationClearsItsLabelInTheEnd(t *testing.T) {
	for name, fault := range map[string]sim.Fault{
		"throttled": sim.Throttle, "the caller died before": sim.CrashBefore, "the caller died after": sim.CrashAfter, "the answer was lost": sim.Lose,
	} {
		t.Run(name, func(t *testing.T) {
			w := opened(t)
			w.paused(48 * time.Hour)
			w.start(token(1))
			hit := 0
			w.Schedule = func(c sim.Call) sim.Outcome {
				if c.Action == "UpdateSecretVersionStage" && hit == 0 {
					hit++
					return sim.Outcome{Fault: fault}
				}
				return sim.Outcome{}
			}
			w.Sleep(w.ctx, time.Hour)
			w.Schedule = nil
			if hit == 0 {
				t.Fatal("the label was never cleared")
			}
			if pending, _ := w.labelled(grant.StagePending); pending == token(1) {
				t.Error("it still is pending and blocks every rotation")
			}
			_, old := w.labelled(grant.StageCurrent)
			w.rotated("rotate-0123456789abcdef0123456789abcdef")
			_, fresh := w.labelled(grant.StageCurrent)
			w.lets(old, fresh)
		})
	}
}

func TestResumeLetsTheScheduleOn(t *testing.T) {
	w := opened(t)
	_, old := w.labelled(grant.StageCurrent)
	w.paused(time.Hour * 48)
	w.start(token(1))
	w.fails(w.RunRotations(w.ctx), grant.ErrPaused)
	ended := w.Now()
	status, answer, _ := w.pause("resume", `{"reason":"freeze called off"}`)
	if status != http.StatusOK || !answer.Until.IsZero() {
		t.Fatalf("%d %+v, tag %q", status, answer, w.tags()[grant.TagPaused])
	}
	if over := grant.PauseOver(w.tags(), w.Now()); over.Before(ended.Truncate(time.Second)) || over.After(w.Now()) {
		t.Errorf("the tag says that the pause ended at %s", over)
	}
	if s := w.show(); !s.PausedUntil.IsZero() {
		t.Errorf("shown as paused until %s", s.PausedUntil)
	}
	w.Sleep(w.ctx, time.Hour) // Secrets Manager tries the same rotation again
	w.lets(old, w.valueOf(token(1)))
	if status, _, _ := w.pause("resume", ""); status != http.StatusOK {
		t.Errorf("resumed twice: %d", status)
	}
	for _, reason := range []string{"year-end freeze", "freeze called off", operator} {
		if !strings.Contains(w.log.String(), reason) {
			t.Errorf("%s is not in the log", reason)
		}
	}
}

func TestHowLongAPauseMayBe(t *testing.T) {
	w := opened(t)
	at := func(d time.Duration) string { return w.Now().Add(d).UTC().Format(time.RFC3339Nano) }
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		body   string
		status int
		until  time.Duration
	}{
		"no end":                {`{"reason":"freeze"}`, 200, 14 * day},
		"a minute":              {`{"until":"` + at(time.Minute) + `"}`, 200, time.Minute},
		"ninety days":           {`{"until":"` + at(90*day) + `"}`, 200, 90 * day},
		"a clock that is ahead": {`{"until":"` + at(90*day+time.Minute) + `"}`, 200, 90 * day},
		"longer":                {`{"until":"` + at(91*day) + `"}`, 400, 0},
		"over":                  {`{"until":"` + at(-time.Second) + `"}`, 400, 0},
		"now":                   {`{"until":"` + at(0) + `"}`, 400, 0},
		"no date":               {`{"until":"tomorrow"}`, 400, 0},
		"unknown field":         {`{"for":"14d"}`, 400, 0},
		"a reason too long":     {`{"reason":"` + strings.Repeat("x", 201) + `"}`, 400, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			before := w.tags()[grant.TagPaused]
			status, answer, p := w.pause("pause", c.body)
			if status != c.status {
				t.Fatalf("%d %+v", status, p)
			}
			if status != http.StatusOK {
				if p.Next == "" || w.tags()[grant.TagPaused] != before {
					t.Errorf("refused with %+v, tag %s", p, w.tags()[grant.TagPaused])
				}
				return
			}
			if off := answer.Until.Sub(w.Now().Add(c.until)); off > 0 || off <= -time.Second {
				t.Errorf("paused until %s, %s off", answer.Until, off)
			}
			if got := grant.PausedUntil(w.tags(), w.Now()); !got.Equal(answer.Until) {
				t.Errorf("answered %s, holds until %s", answer.Until, got)
			}
		})
	}
	w.t = t
}

func TestWhoMayNotPause(t *testing.T) {
	w := opened(t)
	for _, verb := range []string{"pause", "resume"} {
		for _, caller := range []string{
			"arn:aws:sts::444455556666:assumed-role/ServiceProvider-migration/jdoe",
			"arn:aws:sts::111122223333:assumed-role/Engineers-jdoe/jdoe",
			"",
		} {
			if status, body := w.call(w.Operations.Handle, http.MethodPost, "/grants/migration/"+verb, `{}`, caller); status != http.StatusForbidden {
				t.Errorf("%s by %q: %d %s", verb, caller, status, body)
			}
		}
		if status, _ := w.call(w.Operations.Handle, http.MethodGet, "/grants/migration/"+verb, "", operator); status != http.StatusNotFound {
			t.Errorf("GET %s: %d", verb, status)
		}
	}
	if w.tags()[grant.TagPaused] != "" {
		t.Error("a refused caller paused the grant")
	}
	without := deployedWithoutID(t)
	if status, _, p := without.pause("pause", `{}`); status != http.StatusConflict || p.Next == "" {
		t.Errorf("without an external ID: %d %+v", status, p)
	}
}

// Whoever may tag and nothing else can hold the schedule back for as long as a pause lasts, and do no more.
func TestAForgedPauseTagOnlyDelays(t *testing.T) {
	for tag, holds := range map[string]bool{
		"2999-01-01T00:00:00Z": false, "none": false, "yes": false, "": false, "restored": false,
		"soon": true,
	} {
		w := opened(t)
		if holds {
			tag = w.Now().Add(89 * 24 * time.Hour).UTC().Format(time.RFC3339)
		}
		_, old := w.labelled(grant.StageCurrent)
		w.must(w.Secrets.Tag(w.ctx, w.plan.SecretARN, map[string]string{grant.TagPaused: tag}))
		w.start(token(1))
		if err := w.RunRotations(w.ctx); (err != nil) != holds {
			t.Errorf("%q: %v", tag, err)
		}
		if holds {
			w.lets(old)
		} else {
			w.lets(old, w.valueOf(token(1)))
		}
	}
}

func TestAPauseThatCannotBeNotedIsNoPause(t *testing.T) {
	w := opened(t)
	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Action == "TagResource" {
			return sim.Outcome{Fault: sim.Throttle}
		}
		return sim.Outcome{}
	}
	status, answer, p := w.pause("pause", `{"reason":"freeze"}`)
	if status != http.StatusInternalServerError || !answer.Until.IsZero() || !strings.Contains(p.Error, "migration") {
		t.Errorf("%d %+v %+v", status, answer, p)
	}
	w.Schedule = nil
	if s := w.show(); !s.PausedUntil.IsZero() {
		t.Errorf("shown as paused until %s", s.PausedUntil)
	}
}
