package functions_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// throttledOnce throttles a rotation's next write of the trust policy, and lets something happen at that moment.
func (w *world) throttledOnce(meanwhile func()) {
	done := false
	w.Schedule = func(c sim.Call) sim.Outcome {
		if done || c.Actor != "rotate" || c.Action != "UpdateAssumeRolePolicy" {
			return sim.Outcome{}
		}
		done = true
		meanwhile()
		return sim.Outcome{Fault: sim.Throttle}
	}
}

func TestAThrottledStepIsDoneAnewAndReadsAgain(t *testing.T) {
	w := opened(t)
	_, old := w.labelled(grant.StageCurrent)
	w.Sleep(w.ctx, 48*time.Hour)
	w.start(token(1))
	began := w.Now()
	const foreign = `{"Sid":"Theirs","Effect":"Deny","Principal":{"AWS":"arn:aws:iam::999900001111:root"},"Action":"sts:AssumeRole"}`
	w.throttledOnce(func() {
		w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(replaceOnce(t, w.document(), `"Statement":[`, `"Statement":[`+foreign+`,`))))
	})
	w.must(w.RunRotations(w.ctx)) // no second attempt of Secrets Manager's
	if took := w.Now().Sub(began); took < 10*time.Second+settle {
		t.Errorf("it took %s: IAM was not left alone", took)
	}
	if !strings.Contains(w.document(), "Theirs") {
		t.Errorf("a statement that came between is gone: the step wrote by an old read")
	}
	w.lets(old, w.valueOf(token(1)))
}

func TestARevocationBetweenTwoTriesOfAThrottledStepStays(t *testing.T) {
	w := opened(t)
	w.Sleep(w.ctx, 48*time.Hour)
	w.start(token(1))
	w.throttledOnce(func() { w.revoked() })
	w.must(w.RunRotations(w.ctx))
	w.lets()
	if !strings.Contains(w.document(), "CountersignClosed") || !w.denied() {
		t.Errorf("the grant is open again: %s", w.document())
	}
}

func TestAStepThatIsThrottledForGoodEndsInTime(t *testing.T) {
	w := opened(t)
	w.Sleep(w.ctx, 48*time.Hour)
	w.start(token(1))
	began := w.Now()
	w.Schedule = since("rotate", 2, sim.Throttle) // once the plan is read
	w.fails(w.RunRotations(w.ctx), grant.ErrThrottled)
	if took := w.Now().Sub(began); took < 4*time.Minute || took > 5*time.Minute-20*time.Second {
		t.Errorf("it took %s of 5 minutes", took)
	}
	w.Schedule = nil
	w.Sleep(w.ctx, time.Hour)
	if version, _ := w.labelled(grant.StageCurrent); version != token(1) {
		t.Error("Secrets Manager's next attempt did not end it")
	}
}
