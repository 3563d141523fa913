package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

func revoked(w *sim.World, id string) events.Event {
	return events.New("migration", id, "test", w.Now(), &events.AccessRevoked{Where: plan().Where(), RevokeID: id})
}

func bodies(messages []sim.Message) []string {
	var out []string
	for _, m := range messages {
		out = append(out, string(m.Body))
	}
	return out
}

func TestAMessageComesAfterItsDelayAndAgainUntilItIsDeleted(t *testing.T) {
	w := sim.New(sim.Config{})
	q := w.Queue("countersign-check")
	q.Configure(30*time.Second, nil, 0)
	must(t, q.Send(t.Context(), []byte("check"), 59500*time.Millisecond))
	w.Advance(59500 * time.Millisecond)
	if got := q.Receive(10); len(got) != 0 {
		t.Errorf("received %q: SQS delays by whole seconds", bodies(got))
	}
	w.Advance(500 * time.Millisecond)
	for n := 1; n <= 2; n++ {
		got := q.Receive(10)
		if len(got) != 1 || got[0].Receives != n || string(got[0].Body) != "check" {
			t.Fatalf("receive %d: %+v", n, got)
		}
		if again := q.Receive(10); len(again) != 0 {
			t.Errorf("a hidden message was received: %+v", again)
		}
		if n == 2 {
			must(t, q.Delete(t.Context(), got[0].Receipt))
		}
		w.Advance(30 * time.Second)
	}
	if got := q.Receive(10); len(got) != 0 || len(q.Messages()) != 0 {
		t.Errorf("a deleted message was received: %+v", got)
	}
}

func TestAMessageIsHiddenForTwelveHoursFromItsReceipt(t *testing.T) {
	w := sim.New(sim.Config{})
	q := w.Queue("countersign-notify")
	q.Configure(2*time.Hour, nil, 0)
	must(t, q.Send(t.Context(), []byte("event"), 0))
	receipt := q.Receive(1)[0].Receipt
	w.Advance(time.Hour)
	if q.Hide(t.Context(), receipt, 11*time.Hour+time.Second) == nil {
		t.Error("12 hours and a second from the receipt were taken")
	}
	must(t, q.Hide(t.Context(), receipt, 11*time.Hour-time.Millisecond))
	w.Advance(11*time.Hour - time.Millisecond)
	if got := q.Receive(1); len(got) != 0 {
		t.Error("received a part of a second early")
	}
	w.Advance(time.Millisecond)
	if got := q.Receive(1); len(got) != 1 || got[0].Receives != 2 {
		t.Errorf("received %+v", got)
	}
}

func TestAMessageThatIsNeverDoneGoesToTheDeadLetterQueue(t *testing.T) {
	w := sim.New(sim.Config{})
	q, dead := w.Queue("countersign-notify"), w.Queue("countersign-notify-dead")
	q.Configure(time.Minute, dead, 3)
	tries := 0
	q.Subscribe("notify", 10, func(context.Context, []sim.Message) ([]string, error) {
		tries++
		return nil, errors.New("refused")
	})
	must(t, q.Send(t.Context(), []byte("event"), 0))
	w.Sleep(t.Context(), time.Hour)
	if tries != 3 || len(q.Messages()) != 0 || len(dead.Messages()) != 1 {
		t.Errorf("%d tries, %d left, %d dead", tries, len(q.Messages()), len(dead.Messages()))
	}
}

func TestOnlyWhatABatchNamesAsFailedComesAgain(t *testing.T) {
	w := sim.New(sim.Config{})
	q := w.Queue("countersign-notify")
	var got [][]string
	q.Subscribe("notify", 10, func(_ context.Context, batch []sim.Message) (failed []string, err error) {
		got = append(got, bodies(batch))
		for _, m := range batch {
			if string(m.Body) == "b" && m.Receives == 1 {
				failed = append(failed, m.ID)
			}
		}
		return failed, nil
	})
	for _, body := range []string{"a", "b", "c"} {
		must(t, q.Send(t.Context(), []byte(body), 0))
	}
	w.Sleep(t.Context(), time.Hour)
	if len(got) != 2 || !slices.Equal(got[0], []string{"a", "b", "c"}) || !slices.Equal(got[1], []string{"b"}) {
		t.Errorf("batches %q", got)
	}
}

