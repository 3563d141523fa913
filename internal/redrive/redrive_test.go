package redrive_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/redrive"
	"github.com/countersign/countersign/internal/sim"
)

const revocation = "rv-20260901T160200Z-5d0c2e9a"

// bench is a queue of dead letters beside notify's, on which nobody works.
type bench struct {
	*sim.World
	t   *testing.T
	ctx context.Context
}

func newBench(t *testing.T) *bench {
	return &bench{sim.New(sim.Config{Seed: 1}), t, context.Background()}
}

// letters is the queue as the command line sees it. What EventBridge says of a letter stands in its body here: SQS's attributes
// are the adapter's to read.
type letters struct{ *sim.Queue }

func (l letters) Receive(ctx context.Context, hidden time.Duration) ([]deliver.Received, error) {
	out, err := l.Take(ctx, hidden)
	for i, m := range out {
		var rule struct{ Rule string }
		if json.Unmarshal([]byte(m.Body), &rule) == nil && rule.Rule != "" {
			out[i].Attributes["RULE_ARN"] = "arn:aws:events:eu-west-1:444455556666:rule/countersign/" + rule.Rule
			out[i].Attributes["ERROR_CODE"], out[i].Attributes["RETRY_ATTEMPTS"] = "NO_PERMISSIONS", "0"
		}
	}
	return out, err
}

func (b *bench) dead() letters { return letters{b.Queue("dead")} }

// archive notes each replay on a queue of its own, so that it fails and dies like every other call.
type archive struct{ b *bench }

func (a archive) Replay(ctx context.Context, rule string, from, until time.Time) error {
	return a.b.Queue("replays").Send(ctx, fmt.Appendf(nil, "%s %s %s", rule, from.Format(time.RFC3339), until.Format(time.RFC3339)), 0)
}

// redrive looks, and sends again what is of migration, in one go. It may die.
func (b *bench) redrive() (out []redrive.Result) {
	_ = b.Invoke(b.ctx, "operator", func(ctx context.Context) error {
		found, err := redrive.Look(ctx, b.dead())
		if err != nil {
			return err
		}
		chosen := slices.DeleteFunc(found, func(l redrive.Letter) bool { return l.Grant == "audit" })
		r := redrive.Redrive{Letters: b.dead(), Queue: b.Queue("notify"), Archive: archive{b}, Now: b.Now}
		out = r.Run(ctx, chosen)
		return nil
	})
	return out
}

func (b *bench) bury(body []byte) {
	b.t.Helper()
	if err := b.Queue("dead").Send(b.ctx, body, 0); err != nil {
		b.t.Fatal(err)
	}
}

// delivery is a dead letter about an event to a destination, after ten attempts.
func delivery(name grant.Name, n int, destination string) []byte {
	body, err := deliver.Queued{
		Said:        deliver.Said{ID: fmt.Sprintf("%032x", n), Kind: events.TypeAccessRevoked, Grant: name, RevokeID: revocation},
		Destination: destination, Attempt: 10, FirstTried: time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC), Reason: "the endpoint answered 500",
	}.Encode()
	if err != nil {
		panic(err)
	}
	return body
}

// event is a letter that is the event itself, of a rule that could not hand it on; no rule: notify could not hand it out.
func event(n int, at time.Time, rule string) []byte {
	body, err := json.Marshal(map[string]any{
		"source": "countersign", "detail-type": "Access Revoked", "time": at.Format(time.RFC3339), "rule": rule,
		"detail": map[string]any{"metadata": map[string]any{"id": fmt.Sprintf("%032x", n), "grant": "migration"}, "data": map[string]any{"revokeId": revocation}},
	})
	if err != nil {
		panic(err)
	}
	return body
}

const hook = "webhook-0123456789abcdef"

// fill makes 13 letters of the grant, two of them copies of one, beside one of another grant and one that nobody can read. SQS
// hands out ten at a time.
func (b *bench) fill() {
	b.bury(delivery("audit", 90, hook))
	b.bury([]byte("not a letter"))
	for n := range 8 {
		b.bury(delivery("migration", n, hook))
	}
	b.bury(delivery("migration", 7, hook))
	b.bury(delivery("migration", 7, "mail-0123456789abcdef"))
	at := b.Now().Add(-time.Hour).Truncate(time.Minute)
	b.bury(event(20, at, ""))
	b.bury(event(21, at, "countersign-forward-hestio"))
	b.bury(event(22, at.Add(90*time.Second), "countersign-forward-hestio"))
}

// sent are the events and destinations of what lies on the queue, with how often.
func (b *bench) sent() map[string]int {
	out := map[string]int{}
	for _, body := range b.Queue("notify").Messages() {
		said, one, err := deliver.ReadQueued(string(body))
		if err != nil {
			b.t.Fatal(err)
		}
		key := said.ID
		if one != nil {
			key += " " + one.Destination
			if one.Attempt != 1 || one.SentAgain.IsZero() || one.Reason != "" || !one.NotBefore.IsZero() {
				b.t.Errorf("it doesn't start anew: %s", body)
			}
		}
		out[key]++
	}
	for _, body := range b.Queue("replays").Messages() {
		out[string(body)]++
	}
	return out
}

