package operate

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/functions/internal/door"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
)

// Test has notify send each destination of the grant a message that says TEST. It goes the way of every other message, by bus
// and queue, so that what it shows holds for them. It changes nothing.
func (h *Handler) Test(ctx context.Context, name grant.Name, caller string, r api.TestRequest) (api.TestAnswer, error) {
	plan, err := h.Plans.Plan(ctx, name)
	if err != nil {
		return api.TestAnswer{}, fmt.Errorf("reading plan of %s: %w", name, err)
	}
	answer := api.TestAnswer{Grant: string(name), Destinations: []string{}}
	for _, to := range plan.Destinations() {
		answer.Destinations = append(answer.Destinations, to.Name)
	}
	if len(answer.Destinations) == 0 {
		return api.TestAnswer{}, door.Refuse(http.StatusConflict, "set notify in access.yaml and deploy", "grant %s has nobody to tell", name)
	}
	said := events.TestRequested{Where: plan.Where(), Reason: r.Reason, By: caller}
	if answer.EventID, err = h.Outbox.Say(ctx, plan, "test "+h.Now().UTC().Format(time.RFC3339Nano), said); err != nil {
		return api.TestAnswer{}, err
	}
	h.Log.InfoContext(ctx, "test messages asked for", "grant", string(name), "caller", caller, "reason", r.Reason, "event_id", answer.EventID)
	return answer, nil
}