func TestAMessageMayComeTwiceAndLate(t *testing.T) {
	w := sim.New(sim.Config{})
	q := w.Queue("countersign-check")
	q.Copies = func([]byte) []time.Duration { return []time.Duration{0, time.Hour} }
	var at []time.Duration
	start := w.Now()
	q.Subscribe("reconcile", 1, func(context.Context, []sim.Message) ([]string, error) {
		at = append(at, w.Now().Sub(start))
		return nil, nil
	})
	must(t, q.Send(t.Context(), []byte("check"), time.Minute))
	w.Sleep(t.Context(), 2*time.Hour)
	if !slices.Equal(at, []time.Duration{time.Minute, time.Hour + time.Minute}) {
		t.Errorf("came at %v", at)
	}
}

func TestTheBusArchivesAndHandsEventsToQueues(t *testing.T) {
	w := sim.New(sim.Config{})
	b, all, some := w.Bus("countersign"), w.Queue("all"), w.Queue("some")
	b.Rule("all", all)
	b.Rule("some", some, events.TypeAccessGranted)
	must(t, b.Put(sim.As(t.Context(), "revoke"), revoked(w, "rv-1")))
	if len(all.Messages()) != 1 || len(some.Messages()) != 0 {
		t.Fatalf("%d and %d messages", len(all.Messages()), len(some.Messages()))
	}
	var e events.Envelope
	must(t, json.Unmarshal(all.Messages()[0], &e))
	if e.Account != w.Account() || e.Source != events.Source || e.DetailType != events.TypeAccessRevoked ||
		!slices.Equal(e.Resources, []string{roleARN}) || e.ID == "" || e.ReplayName != "" {
		t.Errorf("envelope %+v", e)
	}
	if got := b.Events(); len(got) != 1 || got[0].Data.(*events.AccessRevoked).RevokeID != "rv-1" {
		t.Errorf("events %+v", got)
	}

	must(t, b.Replay("again", nil))
	must(t, json.Unmarshal(all.Messages()[1], &e))
	if e.ReplayName != "again" || len(b.Archive()) != 1 {
		t.Errorf("replayed %+v, archive of %d", e, len(b.Archive()))
	}
}

func TestAReplayCanGoToOneRuleOnly(t *testing.T) {
	w := sim.New(sim.Config{})
	b, one, other := w.Bus("countersign"), w.Queue("one"), w.Queue("other")
	b.Rule("one", one)
	b.Rule("other", other)
	must(t, b.Put(sim.As(t.Context(), "revoke"), revoked(w, "rv-1")))
	must(t, b.Put(sim.As(t.Context(), "revoke"), revoked(w, "rv-2")))
	must(t, b.Replay("late", func(e events.Envelope) bool { return bytes.Contains(e.Detail, []byte("rv-2")) }, "other"))
	if len(one.Messages()) != 2 || len(other.Messages()) != 3 {
		t.Errorf("%d and %d messages", len(one.Messages()), len(other.Messages()))
	}
	must(t, b.Replay("late", nil, "no such rule"))
	if len(one.Messages()) != 2 || len(other.Messages()) != 3 {
		t.Errorf("%d and %d messages after a replay to nobody", len(one.Messages()), len(other.Messages()))
	}
}

