package rotate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// test proves by evaluation that the new ID gets in and others don't. It changes nothing.
func (r *rotation) test(ctx context.Context) error {
	made, err := r.version(ctx, r.token)
	if err == nil {
		err = made.err
	}
	if errors.Is(err, grant.ErrNotFound) {
		// A change of the schedule alone calls only this step: with an empty version, with none, or with the template's constant.
		r.log.InfoContext(ctx, "nothing pending to test")
		return nil
	}
	if err != nil {
		return err
	}
	doc, _, err := r.gate.Read(ctx, r.plan)
	if err != nil {
		return err
	}
	failed := r.evaluate(doc, made.id)
	if failed == nil {
		return nil
	}
	s, err := r.describe(ctx)
	switch {
	case err != nil:
		return err
	case s.At(grant.StageCurrent) != r.token && s.At(grant.StagePending) != r.token:
		return fmt.Errorf("the version is not pending: %w", grant.ErrBadToken)
	}
	if doc.Born() {
		if closed, err := r.closedBeside(ctx, doc); err != nil || closed {
			return err // nobody gets in, as it should be
		}
	}
	return failed
}

// evaluate asks a document whether it lets the ID in, and nobody whom it should not. A created role that is closed lets
// nobody in whatever else somebody wrote there, and is written anew by who reopens it.
func (r *rotation) evaluate(doc *trust.Document, id grant.ID) error {
	if doc.Closed() && !r.plan.Adopted {
		return nil
	}
	if !doc.Closed() && !id.AcceptedBy(doc) {
		return fmt.Errorf("the new external ID is not in the trust policy: %w", grant.ErrDrift)
	}
	if err := trust.Check(doc, doc, gate.Standing(doc, r.plan, id), r.Now()); err != nil {
		return fmt.Errorf("checking trust of %s: %w", r.plan.RoleName(), err)
	}
	return nil
}

// promotion is what finish knows.
type promotion struct {
	secret   grant.Secret
	moved    bool // AWSCURRENT is on the new version already
	current  string
	before   string  // version of old
	extended bool    // the old ID stays until somebody confirms the new one
	new, old version // old has no ID where there was none before
}

// finish promotes the new ID: label, deadline of the old one, announcement. What is done already stays.
func (r *rotation) finish(ctx context.Context) error {
	if r.plan.OverlapOf(r.token) > 0 { // a cut doesn't wait, and nobody has an ID yet at a birth
		if err := r.Wait(ctx, r.Settle); err != nil {
			return fmt.Errorf("waiting for IAM to settle: %w", err)
		}
		var err error
		if r.plan, err = r.Plans.Plan(ctx, r.plan.Grant); err != nil { // a deploy may have changed it meanwhile
			return fmt.Errorf("reading plan again: %w", err)
		}
	}
	if err := r.released(ctx); err != nil {
		return err
	}
	p, err := r.look(ctx)
	if err != nil {
		return err
	}
	doc, _, err := r.gate.Read(ctx, r.plan)
	if err != nil {
		return err
	}
	leave, err := r.ready(ctx, doc, p)
	if err != nil {
		return err
	}
	if !p.moved {
		if err := r.extend(ctx, &p); err != nil {
			return err
		}
		if err := r.Secrets.MoveStage(ctx, r.plan.SecretARN, grant.StageCurrent, r.token, p.current); err != nil {
			return fmt.Errorf("promoting version %s: %w", r.token, err)
		}
	}
	t, end := r.promoted(doc, p)
	if !leave {
		if err := r.replace(ctx, doc, t); err != nil {
			return err
		}
	}
	if grant.ClosureOf(nil, doc, p.secret.Tags).Closed() {
		r.log.InfoContext(ctx, "not announced: the grant is revoked, and nobody gets in with the new ID")
	} else if err := r.announce(ctx, p, end); err != nil {
		return err
	}
	return r.clearStray(ctx, p)
}

// extend decides, once and before the label moves, whether the old ID stays until somebody confirms the new one.
func (r *rotation) extend(ctx context.Context, p *promotion) error {
	if p.before == "" || r.plan.OverlapOf(r.token) == 0 || r.plan.Extended(r.token, p.secret.Tags) {
		return nil
	}
	o := r.plan.Outlook(p.before, grant.ConfirmationOf(p.secret.Tags))
	if p.extended = o.Extended; !o.Extended {
		return nil
	}
	r.log.InfoContext(ctx, "the external ID before stays until somebody confirms", "reason", o.Why)
	if err := r.Secrets.Tag(ctx, r.plan.SecretARN, map[string]string{grant.TagExtended: r.token}); err != nil {
		return fmt.Errorf("noting that the external ID before stays: %w", err)
	}
	return nil
}

