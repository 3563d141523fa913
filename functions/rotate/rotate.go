// Package rotate is the function that Secrets Manager calls four times for each rotation: make an ID, let it in, prove
// it, promote it.
//
// It decides whether a rotation may go on, and is the only part that makes external IDs and moves staging labels. Every
// step may come again, alone, late or after a crash: each reads where things stand and does what is missing. It trusts
// the plan and AWS's dates; a value that already lies in the secret is foreign input. It never opens a revoked grant, never
// lengthens a deadline, and refuses rather than lock a provider out.
package rotate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/metric"
	"github.com/countersign/countersign/internal/outbox"
	"github.com/countersign/countersign/internal/trust"
)

// Event is what Secrets Manager says: which step of which rotation. ClientRequestToken is the new version's id.
type Event struct {
	Step               string `json:"Step"`
	SecretID           string `json:"SecretId"` // its ARN
	ClientRequestToken string `json:"ClientRequestToken"`
	RotationToken      string `json:"RotationToken,omitempty"`
}

// Plans reads a grant's plan. grant.ErrNotConfigured means that there is none.
type Plans interface {
	Plan(ctx context.Context, name grant.Name) (grant.Plan, error)
}

// Roles reads and writes the trust policies of granted roles, and reads their inline policies.
type Roles interface {
	gate.Roles
	// InlinePolicy is grant.ErrNotFound where the role has none of that name.
	InlinePolicy(ctx context.Context, roleName, policyName string) ([]byte, error)
}

// Secrets reads and writes versions of grants' secrets.
type Secrets interface {
	gate.Versions
	Describe(ctx context.Context, secretARN string) (grant.Secret, error)
	// PutVersion is idempotent; grant.ErrConflict where the version has another value.
	PutVersion(ctx context.Context, secretARN, versionID string, value []byte, stages ...string) error
	// MoveStage fails where fromVersion doesn't carry the label. "" means none.
	MoveStage(ctx context.Context, secretARN, stage, toVersion, fromVersion string) error
	// Tag sets tags and leaves others alone.
	Tag(ctx context.Context, secretARN string, tags map[string]string) error
}

// Handler rotates.
type Handler struct {
	Plans   Plans
	Roles   Roles
	Secrets Secrets
	Outbox  outbox.Outbox
	Settle  time.Duration // how long both IDs are valid before the new one is promoted; a cut doesn't wait
	Spread  time.Duration // over how long the first writes of rotations lie that AWS starts at the same moment

	Now   func() time.Time
	Wait  func(ctx context.Context, d time.Duration) error
	Rand  io.Reader
	Log   *slog.Logger
	Meter metric.Meter
}

// rotation is one step of one rotation.
type rotation struct {
	*Handler
	gate    gate.Gate
	plan    grant.Plan
	token   string
	step    string
	purpose grant.Purpose
	secret  *grant.Secret // once described
	spread  bool          // the wait before the first write is over
	log     *slog.Logger
}

// steps by their names in lower case and without underscores: Secrets Manager's own pages spell them in two ways.
var steps = map[string]struct {
	name string // as our events spell it
	run  func(*rotation, context.Context) error
}{
	"createsecret": {"createSecret", (*rotation).create},
	"setsecret":    {"setSecret", (*rotation).set},
	"testsecret":   {"testSecret", (*rotation).test},
	"finishsecret": {"finishSecret", (*rotation).finish},
}

// Handle does one step. An error makes Secrets Manager try the whole rotation again, later.
func (h *Handler) Handle(ctx context.Context, e Event) error {
	err := h.step(ctx, e)
	if failure, ok := grant.FailureOf(err, "", ""); ok && !failure.Meant() {
		h.Meter.Add(ctx, metric.StepsFailed, 1)
	}
	if errors.Is(err, grant.ErrBackwards) {
		h.Meter.Add(ctx, metric.LabelsBackwards, 1)
	}
	return err
}

func (h *Handler) step(ctx context.Context, e Event) error {
	step, ok := steps[strings.ToLower(strings.ReplaceAll(e.Step, "_", ""))]
	if !ok {
		return fmt.Errorf("unknown step %.40q", e.Step)
	}
	if e.ClientRequestToken == "" {
		return fmt.Errorf("step %s without a token: %w", step.name, grant.ErrBadToken)
	}
	name, err := grant.NameOfSecret(e.SecretID)
	if err != nil {
		return fmt.Errorf("%w: %w", grant.ErrNotConfigured, err)
	}
	plan, err := h.Plans.Plan(ctx, name)
	if err != nil {
		return fmt.Errorf("reading plan of %s: %w", name, err)
	}
	if plan.SecretARN != e.SecretID {
		return fmt.Errorf("plan of %s names another secret: %w", name, grant.ErrNotConfigured)
	}
	r := &rotation{
		Handler: h, plan: plan, token: e.ClientRequestToken, step: step.name, purpose: grant.PurposeOf(e.ClientRequestToken),
		gate: gate.Gate{Roles: h.Roles, Now: h.Now, Wait: h.Wait, Log: h.Log},
		log:  h.Log.With("grant", string(name), "step", step.name, "version_id", e.ClientRequestToken),
	}
	err = step.run(r, ctx)
	for errors.Is(err, grant.ErrThrottled) && r.comesAgain(ctx) {
		err = step.run(r, ctx)
	}
	if err != nil {
		if errors.Is(err, grant.ErrPaused) || errors.Is(err, grant.ErrReleased) {
			r.log.InfoContext(ctx, "rotation put off", "reason", err.Error())
		} else {
			r.log.ErrorContext(ctx, "step failed", "reason", err.Error())
		}
		r.refused(ctx, err)
		return fmt.Errorf("%s of %s: %w", step.name, name, err)
	}
	r.log.InfoContext(ctx, "step done")
	return nil
}

