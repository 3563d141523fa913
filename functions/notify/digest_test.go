package notify

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

// lastWeek is a moment of the week before now's: 26 Jan to 1 Feb 2026.
var lastWeek = time.Date(2026, 1, 28, 11, 0, 0, 0, time.UTC)

const week = `{"digest":"weekly"}`

// withDigests is a world in which b@hestio.example asks for digests of both grants, and the customer's own for one of migration.
func withDigests(t *testing.T) *world {
	w := newWorld(t)
	for _, name := range []grant.Name{"migration", "audit"} {
		w.plans[name].Notify[1].On = []events.Class{events.Digest}
	}
	p := w.plans["migration"]
	p.Notify = append(p.Notify, grant.Destination{
		Channel: grant.Mail, Address: "sec@example.com", For: events.Operators, On: []events.Class{events.Revoke, events.Digest},
	})
	w.plans["migration"] = p
	return w
}

// happens is an event in the trail.
func (w *world) happens(name string, at time.Time, data events.Data) {
	w.t.Helper()
	w.keep(events.New(name, at.String(), "1.0.0", at, data))
}

// keepAll writes what notify announced into the trail.
func (w *world) keepAll() {
	for _, e := range w.bus {
		w.keep(e)
	}
	w.bus = nil
}

func TestADigestGoesToEachAddressThatAskedOverAllItsGrants(t *testing.T) {
	w := withDigests(t)
	w.happens("migration", lastWeek, events.ExternalIDRotated{VersionID: scheduled})
	w.happens("migration", lastWeek, events.ExternalIDRotated{VersionID: scheduled}) // said twice
	w.happens("migration", lastWeek.Add(time.Hour), events.RotationFailed{Reason: "a reason that stays in the event"})
	w.happens("migration", lastWeek.Add(time.Hour), events.TestRequested{})
	w.happens("audit", lastWeek.Add(2*time.Hour), events.AccessRevoked{RevokeID: revocation, Reason: "a reason", By: "arn:aws:iam::444455556666:user/ann"})
	w.happens("elsewhere", lastWeek, events.AccessGranted{})
	w.happens("audit", now, events.AccessGranted{})                        // this week
	w.happens("audit", lastWeek.AddDate(0, 0, -7), events.AccessExpired{}) // the week before
	if failed := w.handle(week); failed != nil {
		t.Fatalf("failed: %s", w.log.String())
	}
	if diff := cmp.Diff([]string{"mail b@hestio.example", "mail sec@example.com"}, sorted(w.told())); diff != "" {
		t.Fatalf("(-want +told):\n%s", diff)
	}
	for _, m := range w.mail {
		var lines []string
		for line := range strings.Lines(m.Text) {
			if strings.HasPrefix(line, "Grant") || strings.HasPrefix(line, "28 Jan") {
				lines = append(lines, strings.Join(strings.Fields(line), " "))
			}
		}
		want := []string{
			"Grant audit, for hestio (111122223333)", "28 Jan Access revoked.",
			"Grant migration, for hestio (111122223333)", "28 Jan New external ID, as scheduled.",
		}
		if m.To[0] == "sec@example.com" {
			want = []string{"Grant migration, for hestio (111122223333)", "28 Jan New external ID, as scheduled.", "28 Jan A rotation was refused."}
		}
		if diff := cmp.Diff(want, lines); diff != "" || m.Subject != "[Countersign] weekly digest: 2 changes, 26 Jan to 1 Feb" {
			t.Errorf("%s: %q (-want +got):\n%s", m.To, m.Subject, diff)
		}
		if strings.Contains(m.Text+m.HTML, "reason") || strings.Contains(m.Text, "user/ann") {
			t.Errorf("%s reads what others wrote into events: %s", m.To, m.Text)
		}
	}
	if diff := cmp.Diff([]string{"mail 2 ok", "mail 3 ok"}, sorted(w.outcomes())); diff != "" {
		t.Errorf("announced (-want +got):\n%s", diff)
	}
	for _, did := range w.did {
		if strings.HasPrefix(did, "secret ") || strings.HasPrefix(did, "tag ") {
			t.Errorf("it did %s", did)
		}
	}
}

func sorted(s []string) []string { slices.Sort(s); return s }

// The schedule may fire twice, and anybody who may write to the queue may say so: the trail has who was told.
func TestAWeekIsToldOnce(t *testing.T) {
	w := withDigests(t)
	w.handle(week)
	w.keepAll()
	told := len(w.mail)
	w.handle(week, week)
	w.Now = func() time.Time { return now.AddDate(0, 0, 3) } // Saturday
	w.handle(week)
	if len(w.mail) != told || told != 2 {
		t.Errorf("%d mails, then %d", told, len(w.mail))
	}
	w.Now = func() time.Time { return now.AddDate(0, 0, 5) } // Monday
	w.handle(week)
	if len(w.mail) != 2*told {
		t.Errorf("%d mails in the next week", len(w.mail)-told)
	}
}

