package simtest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

// struck is how often a call goes wrong.
const struck = 0.05

// receivers are the endpoints of ten grants, and what becomes of their messages. share is chance, from 0 up to 1; day counts
// from the first event.
var receivers = []struct {
	name  string
	how   func(share float64, day float64) sim.Behaviour
	never bool // it never takes a message
}{
	{"well", func(_, _ float64) sim.Behaviour { return sim.Behaviour{} }, false},
	{"slow, with giant answers", func(_, _ float64) sim.Behaviour { return sim.Behaviour{Slow: 9 * time.Second, Giant: true} }, false},
	{"hangs", func(share, _ float64) sim.Behaviour { return sim.Behaviour{Hang: share < 0.15} }, false},
	{"resets", func(share, _ float64) (b sim.Behaviour) {
		if share < 0.2 {
			b.Err = sim.ErrReset
		}
		return b
	}, false},
	{"asks for time", func(share, _ float64) (b sim.Behaviour) {
		if share < 0.2 {
			b.Status, b.RetryAfter = http.StatusTooManyRequests, "300"
		}
		return b
	}, false},
	{"500 for a day", func(_, day float64) (b sim.Behaviour) {
		if day >= 5 && day < 6 {
			b.Status = http.StatusInternalServerError
		}
		return b
	}, false},
	{"gone after ten days", func(_, day float64) (b sim.Behaviour) {
		if day >= 10 {
			b.Status = http.StatusGone
		}
		return b
	}, false},
	{"always 500", func(_, _ float64) sim.Behaviour { return sim.Behaviour{Status: http.StatusInternalServerError} }, true},
	{"bad TLS", func(_, _ float64) sim.Behaviour { return sim.Behaviour{Err: sim.ErrBadTLS} }, true},
	{"redirects", func(_, _ float64) sim.Behaviour { return sim.Behaviour{Status: http.StatusPermanentRedirect} }, true},
}

const gone = 6 // of receivers

// tally is what became of the events.
type tally struct {
	w       *simtest.World
	plans   []grant.Plan
	first   time.Time
	marked  time.Time                    // when the endpoint that is gone was marked
	told    map[string]int               // destination and event, how often
	late    int                          // attempts at an endpoint behind its mark
	crashes map[sim.Fault]map[string]int // of notify, by call
	faults  int
	calls   int
}

// Ten thousand events, to three destinations each, while one call in twenty goes wrong and notify dies at every point.
func TestTenThousandEventsReachWhoeverCanBeReached(t *testing.T) {
	const n = 10_000
	chance := rand.New(rand.NewPCG(1, 10_000))
	y := &tally{told: map[string]int{}, crashes: map[sim.Fault]map[string]int{sim.CrashBefore: {}, sim.CrashAfter: {}}}
	y.w = simtest.New(simtest.Config{Workers: true, AWS: sim.Config{Seed: 1, Forget: true, Observe: y.saw}})
	ctx := context.Background()
	for i := range receivers {
		plan := simtest.Migration()
		plan.Grant = grant.Name(fmt.Sprintf("grant-%d", i))
		plan.RoleARN = strings.Replace(plan.RoleARN, "migration", string(plan.Grant), 1)
		plan.SecretARN = strings.Replace(plan.SecretARN, "migration", string(plan.Grant), 1)
		plan.RotateEvery = "never"
		hook := must[grant.Destination](t)(y.w.SignFor(fmt.Sprintf("hook-%d", i), fmt.Sprintf("https://hooks-%d.example.com/", i)))
		plan.Notify = grant.Notify{
			{Channel: grant.Mail, Address: fmt.Sprintf("ops-%d@example.com", i)}, hook, {Channel: grant.SNS, Address: fmt.Sprintf("%s-%d", opsTopic, i)},
		}
		y.w.Topics.Create(plan.Notify[2].Address)
		if err := y.w.Create(plan); err != nil {
			t.Fatal(err)
		}
		y.plans = append(y.plans, plan)
	}
	y.first = y.w.Now()
	y.w.Receiver.Behave = func(_ int, d sim.Delivery) sim.Behaviour { return y.receive(t, d, chance.Float64()) }
	y.w.Schedule = func(c sim.Call) sim.Outcome { return y.strike(c, chance) }

	ids := make([]string, n) // of events
	for k := range n {
		revocation := fmt.Sprintf("rv-20260101T000000Z-%08x", k)
		e := events.New(string(y.plans[k%len(receivers)].Grant), revocation, "1.0.0", y.w.Now(), events.AccessRevoked{RevokeID: revocation})
		ids[k] = e.Metadata.ID
		for y.w.Bus(simtest.BusName).Put(ctx, e) != nil { // the outbox does it again until the bus has taken it
		}
		y.w.Sleep(ctx, 173*time.Second)
	}
	y.w.Sleep(ctx, 6*24*time.Hour)
	y.judge(t, ids)
}

// strike lets one call in twenty go wrong: of notify's in five ways, of others' in two.
func (y *tally) strike(c sim.Call, chance *rand.Rand) sim.Outcome {
	y.calls++
	if chance.Float64() >= struck {
		return sim.Outcome{}
	}
	y.faults++
	if c.Actor != "notify" {
		return sim.Outcome{Fault: []sim.Fault{sim.Fail, sim.Lose}[chance.IntN(2)]}
	}
	fault := []sim.Fault{sim.Fail, sim.Lose, sim.Throttle, sim.CrashBefore, sim.CrashAfter}[chance.IntN(5)]
	if y.crashes[fault] != nil {
		y.crashes[fault][c.Action]++
	}
	return sim.Outcome{Fault: fault}
}