// calm is how long a step leaves IAM alone that was throttled although the SDK tried it again.
const calm = 10 * time.Second

// comesAgain waits before a throttled step is done anew, reads included, for nothing may be written by an old read. It says
// no where the time doesn't suffice: then Secrets Manager tries the whole rotation again, later.
func (r *rotation) comesAgain(ctx context.Context) bool {
	if deadline, ok := ctx.Deadline(); ok && !r.Now().Add(calm+gate.Margin).Before(deadline) {
		return false
	}
	r.log.WarnContext(ctx, "throttled, the step is done anew after a while")
	return r.Wait(ctx, calm) == nil
}

// refused clears the way for later rotations where this one can never succeed, and tells people if one has to look.
func (r *rotation) refused(ctx context.Context, cause error) {
	if r.hopeless(cause) && r.secret != nil && r.secret.At(grant.StagePending) == r.token && r.secret.At(grant.StageCurrent) != r.token {
		if err := r.Secrets.MoveStage(ctx, r.plan.SecretARN, grant.StagePending, "", r.token); err != nil {
			r.log.ErrorContext(ctx, "pending label not cleared", "reason", err.Error())
		}
	}
	failure, ok := grant.FailureOf(cause, r.token, r.step)
	if !ok {
		return
	}
	reason, next := failure.Words(r.plan.Grant)
	var refusal *trust.Refusal
	if errors.As(cause, &refusal) {
		reason += ": " + refusal.Error()
	}
	data := events.RotationFailed{Where: r.plan.Where(), VersionID: r.token, Step: r.step, Reason: reason, Next: next}
	if err := r.Outbox.Announce(ctx, r.plan, r.tags(), grant.FactFailed, failure.String(), data); err != nil {
		r.log.ErrorContext(ctx, "refusal not announced", "reason", err.Error())
	}
}

// hopeless says whether no later try with the same token can succeed.
func (r *rotation) hopeless(cause error) bool {
	for _, kind := range []error{
		grant.ErrOverlapOpen, grant.ErrUnconfirmed, grant.ErrNotIssued, grant.ErrForeignValue, grant.ErrBackwards, grant.ErrClosed, grant.ErrBadToken, grant.ErrNotConfigured,
		grant.ErrReleased,
		grant.ErrPaused, // until it ends; then the next window, or the same token, starts anew
	} {
		if errors.Is(cause, kind) {
			return true
		}
	}
	return false
}

func (r *rotation) tags() map[string]string {
	if r.secret == nil {
		return nil
	}
	return r.secret.Tags
}

// describe reads labels and tags.
func (r *rotation) describe(ctx context.Context) (grant.Secret, error) {
	s, err := r.Secrets.Describe(ctx, r.plan.SecretARN)
	if err != nil {
		return grant.Secret{}, fmt.Errorf("describing secret of %s: %w", r.plan.Grant, err)
	}
	r.secret = &s
	return s, nil
}

// version is a version of the secret with its ID. err is of the decoding: grant.ErrNotFound for the template's constant,
// grant.ErrForeignValue for what isn't ours.
type version struct {
	id      grant.ID
	created time.Time
	err     error
}

func (r *rotation) version(ctx context.Context, versionID string) (version, error) {
	v, err := r.Secrets.Version(ctx, r.plan.SecretARN, versionID)
	if err != nil {
		return version{}, fmt.Errorf("reading version %s: %w", versionID, err)
	}
	id, err := r.plan.DecodeVersion(v)
	return version{id, v.Created, err}, nil
}

// closed says whether the trust policy keeps everybody out. Of a created role that is closed only who closes and reopens
// writes it: a write of ours that came late would close a grant that was restored meanwhile. An adopted role's statements
// are followed even then, for nobody else knows which of their values is ours.
func (r *rotation) closed(doc *trust.Document) (bool, error) {
	if !doc.Closed() {
		return false, nil
	}
	revoked := r.tags()[grant.TagRevoked]
	if r.purpose != grant.Restore && revoked != "" && revoked == r.tags()[grant.TagRestored] {
		return true, fmt.Errorf("the trust policy shows a revocation that the tags call undone: %w", grant.ErrNotYetVisible)
	}
	return true, nil
}

// released refuses where an adopted role was given back: its trust policy is its owner's again.
func (r *rotation) released(ctx context.Context) error {
	if !r.plan.Adopted {
		return nil
	}
	inline, err := r.Roles.InlinePolicy(ctx, r.plan.RoleName(), grant.RevocationPolicy)
	switch {
	case errors.Is(err, grant.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("reading revocation of %s: %w", r.plan.Grant, err)
	case grant.ReadRevocation(inline).Released:
		return grant.ErrReleased
	}
	return nil
}

// closedBeside reads the marks of a closed grant that don't stand in the trust policy. The secret must be described.
func (r *rotation) closedBeside(ctx context.Context, doc *trust.Document) (bool, error) {
	inline, err := r.Roles.InlinePolicy(ctx, r.plan.RoleName(), grant.RevocationPolicy)
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		return false, fmt.Errorf("reading revocation of %s: %w", r.plan.Grant, err)
	}
	return grant.ClosureOf(inline, doc, r.tags()).Closed(), nil
}
