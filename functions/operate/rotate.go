package operate

import (
	"context"
	"errors"
	"fmt"
	"net/http"

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
	refusal := door.Refuse(http.StatusConflict,
		"wait until then; if an external ID leaked, end both at once: countersign rotate "+string(name)+" --leaked",
		"the previous external ID of %s is still accepted", name)
	refusal.Problem.Until = until
	return refusal
}
