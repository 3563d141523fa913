package simtest_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

const opsTopic = "arn:aws:sns:eu-central-1:444455556666:ops-alerts"

// post office is a world of one grant whose webhook misbehaves, with its mail and its topic beside it.
type office struct {
	*simtest.World
	t     *testing.T
	ctx   context.Context
	plan  grant.Plan
	start time.Time // of the event
}

// newOffice deploys the grant and lets its first messages go out.
func newOffice(t *testing.T, cfg simtest.Config, overlap time.Duration) *office {
	t.Helper()
	cfg.Workers = true
	o := &office{World: simtest.New(cfg), t: t, ctx: context.Background(), plan: simtest.Migration()}
	hook, err := o.SignFor("hestio-webhook", simtest.Endpoint)
	o.must(err)
	o.Topics.Create(opsTopic)
	o.plan.Overlap = grant.Duration(overlap)
	o.plan.Notify = grant.Notify{{Channel: grant.Mail, Address: "jdoe@hestio.example"}, hook, {Channel: grant.SNS, Address: opsTopic}}
	o.must(o.Deploy(o.ctx, o.plan))
	o.Sleep(o.ctx, time.Hour)
	if n := len(o.Receiver.Deliveries()); n != 1 {
		t.Fatalf("told %d times of the new grant", n)
	}
	return o
}

func (o *office) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// behaves says how the webhook answers from now on; n counts the attempts from 1.
func (o *office) behaves(how func(n int) sim.Behaviour) {
	before := len(o.Receiver.Deliveries())
	o.Receiver.Behave = func(n int, _ sim.Delivery) sim.Behaviour { return how(n - before) }
}

// attempts are when the webhook was told, since the event.
func (o *office) attempts() (out []string) {
	for _, d := range o.Receiver.Deliveries()[1:] {
		if d.Verified != nil {
			o.t.Errorf("at %s: %v", d.At, d.Verified)
		}
		out = append(out, d.At.Sub(o.start).String())
	}
	return out
}

// of are the events of a type that the bus took since the event.
func of[T events.Data](o *office) (out []T) {
	for _, e := range o.Bus(simtest.BusName).Events() {
		if d, ok := e.Data.(T); ok && !e.Metadata.Time.Before(o.start) {
			out = append(out, d)
		}
	}
	return out
}

// half is randomness that lengthens every step by half of what chance may: by a twentieth.
type half struct{}

func (half) Read(p []byte) (int, error) { clear(p); p[0] = 0x80; return len(p), nil }

