package sim_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// promote is the smallest rotation function.
func promote(ctx context.Context, w *sim.World, e sim.RotationEvent) error {
	switch e.Step {
	case "createSecret":
		return w.Secrets.PutVersion(ctx, e.SecretID, e.ClientRequestToken, []byte("v"), grant.StagePending)
	case "finishSecret":
		s, err := w.Secrets.Describe(ctx, e.SecretID)
		if err != nil || s.At(grant.StageCurrent) == e.ClientRequestToken {
			return err
		}
		return w.Secrets.MoveStage(ctx, e.SecretID, grant.StageCurrent, e.ClientRequestToken, s.At(grant.StageCurrent))
	}
	return nil
}

func TestARotationHasFourStepsWithOneToken(t *testing.T) {
	w := deployed(t, sim.Config{})
	var got []string
	rotationTokens := map[string]bool{}
	w.Secrets.OnRotate(func(ctx context.Context, e sim.RotationEvent) error {
		got = append(got, e.Step)
		rotationTokens[e.RotationToken] = true
		if e.SecretID != secretARN || e.ClientRequestToken != token {
			t.Errorf("event %+v", e)
		}
		return promote(ctx, w, e)
	})
	must(t, w.Secrets.Rotate(t.Context(), secretARN, token))
	if len(got) != 0 {
		t.Error("the engine ran before it was asked to")
	}
	must(t, w.RunRotations(t.Context()))
	if !slices.Equal(got, sim.RotationSteps[:]) {
		t.Errorf("steps %q", got)
	}
	s, err := w.Secrets.Describe(t.Context(), secretARN)
	must(t, err)
	if s.At(grant.StageCurrent) != token || !s.LastRotated.Equal(w.Now()) || !s.RotationEnabled || !s.NextRotation.IsZero() {
		t.Errorf("secret %+v", s)
	}
	must(t, w.RunRotations(t.Context()))
	if len(got) != 4 {
		t.Errorf("a rotation that is done ran again: %q", got)
	}
}

func TestAFailedStepMakesTheEngineTryTheWholeRotationAgainAndThenGiveUp(t *testing.T) {
	w := deployed(t, sim.Config{})
	var got []string
	refused := errors.New("refused")
	w.Secrets.OnRotate(func(ctx context.Context, e sim.RotationEvent) error {
		got = append(got, e.Step)
		if e.Step == "testSecret" {
			return refused
		}
		return promote(ctx, w, e)
	})
	must(t, w.Secrets.Rotate(t.Context(), secretARN, token))
	if err := w.RunRotations(t.Context()); !errors.Is(err, refused) {
		t.Errorf("error %v", err)
	}
	must(t, w.RunRotations(t.Context())) // nothing is due yet
	w.Sleep(t.Context(), time.Hour)
	r, ok := w.Secrets.Rotation(secretARN)
	if !ok || !r.GaveUp || r.Token != token || r.Attempts < 2 || len(got) != 3*r.Attempts {
		t.Errorf("rotation %+v after steps %q", r, got)
	}
	if err := w.Secrets.Rotate(t.Context(), secretARN, token[:38]+"0"); !errors.Is(err, grant.ErrBusy) {
		t.Errorf("rotating while AWSPENDING is stuck: %v", err)
	}
}

func TestTheEngineNoticesAFunctionThatStoresOrPromotesNothing(t *testing.T) {
	for _, lazy := range []string{"createSecret", "finishSecret"} {
		w := deployed(t, sim.Config{})
		w.Secrets.OnRotate(func(ctx context.Context, e sim.RotationEvent) error {
			if e.Step == lazy {
				return nil
			}
			return promote(ctx, w, e)
		})
		must(t, w.Secrets.Rotate(t.Context(), secretARN, token))
		if err := w.RunRotations(t.Context()); err == nil {
			t.Errorf("nothing done in %s went unnoticed", lazy)
		}
	}
}

