package sim_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/cfn"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

func TestACustomResourceWhoseFunctionDiesIsCalledAgainAndThenGivenUp(t *testing.T) {
	for _, c := range []struct {
		name    string
		deaths  int
		works   bool
		attempt int
		took    time.Duration
	}{
		{"once", 1, true, 2, time.Minute},
		{"twice", 2, true, 3, 3 * time.Minute},
		{"always", 9, false, 3 + 3, 2 * 15 * time.Minute}, // in the rollback too
	} {
		w, g := stacked(t)
		died, start := 0, w.Now()
		w.Schedule = func(call sim.Call) sim.Outcome {
			if call.Actor == "reconcile" && died < c.deaths {
				died++
				return sim.Outcome{Fault: sim.CrashBefore}
			}
			return sim.Outcome{}
		}
		err := w.Stacks.Update(t.Context(), stackName, template(overlapping(time.Hour)))
		if (err == nil) != c.works || len(g.events) != c.attempt || w.Now().Sub(start) != c.took {
			t.Errorf("%s: %v after %s and %d calls", c.name, err, w.Now().Sub(start), len(g.events))
		}
		if !c.works && w.Stacks.Status(stackName) != sim.UpdateRollbackFailed {
			t.Errorf("%s: status %s", c.name, w.Stacks.Status(stackName))
		}
		if g.events[0].RequestID != g.events[1].RequestID {
			t.Errorf("%s: the second attempt is another request", c.name)
		}
	}
}

func TestCloudFormationTriesAgainWhatIsThrottledOrUnanswered(t *testing.T) {
	w := sim.New(sim.Config{})
	w.Schedule = func(call sim.Call) sim.Outcome {
		if call.Actor != "cloudformation" {
			return sim.Outcome{}
		}
		return sim.Outcome{Fault: []sim.Fault{sim.Throttle, sim.Lose, sim.None}[call.N%3]}
	}
	must(t, w.Stacks.Create(t.Context(), stackName, template()))
	w.Schedule = nil
	if _, err := w.Parameters.Plan(t.Context(), "migration"); err != nil || w.Stacks.Status(stackName) != sim.CreateComplete {
		t.Errorf("%v, %s", err, w.Stacks.Status(stackName))
	}
}

func TestAStuckRotationBreaksADeployThatChangesTheSchedule(t *testing.T) {
	w, _ := stacked(t)
	must(t, w.Secrets.PutVersion(t.Context(), secretARN, token, []byte("v"), grant.StagePending))
	weekly := template(func(t *sim.Template) { t.Plan.RotateEvery = "weekly" })
	// Putting the old schedule back meets the same refusal.
	if err := w.Stacks.Update(t.Context(), stackName, weekly); !errors.Is(err, grant.ErrBusy) || w.Stacks.Status(stackName) != sim.UpdateRollbackFailed {
		t.Errorf("%v, %s", err, w.Stacks.Status(stackName))
	}
	must(t, w.Secrets.MoveStage(t.Context(), secretARN, grant.StagePending, "", token))
	must(t, w.Stacks.ContinueRollback(t.Context(), stackName))
	must(t, w.Stacks.Update(t.Context(), stackName, weekly))
}

func TestANewScheduleTriesTestSecretOnAnEmptyVersionThatGoesAgain(t *testing.T) {
	w, _ := stacked(t)
	var steps []string
	w.Secrets.OnRotate(func(ctx context.Context, e sim.RotationEvent) error {
		s, err := w.Secrets.Describe(ctx, e.SecretID)
		must(t, err)
		steps = append(steps, e.Step)
		if s.At(grant.StagePending) != e.ClientRequestToken {
			t.Errorf("labels %v", s.Stages)
		}
		return errors.New("nothing is there to test")
	})
	must(t, w.Stacks.Update(t.Context(), stackName, template(func(t *sim.Template) { t.Plan.RotateEvery = "weekly" })))
	s, err := w.Secrets.Describe(t.Context(), secretARN)
	must(t, err)
	if !slices.Equal(steps, []string{"testSecret"}) || s.At(grant.StagePending) != "" || len(s.Stages) != 1 {
		t.Errorf("steps %q, labels %v", steps, s.Stages)
	}
}

func TestGrantsComeAndGoWithDeploys(t *testing.T) {
	w, g := stacked(t)
	w.Stacks.OnCustom("reconcile", func(context.Context, cfn.Event) (string, map[string]any, error) { return "some", nil, nil })
	audit := template(func(t *sim.Template) {
		t.Plan.Grant = "audit"
		t.Plan.RoleARN = strings.Replace(roleARN, "migration", "audit", 1)
		t.Plan.SecretARN = strings.Replace(secretARN, "migration", "audit", 1)
	})
	must(t, w.Stacks.Update(t.Context(), stackName, template(), audit))
	if _, err := w.IAM.Role(t.Context(), "ServiceProvider-audit"); err != nil {
		t.Errorf("the new grant's role: %v", err)
	}
	w.Stacks.OnCustom("reconcile", g.handle)
	must(t, w.Stacks.Update(t.Context(), stackName, audit))
	if _, err := w.IAM.Role(t.Context(), roleName); !errors.Is(err, grant.ErrNotFound) || !slices.Equal(g.kinds(), []string{"Delete"}) {
		t.Errorf("the old grant's role: %v; Custom::Grant %q", err, g.kinds())
	}
	moved := audit
	moved.Plan.RoleARN = strings.Replace(audit.Plan.RoleARN, "audit", "other", 1)
	if err := w.Stacks.Update(t.Context(), stackName, moved); err == nil {
		t.Error("a replaced role was simulated")
	}
}

func TestAStackThatStandsCanBeUpdated(t *testing.T) {
	w := deployed(t, sim.Config{})
	open(t, w)
	w.Stacks.Stands(stackName, template())
	w.ResetCalls()
	must(t, w.Stacks.Update(t.Context(), stackName, template(described("other"))))
	if got := wrote(w); !slices.Equal(got, []string{"UpdateAssumeRolePolicy " + roleName}) {
		t.Errorf("calls %q", got)
	}
	trustIs(t, w, false)
}
