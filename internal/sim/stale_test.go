package sim_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/sim/conformance"
)

func TestAReadByLabelCanBeStaleAndOneByVersionIsNot(t *testing.T) {
	w := deployed(t, sim.Config{})
	s, err := w.Secrets.Describe(t.Context(), secretARN)
	must(t, err)
	born := s.At(grant.StageCurrent)
	w.Advance(time.Hour)
	must(t, w.Secrets.PutVersion(t.Context(), secretARN, token, []byte("new"), grant.StagePending))
	w.Advance(10 * time.Second)
	must(t, w.Secrets.MoveStage(t.Context(), secretARN, grant.StageCurrent, token, born))
	w.Advance(5 * time.Second)

	for _, c := range []struct {
		stale            time.Duration
		current, pending string
		value            string
	}{
		{0, token, token, "new"},
		{4 * time.Second, token, token, "new"},
		{6 * time.Second, born, token, grant.BornSecret},
		{14 * time.Second, born, token, grant.BornSecret},
		{16 * time.Second, born, "", grant.BornSecret},
		{2 * time.Minute, born, "", grant.BornSecret},
	} {
		w.Schedule = func(sim.Call) sim.Outcome { return sim.Outcome{Stale: c.stale} }
		s, err := w.Secrets.Describe(t.Context(), secretARN)
		must(t, err)
		if s.At(grant.StageCurrent) != c.current || s.At(grant.StagePending) != c.pending {
			t.Errorf("stale by %s: labels %v", c.stale, s.Stages)
		}
		versions, err := w.Secrets.Versions(t.Context(), secretARN)
		must(t, err)
		listed := grant.Secret{Stages: map[string][]string{}}
		for _, v := range versions {
			listed.Stages[v.ID] = v.Stages
		}
		if listed.At(grant.StageCurrent) != c.current || listed.At(grant.StagePending) != c.pending {
			t.Errorf("stale by %s: listed %v", c.stale, listed.Stages)
		}
		value, err := w.Secrets.SecretString(t.Context(), secretARN)
		must(t, err)
		byID, err := w.Secrets.Version(t.Context(), secretARN, token)
		must(t, err)
		if value != c.value || string(byID.Value) != "new" {
			t.Errorf("stale by %s: read %q by label and %q by version", c.stale, value, byID.Value)
		}
	}
}

func TestAStaleReadIsACopyAndAWriteIsNeverStale(t *testing.T) {
	w := deployed(t, sim.Config{})
	w.Advance(time.Minute)
	must(t, w.Secrets.Rotate(t.Context(), secretARN, token))
	w.Schedule = func(sim.Call) sim.Outcome { return sim.Outcome{Stale: time.Minute} }
	s, err := w.Secrets.Describe(t.Context(), secretARN)
	must(t, err)
	if s.At(grant.StagePending) != "" {
		t.Fatalf("labels %v", s.Stages)
	}
	for id := range s.Stages {
		s.Stages[id][0] = "mine"
	}
	if again, err := w.Secrets.Describe(t.Context(), secretARN); err != nil || again.At(grant.StageCurrent) == "" {
		t.Errorf("labels %v, %v", again.Stages, err)
	}
	if err := w.Secrets.Rotate(t.Context(), secretARN, token[:38]+"1"); !errors.Is(err, grant.ErrBusy) {
		t.Errorf("RotateSecret went by stale labels: %v", err)
	}
}

func TestADeletedSecretStandsStillUntilItIsRestored(t *testing.T) {
	w := deployed(t, sim.Config{})
	w.Secrets.OnRotate(func(ctx context.Context, e sim.RotationEvent) error { return promote(ctx, w, e) })
	must(t, w.Secrets.Rotate(t.Context(), secretARN, token))
	must(t, w.Secrets.Delete(secretARN))
	w.Sleep(t.Context(), time.Hour)
	if n := len(w.Invocations()); n != 0 {
		t.Errorf("%d runs of the rotation function of a deleted secret", n)
	}
	if err := w.Secrets.Delete(secretARN); err == nil {
		t.Error("a deleted secret was deleted once more")
	}
	must(t, w.Secrets.Restore(secretARN))
	w.Sleep(t.Context(), time.Minute)
	if s, err := w.Secrets.Describe(t.Context(), secretARN); err != nil || s.At(grant.StageCurrent) != token {
		t.Errorf("the rotation did not go on: %v, %v", s.Stages, err)
	}
	if err := w.Secrets.Restore(secretARN + "x"); !errors.Is(err, grant.ErrNotFound) {
		t.Errorf("restoring what is not there: %v", err)
	}
}

func TestOldVersionsWithoutALabelGoBeyondAHundred(t *testing.T) {
	w := deployed(t, sim.Config{})
	id := func(n int) string { return fmt.Sprintf("version-%032d", n) }
	for n := range 110 {
		must(t, w.Secrets.PutVersion(t.Context(), secretARN, id(n), []byte("v"), grant.StagePending))
		w.Advance(time.Hour)
	}
	for n, want := range map[int]error{0: grant.ErrNotFound, 8: grant.ErrNotFound, 50: nil, 109: nil} {
		if _, err := w.Secrets.Version(t.Context(), secretARN, id(n)); !is(err, want) {
			t.Errorf("version %d: %v, want %v", n, err, want)
		}
	}
}

func TestNamesOfRolesDoNotRegardCase(t *testing.T) {
	w := deployed(t, sim.Config{})
	if _, err := w.IAM.CreateRole(strings.ToUpper(roleName), []byte(conformance.Closed), sim.RoleOptions{}); err == nil {
		t.Error("a role was made whose name differs in case only")
	}
	if r, err := w.IAM.Role(t.Context(), strings.ToLower(roleName)); err != nil || r.ARN != roleARN {
		t.Errorf("role %+v, %v", r, err)
	}
}
