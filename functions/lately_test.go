package functions_test

import (
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/cfn"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// IAM may show a Deny for two minutes that a restore has lifted. A deploy which comes within them, and puts the birth document back,
// is no reason to leave the provider out until the next timer.
func TestADeployBehindARestoreIsNotFooledByTheLiftedDeny(t *testing.T) {
	w := newWorld(t, 0, func(c *sim.Config) {
		c.Replicas, c.Lag = 1, func(int) time.Duration { return 100 * time.Second }
	})
	w.must(w.Create(w.plan))
	w.must(w.deploy(cfn.RequestCreate))
	w.Sleep(w.ctx, 5*time.Minute)
	w.revoked()
	w.Sleep(w.ctx, 5*time.Minute)
	w.looks()
	w.begun(w.revokeID())
	w.must(w.RunRotations(w.ctx))
	w.looks()
	if w.denied() {
		t.Fatal("not restored")
	}
	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Action == "GetRolePolicy" {
			return sim.Outcome{Replica: 1}
		}
		return sim.Outcome{}
	}
	w.must(w.Deploy(w.ctx, w.plan)) // puts the birth document back
	w.Schedule = nil
	w.Sleep(w.ctx, 2*time.Minute) // nobody looks again
	_, current := w.labelled(grant.StageCurrent)
	w.lets(current)
}
