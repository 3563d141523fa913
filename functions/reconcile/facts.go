package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// facts are what one look at a grant tells.
type facts struct {
	plan    grant.Plan
	now     time.Time
	doc     *trust.Document
	docErr  error // the document can't be read: trust.ErrRefused
	denyErr error // closed grants only: the Deny can't be read
	closure grant.Closure
	// released: an adopted role was given back, and its trust policy is its owner's again.
	released bool
	tags     map[string]string
	tagsErr  error // closed grants only
	secret   grant.Secret

	ends map[grant.ID]gate.End // that a write of this very invocation gave a previous ID

	current, previous, pending version
	strays                     []gate.Stray
}

// version is a labelled version of the secret. err is of decoding its value.
type version struct {
	versionID string
	created   time.Time
	id        grant.ID
	err       error
}

// stranger says whether the trust policy doesn't know the current ID: then it matters whom else it accepts.
func (f facts) stranger() bool {
	return f.current.err == nil && !f.doc.Born() && !f.current.id.AcceptedBy(f.doc)
}

// cameBack says whether the current ID is another role's, and this role's own is the one before, which its trust policy accepts.
func (f facts) cameBack() bool {
	return f.doc != nil && errors.Is(f.current.err, grant.ErrOtherRole) && f.previous.err == nil && undated(f.previous.id, f.doc)
}

// gather looks. The order matters: what closes is read behind the trust policy, and the labels behind what closes.
func (h *Handler) gather(ctx context.Context, g gate.Gate, p grant.Plan) (facts, error) {
	f := facts{plan: p, now: h.Now()}
	doc, role, err := g.Read(ctx, p)
	switch {
	case errors.Is(err, trust.ErrRefused):
		f.docErr = err
	case err != nil:
		return facts{}, err
	default:
		f.doc = doc
	}
	inline, denyErr := h.Roles.InlinePolicy(ctx, p.RoleName(), grant.RevocationPolicy)
	if errors.Is(denyErr, grant.ErrNotFound) {
		inline, denyErr = nil, nil
	}
	f.denyErr = denyErr
	if p.NoExternalID {
		f.tags = role.Tags
	} else if f.secret, f.tagsErr = h.Secrets.Describe(ctx, p.SecretARN); f.tagsErr == nil {
		f.tags = f.secret.Tags
	}
	f.closure = grant.ClosureOf(inline, f.doc, f.tags)
	if f.released = p.Adopted && grant.ReadRevocation(inline).Released; f.released {
		return f, nil
	}
	to := f.closure.RestoreTo
	if f.closure.Closed() && (f.tagsErr != nil || to == "" || f.secret.At(grant.StageCurrent) != to && f.secret.At(grant.StagePrevious) != to) {
		return f, nil // the IDs don't matter
	}
	if denyErr != nil { // it may be closed: nothing is opened on a guess
		return facts{}, fmt.Errorf("reading revocation of %s: %w", p.Grant, denyErr)
	}
	if f.tagsErr != nil {
		return facts{}, fmt.Errorf("describing secret of %s: %w", p.Grant, f.tagsErr)
	}
	if p.NoExternalID {
		return f, nil
	}
	for _, v := range []struct {
		stage string
		into  *version
	}{{grant.StageCurrent, &f.current}, {grant.StagePrevious, &f.previous}, {grant.StagePending, &f.pending}} {
		v.into.versionID = f.secret.At(v.stage)
		if v.into.versionID == "" || v.stage != grant.StageCurrent && v.into.versionID == f.current.versionID {
			*v.into = version{err: grant.ErrNotFound}
			continue
		}
		got, err := h.Secrets.Version(ctx, p.SecretARN, v.into.versionID)
		switch {
		case errors.Is(err, grant.ErrNotFound):
			v.into.err = grant.ErrNotFound
		case err != nil:
			return facts{}, fmt.Errorf("reading version %s: %w", v.into.versionID, err)
		default:
			v.into.created = got.Created
			v.into.id, v.into.err = p.DecodeVersion(got)
		}
	}
	if f.doc != nil && (p.Adopted || f.stranger()) {
		if f.strays, err = gate.Strays(ctx, h.Secrets, p, f.doc, f.current.id, f.previous.id, f.pending.id); err != nil {
			return facts{}, err
		}
	}
	return f, nil
}
