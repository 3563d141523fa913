package revoke

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
	"github.com/countersign/countersign/internal/trust"
)

// Secrets tells of secrets without their values, and starts rotations.
type Secrets interface {
	Describe(ctx context.Context, secretARN string) (grant.Secret, error)
	// Rotate starts a rotation; the same token again is the same rotation. grant.ErrBusy while another one hasn't ended.
	Rotate(ctx context.Context, secretARN, token string) error
	// MoveStage fails where fromVersion doesn't carry the label. "" means none.
	MoveStage(ctx context.Context, secretARN, stage, toVersion, fromVersion string) error
}

// looks are when reconcile looks whether the new external ID is in, and opens to it.
var looks = []time.Duration{10 * time.Second, 30 * time.Second, CheckAfter}

// Restore has a revoked grant opened again, with a new external ID: it writes into the Deny which version may reopen the
// grant, and starts the rotation that makes this version. It opens nothing itself; reconcile does, and only while that Deny
// stands. It refuses unless the Deny is that of the very revocation which the request names.
func (h *Handler) Restore(ctx context.Context, name grant.Name, caller string, r api.RestoreRequest) (api.RestoreAnswer, error) {
	log := h.Log.With("grant", string(name), "caller", caller, "revoke_id", r.RevokeID, "reason", r.Reason)
	plan, err := h.Plans.Plan(ctx, name)
	if err != nil {
		return api.RestoreAnswer{}, fmt.Errorf("reading plan of %s: %w", name, err)
	}
	if end := plan.Expires; !end.IsZero() && !h.Now().Before(end) {
		return api.RestoreAnswer{}, door.Refuse(http.StatusConflict, "give it a later expires in access.yaml and deploy, then restore it",
			"grant %s ended on %s", name, end.UTC().Format(time.DateOnly))
	}
	g := gate.Gate{Roles: h.Roles, Now: h.Now, Log: h.Log}
	doc, role, err := g.Read(ctx, plan)
	if err != nil {
		return api.RestoreAnswer{}, err
	}
	secret := grant.Secret{Tags: role.Tags} // where the grant's tags are if it has no external ID
	if !plan.NoExternalID {
		if secret, err = h.Secrets.Describe(ctx, plan.SecretARN); err != nil {
			return api.RestoreAnswer{}, fmt.Errorf("describing secret of %s: %w", name, err)
		}
	}
	closure, err := h.closure(ctx, name, doc, secret.Tags)
	if err != nil {
		return api.RestoreAnswer{}, err
	}
	if err := mayRestore(closure, name, r.RevokeID); err != nil {
		return api.RestoreAnswer{}, err
	}
	answer := api.RestoreAnswer{Grant: string(name), RevokeID: r.RevokeID, VersionID: closure.RestoreTo}
	if closure.RestoreTo == "" || !plan.NoExternalID && !underWay(secret, closure.RestoreTo) {
		if answer.VersionID, err = h.begin(ctx, plan, secret, closure, doc); err != nil {
			return api.RestoreAnswer{}, err
		}
	}
	for _, after := range looks {
		if err := h.check(ctx, name, after); err != nil {
			log.ErrorContext(ctx, "no look queued: reconcile's timer makes up for it", "reason", err.Error())
		}
	}
	log.InfoContext(ctx, "restore begun", "version_id", answer.VersionID)
	h.Outbox.Mention(ctx, plan, "restore "+answer.VersionID, events.OperationRequested{
		Where: plan.Where(), Operation: "restore", VersionID: answer.VersionID, RevokeID: r.RevokeID, Reason: r.Reason, By: caller,
	})
	return answer, nil
}

// closure reads how the grant is closed.
func (h *Handler) closure(ctx context.Context, name grant.Name, doc *trust.Document, tags map[string]string) (grant.Closure, error) {
	inline, err := h.Roles.InlinePolicy(ctx, h.Grants[name], grant.RevocationPolicy)
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		return grant.Closure{}, fmt.Errorf("reading revocation of %s: %w", name, err)
	}
	return grant.ClosureOf(inline, doc, tags), nil
}

// mayRestore refuses unless the revocation that stands, whole, is the one that is meant.
func mayRestore(c grant.Closure, name grant.Name, revokeID string) error {
	show := "look what stands: countersign show " + string(name)
	switch {
	case !c.Closed():
		return door.Refuse(http.StatusConflict, show, "grant %s is not revoked", name)
	case c.DenyID == "" || !c.Trust && !c.Undone: // a restore that got stuck may have opened the trust policy under the Deny
		return door.Refuse(http.StatusConflict, "try again in some minutes, once it has an id and is closed wholly; "+show,
			"the revocation of %s has just begun, or was written by hand", name)
	case c.RevokeID != c.DenyID, c.RevokeID != revokeID:
		return door.Refuse(http.StatusConflict, show, "grant %s is revoked by %s, not by the revocation that was named", name, c.RevokeID)
	}
	return nil
}

// underWay says whether the restore's rotation still runs or has ended well.
func underWay(s grant.Secret, versionID string) bool {
	return s.At(grant.StagePending) == versionID || s.At(grant.StageCurrent) == versionID
}

// begin writes the intent and starts the rotation. A rotation that is stuck makes way. The Deny is read once more at the
// last moment: another revocation is never overwritten but by the very next call.
func (h *Handler) begin(ctx context.Context, plan grant.Plan, secret grant.Secret, was grant.Closure, doc *trust.Document) (versionID string, err error) {
	token, err := grant.RestoreToken(was.RevokeID, h.Rand)
	if err != nil {
		return "", err
	}
	if stuck := secret.At(grant.StagePending); stuck != "" && stuck != secret.At(grant.StageCurrent) {
		if err := h.Secrets.MoveStage(ctx, plan.SecretARN, grant.StagePending, "", stuck); err != nil {
			return "", fmt.Errorf("clearing the pending label of version %s: %w", stuck, err)
		}
		h.Log.WarnContext(ctx, "pending rotation given up", "grant", string(plan.Grant), "version_id", stuck)
	}
	now, err := h.closure(ctx, plan.Grant, doc, secret.Tags)
	if err != nil {
		return "", err
	}
	if now != was {
		return "", door.Refuse(http.StatusConflict, "look what stands: countersign show "+string(plan.Grant), "another revocation of %s came", plan.Grant)
	}
	if err := h.Roles.PutInlinePolicy(ctx, plan.RoleName(), grant.RevocationPolicy, grant.RestoreIntent(token)); err != nil {
		return "", fmt.Errorf("writing the intent to restore %s: %w", plan.Grant, err)
	}
	if plan.NoExternalID {
		return token, nil
	}
	if err := h.Secrets.Rotate(ctx, plan.SecretARN, token); err != nil {
		return "", fmt.Errorf("starting the rotation that restores %s, which stays closed; try again: %w", plan.Grant, err)
	}
	return token, nil
}
