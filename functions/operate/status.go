package operate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// seen is what one look at a grant tells. doc is nil where it can't be read.
type seen struct {
	plan    grant.Plan
	doc     *trust.Document
	role    grant.Role
	secret  grant.Secret
	closure grant.Closure
}

// look reads plan, role, Deny and secret. It returns what it has with the first error.
func (h *Handler) look(ctx context.Context, name grant.Name) (s seen, err error) {
	if s.plan, err = h.Plans.Plan(ctx, name); err != nil {
		return s, fmt.Errorf("reading plan of %s: %w", name, err)
	}
	var failed []error
	role := s.plan.RoleName()
	if s.role, err = h.Roles.Role(ctx, role); err != nil {
		failed = append(failed, fmt.Errorf("reading trust of %s: %w", role, err))
	} else if s.doc, err = trust.Parse(s.role.Trust); err != nil {
		failed = append(failed, fmt.Errorf("parsing trust of %s: %w", role, err))
	}
	inline, err := h.Roles.InlinePolicy(ctx, role, grant.RevocationPolicy)
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		failed = append(failed, fmt.Errorf("reading revocation of %s: %w", name, err))
	}
	tags := s.role.Tags
	if !s.plan.NoExternalID {
		if s.secret, err = h.Secrets.Describe(ctx, s.plan.SecretARN); err != nil {
			failed = append(failed, fmt.Errorf("describing secret of %s: %w", name, err))
		}
		tags = s.secret.Tags
	}
	s.closure = grant.ClosureOf(inline, s.doc, tags)
	return s, errors.Join(failed...)
}

// Status tells how a grant stands now. What can't be read is missing from it, and Fault says why.
func (h *Handler) Status(ctx context.Context, name grant.Name) api.Status {
	s, err := h.look(ctx, name)
	now, p := h.Now(), s.plan
	status := api.Status{
		Grant: string(name), Provider: p.Provider, ProviderAccount: p.ProviderAccount, Account: p.Account, Region: p.Region,
		RoleARN: p.RoleARN, SecretARN: p.SecretARN, RotateEvery: p.RotateEvery, Expires: p.Expires, CheckedAt: now.UTC(),
		VersionID:   s.secret.At(grant.StageCurrent),
		LastRotated: s.secret.LastRotated, NextRotation: s.secret.NextRotation, LastUsed: s.role.LastUsed,
		PausedUntil: grant.PausedUntil(s.secret.Tags, now),
	}
	if !p.NoExternalID && p.Grant != "" {
		status.Confirmation = confirmation(s)
	}
	if err != nil {
		status.Fault = strings.ReplaceAll(err.Error(), "\n", "; ")
		h.Log.ErrorContext(ctx, "grant not wholly read", "grant", string(name), "reason", status.Fault)
	}
	if s.secret.Deleted {
		status.Fault = "the secret is deleted: no rotation succeeds until somebody restores it (aws secretsmanager restore-secret --secret-id " + p.SecretARN + ")"
	}
	status.State = state(s, err, now)
	if s.closure.Closed() {
		status.RevokeID, status.Missing, status.RestoreTo = s.closure.RevokeID, s.closure.Missing(), s.closure.RestoreTo
		status.Undone = s.closure.Undone
	}
	status.DeadBefore = s.closure.DeadBefore
	if s.doc == nil {
		return status
	}
	if status.State == api.Open {
		status.Accepted = accepted(s.doc, s.plan, now)
	}
	status.Drift = drift(s)
	return status
}

// confirmation says what was confirmed last, and what becomes of the previous external ID if nothing more is.
func confirmation(s seen) *api.Confirmation {
	c := grant.ConfirmationOf(s.secret.Tags)
	o := s.plan.Outlook(s.secret.At(grant.StagePrevious), c)
	out := &api.Confirmation{VersionID: c.VersionID, RetireAt: c.RetireAt, By: string(c.By), WhenUnconfirmed: string(s.plan.WhenUnconfirmed)}
	if s.secret.At(grant.StagePrevious) != "" && !c.Of(s.secret.At(grant.StageCurrent)) && s.plan.OverlapOf(s.secret.At(grant.StageCurrent)) > 0 {
		out.Extended, out.Why = s.plan.Extended(s.secret.At(grant.StageCurrent), s.secret.Tags), o.Why
	}
	return out
}

// state is empty where it isn't known: a mark of a closed grant that can't be read may stand.
func state(s seen, unread error, now time.Time) api.State {
	switch {
	case s.closure.Closed():
		return api.Closed
	case unread != nil:
		return ""
	case !s.plan.Expires.IsZero() && !now.Before(s.plan.Expires):
		return api.Expired
	case s.doc.Born():
		return api.Born
	}
	return api.Open
}

// accepted are the external IDs that get in now, by fingerprint: those without a deadline first. The end of the grant isn't
// repeated for each. What an adopted role accepts from others is theirs to know.
func accepted(doc *trust.Document, p grant.Plan, now time.Time) []api.ID {
	if p.Adopted || p.NoExternalID {
		return nil
	}
	var steady, ending []api.ID
	for _, a := range doc.Accepted() {
		until, previous := doc.Deadline(a.ID)
		switch {
		case !previous:
			steady = append(steady, api.ID{Fingerprint: trust.Fingerprint(a.ID)})
		case gate.OwnEnd(doc, until).IsZero() && p.MayExtend():
			ending = append(ending, api.ID{Fingerprint: trust.Fingerprint(a.ID), Unconfirmed: true})
		case until.IsZero() || now.Before(until):
			ending = append(ending, api.ID{Fingerprint: trust.Fingerprint(a.ID), Until: until})
		}
	}
	return append(steady, ending...)
}

// drift is what in the trust policy isn't as the plan asks, whatever the IDs are.
func drift(s seen) []string {
	if s.doc.Born() || s.plan.Adopted {
		return nil
	}
	standing := gate.Standing(s.doc, s.plan, grant.ID{})
	if standing.Current == "" && !s.plan.NoExternalID {
		if s.doc.Closed() {
			return nil
		}
		return []string{"the trust policy accepts no external ID"}
	}
	_, diff, err := trust.Apply(s.doc, standing)
	if err != nil {
		return []string{err.Error()}
	}
	if len(diff.Drift) == 0 {
		return diff.Lines
	}
	return diff.Drift
}
