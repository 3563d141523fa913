package rotate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// create stores a new ID under the token, once.
func (r *rotation) create(ctx context.Context) error {
	s, err := r.describe(ctx)
	if err != nil {
		return err
	}
	current, pending := s.At(grant.StageCurrent), s.At(grant.StagePending)
	switch {
	case s.Deleted || current == "":
		return fmt.Errorf("the secret is deleted or has no current version: %w", grant.ErrNotConfigured)
	case current == r.token:
		return nil
	case pending != r.token && pending != "" && pending != current:
		return fmt.Errorf("another version is pending: %w", grant.ErrBadToken)
	}
	made, err := r.version(ctx, r.token)
	there := err == nil
	switch {
	case there && pending != r.token:
		return fmt.Errorf("this rotation was given up: %w", grant.ErrBadToken)
	case err != nil && !errors.Is(err, grant.ErrNotFound):
		return err
	}
	// A rotation that has stored its ID goes on: the ID may be in the trust policy already.
	if until := grant.PausedUntil(s.Tags, r.Now()); !there && !until.IsZero() && grant.BySchedule(r.token) {
		return fmt.Errorf("until %s: %w", until.Format(time.RFC3339), grant.ErrPaused)
	}
	now, err := r.version(ctx, current)
	if err != nil {
		return err
	}
	if err := r.mayStart(s, current, now); err != nil {
		return err
	}
	if err := r.released(ctx); err != nil {
		return err
	}
	if err := r.confirmed(ctx, s); err != nil {
		return err
	}
	if !there && r.plan.IssuedBy == grant.IssuedByProvider && r.purpose != grant.Birth && r.purpose != grant.Restore {
		if made, err = r.issued(ctx); err != nil {
			return err
		}
		there = true
	}
	if there {
		return r.usable(made, now)
	}
	id, err := grant.NewID(r.Rand, r.plan.Prefix)
	if err != nil {
		return err
	}
	value, err := r.plan.EncodeValue(id)
	if err != nil {
		return fmt.Errorf("encoding a new value: %w", err)
	}
	err = r.Secrets.PutVersion(ctx, r.plan.SecretARN, r.token, value, grant.StagePending)
	if errors.Is(err, grant.ErrConflict) { // somebody stored one under this token meanwhile
		if made, err = r.version(ctx, r.token); err == nil {
			return r.usable(made, now)
		}
	}
	if err != nil {
		return fmt.Errorf("storing version %s: %w", r.token, err)
	}
	return nil
}

// mayStart says whether a rotation with this token may begin, given the current version.
func (r *rotation) mayStart(s grant.Secret, currentID string, current version) error {
	switch {
	case (r.purpose == grant.Birth || r.purpose == grant.Restore) && unborn(current):
		return nil // a restore, too: the grant may have been revoked before it was born
	case r.purpose == grant.Birth && current.err == nil:
		return fmt.Errorf("the grant has its first external ID already: %w", grant.ErrBadToken)
	case errors.Is(current.err, grant.ErrNotFound) && r.plan.Adopted:
		return fmt.Errorf("the role's own external ID was not handed over yet: %w", grant.ErrNotAdopted)
	case errors.Is(current.err, grant.ErrNotFound):
		return fmt.Errorf("the grant has no first external ID yet: %w", grant.ErrNotConfigured)
	case current.err != nil:
		return current.err
	}
	until := current.created.Add(r.plan.OverlapOf(currentID))
	if confirmed := grant.ConfirmationOf(s.Tags); confirmed.Of(currentID) && confirmed.RetireAt.Before(until) {
		until = confirmed.RetireAt // setSecret sees whether the trust policy follows
	}
	// An adopted ID came after none of ours: setSecret sees what the trust policy accepts besides.
	if r.plan.OverlapOf(r.token) > 0 && s.At(grant.StagePrevious) != "" && !grant.IsAdopted(currentID) && r.Now().Before(until) {
		return fmt.Errorf("until about %s: %w", until.UTC().Format(time.RFC3339), grant.ErrOverlapOpen)
	}
	return nil
}

// handover is how long a rotation waits for an external ID that the provider has issued: whoever starts it stores it next.
const (
	handover = time.Minute
	lookFor  = 2 * time.Second
)