// Each attempt comes exactly when the schedule says: a step after the one before has failed, a twentieth longer. SQS counts in
// whole seconds, and never less.
func TestAReceiverThatMisbehavesIsTriedAgainOnTime(t *testing.T) {
	always := func(b sim.Behaviour) func(int) sim.Behaviour { return func(int) sim.Behaviour { return b } }
	whole := []string{"0s", "6s", "5m21s", "36m51s", "2h42m51s", "7h57m51s", "18h27m51s", "33h9m51s", "54h9m51s", "79h21m51s"}
	for _, tt := range []struct {
		name   string
		how    func(n int) sim.Behaviour
		want   []string
		reason string // of each failure
		dead   bool
	}{
		{"well", always(sim.Behaviour{}), whole[:1], "", false},
		{"slowly", always(sim.Behaviour{Slow: 9 * time.Second}), whole[:1], "", false},
		{"with a giant body", always(sim.Behaviour{Giant: true}), whole[:1], "", false},
		{"by hanging", always(sim.Behaviour{Hang: true}), []string{
			"0s", "16s", "5m41s", "37m21s", "2h43m31s", "7h58m41s", "18h28m51s", "33h11m1s", "54h11m11s", "79h23m21s"}, "the endpoint did not answer in time", true},
		{"by resetting", always(sim.Behaviour{Err: sim.ErrReset}), whole, "the connection failed", true},
		{"with bad TLS", always(sim.Behaviour{Err: sim.ErrBadTLS}), whole, "the endpoint's certificate is not trusted", true},
		{"with a redirect", always(sim.Behaviour{Status: http.StatusMovedPermanently}), whole, "the endpoint redirects: give its final URL", true},
		{"with a giant refusal", always(sim.Behaviour{Status: 500, Giant: true}), whole, "the endpoint answered 500", true},
		{"with 404", always(sim.Behaviour{Status: http.StatusNotFound}), whole, "the endpoint answered 404", true},
		{"with 429 and a wait of two minutes, three times", func(n int) sim.Behaviour {
			if n > 3 {
				return sim.Behaviour{}
			}
			return sim.Behaviour{Status: http.StatusTooManyRequests, RetryAfter: "120"}
		}, []string{"0s", "2m0s", "7m15s", "38m45s"}, "the endpoint answered 429", false},
		{"with 503 and a wait of a day: up to the next step", func(n int) sim.Behaviour {
			if n > 2 {
				return sim.Behaviour{}
			}
			return sim.Behaviour{Status: http.StatusServiceUnavailable, RetryAfter: "86400"}
		}, []string{"0s", "5m0s", "35m0s"}, "the endpoint answered 503", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOffice(t, simtest.Config{AWS: sim.Config{Seed: 7}}, 24*time.Hour)
			o.Notifier.Rand = half{}
			o.behaves(tt.how)
			o.start = o.Now()
			_, err := o.Revoke(o.ctx, o.plan.Grant, "project ended")
			o.must(err)
			o.Sleep(o.ctx, 7*24*time.Hour)
			if diff := cmp.Diff(tt.want, o.attempts()); diff != "" {
				t.Errorf("(-want +attempts):\n%s", diff)
			}
			failures := of[*events.DeliveryFailed](o)
			for i, f := range failures {
				if f.Reason != tt.reason || f.Attempt != i+1 || f.Next.IsZero() != (tt.dead && i == len(failures)-1) {
					t.Errorf("announced %+v", f)
				}
			}
			if n := len(o.Queue(simtest.DeadQueue).Messages()); (n == 1) != tt.dead || len(o.Queue(simtest.MailQueue).Messages()) > 0 {
				t.Errorf("%d dead, %d left", n, len(o.Queue(simtest.MailQueue).Messages()))
			}
			if n := o.Receiver.Poured(); n > 16<<10*len(o.attempts())*4 {
				t.Errorf("%d bytes of endless answers were read", n)
			}
			// The others had their messages at once, and once.
			if letters, alerts := len(o.Letters()), len(o.Topics.Published(opsTopic)); letters != 2 || alerts != 2 {
				t.Errorf("%d letters, %d alerts: granted and revoked", letters, alerts)
			}
		})
	}
}

// The world's seed decides when: another one spreads the attempts otherwise, within a tenth.
func TestChanceSpreadsTheAttempts(t *testing.T) {
	life := func(seed uint64) []string {
		o := newOffice(t, simtest.Config{AWS: sim.Config{Seed: seed}}, 24*time.Hour)
		o.behaves(func(int) sim.Behaviour { return sim.Behaviour{Err: sim.ErrReset} })
		o.start = o.Now()
		_, err := o.Revoke(o.ctx, o.plan.Grant, "project ended")
		o.must(err)
		o.Sleep(o.ctx, 7*24*time.Hour)
		return o.attempts()
	}
	want := []string{"0s", "6s", "5m19s", "36m38s", "2h39m52s", "7h55m35s", "18h12m42s", "33h24m20s", "54h26m38s", "79h51m39s"}
	if diff := cmp.Diff(want, life(7)); diff != "" {
		t.Errorf("seed 7 (-want +attempts):\n%s", diff)
	}
	lasts := map[string]bool{}
	for seed := range uint64(20) {
		got := life(seed)
		last, err := time.ParseDuration(got[len(got)-1])
		if lasts[last.String()] = true; err != nil || len(got) != 10 || last < 75*time.Hour+35*time.Minute || last > 83*time.Hour+9*time.Minute {
			t.Errorf("seed %d: %v", seed, got)
		}
	}
	if len(lasts) < 19 {
		t.Errorf("20 seeds end at %d moments", len(lasts))
	}
}

