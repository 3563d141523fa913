package simtest_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/redrive"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

// deadLetters is the queue of the dead letters as the command line has it.
type deadLetters struct{ *sim.Queue }

func (l deadLetters) Receive(ctx context.Context, hidden time.Duration) ([]deliver.Received, error) {
	return l.Take(ctx, hidden)
}

// redrive is "countersign deliveries redrive --yes": it may die.
func (o *office) redrive() (out []redrive.Result) {
	_ = o.Invoke(o.ctx, "operator", func(ctx context.Context) error {
		letters := deadLetters{o.Queue(simtest.DeadQueue)}
		found, err := redrive.Look(ctx, letters)
		if err != nil {
			return err
		}
		r := redrive.Redrive{Letters: letters, Queue: o.Queue(simtest.MailQueue), Now: o.Now}
		out = r.Run(ctx, found)
		return nil
	})
	return out
}

// gaveUp is an office whose webhook has taken nothing for a week but the first message: the revocation is a dead letter.
func gaveUp(t *testing.T) *office {
	t.Helper()
	o := newOffice(t, simtest.Config{AWS: sim.Config{Seed: 7}}, 24*time.Hour)
	o.behaves(func(int) sim.Behaviour { return sim.Behaviour{Status: http.StatusInternalServerError} })
	o.start = o.Now()
	_, err := o.Revoke(o.ctx, o.plan.Grant, "project ended")
	o.must(err)
	o.Sleep(o.ctx, 7*24*time.Hour)
	if n := len(o.Queue(simtest.DeadQueue).Messages()); n != 1 {
		t.Fatalf("%d dead letters", n)
	}
	return o
}

func (o *office) empty() {
	o.t.Helper()
	if d, q := len(o.Queue(simtest.DeadQueue).Messages()), len(o.Queue(simtest.MailQueue).Messages()); d+q > 0 {
		o.t.Errorf("%d dead letters, %d on the queue", d, q)
	}
}

// Once the endpoint is mended, whom nobody could tell is told: by the same event id, and as attempt 1.
func TestARedriveTellsWhomNobodyCouldTell(t *testing.T) {
	o := gaveUp(t)
	before := o.Receiver.Deliveries()
	o.behaves(func(int) sim.Behaviour { return sim.Behaviour{} })
	again := o.Now()
	if out := o.redrive(); len(out) != 1 || out[0].Outcome != redrive.Sent {
		t.Fatalf("%+v", out)
	}
	o.Sleep(o.ctx, time.Hour)
	o.empty()
	all := o.Receiver.Deliveries()
	if len(all) != len(before)+1 || all[len(before)].ID != before[len(before)-1].ID || all[len(before)].Verified != nil {
		t.Errorf("told %d times before, %d in all", len(before), len(all))
	}
	told := of[*events.DeliverySucceeded](o)
	if last := told[len(told)-1]; last.Attempt != 1 || last.SentAgain.Before(again.Truncate(time.Second)) {
		t.Errorf("announced %+v", last)
	}
}

// And if it is not: ten attempts over three days, and a dead letter again.
func TestARedriveStartsTheScheduleAnew(t *testing.T) {
	o := gaveUp(t)
	before := len(o.Receiver.Deliveries())
	o.redrive()
	o.Sleep(o.ctx, 7*24*time.Hour)
	if n := len(o.Receiver.Deliveries()) - before; n != 10 {
		t.Errorf("%d attempts", n)
	}
	if n := len(o.Queue(simtest.DeadQueue).Messages()); n != 1 {
		t.Errorf("%d dead letters", n)
	}
	seen := map[string]bool{}
	for _, e := range o.Bus(simtest.BusName).Events() {
		if f, ok := e.Data.(*events.DeliveryFailed); ok && f.Channel == "webhook" {
			seen[e.Metadata.ID] = true
		}
	}
	if len(seen) != 20 {
		t.Errorf("%d failures are told apart, of 20", len(seen))
	}
}

// What is pointless by now reaches nobody: notify decides, as always.
func TestARedriveTellsNobodyInVain(t *testing.T) {
	for name, change := range map[string]func(o *office){
		"the endpoint has answered 410 since": func(o *office) {
			o.behaves(func(int) sim.Behaviour { return sim.Behaviour{Status: http.StatusGone} })
			_, err := o.Revoke(o.ctx, o.plan.Grant, "once more")
			o.must(err)
		},
		"the destination has gone from the plan": func(o *office) {
			o.plan.Notify = nil
			o.must(o.Deploy(o.ctx, o.plan))
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := gaveUp(t)
			change(o)
			o.Sleep(o.ctx, time.Hour)
			before := len(o.Receiver.Deliveries())
			o.behaves(func(int) sim.Behaviour { return sim.Behaviour{} })
			o.redrive()
			o.Sleep(o.ctx, 7*24*time.Hour)
			o.empty()
			if n := len(o.Receiver.Deliveries()) - before; n > 0 {
				t.Errorf("told %d times", n)
			}
		})
	}
}

// A person kills the redrive before or behind each of its calls, while notify works beside it, and runs it again: the endpoint is
// told once or twice, and nothing is left.
func TestARedriveThatDiesTellsOnceOrTwice(t *testing.T) {
	for _, fault := range []sim.Fault{sim.CrashBefore, sim.CrashAfter} {
		for n := 1; ; n++ {
			o := gaveUp(t)
			o.behaves(func(int) sim.Behaviour { return sim.Behaviour{} })
			before := len(o.Receiver.Deliveries())
			struck, first := false, 0
			o.Schedule = func(c sim.Call) sim.Outcome {
				if c.Actor == "operator" && first == 0 {
					first = c.N
				}
				if c.Actor != "operator" || c.N != first+n-1 {
					return sim.Outcome{}
				}
				struck = true
				return sim.Outcome{Fault: fault}
			}
			o.redrive()
			o.Schedule = nil
			o.Sleep(o.ctx, redrive.HiddenByRun+time.Minute)
			o.redrive()
			o.Sleep(o.ctx, time.Hour)
			o.empty()
			if told := len(o.Receiver.Deliveries()) - before; told < 1 || told > 2 || !struck && told != 1 {
				t.Errorf("%s at call %d: told %d times", fault, n, told)
			}
			if !struck {
				if n < 6 {
					t.Errorf("only %d calls", n)
				}
				break
			}
		}
	}
}