// look reads labels and IDs.
func (r *rotation) look(ctx context.Context) (promotion, error) {
	s, err := r.describe(ctx)
	if err != nil {
		return promotion{}, err
	}
	p := promotion{secret: s, current: s.At(grant.StageCurrent)}
	p.moved = p.current == r.token
	if !p.moved && s.At(grant.StagePending) != r.token {
		return promotion{}, fmt.Errorf("the version is neither pending nor current: %w", grant.ErrBadToken)
	}
	if p.new, err = r.version(ctx, r.token); err != nil {
		return promotion{}, err
	}
	if p.new.err != nil {
		return promotion{}, p.new.err
	}
	p.before = p.current
	if p.moved {
		p.before = s.At(grant.StagePrevious)
	}
	if p.before == "" {
		return p, nil
	}
	switch p.old, err = r.version(ctx, p.before); {
	case p.moved && errors.Is(err, grant.ErrNotFound):
		return p, nil
	case err != nil:
		return promotion{}, err
	case p.moved && p.old.err == nil && p.new.created.Before(p.old.created):
		return promotion{}, fmt.Errorf("version %s is current, the younger %s previous: %w", r.token, p.before, grant.ErrBackwards)
	case r.purpose == grant.Birth || p.moved:
		return p, nil
	}
	return p, r.usable(p.new, p.old)
}

// ready says whether the trust policy is such that the label may move. leave is true where the trust policy is not this
// step's to write: the birth document was put back, which only a birth or reconcile may replace.
func (r *rotation) ready(ctx context.Context, doc *trust.Document, p promotion) (leave bool, err error) {
	closed, err := r.closed(doc)
	switch {
	case err != nil:
		return false, err
	case closed && !r.plan.Adopted:
		return true, nil
	case closed:
	case doc.Born():
		closed, err := r.closedBeside(ctx, doc)
		switch {
		case err != nil:
			return false, err
		case closed && r.purpose == grant.Birth && !p.moved:
			return false, grant.ErrClosed
		case closed || p.moved:
			r.log.WarnContext(ctx, "birth document in the role: left for reconcile")
			return true, nil
		}
		return false, fmt.Errorf("the birth document was put back: %w", grant.ErrDrift)
	case p.moved && !p.new.id.AcceptedBy(doc): // the step comes again, late: labels alone let nobody in
		r.log.WarnContext(ctx, "the current external ID is not in the trust policy: left for reconcile")
		return true, nil
	case !p.new.id.AcceptedBy(doc):
		return false, fmt.Errorf("the new external ID is not in the trust policy, setSecret comes first: %w", grant.ErrDrift)
	}
	if _, leaving := p.new.id.DeadlineIn(doc); leaving {
		return false, fmt.Errorf("the external ID to promote has a deadline in the trust policy: %w", grant.ErrBackwards)
	}
	t, _ := r.promoted(doc, p)                        // of either length: a date takes room, no date doesn't
	if _, _, err := trust.Apply(doc, t); err != nil { // before the label moves
		return false, fmt.Errorf("promoting in trust of %s: %w", r.plan.RoleName(), err)
	}
	return false, nil
}

// promoted is the trust policy behind the promotion, and until when it accepts the old ID.
func (r *rotation) promoted(doc *trust.Document, p promotion) (trust.Plan, gate.End) {
	ids, end := grant.IDs{Current: p.new.id}, gate.End{}
	if p.old.err == nil && !p.old.id.IsZero() {
		end = gate.Deadline(doc, r.ending(p), r.Now())
		if end.Keep {
			ids.Previous, ids.Until = p.old.id, end.Until
		} else {
			ids.Retired = []grant.ID{p.old.id}
		}
	}
	return r.plan.TrustWith(ids), end
}

// ending is what decides about the old ID.
func (r *rotation) ending(p promotion) gate.Promotion {
	confirmed := grant.ConfirmationOf(p.secret.Tags)
	out := gate.Promotion{
		Previous: p.old.id, Created: p.new.created, Overlap: r.plan.OverlapOf(r.token), Now: !p.moved,
		Extended: r.plan.Extended(r.token, p.secret.Tags) || p.extended,
	}
	if confirmed.Of(r.token) {
		out.RetireAt = confirmed.RetireAt
	}
	return out
}

// announce tells of the new ID. A grant's first one is reconcile's to announce, once it is in.
func (r *rotation) announce(ctx context.Context, p promotion, end gate.End) error {
	if r.purpose == grant.Birth {
		return nil
	}
	data := events.ExternalIDRotated{
		Where: r.plan.Where(), VersionID: r.token, Cause: grant.CauseOf(r.token), PreviousUntil: end.Until, ConfirmURL: r.plan.ConfirmURL,
	}
	if end.Keep && end.Until.IsZero() {
		data.PreviousUntil, data.Extended = p.new.created.Add(r.plan.OverlapOf(r.token)).UTC().Truncate(time.Second), true
	}
	return r.Outbox.Announce(ctx, r.plan, p.secret.Tags, grant.FactRotated, r.token, data)
}

// clearStray takes AWSPENDING from a version that was left behind, because it blocks every later rotation. One that is
// younger than the current version is a rotation that is under way.
func (r *rotation) clearStray(ctx context.Context, p promotion) error {
	stray := p.secret.At(grant.StagePending)
	if stray == "" || stray == r.token || !p.moved {
		return nil
	}
	v, err := r.version(ctx, stray)
	switch {
	case errors.Is(err, grant.ErrNotFound):
		return nil // empty: its createSecret is still to come
	case err != nil:
		return err
	case !v.created.Before(p.new.created):
		return nil
	}
	if err := r.Secrets.MoveStage(ctx, r.plan.SecretARN, grant.StagePending, "", stray); err != nil {
		return fmt.Errorf("clearing the pending label of version %s: %w", stray, err)
	}
	return nil
}
