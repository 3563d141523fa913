// Package gate is the one writer of a role's trust policy.
//
// Every change is: read, work out, write (a throttled write compares first whether the document is still the one that was
// read), read back until IAM says what was written, and evaluate that the right ones get
// in and nobody else. It trusts what package trust decides and never edits a document by itself. It never opens a closed
// role: that takes a plan whose gate says so. IAM has no compare-and-swap, so another writer can win; then the change is
// reported as a conflict, and level-triggered callers look again.
package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// Roles reads and writes trust policies. What was written may take a while until Role shows it; an error of SetTrust may
// mean that it worked (grant.ErrUnavailable). Writing the same document again changes nothing. grant.ErrThrottled should come
// without further tries: the gate's own ones look whether the document is still the same.
type Roles interface {
	Role(ctx context.Context, roleName string) (grant.Role, error)
	SetTrust(ctx context.Context, roleName string, document []byte) error
}

// Gate changes trust policies.
type Gate struct {
	Roles Roles
	Now   func() time.Time
	Wait  func(ctx context.Context, d time.Duration) error
	Log   *slog.Logger

	// Patience is how long writing, and reading back, may take. Zero: as long as the context leaves, less Margin.
	Patience time.Duration
}

const (
	// Margin is what reading back leaves of the caller's time: enough to say that it should be tried again.
	Margin = 20 * time.Second
	// firstWait doubles with every further look, up to longestWait.
	firstWait   = 500 * time.Millisecond
	longestWait = 5 * time.Second
	// strangers is how often a document that is neither the one before nor the one written may come back until somebody
	// else is taken to have written it.
	strangers = 3
)

// Read gives the trust policy of the plan's role, and what else IAM tells of the role. A document that package trust can't
// read is trust.ErrRefused.
func (g Gate) Read(ctx context.Context, p grant.Plan) (*trust.Document, grant.Role, error) {
	role, err := g.Roles.Role(ctx, p.RoleName())
	if err != nil {
		return nil, grant.Role{}, fmt.Errorf("reading trust of %s: %w", p.RoleName(), err)
	}
	doc, err := trust.Parse(role.Trust)
	if err != nil {
		return nil, role, fmt.Errorf("parsing trust of %s: %w", p.RoleName(), err)
	}
	return doc, role, nil
}

// Change brings the role's trust policy to what t asks for. Where it is that already, nothing is written.
func (g Gate) Change(ctx context.Context, p grant.Plan, t trust.Plan) (trust.Diff, error) {
	before, _, err := g.Read(ctx, p)
	if err != nil {
		return trust.Diff{}, err
	}
	return g.Replace(ctx, p, before, t)
}

// Replace is Change for a caller that has read the document itself, just now, and decided by it.
//
// The errors that matter: trust.ErrRefused (nothing is written), grant.ErrNotYetVisible and grant.ErrConflict (written;
// try again, and find it done or overwritten).
func (g Gate) Replace(ctx context.Context, p grant.Plan, before *trust.Document, t trust.Plan) (trust.Diff, error) {
	role := p.RoleName()
	want, diff, err := trust.Apply(before, t)
	if err != nil {
		return trust.Diff{}, fmt.Errorf("changing trust of %s: %w", role, err)
	}
	if err := trust.Check(before, want, t, g.Now()); err != nil {
		return trust.Diff{}, fmt.Errorf("checking new trust of %s: %w", role, err)
	}
	if diff.Empty() {
		return diff, nil
	}
	if err := g.write(ctx, p, before, want); err != nil {
		return trust.Diff{}, fmt.Errorf("writing trust of %s: %w", role, err)
	}
	g.Log.InfoContext(ctx, "trust policy written", "grant", string(p.Grant), "role_arn", p.RoleARN, "changes", diff.Lines)
	after, err := g.readBack(ctx, p, before, want)
	if err != nil {
		return diff, fmt.Errorf("reading back trust of %s: %w", role, err)
	}
	if err := trust.Check(before, after, t, g.Now()); err != nil {
		return diff, fmt.Errorf("checking trust of %s: %w", role, err)
	}
	return diff, nil
}

// write writes what was worked out from before. Where IAM asks to slow down it waits, and compares once more before it tries
// again: nothing is written by an old read. A document that changed meanwhile is grant.ErrThrottled and grant.ErrConflict.
func (g Gate) write(ctx context.Context, p grant.Plan, before, want *trust.Document) error {
	began := g.Now()
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		err := g.Roles.SetTrust(ctx, p.RoleName(), want.Bytes())
		if !errors.Is(err, grant.ErrThrottled) || g.over(ctx, began, wait) || g.Wait(ctx, wait) != nil {
			return err
		}
		now, _, unread := g.Read(ctx, p)
		switch {
		case unread != nil:
			return errors.Join(err, unread)
		case !now.Equal(before):
			return errors.Join(err, grant.ErrConflict)
		}
	}
}

// over says whether the time is over if there is one more wait.
func (g Gate) over(ctx context.Context, began time.Time, wait time.Duration) bool {
	next := g.Now().Add(wait)
	deadline, ok := ctx.Deadline()
	return ok && next.After(deadline.Add(-Margin)) || g.Patience > 0 && next.After(began.Add(g.Patience))
}

// readBack looks until IAM shows the document that was written.
func (g Gate) readBack(ctx context.Context, p grant.Plan, before, want *trust.Document) (*trust.Document, error) {
	strange, began := 0, g.Now()
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		after, _, err := g.Read(ctx, p)
		switch {
		case err == nil && after.Equal(want):
			return after, nil
		case err == nil && after.Equal(before):
			strange = 0
		case err == nil, errors.Is(err, trust.ErrRefused):
			if strange++; strange == strangers {
				return nil, fmt.Errorf("somebody else wrote it too: %w", grant.ErrConflict)
			}
		case !passing(err):
			return nil, err
		}
		if g.over(ctx, began, wait) {
			return nil, grant.ErrNotYetVisible
		}
		if err := g.Wait(ctx, wait); err != nil {
			return nil, errors.Join(grant.ErrNotYetVisible, err)
		}
	}
}

// passing says whether a read is worth another try here: the write is done, and giving up would hide that.
func passing(err error) bool {
	return errors.Is(err, grant.ErrThrottled) || errors.Is(err, grant.ErrUnavailable)
}

// Close adds the Deny for everybody and doesn't wait until IAM shows it. t needs no IDs; its gate is taken as Close. A
// created role whose document can't even be read gets a new one that holds the Deny alone.
func (g Gate) Close(ctx context.Context, roleName string, t trust.Plan) (trust.Diff, error) {
	t.Gate = trust.Close
	role, err := g.Roles.Role(ctx, roleName)
	if err != nil {
		return trust.Diff{}, fmt.Errorf("reading trust of %s: %w", roleName, err)
	}
	before, err := trust.Parse(role.Trust)
	if err != nil {
		if t.Role != trust.Created {
			return trust.Diff{}, fmt.Errorf("parsing trust of %s: %w", roleName, err)
		}
		if before, err = trust.Parse([]byte(trust.BornDocument)); err != nil {
			return trust.Diff{}, fmt.Errorf("parsing the birth document: %w", err)
		}
	}
	closed, diff, err := trust.Apply(before, t)
	if err != nil {
		return trust.Diff{}, fmt.Errorf("closing trust of %s: %w", roleName, err)
	}
	if diff.Empty() {
		return diff, nil
	}
	if err := g.Roles.SetTrust(ctx, roleName, closed.Bytes()); err != nil {
		return trust.Diff{}, fmt.Errorf("writing trust of %s: %w", roleName, err)
	}
	return diff, nil
}
