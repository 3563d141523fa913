package simtest

import (
	"time"

	"github.com/countersign/countersign/internal/sim"
)

// Trouble is a kind of thing that goes wrong in a run.
type Trouble int

// The kinds of trouble.
const (
	CrashBefore      Trouble = iota // a function dies before a call
	CrashAfter                      // a function dies after a call that worked
	Failed                          // a call fails, nothing happened
	Lost                            // a call works, but the answer is lost
	Throttled                       // bursts in which a service asks to slow down
	TimedOut                        // a call takes longer than the function may run
	Late                            // a call reaches the service late
	Stale                           // a read of IAM is answered by a replica that lags
	BusDown                         // EventBridge takes nothing for hours
	MailDown                        // SES takes nothing for hours
	ControlDown                     // IAM's control plane answers nothing for hours; who may enter still may
	KeyDisabled                     // the KMS key of the secrets is disabled for a while
	PrincipalDeleted                // somebody whom the trust policy names is deleted and made anew
	ClockJump                       // the clock goes forward at a jump
	MessageTwice                    // SQS delivers a message more than once, or late
	StepTwice                       // a step of a rotation comes again
	StepEarly                       // a step of a rotation comes out of its order
	HookDown                        // the webhook's endpoint can't be reached for hours
	troubles
)

var troubleNames = [troubles]string{
	"crash before a call", "crash after a call", "failed", "worked, answer lost", "throttled", "timed out", "late", "stale read",
	"bus down", "mail down", "control plane down", "key disabled", "principal deleted", "clock jump", "message twice or late",
	"step again", "step out of order", "webhook down",
}

// String names the trouble.
func (t Trouble) String() string { return troubleNames[t] }

// Propagation is how long IAM may take at most to show a write everywhere.
const Propagation = 120 * time.Second

// weather is how often what goes wrong in a run. Many runs have no trouble of a kind at all: what only breaks alone would
// not be seen otherwise.
type weather struct {
	rates   [troubles]float64  // of a call, where it strikes calls
	outages [troubles][]outage // where it lasts
	lag     time.Duration      // the most that a replica of IAM lags
}

type outage struct{ from, to time.Time }

// worst are the highest rates of a call.
var worst = map[Trouble]float64{
	CrashBefore: 0.02, CrashAfter: 0.02, Failed: 0.03, Lost: 0.03, TimedOut: 0.004, Late: 0.1, Stale: 0.3, MessageTwice: 0.5,
}

// longest are those that last, and how long at most.
var longest = map[Trouble]time.Duration{
	Throttled: 2 * time.Minute, BusDown: 3 * time.Hour, MailDown: 3 * time.Hour, ControlDown: 3 * time.Hour, KeyDisabled: 90 * time.Minute,
	HookDown: 3 * time.Hour,
}

func forecast(d dice, start time.Time, span time.Duration) (w weather) {
	d = d.on("weather")
	for t, most := range worst {
		if of := d.on(t.String()); of.chance(0.6) {
			w.rates[t] = of.nth(1).share() * most
		}
	}
	for t, most := range longest {
		of := d.on(t.String())
		n := 0
		if of.chance(0.35) {
			n = 1
		}
		if t == Throttled && n > 0 {
			n = 8
		}
		for i := range n {
			from := start.Add(of.nth(2*i).between(0, span))
			w.outages[t] = append(w.outages[t], outage{from, from.Add(of.nth(2*i+1).between(10*time.Second, most))})
		}
	}
	w.lag = pick(d.on("lag"), []time.Duration{0, 5 * time.Second, 30 * time.Second, Propagation})
	return w
}

func (w *weather) down(t Trouble, now time.Time) bool {
	for _, o := range w.outages[t] {
		if !now.Before(o.from) && now.Before(o.to) {
			return true
		}
	}
	return false
}

// struck is what becomes of a call, and which trouble that is; the zero outcome is that it works. of are the dice of this
// call alone.
func (w *weather) struck(call sim.Call, of dice, now time.Time) (sim.Outcome, Trouble, bool) {
	iam, function := call.Service == "iam", functions[call.Actor]
	switch {
	case call.Service == "events" && w.down(BusDown, now):
		return sim.Outcome{Fault: sim.Fail}, BusDown, true
	case call.Service == "ses" && w.down(MailDown, now):
		return sim.Outcome{Fault: sim.Fail}, MailDown, true
	case call.Service == "webhook" && w.down(HookDown, now):
		return sim.Outcome{Fault: sim.Fail}, HookDown, true
	case iam && w.down(ControlDown, now):
		return sim.Outcome{Fault: sim.Fail}, ControlDown, true
	case (iam || call.Service == "secretsmanager") && w.down(Throttled, now):
		return sim.Outcome{Fault: sim.Throttle}, Throttled, true
	}
	at := of.share()
	strikes := func(t Trouble) bool {
		at -= w.rates[t]
		return at < 0
	}
	switch {
	case function && strikes(CrashBefore):
		return sim.Outcome{Fault: sim.CrashBefore}, CrashBefore, true
	case function && strikes(CrashAfter):
		return sim.Outcome{Fault: sim.CrashAfter}, CrashAfter, true
	case strikes(Failed):
		return sim.Outcome{Fault: sim.Fail}, Failed, true
	case strikes(Lost):
		return sim.Outcome{Fault: sim.Lose}, Lost, true
	case function && strikes(TimedOut):
		return sim.Outcome{Delay: of.nth(1).between(30*time.Second, 15*time.Minute)}, TimedOut, true
	case strikes(Late):
		return sim.Outcome{Delay: of.nth(1).between(time.Second, 20*time.Second)}, Late, true
	case readsIAM(call) && strikes(Stale):
		return sim.Outcome{Replica: 1 + of.nth(1).below(replicas)}, Stale, true
	}
	return sim.Outcome{}, 0, false
}

const replicas = 2

func readsIAM(c sim.Call) bool {
	return c.Action == "GetRole" || c.Action == "GetRolePolicy" || c.Action == "AssumeRole" || c.Service == "s3"
}

// functions are the actors that are Countersign's own.
var functions = map[string]bool{"rotate": true, "reconcile": true, "revoke": true, "operate": true, "confirm": true, "notify": true}
