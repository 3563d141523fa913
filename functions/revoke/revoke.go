// Package revoke is the function that takes access away, and says when it may be given back.
//
// The first AWS call of a revocation is the Deny on the role, before anything is read: that ends live sessions at their
// next call. It then closes the trust policy, notes and announces the revocation and has the grant checked a minute later,
// each whatever becomes of the others. A restore writes into that Deny which version may reopen the grant, and starts its
// rotation. It trusts the signature that API Gateway checked and its environment's list of roles. It waits for nothing,
// reads no secret, and opens nothing: that is reconcile's.
package revoke

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/functions/internal/door"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/metric"
	"github.com/countersign/countersign/internal/outbox"
)

// Plans reads a grant's plan. grant.ErrNotConfigured means that there is none.
type Plans interface {
	Plan(ctx context.Context, name grant.Name) (grant.Plan, error)
}

// Roles writes granted roles, and reads their trust policies and the Deny.
type Roles interface {
	gate.Roles
	// InlinePolicy is grant.ErrNotFound where the role has none of that name.
	InlinePolicy(ctx context.Context, roleName, policyName string) ([]byte, error)
	// PutInlinePolicy replaces the role's policy of that name. The same again changes nothing.
	PutInlinePolicy(ctx context.Context, roleName, policyName string, document []byte) error
}

// Queue takes requests to look at a grant, to be received after the delay.
type Queue interface {
	Send(ctx context.Context, body []byte, delay time.Duration) error
}

// Handler revokes and restores.
type Handler struct {
	Grants  grant.Roles
	Account string // whose callers may operate
	Plans   Plans
	Roles   Roles
	Secrets Secrets
	Outbox  outbox.Outbox
	Queue   Queue

	Now   func() time.Time
	Rand  io.Reader
	Log   *slog.Logger
	Meter metric.Meter
}

// CheckAfter is when reconcile looks whether the revocation stands.
const CheckAfter = time.Minute

// Handle answers POST /grants/{grant}/revoke, 202 once the Deny is written, and POST /grants/{grant}/restore, 202 once the
// way to a new external ID is open. The error is always nil.
func (h *Handler) Handle(ctx context.Context, r door.Request) (door.Response, error) {
	caller, err := door.Caller(r, h.Account, h.Grants)
	if err != nil {
		h.Log.WarnContext(ctx, "caller refused", "caller", r.RequestContext.Identity.UserArn, "reason", err.Error())
		return door.Failed(err), nil
	}
	answer, err := h.answer(ctx, r, caller)
	if err != nil {
		h.Log.WarnContext(ctx, "request refused", "caller", caller, "path", r.Path, "reason", err.Error())
		response := door.Failed(err)
		if response.StatusCode >= http.StatusInternalServerError {
			h.Meter.Add(ctx, metric.RevokeErrors, 1)
		}
		return response, nil
	}
	if revoked, ok := answer.(api.RevokeAnswer); ok && len(revoked.Failed) > 0 {
		h.Meter.Add(ctx, metric.RevokeErrors, 1)
	}
	return door.Answer(http.StatusAccepted, answer), nil
}

func (h *Handler) answer(ctx context.Context, r door.Request, caller string) (any, error) {
	method, name, verb, err := door.Target(r, h.Grants)
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost && name != "" {
		switch verb {
		case "revoke":
			var body api.RevokeRequest
			if err := request(r, &body, &body.Reason); err != nil {
				return nil, err
			}
			if body.DenyOnly {
				return h.Deny(ctx, name, caller, body.Reason)
			}
			return h.Revoke(ctx, name, caller, body.Reason)
		case "restore":
			var body api.RestoreRequest
			if err := request(r, &body, &body.Reason); err != nil {
				return nil, err
			}
			return h.Restore(ctx, name, caller, body)
		}
	}
	return nil, door.Refuse(http.StatusNotFound, "POST /grants/{grant}/revoke, POST /grants/{grant}/restore", "there is nothing at this path")
}

// request reads a request's body and checks its reason.
func request(r door.Request, body any, reason *string) error {
	if err := door.Body(r, body); err != nil {
		return err
	}
	return door.Reason(*reason)
}

