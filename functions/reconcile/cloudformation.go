package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/cfn"

	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/metric"
)

// The custom resources of the stack.
const (
	GrantResource  = "Custom::Grant"  // properties Grant, Digest and, where the role was made elsewhere and outlives the stack, RoleStays
	LayoutResource = "Custom::Layout" // properties Shards, ReshardedFrom and, where the stack has one, Name
)

const (
	pollEvery = 2 * time.Second // how often a birth, or what may pass, is looked at
	birthTime = 5 * time.Minute // how long a first rotation may take, the tries of Secrets Manager included
)

// CloudFormation brings a custom resource about. Its error is the reason that fails the deploy. The same request again
// does the same.
func (h *Handler) CloudFormation(ctx context.Context, e cfn.Event) (physicalID string, data map[string]any, err error) {
	switch e.ResourceType {
	case LayoutResource:
		return "countersign-layout", nil, h.layout(ctx, e)
	case GrantResource:
		name, err := grant.ParseName(property(e.ResourceProperties, "Grant"))
		if err != nil {
			return e.PhysicalResourceID, nil, err
		}
		physicalID := "countersign-" + string(name)
		if e.RequestType == cfn.RequestDelete {
			return physicalID, nil, h.remove(ctx, name, elsewhere(e.ResourceProperties))
		}
		err = h.bring(ctx, e, name)
		if err == nil && e.RequestType == cfn.RequestCreate {
			// Nothing is overdue yet; said at once, for the timer's first round is an hour away and a missing number rings.
			h.Meter.Add(ctx, metric.RotationsOverdue, 0)
		}
		return physicalID, nil, err
	}
	if e.RequestType == cfn.RequestDelete {
		return e.PhysicalResourceID, nil, nil // of something that was never made
	}
	return e.PhysicalResourceID, nil, fmt.Errorf("unknown resource type %.60q", e.ResourceType)
}

func property(properties map[string]any, key string) string {
	if v, ok := properties[key]; ok {
		return fmt.Sprint(v)
	}
	return ""
}

// elsewhere says whether a role isn't the stack's: it was made elsewhere, and outlives the stack.
func elsewhere(properties map[string]any) bool { return property(properties, "RoleStays") == "true" }

// bring reconciles the grant and, where it has no external ID for its role yet, starts its first rotation and waits for it.
func (h *Handler) bring(ctx context.Context, e cfn.Event, name grant.Name) error {
	var state State
	var f facts
	if e.RequestType == cfn.RequestCreate && elsewhere(e.ResourceProperties) {
		if err := h.keptClosed(ctx, name); err != nil {
			return err
		}
	}
	look := func() error {
		return h.patiently(ctx, func() (err error) {
			state, f, err = h.bringAbout(ctx, name)
			return err
		})
	}
	err := look()
	if err == nil && f.closure.Undone { // the birth document may be back, and the next look by the timer an hour away
		if err = h.letSettle(ctx, name, "the tags call the revocation undone that the Deny stands for"); err == nil {
			err = look()
		}
	}
	switch {
	case e.RequestType == cfn.RequestUpdate && (errors.Is(err, grant.ErrBackwards) || errors.Is(err, grant.ErrForeignValue)):
		// What lies in the secret is announced. No deploy made it or mends it, and one that fails would not roll back either.
		h.Log.ErrorContext(ctx, "deployed beside a fault of the secret", "grant", string(name), "reason", err.Error())
		return nil
	case err != nil:
		return err
	case state == Closed && e.RequestType == cfn.RequestCreate && elsewhere(e.ResourceProperties):
		return errKept(f.plan)
	case state == Closed && e.RequestType == cfn.RequestCreate:
		return fmt.Errorf("grant %s was revoked before it was opened: delete what is left of it and deploy again: %w", name, grant.ErrClosed)
	case state == Closed: // a deploy may have taken the protection off, as cdk deploy does; the timer tries again
		if (found{facts: f, state: state}).keepsStack() {
			_ = h.patiently(ctx, func() error { return h.protect(ctx, name) })
		}
		return nil
	case state != Unborn:
		return nil
	case e.RequestType == cfn.RequestUpdate && f.cameBack():
		// A deploy that gave the grant another role is taken back. This role stands as it was, and so does its ID.
		h.Log.ErrorContext(ctx, "back in a role that was to be replaced: its external ID stays, rotations wait", "grant", string(name))
		return nil
	}
	if f.plan.Adopted { // its own external ID is handed over next: nothing opens, closes or changes until then
		return nil
	}
	if err := h.birth(ctx, name, grant.BirthToken(e.StackID, e.LogicalResourceID, e.RequestID)); err != nil {
		return err
	}
	return h.patiently(ctx, func() error {
		state, err := h.Grant(ctx, name)
		if err == nil && state == Unborn {
			err = fmt.Errorf("grant %s lost its first external ID again: %w", name, grant.ErrConflict)
		}
		return err
	})
}

