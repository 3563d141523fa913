// Package operate is the function behind the API's everyday part: list the grants, show one, rotate one now, pause its schedule.
//
// It tells what IAM and Secrets Manager say at that moment, external IDs as fingerprints only. It trusts the signature that
// API Gateway checked and the plan. It reads no secret's value, writes nothing in IAM, and refuses to rotate a closed grant
// or one whose previous ID still lives, unless that one leaked. A pause is a tag: it delays what the schedule starts, and
// neither a revoke nor what an operator asks for.
package operate

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/countersign/countersign/functions/internal/door"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/outbox"
)

// Plans reads a grant's plan. grant.ErrNotConfigured means that there is none.
type Plans interface {
	Plan(ctx context.Context, name grant.Name) (grant.Plan, error)
}

// Roles reads granted roles.
type Roles interface {
	Role(ctx context.Context, roleName string) (grant.Role, error)
	// InlinePolicy is grant.ErrNotFound where the role, or its policy of that name, is missing.
	InlinePolicy(ctx context.Context, roleName, policyName string) ([]byte, error)
}

// Secrets tells of secrets without their values, and starts rotations.
type Secrets interface {
	Describe(ctx context.Context, secretARN string) (grant.Secret, error)
	// Rotate starts a rotation; the same token again is the same rotation. grant.ErrBusy while another one hasn't ended.
	Rotate(ctx context.Context, secretARN, token string) error
	// MoveStage fails where fromVersion doesn't carry the label. "" means none.
	MoveStage(ctx context.Context, secretARN, stage, toVersion, fromVersion string) error
	// Tag sets tags and leaves others alone.
	Tag(ctx context.Context, secretARN string, tags map[string]string) error
}

// Handler lists, shows, rotates and pauses.
type Handler struct {
	Grants  grant.Roles
	Account string // whose callers may operate
	Plans   Plans
	Roles   Roles
	Secrets Secrets
	Outbox  outbox.Outbox // what an operator asked for is mentioned on the bus; its tags are not used

	Now  func() time.Time
	Rand io.Reader
	Log  *slog.Logger
}

// Handle answers GET /grants, GET /grants/{grant} and POST /grants/{grant}/rotate, /pause, /resume
// and /test. The error is always nil.
func (h *Handler) Handle(ctx context.Context, r door.Request) (door.Response, error) {
	response, err := h.answer(ctx, r)
	if err != nil {
		h.Log.WarnContext(ctx, "request refused", "caller", r.RequestContext.Identity.UserArn, "path", r.Path, "reason", err.Error())
		return door.Failed(err), nil
	}
	return response, nil
}

func (h *Handler) answer(ctx context.Context, r door.Request) (door.Response, error) {
	method, name, verb, err := door.Target(r, h.Grants)
	if err == nil && method == http.MethodPost && verb == "rotate" {
		if caller, _, own := door.OwnSession(r, h.Account, h.Grants[name]); own {
			return h.rotateForProvider(ctx, name, caller, r)
		}
	}
	caller, outside := door.Caller(r, h.Account, h.Grants)
	switch {
	case outside != nil:
		return door.Response{}, outside
	case err != nil:
		return door.Response{}, err
	}
	h.Log.InfoContext(ctx, "request", "caller", caller, "method", method, "grant", string(name), "verb", verb)
	switch {
	case method == http.MethodGet && name == "":
		list := api.List{Grants: []api.Status{}}
		for _, name := range h.Grants.Names() {
			list.Grants = append(list.Grants, h.Status(ctx, name))
		}
		return door.Answer(http.StatusOK, list), nil
	case method == http.MethodGet && verb == "":
		return door.Answer(http.StatusOK, h.Status(ctx, name)), nil
	case method == http.MethodPost && verb == "rotate":
		var body api.RotateRequest
		return act(r, &body, &body.Reason, http.StatusAccepted, func() (any, error) {
			if body.Run != "" {
				if err := grant.CheckRun(body.Run); err != nil {
					return nil, door.Refuse(http.StatusBadRequest, "leave it out, or repeat the one that was printed", "%v", err)
				}
			}
			return h.Rotate(ctx, name, caller, body)
		})
	case method == http.MethodPost && verb == "pause":
		var body api.PauseRequest
		return act(r, &body, &body.Reason, http.StatusOK, func() (any, error) { return h.Pause(ctx, name, caller, body) })
	case method == http.MethodPost && verb == "test":
		var body api.TestRequest
		return act(r, &body, &body.Reason, http.StatusAccepted, func() (any, error) { return h.Test(ctx, name, caller, body) })
	case method == http.MethodPost && verb == "resume":
		var body api.ResumeRequest
		return act(r, &body, &body.Reason, http.StatusOK, func() (any, error) { return h.Resume(ctx, name, caller, body) })
	}
	return door.Response{}, door.Refuse(http.StatusNotFound,
		"GET /grants, GET /grants/{grant}, POST /grants/{grant}/rotate, pause, resume or test", "there is nothing at this path")
}

// act reads a request's body, checks the reason in it, and answers with what do gives.
func act(r door.Request, body any, reason *string, status int, do func() (any, error)) (door.Response, error) {
	if err := door.Body(r, body); err != nil {
		return door.Response{}, err
	}
	if err := door.Reason(*reason); err != nil {
		return door.Response{}, err
	}
	answer, err := do()
	if err != nil {
		return door.Response{}, err
	}
	return door.Answer(status, answer), nil
}
