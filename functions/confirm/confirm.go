// Package confirm is the function that hears that the provider uses the current external ID.
//
// It decides whether a confirmation counts: for the current version only, and from the provider only in a session of the
// grant's own role that is named after that version, which the previous external ID can't open. It notes it as a tag and has
// reconcile look, which brings the previous ID's end forward. It trusts the signature that API Gateway checked and the plan.
// It reads no secret's value, reads and writes nothing in IAM, and what it notes can only end access, never open or lengthen it.
package confirm

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/functions/internal/door"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/outbox"
)

// Plans reads a grant's plan. grant.ErrNotConfigured means that there is none.
type Plans interface {
	Plan(ctx context.Context, name grant.Name) (grant.Plan, error)
}

// Secrets tells of secrets without their values, and tags them.
type Secrets interface {
	Describe(ctx context.Context, secretARN string) (grant.Secret, error)
	// History lists versions with their dates, those without a label too.
	History(ctx context.Context, secretARN string) ([]grant.VersionInfo, error)
	// Tag sets tags and leaves others alone.
	Tag(ctx context.Context, secretARN string, tags map[string]string) error
}

// Queue takes messages for reconcile.
type Queue interface {
	Send(ctx context.Context, body []byte, delay time.Duration) error
}

// Handler confirms.
type Handler struct {
	Grants  grant.Roles
	Account string // whose callers may confirm
	Plans   Plans
	Secrets Secrets
	Queue   Queue
	Outbox  outbox.Outbox // what an operator confirmed by hand is mentioned on the bus; its tags are not used

	Now func() time.Time
	Log *slog.Logger
}

// Handle answers POST /grants/{grant}/confirm. The error is always nil.
func (h *Handler) Handle(ctx context.Context, r door.Request) (door.Response, error) {
	answer, err := h.answer(ctx, r)
	if err != nil {
		h.Log.WarnContext(ctx, "request refused", "caller", r.RequestContext.Identity.UserArn, "path", r.Path, "reason", err.Error())
		return door.Failed(err), nil
	}
	return door.Answer(http.StatusAccepted, answer), nil
}

func (h *Handler) answer(ctx context.Context, r door.Request) (api.ConfirmAnswer, error) {
	method, name, verb, err := door.Target(r, h.Grants)
	switch {
	case err != nil:
		return api.ConfirmAnswer{}, err
	case method != http.MethodPost || verb != "confirm":
		return api.ConfirmAnswer{}, door.Refuse(http.StatusNotFound, "POST /grants/{grant}/confirm", "there is nothing at this path")
	}
	who, err := h.caller(r, name)
	if err != nil {
		return api.ConfirmAnswer{}, err
	}
	var body api.ConfirmRequest
	if err := door.Body(r, &body); err != nil {
		return api.ConfirmAnswer{}, err
	}
	if err := door.Reason(body.Reason); err != nil {
		return api.ConfirmAnswer{}, err
	}
	return h.Confirm(ctx, name, who, body)
}

// caller is who confirms.
type caller struct {
	arn     string
	by      grant.Confirmer
	session string // of the granted role; the operators' names say nothing
}

// caller lets in a session of the grant's own role, and the operators.
func (h *Handler) caller(r door.Request, name grant.Name) (caller, error) {
	if arn, session, ok := door.OwnSession(r, h.Account, h.Grants[name]); ok {
		return caller{arn, grant.ByProvider, session}, nil
	}
	arn, err := door.Caller(r, h.Account, h.Grants)
	return caller{arn: arn, by: grant.ByOperator}, err
}