// patiently tries again what may pass.
func (h *Handler) patiently(ctx context.Context, act func() error) error {
	for end := h.Now().Add(patience); ; {
		err := act()
		passing := false
		for _, kind := range []error{grant.ErrDenied, grant.ErrThrottled, grant.ErrUnavailable, grant.ErrConflict, grant.ErrNotYetVisible} {
			passing = passing || errors.Is(err, kind)
		}
		if !passing || h.Now().After(end) || !h.pause(ctx) {
			return err
		}
	}
}

// pause waits a moment, and says whether there is time to go on.
func (h *Handler) pause(ctx context.Context) bool {
	if deadline, ok := ctx.Deadline(); ok && h.Now().Add(pollEvery).After(deadline.Add(-gate.Margin)) {
		return false
	}
	return h.Wait(ctx, pollEvery) == nil
}

// birth starts the first rotation and looks until its ID is current and the trust policy accepts it.
func (h *Handler) birth(ctx context.Context, name grant.Name, token string) error {
	var plan grant.Plan
	err := h.patiently(ctx, func() (err error) {
		plan, err = h.Plans.Plan(ctx, name)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading plan of %s: %w", name, err)
	}
	g := h.gate()
	started := h.patiently(ctx, func() error { return h.Secrets.Rotate(ctx, plan.SecretARN, token) })
	switch {
	case started == nil:
	case mayNotHaveStarted(started):
		// Perhaps our own request came before, or Secrets Manager is still testing the new schedule: it is asked again below.
		h.Log.WarnContext(ctx, "first rotation not started, or under way already", "grant", string(name), "reason", started.Error())
	default:
		return fmt.Errorf("starting the first rotation of %s: %w", name, started)
	}
	var last error
	for end := h.Now().Add(birthTime); ; {
		in, err := h.isBorn(ctx, g, plan, token)
		switch {
		case in:
			return nil
		case errors.Is(err, errFinal):
			return err
		case err != nil:
			last = err
		}
		if h.Now().After(end) || !h.pause(ctx) {
			break
		}
		if mayNotHaveStarted(started) {
			started = h.Secrets.Rotate(ctx, plan.SecretARN, token) // the same token: never a second rotation
		}
	}
	if last == nil {
		last = started
	}
	if last == nil {
		last = grant.ErrNotYetVisible
	}
	return fmt.Errorf("the first external ID of %s is not in yet; look at the log of countersign-rotate, then deploy again: %w", name, last)
}

// mayNotHaveStarted says whether asking for the rotation once more is right.
func mayNotHaveStarted(err error) bool {
	return errors.Is(err, grant.ErrBusy) || errors.Is(err, grant.ErrUnavailable)
}

// errFinal marks a birth that waiting doesn't help.
var errFinal = errors.New("the first rotation was refused")

// isBorn looks once. An error that isn't errFinal may pass.
func (h *Handler) isBorn(ctx context.Context, g gate.Gate, p grant.Plan, token string) (bool, error) {
	secret, err := h.Secrets.Describe(ctx, p.SecretARN)
	if err != nil {
		return false, fmt.Errorf("describing secret of %s: %w", p.Grant, err)
	}
	failure := grant.ParseFailure(secret.Tags[grant.FactFailed.Tag()])
	refused := error(nil)
	if failure.VersionID == token {
		reason, next := failure.Words(p.Grant)
		refused = fmt.Errorf("%s (%s): %s", reason, failure.Step, next)
		if failure.Lasts() {
			return false, fmt.Errorf("%w: %w", errFinal, refused)
		}
	}
	current := secret.At(grant.StageCurrent)
	if current == "" {
		return false, refused
	}
	v, err := h.Secrets.Version(ctx, p.SecretARN, current)
	if err != nil {
		return false, errors.Join(refused, err)
	}
	id, err := p.DecodeVersion(v)
	if err != nil {
		return false, refused
	}
	doc, _, err := g.Read(ctx, p)
	if err != nil {
		return false, errors.Join(refused, err)
	}
	return id.AcceptedBy(doc) && !doc.Born(), refused
}