func TestASenderCanNotForgeItsAccount(t *testing.T) {
	w := sim.New(sim.Config{})
	b := w.Bus("countersign")
	forger := sim.AsPrincipal(t.Context(), "forger", "arn:aws:iam::999988887777:user/mallory")
	envelope, err := events.Enclose(revoked(w, "rv-2"))
	must(t, err)
	envelope.Account, envelope.ID, envelope.ReplayName = w.Account(), "mine", "mine"
	must(t, b.PutEnvelope(forger, envelope))
	if got := b.Archive()[0]; got.Account != "999988887777" || got.ID == "mine" || got.ReplayName != "" {
		t.Errorf("envelope %+v", got)
	}
	envelope.Source = "aws.secretsmanager"
	if err := b.PutEnvelope(forger, envelope); err == nil {
		t.Error("a source of AWS's own was taken")
	}
	envelope.Source, envelope.Detail = events.Source, []byte(`[]`)
	if err := b.PutEnvelope(forger, envelope); err == nil {
		t.Error("a detail that is no object was taken")
	}
}

// mail stands for the mail type of another package.
type mail struct {
	From                string
	To                  []string
	Subject, Text, HTML string
	Thread              string
	Tags                map[string]string
}

func TestMailNeedsAVerifiedSenderAndRecipients(t *testing.T) {
	w := sim.New(sim.Config{})
	ses := sim.NewMail[mail](w)
	good := mail{From: "countersign@example.com", To: []string{"ada@example.com"}, Subject: "Access revoked", Text: "…"}
	must(t, ses.SendMail(t.Context(), good))
	w.VerifySenders("other@example.com")
	if err := ses.SendMail(t.Context(), good); err == nil || !strings.Contains(err.Error(), "MessageRejected") {
		t.Errorf("an unverified sender: %v", err)
	}
	w.VerifySenders(good.From)
	for _, bad := range []mail{{From: good.From, Subject: "s"}, {From: good.From, To: good.To}, {From: good.From, To: good.To, Subject: "a\nb"}, {From: good.From, To: make([]string, 51), Subject: "s"}} {
		if err := ses.SendMail(t.Context(), bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	if got := w.Letters(); len(got) != 1 || got[0].To[0] != "ada@example.com" {
		t.Errorf("letters %+v", got)
	}
}

// What SES says of a mail has its tags and no address, as the template's rule hands it on.
func TestSESSaysWhatBecameOfAMail(t *testing.T) {
	w := sim.New(sim.Config{})
	w.Fates(func(to string) sim.Fate {
		if to == "gone@example.com" {
			return sim.Fate{Said: "Email Bounced", BounceType: "Permanent", Cause: "NoEmail"}
		}
		return sim.Fate{}
	}, w.Queue("notify"))
	ses := sim.NewMail[mail](w)
	good := mail{From: "countersign@example.com", To: []string{"ada@example.com"}, Subject: "Access revoked", Text: "…", Tags: map[string]string{"grant": "migration"}}
	must(t, ses.SendMail(t.Context(), good))
	good.To = []string{"gone@example.com"}
	must(t, ses.SendMail(t.Context(), good))
	want := `{"mail":{"bounceType":"Permanent","cause":"NoEmail","destination":"","event":"","grant":"migration","messageId":"letter-2","said":"Email Bounced"}}`
	if said := w.Queue("notify").Messages(); len(said) != 1 || string(said[0]) != want {
		t.Errorf("SES said %s", said)
	}
}

func TestATopicTakesWhatSNSTakes(t *testing.T) {
	w := sim.New(sim.Config{})
	const topic = "arn:aws:sns:eu-central-1:444455556666:operators"
	if err := w.Topics.Publish(t.Context(), topic, "s", "m"); !errors.Is(err, grant.ErrNotFound) {
		t.Errorf("a topic that is not there: %v", err)
	}
	w.Topics.Create(topic)
	for subject, ok := range map[string]bool{"": true, strings.Repeat("x", 99): true, strings.Repeat("x", 100): false, "two\nlines": false, "ümlaut": false, " blank": false} {
		if err := w.Topics.Publish(t.Context(), topic, subject, "m"); (err == nil) != ok {
			t.Errorf("subject %q: %v", subject, err)
		}
	}
	if got := w.Topics.Published(topic); len(got) != 2 {
		t.Errorf("published %v", got)
	}
}