// Next in the events is when the next attempt came.
func TestADayOfErrors(t *testing.T) {
	o := newOffice(t, simtest.Config{AWS: sim.Config{Seed: 7}}, 24*time.Hour)
	o.start = o.Now()
	o.behaves(func(int) sim.Behaviour {
		if o.Now().Sub(o.start) < 24*time.Hour {
			return sim.Behaviour{Status: http.StatusInternalServerError}
		}
		return sim.Behaviour{}
	})
	_, err := o.Revoke(o.ctx, o.plan.Grant, "project ended")
	o.must(err)
	o.Sleep(o.ctx, 7*24*time.Hour)
	told := o.Receiver.Deliveries()[1:]
	failures := of[*events.DeliveryFailed](o)
	if len(told) != 8 || len(failures) != 7 || len(o.Queue(simtest.DeadQueue).Messages()) > 0 {
		t.Fatalf("%d attempts, %d failures", len(told), len(failures))
	}
	for i, f := range failures {
		if late := told[i+1].At.Sub(f.Next); late < 0 || late > 2*time.Second {
			t.Errorf("attempt %d came %s after it was announced for", i+2, late)
		}
	}
	for _, d := range told {
		if d.ID != told[0].ID || string(d.Body) != string(told[0].Body) {
			t.Errorf("at %s: another message", d.At)
		}
	}
}

func TestARotationThatNobodyTakesIsToldBeforeItsDeadlineAndOnceAfter(t *testing.T) {
	for _, tt := range []struct {
		overlap time.Duration
		want    []string // since the version was made
		letters []string
	}{
		{24 * time.Hour, []string{"last call 23h0m0s", "missed 24h0m0s"}, []string{"new external ID, act before", "reminder: act before"}},
		{90 * time.Minute, []string{"last call 45m0s", "missed 1h30m0s"}, []string{"new external ID, act before", "reminder: act before"}},
	} {
		t.Run(tt.overlap.String(), func(t *testing.T) {
			o := newOffice(t, simtest.Config{AWS: sim.Config{Seed: 7}, Period: time.Hour}, tt.overlap)
			o.Sleep(o.ctx, 48*time.Hour)
			letters := len(o.Letters())
			o.behaves(func(int) sim.Behaviour { return sim.Behaviour{Status: http.StatusBadGateway} })
			o.start = o.Now()
			answer, err := o.Rotate(o.ctx, o.plan.Grant, false)
			o.must(err)
			o.Sleep(o.ctx, 7*24*time.Hour)
			versions, err := o.Secrets.Versions(o.ctx, o.plan.SecretARN)
			o.must(err)
			i := slices.IndexFunc(versions, func(v grant.VersionInfo) bool { return v.ID == answer.VersionID })
			until := versions[i].Created.Add(tt.overlap).Truncate(time.Second)
			call := until.Add(-min(time.Hour, until.Sub(versions[i].Created)/2)).Truncate(time.Second)
			var told []time.Time
			for _, d := range o.Receiver.Deliveries() {
				if strings.Contains(string(d.Body), answer.VersionID) && strings.Contains(string(d.Body), `"External ID Rotated"`) {
					told = append(told, d.At)
				}
			}
			n := len(told)
			if n < 5 || !told[n-2].Equal(call) || !told[n-1].Equal(until) {
				t.Errorf("told at %v, want the last two at %s and %s", told, call, until)
			}
			for j, at := range told[:n-2] {
				if !at.Before(call) {
					t.Errorf("attempt %d at %s, behind the last call at %s", j+1, at, call)
				}
			}
			var subjects []string
			for _, l := range o.Letters()[letters:] {
				_, what, _ := strings.Cut(l.Subject, "migration: ")
				if what = strings.TrimSpace(what); strings.Contains(what, "act before") {
					subjects = append(subjects, what[:strings.Index(what, "act before")+len("act before")])
				}
			}
			if diff := cmp.Diff(tt.letters, subjects); diff != "" {
				t.Errorf("(-want +letters):\n%s", diff)
			}
			dead := o.Queue(simtest.DeadQueue).Messages()
			if !slices.ContainsFunc(dead, func(b []byte) bool { return strings.Contains(string(b), `"External ID Rotated"`) }) {
				t.Errorf("dead: %s", dead)
			}
		})
	}
}