func (y *tally) saw(s sim.Seen) {
	if s.Action == "TagResource" && s.Done && y.marked.IsZero() {
		y.marked = y.w.Now()
	}
}

func (y *tally) receive(t *testing.T, d sim.Delivery, share float64) sim.Behaviour {
	var i int
	if _, err := fmt.Sscanf(d.URL, "https://hooks-%d.", &i); err != nil || d.Verified != nil {
		t.Errorf("%s: %v, %v", d.URL, err, d.Verified)
	}
	if i == gone && !y.marked.IsZero() {
		y.late++
	}
	b := receivers[i].how(share, d.At.Sub(y.first).Hours()/24)
	if b.Status == 0 && b.Err == nil && !b.Hang {
		y.told["webhook "+d.ID]++
	}
	return b
}

func (y *tally) judge(t *testing.T, ids []string) {
	byRevocation := func(channel, text string) {
		at := strings.Index(text, "rv-20260101T000000Z-")
		var k int
		if _, err := fmt.Sscanf(text[at+len("rv-20260101T000000Z-"):][:8], "%x", &k); at < 0 || err != nil {
			t.Fatalf("%s about nothing: %s", channel, text)
		}
		y.told[channel+" "+ids[k]]++
	}
	alerts := 0
	for _, l := range y.w.Letters() {
		byRevocation("mail", l.Text)
	}
	for _, p := range y.plans {
		for _, m := range y.w.Topics.Published(p.Notify[2].Address) {
			if strings.HasSuffix(m.Subject, "webhook 1 disabled") {
				alerts++
				continue
			}
			byRevocation("sns", m.Message)
		}
	}
	dead := y.dead(t)
	again := map[string]int{}
	for k, id := range ids {
		receiver := receivers[k%len(receivers)]
		for _, channel := range []string{"mail", "webhook", "sns"} {
			one := channel + " " + id
			hopeless := channel == "webhook" && receiver.never
			refused := channel == "webhook" && k%len(receivers) == gone && y.told[one] == 0
			switch {
			case hopeless != dead[one]:
				t.Errorf("event %d, %s, %s: with the dead letters %t", k, channel, receiver.name, dead[one])
			case !hopeless && !refused && y.told[one] == 0:
				t.Errorf("event %d, %s, %s: never told", k, channel, receiver.name)
			}
			if y.told[one] > 1 {
				again[channel]++
			}
		}
	}
	if y.marked.Sub(y.first) < 10*24*time.Hour || y.late > 0 || alerts == 0 {
		t.Errorf("the endpoint that is gone: marked at %s, %d attempts behind that, %d alerts", y.marked, y.late, alerts)
	}
	if left := len(y.w.Queue(simtest.MailQueue).Messages()); left > 0 {
		t.Errorf("%d messages are left", left)
	}
	y.marks(t, dead)
	for _, action := range []string{"GetParameter", "SendMessage", "DeleteMessage", "ChangeMessageVisibility", "GetSecretValue", "DescribeSecret", "POST", "SendRawEmail", "Publish", "PutEvents"} {
		if y.crashes[sim.CrashBefore][action] == 0 || y.crashes[sim.CrashAfter][action] == 0 {
			t.Errorf("notify never died around %s", action)
		}
	}
	t.Logf("%d calls, %d went wrong; %d dead letters; told more than once: %v of %d each", y.calls, y.faults, len(dead), again, len(ids))
}

// dead are the destinations and events of the dead letters.
func (y *tally) dead(t *testing.T) map[string]bool {
	out := map[string]bool{}
	for _, body := range y.w.Queue(simtest.DeadQueue).Messages() {
		var letter struct {
			Deliver struct{ EventID, Destination string }
		}
		if err := json.Unmarshal(body, &letter); err != nil || letter.Deliver.EventID == "" {
			t.Errorf("with the dead letters: %s", body)
		}
		channel, _, _ := strings.Cut(letter.Deliver.Destination, "-")
		out[channel+" "+letter.Deliver.EventID] = true
	}
	return out
}

// marks holds what was announced against what was: nothing is given up that arrived, but what an endpoint refused for ever.
func (y *tally) marks(t *testing.T, dead map[string]bool) {
	disabled, failed := 0, 0
	for _, e := range y.w.Bus(simtest.BusName).Events() {
		switch d := e.Data.(type) {
		case *events.DestinationDisabled:
			disabled++
			if e.Metadata.Grant != fmt.Sprintf("grant-%d", gone) {
				t.Errorf("announced as disabled: %+v", d)
			}
		case *events.DeliveryFailed:
			refused := d.Channel == "webhook" && e.Metadata.Grant == fmt.Sprintf("grant-%d", gone)
			if one := d.Channel + " " + d.EventID; d.Next.IsZero() && !dead[one] && !refused {
				t.Errorf("%s was announced as given up, told %d times", one, y.told[one])
			} else if d.Next.IsZero() {
				failed++
			}
		}
	}
	if disabled == 0 || failed == 0 {
		t.Errorf("announced: %d disabled, %d given up", disabled, failed)
	}
}