func TestAScheduledRotationStartsInItsWindowAndAgain(t *testing.T) {
	w := sim.New(sim.Config{Seed: 3})
	p := plan()
	p.RotateEvery = "daily"
	must(t, w.Deploy(p))
	w.Secrets.OnRotate(func(ctx context.Context, e sim.RotationEvent) error { return promote(ctx, w, e) })
	start := w.Now()
	var at []time.Duration
	for range 3 {
		s, err := w.Secrets.Describe(t.Context(), secretARN)
		must(t, err)
		at = append(at, s.NextRotation.Sub(start))
		w.Sleep(t.Context(), s.NextRotation.Sub(w.Now()))
		s, err = w.Secrets.Describe(t.Context(), secretARN)
		must(t, err)
		if !s.LastRotated.Equal(w.Now()) || grant.PurposeOf(s.At(grant.StageCurrent)) != grant.Scheduled {
			t.Errorf("at %s: last rotated %s, current %s", w.Now(), s.LastRotated, s.At(grant.StageCurrent))
		}
	}
	for i, d := range at {
		from := 24 * time.Hour
		if i > 0 {
			from += at[i-1]
		}
		if d < from || d >= from+time.Hour {
			t.Errorf("rotation %d at %s, want within an hour after %s", i+1, d, from)
		}
	}
}

func TestAStuckPendingVersionBlocksScheduledRotationsUntilItIsCleared(t *testing.T) {
	w := sim.New(sim.Config{})
	p := plan()
	p.RotateEvery = "daily"
	must(t, w.Deploy(p))
	works := false
	w.Secrets.OnRotate(func(ctx context.Context, e sim.RotationEvent) error {
		if !works {
			return errors.New("refused")
		}
		return promote(ctx, w, e)
	})
	must(t, w.Secrets.Rotate(t.Context(), secretARN, token))
	w.Sleep(t.Context(), time.Hour)
	works = true
	w.Sleep(t.Context(), 72*time.Hour)
	s, err := w.Secrets.Describe(t.Context(), secretARN)
	must(t, err)
	if s.At(grant.StagePending) != token || !s.LastRotated.IsZero() {
		t.Errorf("a blocked secret was rotated: %+v", s)
	}
	must(t, w.Secrets.MoveStage(t.Context(), secretARN, grant.StagePending, "", token))
	w.Sleep(t.Context(), 26*time.Hour)
	s, err = w.Secrets.Describe(t.Context(), secretARN)
	must(t, err)
	if s.LastRotated.IsZero() {
		t.Error("clearing AWSPENDING did not let the schedule go on")
	}
}

func TestALostInvocationIsTriedAgainThoughTheStepWorked(t *testing.T) {
	w := deployed(t, sim.Config{})
	var got []string
	w.Secrets.OnRotate(func(ctx context.Context, e sim.RotationEvent) error {
		got = append(got, e.Step)
		return promote(ctx, w, e)
	})
	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Service == "lambda" && c.N == 4 {
			return sim.Outcome{Fault: sim.Lose}
		}
		return sim.Outcome{}
	}
	must(t, w.Secrets.Rotate(t.Context(), secretARN, token))
	w.Sleep(t.Context(), time.Hour)
	want := append(slices.Clone(sim.RotationSteps[:]), sim.RotationSteps[:]...)
	if !slices.Equal(got, want) {
		t.Errorf("steps %q, want all four twice", got)
	}
}

func TestADeletedSecretAndADisabledKeyRefuse(t *testing.T) {
	w := sim.New(sim.Config{})
	p := plan()
	p.KeyARN = "arn:aws:kms:eu-central-1:444455556666:key/1"
	must(t, w.Deploy(p))
	w.Secrets.SetKey(p.KeyARN, false)
	if _, err := w.Secrets.SecretString(t.Context(), secretARN); err == nil {
		t.Error("a value was read with a disabled key")
	}
	if err := w.Secrets.PutVersion(t.Context(), secretARN, token, []byte("v"), grant.StagePending); err == nil {
		t.Error("a value was written with a disabled key")
	}
	w.Secrets.SetKey(p.KeyARN, true)
	if _, err := w.Secrets.SecretString(t.Context(), secretARN); err != nil {
		t.Errorf("the key works again: %v", err)
	}
	must(t, w.Secrets.Delete(secretARN))
	if s, err := w.Secrets.Describe(t.Context(), secretARN); err != nil || !s.Deleted {
		t.Errorf("DescribeSecret of a deleted secret: %+v, %v", s, err)
	}
	if _, err := w.Secrets.SecretString(t.Context(), secretARN); err == nil {
		t.Error("the value of a deleted secret was read")
	}
	if err := w.Secrets.Rotate(t.Context(), secretARN, token); err == nil {
		t.Error("a deleted secret was rotated")
	}
}