// Whoever could be told is not told again because somebody else could not, nor because notify died in between.
func TestACrashTellsNobodyTwiceWhomTheTrailKnows(t *testing.T) {
	w := withDigests(t)
	w.fail["mail sec@"] = errors.New("SES is down")
	w.handle(week)
	w.keepAll()
	if diff := cmp.Diff([]string{"mail 3 attempt 2 in 5s"}, w.waitingDigests()); diff != "" {
		t.Fatalf("(-want +waiting):\n%s", diff)
	}
	// It dies behind the first of two hand-outs: the schedule's message comes again.
	delete(w.fail, "mail sec@")
	w.did = nil
	again := w.sent[0].body
	w.sent = nil
	w.Now = func() time.Time { return now.Add(5 * time.Second) }
	w.handle(week, again)
	w.keepAll()
	w.handle(again, week)
	if diff := cmp.Diff([]string{"mail sec@example.com"}, slices.Compact(w.told())); diff != "" {
		t.Errorf("(-want +told):\n%s", diff)
	}

	// Said twice at once, it is told once.
	w = withDigests(t)
	if failed := w.handleWithin(t.Context(), week, week); failed != nil || len(w.sent) != 4 {
		t.Fatalf("failed %v, on the queue %v", failed, w.sent)
	}
	w.mail = nil
	w.handleWithin(t.Context(), w.sent[0].body, w.sent[1].body, w.sent[2].body, w.sent[3].body)
	if len(w.mail) != 2 {
		t.Errorf("%d mails of four deliveries in one batch", len(w.mail))
	}

	// It dies behind SES and before the bus: then, and only then, a digest goes out again.
	w = withDigests(t)
	w.handle(week)
	w.bus = nil
	w.handle(week)
	if len(w.mail) != 4 {
		t.Errorf("%d mails, want each digest twice", len(w.mail))
	}
}

// Half of a hand-out is no hand-out: the message comes again.
func TestADigestThatCantBeHandedOutComesAgain(t *testing.T) {
	for _, act := range []string{"plan audit", "send"} {
		w := withDigests(t)
		w.fail[act] = grant.ErrUnavailable
		if failed := w.handleWithin(t.Context(), week); failed == nil || w.mail != nil {
			t.Errorf("%s: failed %v, %d mails", act, failed, len(w.mail))
		}
	}
	for _, act := range []string{"trail", "describe", "versions"} {
		w := withDigests(t)
		w.fail[act] = grant.ErrUnavailable
		if failed := w.handle(week); len(failed) != 2 || w.mail != nil || w.bus != nil {
			t.Errorf("%s: failed %v, %d mails, announced %v", act, failed, len(w.mail), w.bus)
		}
	}
	w := withDigests(t)
	delete(w.plans, "audit") // as while a deploy makes it
	w.handle(week)
	if len(w.mail) != 2 {
		t.Errorf("without one of the plans %d mails: %s", len(w.mail), w.log.String())
	}
}

// A digest is told in its week or never, with the id that week and address give, and to who still asks for it.
func TestADigestThatIsNotOfThisWeekIsDropped(t *testing.T) {
	w := withDigests(t)
	to := deliver.IDOf(w.plans["migration"].Notify[1])
	one := deliver.Queued{Said: deliver.Said{ID: digestID(deliver.WeekOf(now), to), Kind: events.WeeklyDigest, Grant: "audit"}, Destination: to, Attempt: 1, FirstTried: now}
	for name, change := range map[string]func(*deliver.Queued){
		"as it is": func(*deliver.Queued) {},
		"of the week before": func(d *deliver.Queued) {
			d.FirstTried = now.AddDate(0, 0, -7)
			d.ID = digestID(deliver.WeekOf(d.FirstTried), to)
		},
		"of the next week": func(d *deliver.Queued) {
			d.FirstTried = now.AddDate(0, 0, 7)
			d.ID = digestID(deliver.WeekOf(d.FirstTried), to)
		},
		"under another id": func(d *deliver.Queued) { d.ID = strings.Repeat("0", 32) },
		"to a webhook": func(d *deliver.Queued) {
			d.Destination = deliver.IDOf(w.plans["migration"].Notify[2])
			d.ID = digestID(deliver.WeekOf(now), d.Destination)
		},
		"to who asked for no": func(d *deliver.Queued) {
			d.Destination = deliver.IDOf(w.plans["migration"].Notify[0])
			d.ID = digestID(deliver.WeekOf(now), d.Destination)
		},
	} {
		w := withDigests(t)
		d := one
		change(&d)
		body, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if failed := w.handle(string(body)); failed != nil || (len(w.mail) > 0) != (name == "as it is") {
			t.Errorf("%s: failed %v, %d mails", name, failed, len(w.mail))
		}
	}
	// It isn't an event: who may write to the bus can't ask for it.
	w.handle(strings.Replace(body(t, event("migration", events.TestRequested{})), "Test Requested", "Weekly Digest", 1))
	if w.mail != nil {
		t.Error("an event of the bus made a digest")
	}
}

// waitingDigests are the digests on the queue.
func (w *world) waitingDigests() (out []string) {
	for _, s := range w.sent {
		in, err := (&batch{Handler: &w.Handler}).read(s.body)
		d := in.delivery
		if err != nil || d == nil || d.Kind != events.WeeklyDigest {
			w.t.Fatalf("on the queue: %s: %v", s.body, err)
		}
		for _, to := range w.plans[d.Grant].Destinations() {
			if deliver.IDOf(to) == d.Destination {
				out = append(out, to.Name+" attempt "+string(rune('0'+d.Attempt))+" in "+d.NotBefore.Sub(w.Now()).String())
			}
		}
	}
	return out
}
