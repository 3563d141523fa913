package functions_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
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
