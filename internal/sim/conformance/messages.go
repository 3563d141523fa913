package conformance

import (
	"strings"
	"testing"
	"time"
)

func messageCases() []Case {
	const (
		sqs = "SQS API reference, "
		bus = "EventBridge API reference, PutEvents"
	)
	receive := func(t testing.TB, q Queue) []Received {
		t.Helper()
		got, err := q.Receive(t.Context())
		must(t, "ReceiveMessage", err)
		return got
	}
	return []Case{
		{"a message waits 15 minutes at most and is not empty", sqs + "SendMessage", func(t testing.TB, a Account) {
			q := a.NewQueue(t)
			want(t, "sending", q.Send(t.Context(), []byte("hello"), 15*time.Minute), nil)
			if q.Send(t.Context(), []byte("hello"), 15*time.Minute+time.Second) == nil {
				t.Error("a delay of 901 s was taken")
			}
			if q.Send(t.Context(), nil, 0) == nil {
				t.Error("an empty message was taken")
			}
		}},
		{"a message comes after its delay", sqs + "SendMessage: DelaySeconds", func(t testing.TB, a Account) {
			q := a.NewQueue(t)
			must(t, "SendMessage", q.Send(t.Context(), []byte("hello"), 2*time.Second))
			if got := receive(t, q); len(got) != 0 {
				t.Errorf("received at once: %+v", got)
			}
			a.Pass(3 * time.Second)
			if got := receive(t, q); len(got) != 1 || got[0].Body != "hello" {
				t.Errorf("received %+v", got)
			}
		}},
		{"a message that is received is hidden, and comes again until it is deleted", sqs + "ReceiveMessage: VisibilityTimeout", func(t testing.TB, a Account) {
			q := a.NewQueue(t)
			must(t, "SendMessage", q.Send(t.Context(), []byte("hello"), 0))
			for n := 1; n <= 2; n++ {
				got := receive(t, q)
				if len(got) != 1 || got[0].Receives != n {
					t.Fatalf("received %+v, want the message for the %d. time", got, n)
				}
				if again := receive(t, q); len(again) != 0 {
					t.Errorf("a hidden message was received: %+v", again)
				}
				if n == 2 {
					must(t, "DeleteMessage", q.Delete(t.Context(), got[0].Receipt))
				}
				a.Pass(3 * time.Second)
			}
			if got := receive(t, q); len(got) != 0 {
				t.Errorf("a deleted message was received: %+v", got)
			}
		}},
		{"a message stays hidden for 12 hours at most", sqs + "ChangeMessageVisibility", func(t testing.TB, a Account) {
			q := a.NewQueue(t)
			must(t, "SendMessage", q.Send(t.Context(), []byte("hello"), 0))
			got := receive(t, q)
			if len(got) != 1 {
				t.Fatalf("received %+v", got)
			}
			if q.Hide(t.Context(), got[0].Receipt, 12*time.Hour+time.Second) == nil {
				t.Error("43,201 s were taken")
			}
			want(t, "hiding it for 60 s", q.Hide(t.Context(), got[0].Receipt, time.Minute), nil)
			a.Pass(3 * time.Second)
			if got := receive(t, q); len(got) != 0 {
				t.Errorf("received too early: %+v", got)
			}
		}},
		{"the account of an event is the sender's, whoever it says it is", bus, func(t testing.TB, a Account) {
			must(t, "PutEvents", a.Bus.PutEntry(t.Context(), "countersign", "Conformance Own", `{"account":"999900001111"}`))
			must(t, "PutEvents from another account", a.ForeignBus.PutEntry(t.Context(), "countersign", "Conformance Foreign", `{"account":"`+a.ID+`"}`))
			own, foreign := a.Archived(t, "Conformance Own"), a.Archived(t, "Conformance Foreign")
			if own.Account != a.ID || foreign.Account != a.Provider {
				t.Errorf("accounts %s and %s, want %s and %s", own.Account, foreign.Account, a.ID, a.Provider)
			}
			if own.ID == "" || own.ID == foreign.ID || own.Time.IsZero() {
				t.Errorf("ids %q and %q, time %s", own.ID, foreign.ID, own.Time)
			}
		}},
		{"an event has a source of one's own and a JSON object as detail", bus, func(t testing.TB, a Account) {
			for what, put := range map[string][2]string{
				"a source of AWS's own": {"aws.secretsmanager", `{}`}, "no source": {"", `{}`}, "a detail that is no JSON": {"countersign", `{"a":`},
				"a detail that is a list": {"countersign", `[]`}, "a detail over 256 KB": {"countersign", `{"a":"` + strings.Repeat("x", 256<<10) + `"}`},
			} {
				if a.Bus.PutEntry(t.Context(), put[0], "Conformance", put[1]) == nil {
					t.Errorf("%s was taken", what)
				}
			}
		}},
		{"a notification goes to a topic that is there, under a subject of less than 100 ASCII characters", "SNS API reference, Publish", func(t testing.TB, a Account) {
			topic := a.NewTopic(t)
			want(t, "publishing", a.Publish(t.Context(), topic, strings.Repeat("x", 99), "hello"), nil)
			if a.Publish(t.Context(), topic+"Absent", "hello", "hello") == nil {
				t.Error("a topic that is not there took a message")
			}
			for what, subject := range map[string]string{"100 characters": strings.Repeat("x", 100), "a line break": "a\nb", "a letter beyond ASCII": "süß"} {
				if a.Publish(t.Context(), topic, subject, "hello") == nil {
					t.Errorf("a subject with %s was taken", what)
				}
			}
			if a.Publish(t.Context(), topic, "hello", "") == nil {
				t.Error("an empty message was taken")
			}
		}},
	}
}
