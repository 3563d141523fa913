package functions_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/sim"
)

// A deploy ends the grant while the last step waits for IAM to settle.
func TestAPlanThatChangesWhileARotationWaitsIsFollowed(t *testing.T) {
	w := opened(t)
	w.Sleep(w.ctx, 48*time.Hour)
	w.start(token(1))
	for _, step := range []string{"createSecret", "setSecret", "testSecret"} {
		w.must(w.step(step, token(1)))
	}
	w.plan.Expires = w.Now().Add(time.Hour)
	plan, err := json.Marshal(w.plan)
	w.must(err)
	calls := 0
	w.Schedule = func(c sim.Call) sim.Outcome {
		if calls++; calls == 3 { // the step is called, and reads the plan
			w.must(w.Parameters.Put(w.plan.Grant.Parameter(), string(plan)))
		}
		return sim.Outcome{}
	}
	w.must(w.step("finishSecret", token(1)))
	w.Schedule = nil
	w.Sleep(w.ctx, 2*time.Hour)
	w.lets()
}

// A deploy ends the grant just when a reconciliation, which knows nothing of it yet, writes the trust policy.
func TestAPlanThatChangesMeanwhileIsFollowed(t *testing.T) {
	w := opened(t)
	w.must(w.Redeploy(w.ctx, w.plan)) // the birth document is back
	w.plan.Expires = w.Now().Add(time.Hour)
	plan, err := json.Marshal(w.plan)
	w.must(err)
	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Action == "UpdateAssumeRolePolicy" {
			w.must(w.Parameters.Put(w.plan.Grant.Parameter(), string(plan)))
		}
		return sim.Outcome{}
	}
	w.looks()
	w.Schedule = nil
	w.Sleep(w.ctx, 2*time.Hour)
	w.lets()
}
