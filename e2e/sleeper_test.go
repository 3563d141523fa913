//go:build e2e

package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/e2e/lab"
)

// sleeps is a provider that has never heard of rotations: behind the overlap its ID still works, people are reminded, the
// schedule waits, and an operator who has seen to it confirms by hand.
func (s *story) sleeps(t *testing.T) {
	const grant = "snapshots"
	before := s.current(t, grant)
	after := s.rotates(t, grant)
	status := s.status(t, grant)
	if id, there := previous(status); !there || !id.Unconfirmed || !status.Confirmation.Extended || status.Confirmation.VersionID != "" {
		t.Errorf("after the rotation: %+v, %+v", status.Accepted, status.Confirmation)
	}
	time.Sleep(overlap + time.Second)
	wantAllowed(t, "the provider's ID, behind the overlap", s.enters(t, s.backend, grant, before.ExternalID))
	wantAllowed(t, "the new ID", s.enters(t, s.backend, grant, after.ExternalID))

	t.Run("people are reminded", func(t *testing.T) {
		s.timerFires(t)
		eventually(t, 10*time.Second, "the reminder in the history", func() bool { return slices.Contains(s.happened(t, grant), "Rotation Unconfirmed") })
		eventually(t, 10*time.Second, "the reminder in the customer's own topic", func() bool {
			return strings.Contains(must[string](t)(s.Waiting(t.Context(), s.around.Queue)), "has not confirmed the new external ID of grant "+grant)
		})
		if !slices.ContainsFunc(must[[]string](t)(s.LogLines(t.Context(), "/aws/lambda/countersign-reconcile")), func(line string) bool {
			return strings.Contains(line, `"RotationsUnconfirmed":1`)
		}) {
			t.Error("no figure for the alarm")
		}
		wantAllowed(t, "the provider's ID, reconciled", s.enters(t, s.backend, grant, before.ExternalID))
	})
	t.Run("the schedule waits", func(t *testing.T) {
		if err := s.OpenNextWindow(t.Context(), must[string](t)(s.Secret(t.Context(), grant))); err != nil {
			t.Fatal(err)
		}
		eventually(t, 20*time.Second, "a rotation is refused, and people are told", func() bool { return slices.Contains(s.happened(t, grant), "Rotation Failed") })
		s.countersign(t, 3, "rotate", grant, "--reason", "all the same")
		if now := s.current(t, grant); now.ID != after.ID {
			t.Errorf("%s became current while nobody had confirmed", now.ID)
		}
		wantAllowed(t, "the provider's ID, with the schedule waiting", s.enters(t, s.backend, grant, before.ExternalID))
	})
	t.Run("an operator confirms by hand", func(t *testing.T) {
		s.countersign(t, 0, "confirm", grant, "--retire-in", "0s", "--reason", "they have changed it by hand")
		s.wantGone(t, "the ID before", grant, before)
		wantAllowed(t, "the new ID", s.enters(t, s.backend, grant, after.ExternalID))
		eventually(t, 10*time.Second, "the confirmation in the history", func() bool { return slices.Contains(s.happened(t, grant), "External ID Confirmed") })
		if status := s.status(t, grant); status.Confirmation.By != "operator" || status.Confirmation.VersionID != after.ID || len(status.Accepted) != 1 {
			t.Errorf("confirmed: %+v, accepted: %+v", status.Confirmation, status.Accepted)
		}
	})
	t.Run("the schedule goes on", func(t *testing.T) {
		if err := s.OpenNextWindow(t.Context(), must[string](t)(s.Secret(t.Context(), grant))); err != nil {
			t.Fatal(err)
		}
		eventually(t, 20*time.Second, "another ID is current", func() bool { return s.current(t, grant).ID != after.ID })
		if status := s.status(t, grant); !status.Confirmation.Extended || !strings.Contains(status.Confirmation.Why, "did not confirm the rotation before") {
			t.Errorf("an operator's confirmation counts as the provider's: %+v", status.Confirmation)
		}
	})
}

// timerFires does what the stack's timer does every hour.
func (s *story) timerFires(t *testing.T) {
	t.Helper()
	got := must[lab.Answer](t)(s.Call(t.Context(), &s.operator, "lambda", http.MethodPost,
		s.Endpoint+"/2015-03-31/functions/countersign-reconcile/invocations", "application/json", `{"reconcile":"all"}`))
	if got.Status != http.StatusOK || strings.Contains(got.Body, "errorMessage") {
		t.Fatalf("the timer's look: %+v", got)
	}
}

// happened are the events in a grant's history.
func (s *story) happened(t *testing.T, grant string) (events []string) {
	t.Helper()
	var answer struct{ Happenings []struct{ Event string } }
	decode(t, s.countersign(t, 0, "history", grant, "--json").Stdout, &answer)
	for _, h := range answer.Happenings {
		events = append(events, h.Event)
	}
	return events
}
