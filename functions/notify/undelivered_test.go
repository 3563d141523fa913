package notify

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/metric"
)

const lostEvent = "e518c296e7a0499fdd20e36e32ab34fd"

// feedbackOn is what the rule on SES's events hands on of one of testdata/ses, about a mail to the destination of that name. A
// test of package infra holds the template's rule to these files.
func (w *world) feedbackOn(file, destination string) string {
	w.t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "ses", file+".handed.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range w.plans["migration"].Destinations() {
		if d.Name == destination {
			return strings.Replace(string(body), "mail-DESTINATION", deliver.IDOf(d), 1)
		}
	}
	w.t.Fatalf("no %s", destination)
	return ""
}

// measures lets the handler count, and says how many mails it counted.
func (w *world) measures() func() int {
	w.Meter = metric.Meter{Log: w.Log, Stack: "ServiceProviderAccess", Now: w.Now}
	return func() int { return strings.Count(w.log.String(), `"MailsUndelivered":1`) }
}

func TestWhatSESSaysOfAMailBecomesAnEvent(t *testing.T) {
	for _, tt := range []struct {
		file    string
		change  [2]string
		want    events.MailUndelivered
		subject string
	}{
		{"bounce", [2]string{}, events.MailUndelivered{Kind: events.MailBounced, Permanent: true, Cause: "NoEmail"}, "mail 2 did not arrive"},
		{"bounce", [2]string{`"Permanent"`, `"Transient"`}, events.MailUndelivered{Kind: events.MailBounced, Cause: "NoEmail"}, "mail 2 did not arrive"},
		{"bounce", [2]string{`"NoEmail"`, `"Call +1 555 0100"`}, events.MailUndelivered{Kind: events.MailBounced, Permanent: true}, "mail 2 did not arrive"},
		{"complaint", [2]string{}, events.MailUndelivered{Kind: events.MailComplaint}, "mail 2 calls our mail spam"},
		{"reject", [2]string{}, events.MailUndelivered{Kind: events.MailRejected}, "mail 2 did not arrive"},
		{"rendering", [2]string{}, events.MailUndelivered{Kind: events.MailUnrendered}, "mail 2 did not arrive"},
	} {
		t.Run(tt.file+tt.change[1], func(t *testing.T) {
			w := newWorld(t)
			counted := w.measures()
			message := strings.Replace(w.feedbackOn(tt.file, "mail 2"), tt.change[0], tt.change[1], 1)
			if failed := w.handle(message); failed != nil {
				t.Fatal(w.log.String())
			}
			tt.want.EventID, tt.want.Destination = lostEvent, "mail 2"
			if len(w.bus) != 1 || w.bus[0].Metadata.Grant != "migration" {
				t.Fatalf("announced %+v: %s", w.bus, w.log.String())
			}
			if diff := cmp.Diff(tt.want, w.bus[0].Data); diff != "" {
				t.Errorf("(-want +announced):\n%s", diff)
			}
			if n := counted(); n != 1 || w.told() != nil || len(w.sent)+len(w.dead)+len(w.tags) > 0 {
				t.Errorf("counted %d, told %v, on the queue %v, marks %v", n, w.told(), w.sent, w.tags)
			}
			// The bus brings it back: the topics hear of it, and no mail tells of a mail.
			w.did = nil
			if failed := w.handle(body(t, w.bus[0])); failed != nil {
				t.Fatal(w.log.String())
			}
			if diff := cmp.Diff([]string{sns(tt.subject)}, w.told()); diff != "" {
				t.Errorf("(-want +told):\n%s", diff)
			}
			for _, word := range []string{"hestio.example", "555 0100"} {
				if out := fmt.Sprint(w.bus, w.log.String()); strings.Contains(out, word) {
					t.Errorf("%q came through: %s", word, out)
				}
			}
		})
	}
}

// SES and SQS both say things more than once.
func TestTheSameWordOnAMailIsTheSameEvent(t *testing.T) {
	w := newWorld(t)
	counted := w.measures()
	one := w.feedbackOn("bounce", "mail 1")
	w.handle(one, one)
	if len(w.bus) != 1 || counted() != 1 {
		t.Errorf("announced %d times, counted %d", len(w.bus), counted())
	}
	w.handle(one)
	w.handle(w.feedbackOn("complaint", "mail 1"))
	if a, b, c := w.bus[0].Metadata.ID, w.bus[1].Metadata.ID, w.bus[2].Metadata.ID; a != b || a == c {
		t.Errorf("ids %s, %s and of a complaint %s", a, b, c)
	}
}