// Confirm notes that the current version is in use, and when the external ID before it ends.
func (h *Handler) Confirm(ctx context.Context, name grant.Name, who caller, r api.ConfirmRequest) (api.ConfirmAnswer, error) {
	retireIn, err := retireIn(r.RetireIn)
	if err != nil {
		return api.ConfirmAnswer{}, err
	}
	if who.by == grant.ByProvider {
		if err := grant.CheckConfirmSession(who.session, r.VersionID); err != nil {
			return api.ConfirmAnswer{}, door.Refuse(http.StatusForbidden,
				"assume the role with the new external ID and the session name "+grant.ConfirmSession("<version id>")+", and confirm from there", "%v", err)
		}
	}
	plan, err := h.Plans.Plan(ctx, name)
	if err != nil {
		return api.ConfirmAnswer{}, fmt.Errorf("reading plan of %s: %w", name, err)
	}
	if who.by == grant.ByProvider && !plan.Lets(grant.ActConfirm) {
		return api.ConfirmAnswer{}, door.Refuse(http.StatusForbidden, "ask an operator of account "+h.Account+" to confirm",
			"grant %s doesn't let its provider confirm", name)
	}
	if plan.NoExternalID {
		return api.ConfirmAnswer{}, door.Refuse(http.StatusConflict, "nothing has to be done", "grant %s has no external ID to confirm", name)
	}
	secret, err := h.Secrets.Describe(ctx, plan.SecretARN)
	if err != nil {
		return api.ConfirmAnswer{}, fmt.Errorf("describing secret of %s: %w", name, err)
	}
	known := grant.ConfirmationOf(secret.Tags)
	if err := mayConfirm(name, secret, known, who.by, r.VersionID); err != nil {
		if known.Of(r.VersionID) {
			h.look(ctx, name) // whoever noted it may have died before it said so
		}
		return api.ConfirmAnswer{}, err
	}
	made, err := h.Secrets.History(ctx, plan.SecretARN)
	if err != nil {
		return api.ConfirmAnswer{}, fmt.Errorf("listing versions of the secret of %s: %w", name, err)
	}
	i := slices.IndexFunc(made, func(v grant.VersionInfo) bool { return v.ID == r.VersionID })
	if i < 0 {
		return api.ConfirmAnswer{}, fmt.Errorf("version %s of %s isn't listed: %w", r.VersionID, name, grant.ErrNotFound)
	}
	at := plan.RetireAt(r.VersionID, made[i].Created, plan.Extended(r.VersionID, secret.Tags), retireIn, h.Now())
	c := grant.Confirmation{VersionID: r.VersionID, RetireAt: at, By: who.by}
	if known.Of(r.VersionID) && known.RetireAt.Before(c.RetireAt) {
		c.RetireAt = known.RetireAt // an operator was faster
	}
	if err := h.Secrets.Tag(ctx, plan.SecretARN, map[string]string{grant.FactConfirmed.Tag(): c.String()}); err != nil {
		return api.ConfirmAnswer{}, fmt.Errorf("noting on the secret of %s what was confirmed: %w", name, err)
	}
	h.look(ctx, name)
	if who.by == grant.ByOperator {
		said := events.OperationRequested{Where: plan.Where(), Operation: "confirm", VersionID: r.VersionID, Reason: r.Reason, By: who.arn}
		h.Outbox.Mention(ctx, plan, "confirm "+r.VersionID, said)
	}
	h.Log.InfoContext(ctx, "confirmed", "grant", string(name), "caller", who.arn, "version_id", r.VersionID, "retire_at", c.RetireAt, "reason", r.Reason)
	return api.ConfirmAnswer{Grant: string(name), VersionID: r.VersionID, RetireAt: c.RetireAt}, nil
}

// mayConfirm refuses what would change nothing.
func mayConfirm(name grant.Name, secret grant.Secret, known grant.Confirmation, by grant.Confirmer, versionID string) error {
	const read = "read the secret again: its current version is the one to confirm"
	notCurrent := func(next, format string, args ...any) error {
		refusal := door.Refuse(http.StatusConflict, next, format, args...)
		refusal.Problem.Code = api.NotCurrent
		return refusal
	}
	switch {
	case grant.ClosureOf(nil, nil, secret.Tags).Closed():
		return door.Refuse(http.StatusConflict, "nothing has to be done: nobody gets in", "grant %s is revoked", name)
	case !grant.IsVersionID(versionID):
		return door.Refuse(http.StatusBadRequest, read, "versionId %.80q is no version id: 32 to 64 letters, digits and hyphens", versionID)
	case secret.At(grant.StageCurrent) != versionID && secret.At(grant.StagePrevious) == versionID:
		return notCurrent(read, "version %s is not the current one any more", versionID)
	case secret.At(grant.StageCurrent) != versionID && secret.At(grant.StagePending) == versionID:
		return notCurrent("wait until its rotation has ended", "version %s is not current yet", versionID)
	case secret.At(grant.StageCurrent) != versionID:
		return notCurrent(read, "version %s is not the current one of %s", versionID, name)
	case known.Of(versionID) && (known.By == grant.ByProvider || by == grant.ByOperator):
		refusal := door.Refuse(http.StatusConflict, "nothing has to be done", "version %s is confirmed already", versionID)
		refusal.Problem.Code, refusal.Problem.Until = api.Confirmed, known.RetireAt
		return refusal
	}
	return nil
}

// look has reconcile look at the grant. If the queue doesn't take it, the timer looks within the hour.
func (h *Handler) look(ctx context.Context, name grant.Name) {
	body, err := json.Marshal(grant.Check{Grant: name})
	if err == nil {
		err = h.Queue.Send(ctx, body, 0)
	}
	if err != nil {
		h.Log.ErrorContext(ctx, "no check queued: the timer looks", "grant", string(name), "reason", err.Error())
	}
}

// retireIn reads how long the external ID before may stay.
func retireIn(text string) (time.Duration, error) {
	if text == "" {
		return grant.DefaultRetireIn, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, door.Refuse(http.StatusBadRequest, `say "15m", or "0s" to end it at once`, "retireIn %.40q is not a duration from 0s on", text)
	}
	return d, nil
}
