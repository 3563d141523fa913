package functions_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// What an operator asks for is said on the bus, with who and why. A revocation says it itself.
func TestWhatAnOperatorAsksForIsSaidWithWhoAndWhy(t *testing.T) {
	type request struct{ verb, body, operation string }
	for _, r := range []request{
		{"rotate", `{"reason":"new engineer"}`, "rotate"},
		{"rotate", `{"reason":"new engineer","leaked":true}`, "rotate-leaked"},
		{"pause", `{"reason":"new engineer"}`, "pause"},
		{"resume", `{"reason":"new engineer"}`, "resume"},
		{"restore", `{"reason":"new engineer","revokeId":"`, "restore"},
	} {
		ask := func(t *testing.T, schedule func(sim.Call) sim.Outcome) (*world, int) {
			w := opened(t)
			handle, body := w.Operations.Handle, r.body
			if r.verb == "restore" {
				w, _, _ = revokedAndRestored(t, nil)
				handle, body = w.Revoker.Handle, body+w.revokeID()+`"}`
			}
			w.Schedule = schedule
			status, _ := w.call(handle, http.MethodPost, "/grants/migration/"+r.verb, body, operator)
			return w, status
		}
		t.Run(r.operation, func(t *testing.T) {
			w, status := ask(t, nil)
			e, said := last[*events.OperationRequested](w)
			if !said || status >= 300 {
				t.Fatalf("%d, said: %t", status, said)
			}
			want := events.OperationRequested{Where: w.plan.Where(), Operation: r.operation, VersionID: e.VersionID, RevokeID: e.RevokeID, Until: e.Until, Reason: "new engineer", By: operator}
			if diff := cmp.Diff(want, *e); diff != "" {
				t.Error(diff)
			}
			if e.Until.IsZero() == (r.verb == "pause") || (e.VersionID == "") != (r.verb == "pause" || r.verb == "resume") || (e.RevokeID != "") != (r.verb == "restore") {
				t.Errorf("%+v", e)
			}
		})
		t.Run(r.operation+" without a bus", func(t *testing.T) {
			w, status := ask(t, func(c sim.Call) sim.Outcome {
				if c.Service == "events" {
					return sim.Outcome{Fault: sim.Fail}
				}
				return sim.Outcome{}
			})
			if _, said := last[*events.OperationRequested](w); said || status >= 300 {
				t.Errorf("%d, said: %t", status, said)
			}
		})
	}
}

// A test of who is told is one event, under which every destination will be told, and changes nothing.
func TestATestOfWhoIsToldChangesNothing(t *testing.T) {
	ask := func(w *world) (int, api.TestAnswer, api.Problem) {
		status, text := w.call(w.Operations.Handle, http.MethodPost, "/grants/migration/test", `{"reason":"first set-up"}`, operator)
		var answer api.TestAnswer
		var p api.Problem
		w.must(json.Unmarshal([]byte(text), &answer))
		w.must(json.Unmarshal([]byte(text), &p))
		return status, answer, p
	}
	w := opened(t, func(p *grant.Plan) {
		p.Notify = grant.Notify{
			{Channel: grant.Mail, Address: "a@example.com"}, {Channel: grant.Mail, Address: "b@example.com"},
			{Channel: grant.Webhook, Address: "https://hooks.example.com", Secret: "arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook-AbCdEf"},
			{Channel: grant.SNS, Address: "arn:aws:sns:eu-west-1:444455556666:ops"},
		}
	})
	status, answer, _ := ask(w)
	if diff := cmp.Diff([]string{"mail 1", "mail 2", "webhook 1", "sns 1"}, answer.Destinations); status != http.StatusAccepted || diff != "" {
		t.Errorf("%d %s", status, diff)
	}
	if diff := cmp.Diff([]string{"ssm:GetParameter", "events:PutEvents"}, calls(w.Calls("api"))); diff != "" {
		t.Error(diff)
	}
	all := w.Bus("countersign").Events()
	e := all[len(all)-1]
	if diff := cmp.Diff(&events.TestRequested{Where: w.plan.Where(), Reason: "first set-up", By: operator}, e.Data); diff != "" || e.Metadata.ID != answer.EventID {
		t.Errorf("%+v %s", e.Metadata, diff)
	}
	w.Sleep(w.ctx, time.Second)
	if _, again, _ := ask(w); again.EventID == answer.EventID {
		t.Error("a second test would be dropped as a repeat of the first")
	}

	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Service == "events" {
			return sim.Outcome{Fault: sim.Fail}
		}
		return sim.Outcome{}
	}
	if status, _, p := ask(w); status < 500 || p.Next == "" {
		t.Errorf("without a bus: %d %+v", status, p)
	}

	alone := opened(t, func(p *grant.Plan) { p.Notify = nil })
	if status, _, p := ask(alone); status != http.StatusConflict || p.Next == "" {
		t.Errorf("nobody to tell: %d %+v", status, p)
	}
}
