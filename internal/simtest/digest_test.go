package simtest_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

// A quarter with a digest every week, while one call of notify's in five goes wrong or is its last.
func TestEveryWeekHasItsDigest(t *testing.T) {
	const weeks = 13
	chance := rand.New(rand.NewPCG(1, 13))
	cfg := simtest.Config{Workers: true, Digests: true, Period: time.Hour, AWS: sim.Config{Seed: 1, Forget: true}}
	w := simtest.New(cfg)
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	plan := simtest.Migration()
	plan.Notify = grant.Notify{
		{Channel: grant.Mail, Address: "jdoe@hestio.example", On: []events.Class{events.Digest}},
		{Channel: grant.Mail, Address: "ops@hestio.example", On: []events.Class{events.Action}},
	}
	must(w.Deploy(ctx, plan))
	w.Sleep(ctx, time.Hour)
	struck, lostBehindSES := 0, 0
	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Actor != "notify" || chance.Float64() >= 0.2 {
			return sim.Outcome{}
		}
		struck++
		fault := []sim.Fault{sim.Fail, sim.Lose, sim.Throttle, sim.CrashBefore, sim.CrashAfter}[chance.IntN(5)]
		if c.Action == "SendRawEmail" && (fault == sim.Lose || fault == sim.CrashAfter) || c.Action == "PutEvents" && fault != sim.Lose && fault != sim.CrashAfter {
			lostBehindSES++
		}
		return sim.Outcome{Fault: fault}
	}
	w.Sleep(ctx, 9*24*time.Hour)
	_, err := w.Revoke(ctx, plan.Grant, "project ended")
	must(err)
	for range 120 { // who may write to the queue says so all the time
		w.Sleep(ctx, (weeks-2)*7*24*time.Hour/120)
		_ = w.Queue(simtest.MailQueue).Send(ctx, []byte(simtest.WeeklyMessage), 0)
	}
	w.Sleep(ctx, 4*24*time.Hour)

	digests, others := map[string]int{}, 0
	for _, l := range w.Letters() {
		week, isDigest := strings.CutPrefix(l.Subject, "[Countersign] weekly digest: ")
		switch {
		case !isDigest:
			others++
		case l.To[0] != "jdoe@hestio.example":
			t.Errorf("%s had a digest and asked for none", l.To[0])
		default:
			_, week, _ = strings.Cut(week, ", ")
			digests[week]++
		}
		if isDigest && strings.Contains(l.Text, "Revoked: nobody gets in") != (len(digests) > 1) {
			t.Errorf("in week %d: %s", len(digests), l.Text)
		}
	}
	more := 0
	for _, n := range digests {
		more += n - 1
	}
	if len(digests) < weeks-1 || more > lostBehindSES {
		t.Errorf("%d digests of %d weeks, %d of them again; %d times nobody knew that it went out", len(digests), weeks, more, lostBehindSES)
	}
	if struck < 50 || others != 1 { // access granted
		t.Errorf("%d calls went wrong; %d other mails", struck, others)
	}
	if dead := w.Queue(simtest.DeadQueue).Messages(); len(dead) > 0 {
		t.Errorf("dead: %s", dead)
	}
	t.Logf("%d weeks, %d digests sent again, %d calls went wrong", len(digests), more, struck)
}
