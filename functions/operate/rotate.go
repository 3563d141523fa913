package operate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/functions/internal/door"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
)

// Rotate starts a rotation now. A leaked ID is cut: it ends with the rotation, which no stuck one may block.
func (h *Handler) Rotate(ctx context.Context, name grant.Name, caller string, r api.RotateRequest) (api.RotateAnswer, error) {
	s, err := h.look(ctx, name)
	if err := mayRotate(s, err, name); err != nil {
		return api.RotateAnswer{}, err
	}
	purpose := grant.OnDemand
	if r.Leaked {
		purpose = grant.Cut
	}
	if versionID, there := madeBy(s.secret, purpose, r.Run); there {
		pending := versionID == s.secret.At(grant.StagePending) && versionID != s.secret.At(grant.StageCurrent)
		return api.RotateAnswer{Grant: string(name), VersionID: versionID, Done: !pending}, nil
	}
	if !r.Leaked {
		if err := h.overlapOver(s, name); err != nil {
			return api.RotateAnswer{}, err
		}
	}
	token, err := grant.NewRunToken(h.Rand, purpose, r.Run)
	if err != nil {
		return api.RotateAnswer{}, err
	}
	log := h.Log.With("grant", string(name), "caller", caller, "version_id", token, "reason", r.Reason, "leaked", r.Leaked)
	if stuck := s.secret.At(grant.StagePending); r.Leaked && stuck != "" && stuck != s.secret.At(grant.StageCurrent) {
		if err := h.Secrets.MoveStage(ctx, s.plan.SecretARN, grant.StagePending, "", stuck); err != nil {
			return api.RotateAnswer{}, fmt.Errorf("clearing the pending label of version %s: %w", stuck, err)
		}
		log.WarnContext(ctx, "pending rotation given up", "given_up", stuck)
	}
	switch err := h.Secrets.Rotate(ctx, s.plan.SecretARN, token); {
	case errors.Is(err, grant.ErrBusy):
		return api.RotateAnswer{}, door.Refuse(http.StatusConflict,
			"wait until it has ended; if the current ID leaked, end it at once: countersign rotate "+string(name)+" --leaked",
			"a rotation of %s is under way", name)
	case err != nil:
		return api.RotateAnswer{}, fmt.Errorf("starting a rotation of %s: %w", name, err)
	}
	log.InfoContext(ctx, "rotation started")
	said := events.OperationRequested{Where: s.plan.Where(), Operation: "rotate", VersionID: token, Reason: r.Reason, By: caller}
	if r.Leaked {
		said.Operation = "rotate-leaked"
	}
	h.Outbox.Mention(ctx, s.plan, said.Operation+" "+token, said)
	return api.RotateAnswer{Grant: string(name), VersionID: token}, nil
}

// rotateForProvider starts a rotation that a session of the grant's own role asks for: with the configured overlap, at most
// once an hour, and not while an operator holds the schedule back. It can't end an external ID at once.
func (h *Handler) rotateForProvider(ctx context.Context, name grant.Name, caller string, r door.Request) (door.Response, error) {
	var body api.RotateRequest
	return act(r, &body, &body.Reason, http.StatusAccepted, func() (any, error) {
		h.Log.InfoContext(ctx, "request", "caller", caller, "method", http.MethodPost, "grant", string(name), "verb", "rotate")
		if body.Leaked || body.Run != "" {
			return nil, door.Refuse(http.StatusForbidden, "ask an operator of account "+h.Account,
				"the provider may ask for a rotation with the configured overlap, and for no other")
		}
		if err := h.mayAsk(ctx, name); err != nil {
			return nil, err
		}
		return h.Rotate(ctx, name, caller, body)
	})
}

// mayAsk says whether the plan, the clock and the operators let the provider ask for a rotation now.
func (h *Handler) mayAsk(ctx context.Context, name grant.Name) error {
	s, err := h.look(ctx, name)
	switch now := h.Now(); {
	case err != nil:
		return mayRotate(s, err, name)
	case !s.plan.Lets(grant.ActRotate):
		return door.Refuse(http.StatusForbidden, "ask an operator of account "+h.Account, "grant %s doesn't let its provider ask for rotations", name)
	case now.Before(s.secret.LastRotated.Add(grant.RotateAtMost)):
		return later(s.secret.LastRotated.Add(grant.RotateAtMost), "grant %s was rotated less than an hour ago", name)
	case !grant.PausedUntil(s.secret.Tags, now).IsZero():
		return later(grant.PausedUntil(s.secret.Tags, now), "an operator of account %s holds rotations back", h.Account)
	}
	return nil
}

// later refuses until a time.
func later(until time.Time, format string, args ...any) error {
	refusal := door.Refuse(http.StatusTooManyRequests, "ask again then", format, args...)
	refusal.Problem.Until = until.UTC().Truncate(time.Second)
	return refusal
}

// madeBy finds the version that a run has made already.
func madeBy(s grant.Secret, p grant.Purpose, run string) (versionID string, there bool) {
	for id := range s.Stages {
		if grant.InRun(id, p, run) {
			return id, true
		}
	}
	return "", false
}

// mayRotate refuses what no rotation can help. unread is what could not be read: then a closed grant might be missed.
func mayRotate(s seen, unread error, name grant.Name) error {
	switch {
	case s.closure.Closed():
		return door.Refuse(http.StatusConflict, "nothing has to be done to keep the provider out; to let it in: countersign restore "+string(name),
			"grant %s is revoked: a rotation opens nothing", name)
	case unread != nil:
		return unread
	case s.plan.NoExternalID:
		return door.Refuse(http.StatusConflict, "set externalId: true in access.yaml and deploy", "grant %s has no external ID to rotate", name)
	case s.plan.IssuedBy == grant.IssuedByProvider:
		return door.Refuse(http.StatusConflict, "hand over its new one: countersign rotate "+string(name)+" --to -", "the external IDs of %s are the provider's", name)
	case s.doc.Born():
		return door.Refuse(http.StatusConflict, "deploy again, or wait some minutes if a deploy has just ended", "grant %s is not open yet", name)
	}
	return nil
}

// overlapOver refuses while the previous ID is still accepted: a third one would push it out before its time.
func (h *Handler) overlapOver(s seen, name grant.Name) error {
	until, open := gate.Overlapping(s.doc, h.Now())
	if !open {
		return nil
	}
	if until.IsZero() {
		return door.Refuse(http.StatusConflict,
			"ask "+s.plan.Provider+" to confirm; if it uses the current one, confirm by hand: countersign confirm "+string(name)+
				"; if an external ID leaked, end both at once: countersign rotate "+string(name)+" --leaked",
			"the previous external ID of %s is accepted until somebody confirms the current one", name)
	}
	refusal := door.Refuse(http.StatusConflict,
		"wait until then; if an external ID leaked, end both at once: countersign rotate "+string(name)+" --leaked",
		"the previous external ID of %s is still accepted", name)
	refusal.Problem.Until = until
	return refusal
}