func TestAnEndpointThatIsGoneIsAnnouncedAndItsOperatorsHearOfIt(t *testing.T) {
	o := newOffice(t, simtest.Config{AWS: sim.Config{Seed: 7}}, 24*time.Hour)
	o.behaves(func(int) sim.Behaviour { return sim.Behaviour{Status: http.StatusGone} })
	o.start = o.Now()
	for range 3 {
		_, err := o.Revoke(o.ctx, o.plan.Grant, "project ended")
		o.must(err)
		o.Sleep(o.ctx, time.Hour)
	}
	if n := len(o.attempts()); n != 1 {
		t.Errorf("told %d times", n)
	}
	said := of[*events.DestinationDisabled](o)
	if len(said) != 1 || said[0].Destination != "webhook 1" || o.Secrets.Tags(said[0].SecretARN)[said[0].Tag] == "" {
		t.Fatalf("announced %+v", said)
	}
	disabled := 0
	for _, p := range o.Topics.Published(opsTopic) {
		if strings.HasSuffix(p.Subject, "webhook 1 disabled") {
			disabled++
		}
	}
	if disabled != 1 || len(o.Queue(simtest.DeadQueue).Messages()) > 0 {
		t.Errorf("%d alerts, %d dead", disabled, len(o.Queue(simtest.DeadQueue).Messages()))
	}
}

// A mail that comes back is an event, and the operators hear of it: once, by the topic, while the address is told as before.
func TestAMailThatComesBackIsAnnouncedAndItsOperatorsHearOfIt(t *testing.T) {
	o := newOffice(t, simtest.Config{AWS: sim.Config{Seed: 7}}, 24*time.Hour)
	o.start = o.Now()
	o.Fates(func(string) sim.Fate {
		return sim.Fate{Said: "Email Bounced", BounceType: "Permanent", Cause: "NoEmail"}
	}, o.Queue(simtest.MailQueue))
	for range 2 {
		_, err := o.Revoke(o.ctx, o.plan.Grant, "project ended")
		o.must(err)
		o.Sleep(o.ctx, time.Hour)
	}
	told := of[*events.DeliverySucceeded](o)
	said := of[*events.MailUndelivered](o)
	if len(said) != 2 {
		t.Fatalf("announced %+v", said)
	}
	for _, s := range said {
		known := slices.ContainsFunc(told, func(d *events.DeliverySucceeded) bool {
			return d.EventID == s.EventID && d.Destination == s.Destination
		})
		if !known || s.Kind != events.MailBounced || !s.Permanent || s.Cause != "NoEmail" {
			t.Errorf("announced %+v", s)
		}
	}
	alerts := 0
	for _, p := range o.Topics.Published(opsTopic) {
		if strings.HasSuffix(p.Subject, "mail 1 did not arrive") {
			alerts++
		}
	}
	if letters := len(o.Letters()); alerts != 2 || letters != 3 || len(o.Queue(simtest.DeadQueue).Messages()) > 0 {
		t.Errorf("%d alerts, %d letters, %d dead", alerts, letters, len(o.Queue(simtest.DeadQueue).Messages()))
	}
}
