package gate_test

import (
	"errors"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// IAM throttles the first two writes. Between them somebody else may write too; then nothing is written by the old read.
func TestAThrottledWriteComparesBeforeItTriesAgain(t *testing.T) {
	for _, c := range []struct {
		name    string
		foreign bool
		actions string
		err     error
	}{
		{"unchanged", false, "GetRole UpdateAssumeRolePolicy GetRole UpdateAssumeRolePolicy GetRole UpdateAssumeRolePolicy GetRole", nil},
		{"changed", true, "GetRole UpdateAssumeRolePolicy GetRole", grant.ErrConflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := born(t, sim.Config{})
			throttled := 0
			w.Schedule = func(call sim.Call) sim.Outcome {
				if call.Action != "UpdateAssumeRolePolicy" || call.Actor != "gate" || throttled == 2 {
					return sim.Outcome{}
				}
				if throttled++; c.foreign {
					const theirs = `{"Version":"2012-10-17","Statement":[{"Sid":"Theirs","Effect":"Deny","Principal":"*","Action":"sts:*"}]}`
					if err := w.IAM.SetTrust(t.Context(), w.plan.RoleName(), []byte(theirs)); err != nil {
						t.Fatal(err)
					}
				}
				return sim.Outcome{Fault: sim.Throttle}
			}
			_, err := w.gate.Change(sim.As(t.Context(), "gate"), w.plan, w.want(oldID, ""))
			if !errors.Is(err, c.err) || c.err != nil && !errors.Is(err, grant.ErrThrottled) {
				t.Errorf("error %v, want %v", err, c.err)
			}
			if got := actions(w.Calls("gate")); got != c.actions {
				t.Errorf("called %s\nwant   %s", got, c.actions)
			}
			if w.enters(oldID) == c.foreign {
				t.Errorf("the ID enters: %t", !c.foreign)
			}
		})
	}
}

func TestAWriteThatIsThrottledForGoodEndsInTime(t *testing.T) {
	w := born(t, sim.Config{})
	w.gate.Patience = time.Minute
	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Action == "UpdateAssumeRolePolicy" {
			return sim.Outcome{Fault: sim.Throttle}
		}
		return sim.Outcome{}
	}
	began := w.Now()
	if _, err := w.gate.Change(t.Context(), w.plan, w.want(oldID, "")); !errors.Is(err, grant.ErrThrottled) {
		t.Errorf("error %v", err)
	}
	if took := w.Now().Sub(began); took < 50*time.Second || took > time.Minute {
		t.Errorf("it took %s of a minute", took)
	}
}