// Revoke closes a grant of the stack. Its error means that the Deny, which ends live sessions, is not written; whatever
// else could be done is done even then.
func (h *Handler) Revoke(ctx context.Context, name grant.Name, caller, reason string) (api.RevokeAnswer, error) {
	role := h.Grants[name]
	log := h.Log.With("grant", string(name), "caller", caller)
	answer := api.RevokeAnswer{Grant: string(name), Done: []string{}}
	act := func(what string, err error) error {
		if err != nil {
			log.ErrorContext(ctx, "act of a revocation failed", "act", what, "reason", err.Error())
			answer.Failed = append(answer.Failed, what)
			return err
		}
		answer.Done = append(answer.Done, what)
		return nil
	}

	var noID error
	answer.RevokeID, noID = grant.NewRevokeID(h.Now(), h.Rand) // without one the Deny is written all the same
	denied := act("deny", h.Roles.PutInlinePolicy(ctx, role, grant.RevocationPolicy, grant.DenyFor(answer.RevokeID)))

	plan, planErr := h.Plans.Plan(ctx, name)
	g := gate.Gate{Roles: h.Roles, Now: h.Now, Log: h.Log}
	_, err := g.Close(ctx, role, plan.Trust()) // without a plan: as a role of ours
	_ = act("trust", err)

	if err := errors.Join(planErr, noID); err != nil {
		_ = act("tag", err)
		_ = act("event", err)
	} else {
		_ = act("tag", h.Outbox.Note(ctx, plan, grant.FactRevoked, answer.RevokeID))
		_ = act("event", h.Outbox.Publish(ctx, plan, grant.FactRevoked, answer.RevokeID, events.AccessRevoked{
			Where: plan.Where(), RevokeID: answer.RevokeID, Reason: reason, By: caller,
		}))
	}
	_ = act("check", h.check(ctx, name, CheckAfter))

	log.InfoContext(ctx, "revoked", "reason", reason, "revoke_id", answer.RevokeID, "done", answer.Done, "failed", answer.Failed)
	if denied != nil {
		return answer, undenied(name, role, denied, strings.Join(answer.Done, ", "))
	}
	return answer, nil
}

// Deny ends the live sessions of a grant of the stack and leaves the rest to Revoke, for which others wait.
// Should nobody call that, reconcile closes and announces what has a Deny.
func (h *Handler) Deny(ctx context.Context, name grant.Name, caller, reason string) (api.RevokeAnswer, error) {
	role := h.Grants[name]
	log := h.Log.With("grant", string(name), "caller", caller, "reason", reason)
	if err := h.Roles.PutInlinePolicy(ctx, role, grant.RevocationPolicy, []byte(grant.DenyRevocation)); err != nil {
		log.ErrorContext(ctx, "act of a revocation failed", "act", "deny", "cause", err.Error())
		return api.RevokeAnswer{}, undenied(name, role, err, "nothing")
	}
	log.InfoContext(ctx, "denied")
	return api.RevokeAnswer{Grant: string(name), Done: []string{"deny"}}, nil
}

func undenied(name grant.Name, role string, cause error, done string) error {
	return door.Refuse(http.StatusInternalServerError,
		"deny it with your own credentials: countersign revoke "+string(name)+" --direct",
		"the Deny on role %s is not written (%s); done besides: %s", role, kindOf(cause), done)
}

// kindOf says for the caller what went wrong, without AWS's own words.
func kindOf(err error) string {
	for _, kind := range []error{
		grant.ErrNotFound, grant.ErrThrottled, grant.ErrDenied, grant.ErrUnmodifiable, grant.ErrQuota, grant.ErrConflict, grant.ErrUnavailable,
	} {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return "IAM refused it"
}

// check has reconcile look at the grant after a while.
func (h *Handler) check(ctx context.Context, name grant.Name, after time.Duration) error {
	body, err := json.Marshal(grant.Check{Grant: name})
	if err != nil {
		return err
	}
	if err := h.Queue.Send(ctx, body, after); err != nil {
		return fmt.Errorf("queueing a check of %s: %w", name, err)
	}
	return nil
}