// issued waits for the external ID that an operator hands over.
func (r *rotation) issued(ctx context.Context) (version, error) {
	for end := r.Now().Add(handover); ; {
		made, err := r.version(ctx, r.token)
		switch {
		case err == nil || !errors.Is(err, grant.ErrNotFound):
			return made, err
		case r.Now().After(end):
			return version{}, grant.ErrNotIssued
		}
		if err := r.Wait(ctx, lookFor); err != nil {
			return version{}, fmt.Errorf("waiting for the provider's external ID: %w", err)
		}
	}
}

// confirmed refuses, before anything is stored, a rotation with an overlap while the previous ID is accepted until somebody
// confirms. A revoked grant's rotations run through.
func (r *rotation) confirmed(ctx context.Context, s grant.Secret) error {
	if s.At(grant.StagePrevious) == "" || r.plan.OverlapOf(r.token) == 0 || !r.plan.MayExtend() {
		return nil
	}
	doc, _, err := r.gate.Read(ctx, r.plan)
	if err != nil || doc.Closed() {
		return err
	}
	return r.overlapOver(ctx, doc)
}

// overlapOver refuses a rotation with an overlap while a trust policy still accepts a previous ID: there would be three.
func (r *rotation) overlapOver(ctx context.Context, doc *trust.Document) error {
	if r.plan.OverlapOf(r.token) == 0 {
		return nil
	}
	until, open := gate.Overlapping(doc, r.Now())
	switch {
	case !open:
		return r.waits(ctx, doc)
	case until.IsZero() && grant.ConfirmationOf(r.tags()).Of(r.secret.At(grant.StageCurrent)):
		return fmt.Errorf("the trust policy doesn't show yet that the current version is confirmed: %w", grant.ErrNotYetVisible)
	case until.IsZero():
		return grant.ErrUnconfirmed
	}
	return fmt.Errorf("until %s: %w", until.UTC().Format(time.RFC3339), grant.ErrOverlapOpen)
}

// waits refuses where a trust policy accepts the previous ID, that is to stay until somebody confirms, as if it were a current
// one: an older document was put back.
func (r *rotation) waits(ctx context.Context, doc *trust.Document) error {
	current, previous := r.secret.At(grant.StageCurrent), r.secret.At(grant.StagePrevious)
	c := grant.ConfirmationOf(r.tags())
	if previous == "" || previous == r.token || c.Of(current) || !r.plan.Extended(current, r.tags()) {
		return nil
	}
	v, err := r.version(ctx, previous)
	switch {
	case errors.Is(err, grant.ErrNotFound):
		return nil
	case err != nil:
		return err
	case v.err == nil && v.id.AcceptedBy(doc):
		return grant.ErrUnconfirmed
	}
	return nil
}

// unborn says whether the current version holds no external ID for the plan's role yet.
func unborn(current version) bool {
	return errors.Is(current.err, grant.ErrNotFound) || errors.Is(current.err, grant.ErrOtherRole)
}

// usable says whether a value that lies under the token already may become an ID.
func (r *rotation) usable(made, current version) error {
	switch {
	case made.err != nil:
		return fmt.Errorf("version %s: %w: %w", r.token, grant.ErrForeignValue, made.err)
	case !r.plan.Makes(made.id):
		return fmt.Errorf("version %s has another prefix than the plan's: %w", r.token, grant.ErrForeignValue)
	case made.id == current.id:
		return fmt.Errorf("version %s holds the current external ID again: %w", r.token, grant.ErrForeignValue)
	case made.created.Truncate(time.Second).Before(current.created.Truncate(time.Second)):
		return fmt.Errorf("version %s is older than the current one: %w", r.token, grant.ErrBackwards)
	}
	return nil
}

