// Package reconcile is the function that brings every grant to what plan and secret say: at a deploy, by a timer, and
// when somebody asks it to look.
//
// It decides from what stands in IAM, Secrets Manager and the plan, never from what its invocation claims. Any mark of a
// closed grant closes it wholly; only a grant without any mark is opened, and only to IDs that a rotation made. A revoked one
// it opens again only where an operator's intent stands in the Deny itself, see reopen. It makes no ID and moves no label,
// keeps deadlines or shortens them, and announces what nobody announced.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/metric"
	"github.com/countersign/countersign/internal/outbox"
	"github.com/countersign/countersign/internal/trust"
)

// Plans reads a grant's plan. grant.ErrNotConfigured means that there is none.
type Plans interface {
	Plan(ctx context.Context, name grant.Name) (grant.Plan, error)
}

// Roles reads and writes granted roles.
type Roles interface {
	gate.Roles
	// InlinePolicy is grant.ErrNotFound where the role, or its policy of that name, is missing.
	InlinePolicy(ctx context.Context, roleName, policyName string) ([]byte, error)
	PutInlinePolicy(ctx context.Context, roleName, policyName string, document []byte) error
}

// Secrets reads grants' secrets and starts their first rotation.
type Secrets interface {
	gate.Versions
	Describe(ctx context.Context, secretARN string) (grant.Secret, error)
	// Rotate starts a rotation; the same token again is the same rotation. grant.ErrBusy while another one hasn't ended.
	Rotate(ctx context.Context, secretARN, token string) error
}

// Writers tells who wrote a role's trust policy last since a moment, Countersign's functions aside; "" where nobody knows.
type Writers interface {
	LastWriter(ctx context.Context, roleName string, since time.Time) (string, error)
}

// Handler reconciles.
type Handler struct {
	Grants  grant.Roles
	Plans   Plans
	Roles   Roles
	Secrets Secrets
	Stacks  Stacks
	Stack   string // ARN of the stack that the grants belong to
	Outbox  outbox.Outbox
	Writers Writers       // nil: nobody knows
	Margin  time.Duration // behind a restore in which sessions still count as old ones; zero: grant.RestoreMargin

	Now   func() time.Time
	Wait  func(ctx context.Context, d time.Duration) error
	Rand  io.Reader
	Log   *slog.Logger
	Meter metric.Meter
}

// State is what a grant was found to be, and left as.
type State string

// The states.
const (
	Open   State = "open"   // the provider gets in as plan and secret say
	Closed State = "closed" // revoked: all marks stand
	Unborn State = "unborn" // there is no external ID for this role yet

	Released State = "released" // an adopted role that was given back: it is left alone
)

// patience is how long one grant may keep the others waiting, or a deploy that waits for permissions made a moment ago.
const patience = 2 * time.Minute

func (h *Handler) gate() gate.Gate {
	return gate.Gate{Roles: h.Roles, Now: h.Now, Wait: h.Wait, Log: h.Log, Patience: patience}
}

// late is how long IAM may go on showing what was written over.
const late = 130 * time.Second

// rounds is how often a grant is looked at again because it changed meanwhile.
const rounds = 6

// Grant brings one grant to what its plan and its secret say. It may be called at any time, also beside a rotation or a
// revocation: after each write it looks again. An error says what could not be brought about; what is safe has been done.
func (h *Handler) Grant(ctx context.Context, name grant.Name) (State, error) {
	state, _, err := h.bringAbout(ctx, name)
	return state, err
}