func TestAnEventOfAMailThatTheBusDoesNotTakeIsSaidLater(t *testing.T) {
	w := newWorld(t)
	counted := w.measures()
	w.fail["event Mail Undelivered"] = grant.ErrUnavailable
	if failed := w.handle(w.feedbackOn("bounce", "mail 1")); failed == nil || counted() != 0 {
		t.Errorf("failed %v, counted %d", failed, counted())
	}
}

// A forged message is dropped, or says no more than SES could say: it never stops a mail.
func TestForgedWordsOnMailsChangeNothing(t *testing.T) {
	for name, change := range map[string][2]string{
		"a grant of another stack":              {`"migration"`, `"elsewhere"`},
		"a grant that is a path":                {`"migration"`, `"../migration"`},
		"a mail that arrived":                   {"Email Bounced", "Email Delivered"},
		"an unknown word":                       {"Email Bounced", "Access Revoked"},
		"an event id of words":                  {lostEvent, "call +1 555 0100"},
		"a destination that is an address":      {"mail-DESTINATION", "eve@example.com"},
		"an address that the plan doesn't have": {"mail-DESTINATION", "mail-0123456789abcdef"},
		"a webhook":                             {"mail-DESTINATION", "webhook-DESTINATION"},
		"a message id of words":                 {"0107019c2610ab3d", "call me "},
	} {
		w := newWorld(t)
		counted := w.measures()
		src, err := os.ReadFile("testdata/ses/bounce.handed.json")
		if err != nil {
			t.Fatal(err)
		}
		all := w.plans["migration"].Destinations()
		place := func(channel grant.Channel) string {
			return deliver.IDOf(all[slices.IndexFunc(all, func(d grant.Destination) bool { return d.Channel == channel })])
		}
		text := strings.Replace(string(src), change[0], change[1], 1)
		text = strings.NewReplacer("mail-DESTINATION", place("mail"), "webhook-DESTINATION", place("webhook")).Replace(text)
		if failed := w.handle(text); failed != nil {
			t.Errorf("%s: tried again", name)
		}
		if len(w.bus) > 0 || counted() > 0 || w.told() != nil || !strings.Contains(w.log.String(), "message dropped") {
			t.Errorf("%s: announced %v, counted %d, told %v", name, w.bus, counted(), w.told())
		}
	}
	for name, data := range map[string]events.Data{
		"an event about a webhook":    events.MailUndelivered{EventID: lostEvent, Destination: "webhook 1", Kind: events.MailBounced},
		"an event about nobody":       events.MailUndelivered{EventID: lostEvent, Destination: "mail 9", Kind: events.MailBounced},
		"an event of another kind":    events.MailUndelivered{EventID: lostEvent, Destination: "mail 1", Kind: "call +1 555 0100"},
		"an event with words in it":   events.MailUndelivered{EventID: lostEvent, Destination: "mail 1", Kind: events.MailBounced, Cause: "call +1 555 0100"},
		"a destination with a header": events.MailUndelivered{EventID: lostEvent, Destination: "mail 1\r\nBcc: all@example.com", Kind: events.MailBounced},
	} {
		w := newWorld(t)
		if failed := w.handle(body(t, event("migration", data))); failed != nil || w.told() != nil || len(w.bus) > 0 {
			t.Errorf("%s: failed %v, told %v", name, failed, w.told())
		}
	}
	// After whatever was said of them the addresses are told as before.
	w := newWorld(t)
	w.handle(w.feedbackOn("bounce", "mail 1"), w.feedbackOn("complaint", "mail 2"))
	w.did = nil
	w.handle(body(t, event("migration", rotated(scheduled))))
	if diff := cmp.Diff([]string{mailA, mailB, webhook}, w.told()); diff != "" {
		t.Errorf("(-want +told):\n%s", diff)
	}
}

// Each mail carries what SES has to name for us to know it again.
func TestAMailIsTaggedWithItsGrantEventAndDestination(t *testing.T) {
	w := newWorld(t)
	e := event("migration", rotated(scheduled))
	w.handle(body(t, e))
	for i, m := range w.mail {
		want := map[string]string{"grant": "migration", "event": e.Metadata.ID, "destination": deliver.IDOf(w.plans["migration"].Destinations()[i])}
		if diff := cmp.Diff(want, m.Tags); diff != "" {
			t.Errorf("(-want +tags):\n%s", diff)
		}
		for name, value := range m.Tags {
			if strings.Trim(name+value, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
				t.Errorf("SES doesn't take tag %s=%s", name, value)
			}
		}
	}
	if len(w.mail) != 2 {
		t.Errorf("%d mails", len(w.mail))
	}
}