// set lets the new ID in beside the current one.
func (r *rotation) set(ctx context.Context) error {
	if err := r.jitter(ctx); err != nil {
		return err
	}
	s, err := r.describe(ctx)
	if err != nil {
		return err
	}
	currentID := s.At(grant.StageCurrent)
	switch {
	case currentID == r.token:
		return nil
	case s.At(grant.StagePending) != r.token:
		return fmt.Errorf("the version is not pending: %w", grant.ErrBadToken)
	}
	current, err := r.version(ctx, currentID)
	if err != nil {
		return err
	}
	if err := r.released(ctx); err != nil {
		return err
	}
	made, err := r.version(ctx, r.token)
	if errors.Is(err, grant.ErrNotFound) {
		return fmt.Errorf("the version has no value, createSecret comes first: %w", err)
	}
	if err != nil {
		return err
	}
	if err := r.usable(made, current); err != nil {
		return err
	}
	doc, _, err := r.gate.Read(ctx, r.plan)
	if err != nil {
		return err
	}
	if doc.Born() || r.purpose == grant.Birth {
		closed, err := r.closedBeside(ctx, doc)
		switch {
		case err != nil:
			return err
		case closed && r.purpose == grant.Birth:
			return grant.ErrClosed
		case closed && !doc.Closed():
			r.log.WarnContext(ctx, "closed grant with the birth document: left for reconcile")
			return nil
		}
	}
	switch closed, err := r.closed(doc); {
	case err != nil:
		return err
	case closed && !r.plan.Adopted:
		r.log.InfoContext(ctx, "closed grant: the trust policy stays as it is")
		return nil
	}
	var retired []grant.ID
	if r.plan.Adopted { // a created role's document is the plan's anyway
		strays, err := gate.Strays(ctx, r.Secrets, r.plan, doc, current.id, made.id)
		if err != nil {
			return err
		}
		for _, s := range strays {
			retired = append(retired, s.ID)
		}
		if doc.Closed() && current.err == nil && !current.id.AcceptedBy(doc) && len(retired) > 0 {
			// Its owner put an older document back while it is revoked: the new ID goes in beside that one of ours, under the Deny.
			// Who restores takes the older one out before anybody enters.
			current.id, retired = retired[0], retired[1:]
		}
	}
	t, err := r.opening(doc, current, made, retired)
	if err != nil {
		return err
	}
	if !doc.Born() {
		if err := r.overlapOver(ctx, doc); err != nil {
			return err
		}
	}
	return r.replace(ctx, doc, t)
}

// opening is the trust policy that accepts the new ID too, or why there is none.
func (r *rotation) opening(doc *trust.Document, current, made version, retired []grant.ID) (trust.Plan, error) {
	if r.purpose == grant.Birth && current.err == nil {
		return trust.Plan{}, fmt.Errorf("the grant has its first external ID already: %w", grant.ErrBadToken)
	}
	if r.purpose == grant.Birth || r.purpose == grant.Restore && unborn(current) {
		return r.only(doc, made)
	}
	if current.err != nil {
		return trust.Plan{}, current.err
	}
	if !doc.Closed() {
		if doc.Born() {
			return trust.Plan{}, fmt.Errorf("the birth document was put back: %w", grant.ErrDrift)
		}
		if !current.id.AcceptedBy(doc) {
			return trust.Plan{}, fmt.Errorf("the current external ID is not in the trust policy: %w", grant.ErrDrift)
		}
	}
	if _, leaving := current.id.DeadlineIn(doc); leaving {
		return trust.Plan{}, fmt.Errorf("the current external ID has a deadline in the trust policy: %w", grant.ErrBackwards)
	}
	return r.plan.TrustWith(grant.IDs{Current: current.id, Pending: made.id, Retired: retired}), nil
}

// only is the trust policy of a grant that has no ID but the new one. That is what the labels say, which others may move: the
// trust policy itself must let nobody in yet, or be that already.
func (r *rotation) only(doc *trust.Document, made version) (trust.Plan, error) {
	t := r.plan.TrustWith(grant.IDs{Current: made.id})
	if doc.Born() || doc.Closed() {
		return t, nil
	}
	if _, diff, err := trust.Apply(doc, t); err != nil || !diff.Empty() {
		return trust.Plan{}, fmt.Errorf("the labels say that the grant has no external ID yet, but its trust policy accepts one: %w", grant.ErrBackwards)
	}
	return t, nil
}

// replace writes the trust policy. What was found beside the plan is reconcile's to announce.
func (r *rotation) replace(ctx context.Context, doc *trust.Document, t trust.Plan) error {
	diff, err := r.gate.Replace(ctx, r.plan, doc, t)
	if len(diff.Drift) > 0 {
		r.log.WarnContext(ctx, "trust policy drifted", "findings", diff.Drift)
	}
	return err
}

// jitter waits a random moment before a rotation that AWS's schedule started: IAM's budget of writes is small.
func (r *rotation) jitter(ctx context.Context) error {
	if !grant.BySchedule(r.token) || r.spread {
		return nil
	}
	r.spread = true
	var b [2]byte
	if _, err := io.ReadFull(r.Rand, b[:]); err != nil {
		return fmt.Errorf("reading randomness: %w", err)
	}
	return r.Wait(ctx, r.Spread*time.Duration(binary.BigEndian.Uint16(b[:]))>>16)
}