// bringAbout is Grant, with what the last look at it told.
func (h *Handler) bringAbout(ctx context.Context, name grant.Name) (state State, f facts, err error) {
	log := h.Log.With("grant", string(name))
	g := h.gate()
	var drift []string
	waited, wrote := false, false
	ends := map[grant.ID]gate.End{} // that we have written
	for range rounds {
		plan, err := h.plan(ctx, name, wrote)
		if err != nil {
			return "", facts{}, err
		}
		if f, err = h.gather(ctx, g, plan); err != nil {
			return "", facts{}, err
		}
		f.ends = ends
		if f.released {
			return Released, f, nil
		}
		if f.closure.Closed() && !f.mayReopen() {
			log.InfoContext(ctx, "grant is closed", "missing", f.closure.Missing())
			return Closed, f, h.close(ctx, g, f)
		}
		if f.closure.Closed() {
			found, err := h.reopen(ctx, g, f)
			drift = merge(drift, found)
			switch {
			case needsPerson(err):
				return Closed, f, errors.Join(err, h.drift(ctx, f, decision{fault: err}, drift), h.announceRevoked(ctx, f, f.closure.RevokeID))
			case err != nil && !errors.Is(err, grant.ErrConflict):
				return Closed, f, err
			}
			log.InfoContext(ctx, "looking again on the way to a restore")
			continue
		}
		d := decide(f)
		if d.trust == nil {
			return d.state, f, h.settle(ctx, f, d, drift)
		}
		if d.older && !waited {
			if err := h.letSettle(ctx, name, "the trust policy holds an external ID that is over"); err != nil {
				return "", f, err
			}
			waited = true
			continue
		}
		var found []string
		found, wrote, err = h.mend(ctx, g, f, *d.trust)
		drift = merge(drift, found)
		switch {
		case needsPerson(err):
			d.fault = err
			return d.state, f, h.settle(ctx, f, d, drift)
		case err != nil && !errors.Is(err, grant.ErrConflict):
			return "", f, err
		case err == nil && !wrote:
			d.drift = found
			return d.state, f, h.settle(ctx, f, d, drift)
		}
		if wrote && !d.ending.IsZero() {
			ends[d.ending] = d.end
		}
		log.InfoContext(ctx, "looking again after a change")
	}
	return "", f, fmt.Errorf("%s keeps changing: %w", name, grant.ErrConflict)
}

// letSettle waits until IAM has caught up: what was found may be an old reading.
func (h *Handler) letSettle(ctx context.Context, name grant.Name, found string) error {
	h.Log.InfoContext(ctx, found+": waiting in case IAM shows it late", "grant", string(name))
	if err := h.Wait(ctx, late); err != nil {
		return fmt.Errorf("waiting for IAM to catch up, as %s: %w", found, err)
	}
	return nil
}

// plan reads the plan, each time anew: a deploy may have changed it. Behind a write of ours, which may then have followed the
// old one, it is not given up at the first failure.
func (h *Handler) plan(ctx context.Context, name grant.Name, wrote bool) (plan grant.Plan, err error) {
	read := func() error {
		plan, err = h.Plans.Plan(ctx, name)
		return err
	}
	if wrote {
		err = h.patiently(ctx, read)
	} else {
		err = read()
	}
	if err != nil {
		return grant.Plan{}, fmt.Errorf("reading plan of %s: %w", name, err)
	}
	return plan, nil
}

// mend brings the trust policy to what is wanted. It returns what drifted, and whether it wrote: then the grant must be looked
// at again, as behind grant.ErrConflict.
func (h *Handler) mend(ctx context.Context, g gate.Gate, f facts, want trust.Plan) (drift []string, wrote bool, err error) {
	_, diff, err := trust.Apply(f.doc, want)
	if err != nil {
		return nil, false, fmt.Errorf("changing trust of %s: %w", f.plan.RoleName(), err)
	}
	if diff.Empty() {
		if err := trust.Check(f.doc, f.doc, want, f.now); err != nil {
			return diff.Drift, false, fmt.Errorf("checking trust of %s: %w", f.plan.RoleName(), err)
		}
		return diff.Drift, false, nil
	}
	fresh, _, err := g.Read(ctx, f.plan)
	if err != nil {
		return nil, false, err
	}
	if !fresh.Equal(f.doc) {
		return nil, false, fmt.Errorf("the trust policy of %s changed meanwhile: %w", f.plan.RoleName(), grant.ErrConflict)
	}
	if _, err := g.Replace(ctx, f.plan, fresh, want); err != nil {
		return diff.Drift, false, err
	}
	return append(diff.Drift, f.lockedOut()...), true, nil
}

// lockedOut says so where the trust policy kept the current external ID out. No rotation leaves it like that, nor does the
// template: somebody has edited it.
func (f facts) lockedOut() []string {
	if f.current.id.IsZero() || f.doc.Born() || f.doc.Closed() || f.current.id.AcceptedBy(f.doc) {
		return nil
	}
	return []string{"the trust policy did not accept the current external ID; mended"}
}

// needsPerson says whether trying again can't help.
func needsPerson(err error) bool {
	for _, kind := range []error{
		trust.ErrRefused, grant.ErrMalformed, grant.ErrUnmodifiable, grant.ErrQuota, grant.ErrBackwards, grant.ErrForeignValue,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
