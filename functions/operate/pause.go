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

// clockSkew is how far ahead an operator's clock may be, as signed requests may be too.
const clockSkew = 5 * time.Minute

// Pause keeps the schedule from starting rotations until a date. It writes one tag and stops nothing that an operator asks
// for: no rotation on demand, no revoke. A rotation that has begun and an overlap that is open go on.
func (h *Handler) Pause(ctx context.Context, name grant.Name, caller string, r api.PauseRequest) (api.PauseAnswer, error) {
	until, err := pauseEnd(r.Until, h.Now())
	if err != nil {
		return api.PauseAnswer{}, err
	}
	return h.pause(ctx, name, caller, r.Reason, until)
}

// Resume ends a pause, and notes when: from then on the schedule may rotate again. Where there is none it holds nothing up.
func (h *Handler) Resume(ctx context.Context, name grant.Name, caller string, r api.ResumeRequest) (api.PauseAnswer, error) {
	return h.pause(ctx, name, caller, r.Reason, time.Time{})
}

// pause writes the end of a pause; the zero time ends it now.
func (h *Handler) pause(ctx context.Context, name grant.Name, caller, reason string, until time.Time) (api.PauseAnswer, error) {
	plan, err := h.Plans.Plan(ctx, name)
	if err != nil {
		return api.PauseAnswer{}, fmt.Errorf("reading plan of %s: %w", name, err)
	}
	if plan.NoExternalID {
		return api.PauseAnswer{}, door.Refuse(http.StatusConflict, "nothing has to be done: nothing rotates it",
			"grant %s has no external ID, hence no scheduled rotations", name)
	}
	end := until
	if end.IsZero() {
		end = h.Now()
	}
	if err := h.Secrets.Tag(ctx, plan.SecretARN, map[string]string{grant.TagPaused: grant.EncodePause(end)}); err != nil {
		return api.PauseAnswer{}, fmt.Errorf("noting on the secret of %s until when it is paused: %w", name, err)
	}
	act := "scheduled rotations resumed"
	if !until.IsZero() {
		act = "scheduled rotations paused"
	}
	said := events.OperationRequested{Where: plan.Where(), Operation: "resume", Until: until, Reason: reason, By: caller}
	if !until.IsZero() {
		said.Operation = "pause"
	}
	h.Outbox.Mention(ctx, plan, said.Operation+" "+h.Now().UTC().Format(time.RFC3339Nano), said)
	h.Log.InfoContext(ctx, act, "grant", string(name), "caller", caller, "until", until, "reason", reason)
	return api.PauseAnswer{Grant: string(name), Until: until}, nil
}

// pauseEnd is the end of a pause that is asked for, to the second, at most grant.MaxPause away.
func pauseEnd(asked, now time.Time) (time.Time, error) {
	latest := now.Add(grant.MaxPause).UTC().Truncate(time.Second)
	switch {
	case asked.IsZero():
		return now.Add(grant.DefaultPause).UTC().Truncate(time.Second), nil
	case !asked.Truncate(time.Second).After(now):
		return time.Time{}, door.Refuse(http.StatusBadRequest, "name a later end; resume ends a pause now",
			"a pause until %s would be over already", asked.UTC().Format(time.RFC3339))
	case asked.After(latest.Add(clockSkew)):
		return time.Time{}, door.Refuse(http.StatusBadRequest, "pause until "+latest.Format(time.RFC3339)+", and again when that is near",
			"a pause is at most %d days long", int(grant.MaxPause.Hours()/24))
	case asked.After(latest):
		return latest, nil
	}
	return asked.UTC().Truncate(time.Second), nil
}