// left are the letters as they lie there.
func (b *bench) left() (out []string) {
	for _, body := range b.Queue("dead").Messages() {
		out = append(out, string(body))
	}
	return out
}

func TestARedriveSendsFirstAndEndsThen(t *testing.T) {
	b := newBench(t)
	b.fill()
	got := map[redrive.Outcome]int{}
	for _, r := range b.redrive() {
		got[r.Outcome]++
	}
	if diff := cmp.Diff(map[redrive.Outcome]int{redrive.Sent: 12, redrive.Repeated: 1, redrive.Failed: 1}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	at := b.Now().Add(-time.Hour).Truncate(time.Minute)
	replayed := fmt.Sprintf("countersign-forward-hestio %s %s", at.UTC().Format(time.RFC3339), at.Add(2*time.Minute).UTC().Format(time.RFC3339))
	for what, n := range b.sent() {
		if n != 1 || strings.HasPrefix(what, "countersign") && what != replayed {
			t.Errorf("%s: %d times", what, n)
		}
	}
	if n := len(b.sent()); n != 11 {
		t.Errorf("%d were sent: %v", n, b.sent())
	}
	if diff := cmp.Diff([]string{string(delivery("audit", 90, hook)), "not a letter"}, b.left()); diff != "" {
		t.Errorf("(-want +left):\n%s", diff)
	}
	// What it only had in hand can be received again at once.
	if found, err := b.dead().Receive(b.ctx, 0); err != nil || len(found) != 2 {
		t.Errorf("found %v, %v", found, err)
	}
}

// Whatever call goes wrong, and wherever the run dies: no letter is lost, and the next run ends what is left. Nobody is told more
// than twice for it, and none by another event id.
func TestARunThatDiesLosesNothing(t *testing.T) {
	for _, fault := range []sim.Fault{sim.CrashBefore, sim.CrashAfter, sim.Fail, sim.Lose, sim.Throttle} {
		points := 0
		for ; ; points++ {
			b := newBench(t)
			b.fill()
			want := b.keys()
			struck := false
			b.Schedule = func(c sim.Call) sim.Outcome {
				if c.Actor != "operator" || c.N != points+1 {
					return sim.Outcome{}
				}
				struck = true
				return sim.Outcome{Fault: fault}
			}
			b.redrive()
			b.Schedule = nil
			where := fmt.Sprintf("%s at call %d", fault, points+1)
			b.accounted(where, want)
			if !struck {
				break
			}
			b.Advance(redrive.HiddenByRun + time.Second)
			b.redrive()
			b.accounted(where+", and again", want)
			if diff := cmp.Diff([]string{string(delivery("audit", 90, hook)), "not a letter"}, b.left()); diff != "" {
				t.Errorf("%s (-want +left):\n%s", where, diff)
			}
			for what, n := range b.sent() {
				if n > 2 {
					t.Errorf("%s: %s %d times", where, what, n)
				}
			}
			if t.Failed() {
				return
			}
		}
		if points < 30 {
			t.Errorf("%s: only %d calls", fault, points)
		}
		t.Logf("%s at each of %d calls", fault, points)
	}
}

// keys are what the letters of migration would be known by on the queue.
func (b *bench) keys() (out []string) {
	for _, body := range b.left() {
		said, one, err := deliver.ReadQueued(body)
		switch {
		case err != nil || said.Grant == "audit":
		case one != nil:
			out = append(out, said.ID+" "+one.Destination)
		default:
			out = append(out, said.ID)
		}
	}
	return out
}

// accounted says whether each letter lies there still, or was sent. Replays are known by their rule.
func (b *bench) accounted(where string, want []string) {
	b.t.Helper()
	lie := b.keys()
	sent := b.sent()
	replays := len(b.Queue("replays").Messages())
	for _, key := range want {
		replayed := strings.HasSuffix(key, "15") || strings.HasSuffix(key, "16") // 21 and 22 in hex
		if !slices.Contains(lie, key) && sent[key] == 0 && (!replayed || replays == 0) {
			b.t.Errorf("%s: %s is lost", where, key)
		}
	}
}

// notify may put a letter back while a run goes on, because it could not tell what the run has just sent. That one is no copy.
func TestALetterThatComesBackMeanwhileStays(t *testing.T) {
	b := newBench(t)
	b.fill()
	found, err := redrive.Look(b.ctx, b.dead())
	if err != nil {
		t.Fatal(err)
	}
	r := redrive.Redrive{Letters: b.dead(), Queue: gives{b}, Archive: archive{b}, Now: b.Now}
	for _, one := range r.Run(b.ctx, found) {
		if one.Readable() && one.Outcome != redrive.Sent && one.Outcome != redrive.Repeated {
			t.Errorf("%s: %v", one.Outcome, one.Err)
		}
	}
	if n := len(b.left()); n != 1+11 {
		t.Errorf("%d are left of what was given back and the unreadable one", n)
	}
}

// gives is a queue whose consumer gives everything up at once.
type gives struct{ b *bench }

func (g gives) Send(_ context.Context, body []byte, _ time.Duration) error {
	g.b.bury(body)
	return nil
}

func TestALookSaysWhatIsKnownAndHandsItBack(t *testing.T) {
	b := newBench(t)
	at := b.Now().Add(-time.Hour).Truncate(time.Second)
	b.bury(delivery("migration", 1, hook))
	b.bury(event(20, at, ""))
	b.bury(event(21, at, "countersign-forward-hestio"))
	b.bury([]byte("\x1b[2Jforged"))
	for range 2 {
		found, err := redrive.Look(b.ctx, b.dead())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range found {
			got = append(got, fmt.Sprintf("%s|%s|%s|%s|%d|%s|%s", l.Grant, l.Event, l.Destination, l.Rule, l.Attempts, l.Reason, l.FirstTried.UTC().Format(time.DateTime)))
		}
		want := []string{
			"migration|Access Revoked|" + hook + "||10|the endpoint answered 500|2026-01-01 00:00:01",
			"migration|Access Revoked|||0|trouble of ours: it came again and again without an attempt, see the log of countersign-notify|" + at.UTC().Format(time.DateTime),
			"migration|Access Revoked||countersign-forward-hestio|1|EventBridge: NO_PERMISSIONS|" + at.UTC().Format(time.DateTime),
			"||||0|unreadable: neither an event nor a delivery of this version|0001-01-01 00:00:00",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// Where AWS refuses there is no point in going on; an event that the archive may not have yet waits; and what somebody else
// has in hand is left to them.
func TestWhatCantBeSentSaysWhy(t *testing.T) {
	b := newBench(t)
	b.fill()
	b.bury(event(23, b.Now(), "countersign-trail"))
	found, err := redrive.Look(b.ctx, b.dead())
	if err != nil {
		t.Fatal(err)
	}
	b.Schedule = func(c sim.Call) sim.Outcome {
		if c.Action == "SendMessage" && c.Resource == "notify" {
			return sim.Outcome{Fault: sim.Fail, Err: grant.ErrDenied}
		}
		return sim.Outcome{}
	}
	r := redrive.Redrive{Letters: b.dead(), Queue: b.Queue("notify"), Archive: archive{b}, Now: b.Now}
	b.ResetCalls()
	for _, one := range r.Run(b.ctx, found) {
		if one.Outcome != redrive.Failed && !one.Replayed() || one.Outcome == redrive.Failed && one.Err == nil {
			t.Errorf("%s %s: %v", one.Event, one.Outcome, one.Err)
		}
		if young := one.Rule == "countersign-trail"; young && !strings.Contains(one.Err.Error(), "try again in 10 minutes") {
			t.Errorf("%v", one.Err)
		}
	}
	sends := 0
	for _, c := range b.Calls("sqs") {
		if c.Action == "SendMessage" && c.Resource == "notify" {
			sends++
		}
	}
	if sends != 1 || len(b.left()) != 16 {
		t.Errorf("%d were tried, %d are left", sends, len(b.left()))
	}

	// All that was in hand is back at once.
	b.Schedule = nil
	if found, err := redrive.Look(b.ctx, b.dead()); err != nil || len(found) != 16 {
		t.Errorf("%d are seen, %v", len(found), err)
	}
	if _, err := b.dead().Receive(b.ctx, time.Hour); err != nil {
		t.Fatal(err)
	}
	missing := 0
	for _, one := range r.Run(b.ctx, found) {
		if one.Outcome == redrive.Missing {
			missing++
		}
	}
	if missing == 0 || len(b.left()) < 10 {
		t.Errorf("%d are missed, %d are left", missing, len(b.left()))
	}
}

// Whoever interrupts a run waits for the end of the letter in hand; the others are back at once.
func TestAnInterruptedRunEndsWhatItHasSent(t *testing.T) {
	b := newBench(t)
	b.fill()
	found, err := redrive.Look(b.ctx, b.dead())
	if err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(b.ctx)
	r := redrive.Redrive{Letters: b.dead(), Queue: stops{b.Queue("notify"), interrupt}, Archive: archive{b}, Now: b.Now}
	got := map[redrive.Outcome]int{}
	for _, one := range r.Run(ctx, found) {
		got[one.Outcome]++
	}
	if diff := cmp.Diff(map[redrive.Outcome]int{redrive.Sent: 1, redrive.Failed: 14}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again, err := redrive.Look(b.ctx, b.dead()); err != nil || len(again) != 14 {
		t.Errorf("%d are left, %v", len(again), err)
	}
}

// stops is a queue behind which somebody interrupts.
type stops struct {
	*sim.Queue
	interrupt func()
}

func (s stops) Send(ctx context.Context, body []byte, delay time.Duration) error {
	defer s.interrupt()
	return s.Queue.Send(ctx, body, delay)
}
