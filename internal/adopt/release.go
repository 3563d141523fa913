package adopt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// Giver writes roles that are given back.
type Giver interface {
	gate.Roles
	Reader
	Writer
	// DeleteInlinePolicy is grant.ErrNotFound where the role has none of that name.
	DeleteInlinePolicy(ctx context.Context, roleName, policyName string) error
	UntagRole(ctx context.Context, roleName string, keys ...string) error
}

// Labels moves staging labels and tags secrets.
type Labels interface {
	Secrets
	MoveStage(ctx context.Context, secretARN, stage, toVersion, fromVersion string) error
	Tag(ctx context.Context, secretARN string, tags map[string]string) error
}

// Release gives roles back.
type Release struct {
	Roles    Giver
	Secrets  Labels
	Now      func() time.Time
	Wait     func(ctx context.Context, d time.Duration) error
	Log      *slog.Logger
	Patience time.Duration // how long a rotation that is under way may take to end
}

// Terms are what a person decides.
type Terms struct {
	Open        bool // a revoked role opens again, with the ID that it has
	EndPrevious bool // the ID before the current one ends now, although somebody may use it
}

// Released is what a role is given back as.
type Released struct {
	ExternalID grant.ID `json:"externalId,omitzero"` // prints its fingerprint; none where it was never handed over, or its owner wrote another
	Closed     bool     `json:"closed"`              // it was revoked, and stays so
	Changes    []string `json:"changes"`             // of the trust policy
	Done       []string `json:"done"`
}

// The reasons for which a role isn't given back as it is.
var (
	ErrPrevious = errors.New("the external ID before the current one is still accepted")
	ErrNotOurs  = errors.New("the role is Countersign's own")
)

// State is what a release finds.
type State struct {
	Live
	Closed   bool
	RevokeID string
	Current  grant.ID  // zero: none was handed over
	Until    time.Time // of the previous ID, where it is accepted; zero with Previous: until somebody confirms
	Previous bool

	secret grant.Secret
	plan   grant.Plan
	over   []grant.ID // IDs of ours that have no place in what is given back
}

// Look reads what is to be given back.
func (r Release) Look(ctx context.Context, p grant.Plan) (State, error) {
	if !p.Adopted {
		return State{}, fmt.Errorf("grant %s: %w", p.Grant, ErrNotOurs)
	}
	l, err := Look(ctx, r.Roles, p.RoleARN)
	if err != nil {
		return State{}, err
	}
	s := State{Live: l, plan: p}
	if s.secret, err = r.Secrets.Describe(ctx, p.SecretARN); err != nil {
		return State{}, fmt.Errorf("describing the secret of %s: %w", p.Grant, err)
	}
	c := grant.ClosureOf(l.Inline[grant.RevocationPolicy], l.Trust, s.secret.Tags)
	s.Closed, s.RevokeID = c.Closed() || l.Closure().Closed(), c.RevokeID
	hand := Hand{Secrets: r.Secrets}
	for _, stage := range []string{grant.StageCurrent, grant.StagePrevious, grant.StagePending} {
		version := s.secret.At(stage)
		if version == "" {
			continue
		}
		id, err := hand.id(ctx, p, version)
		switch {
		case errors.Is(err, grant.ErrNotFound) || errors.Is(err, grant.ErrOtherRole):
			continue
		case err != nil:
			return State{}, err
		case stage == grant.StageCurrent:
			s.Current = id
		case id != s.Current && !slices.Contains(s.over, id):
			s.over = append(s.over, id)
			if id.AcceptedBy(l.Trust) && stage == grant.StagePrevious {
				s.Until, _ = gate.PreviousIn(l.Trust, id)
				s.Previous = s.Until.IsZero() || s.Until.After(r.Now())
			}
		}
	}
	strays, err := gate.Strays(ctx, r.Secrets, p, l.Trust, append(slices.Clone(s.over), s.Current)...)
	if err != nil {
		return State{}, err
	}
	for _, stray := range strays {
		s.over = append(s.over, stray.ID)
	}
	return s, nil
}

// want is the trust policy that the owner gets.
func (s State) want(open bool) trust.Plan {
	t := s.plan.TrustWith(grant.IDs{Current: s.Current, Retired: s.over})
	if open {
		t.Gate = trust.Open
	}
	return t
}

// Preview is what would change in the trust policy.
func (s State) Preview(terms Terms) ([]string, error) {
	if s.Current.IsZero() || s.Closed && !terms.Open {
		return nil, nil
	}
	_, diff, err := trust.Apply(s.Trust, s.want(terms.Open))
	if err != nil {
		return nil, fmt.Errorf("changing trust of %s: %w", s.Name, err)
	}
	return diff.Lines, nil
}

// looks is how often a role is looked at again because something of ours changed it meanwhile.
const looks = 4

// Do gives the role back. First it is marked as given back, from which on the functions leave it alone, or, where it stays
// closed, the Deny gets a place that outlives the grant. Killed anywhere, or done twice at once, the same again ends well.
func (r Release) Do(ctx context.Context, p grant.Plan, terms Terms) (Released, error) {
	s, err := r.Look(ctx, p)
	if err != nil {
		return Released{}, err
	}
	out := Released{ExternalID: s.Current, Closed: s.Closed && !terms.Open}
	switch {
	case out.Closed:
		return out, r.keepClosed(ctx, s, &out)
	case s.Previous && !terms.EndPrevious && !s.Released():
		return out, ErrPrevious
	}
	if s.Closed {
		if err := r.undo(ctx, s, &out); err != nil {
			return out, err
		}
	}
	if !s.Released() {
		if err := r.Roles.PutInlinePolicy(ctx, s.Name, grant.RevocationPolicy, []byte(grant.ReleasedRevocation)); err != nil {
			return out, fmt.Errorf("marking %s as given back: %w", s.Name, err)
		}
		out.Done = append(out.Done, "mark")
	}
	if err := r.drain(ctx, p, &out); err != nil {
		return out, err
	}
	switch theirs := s.Released() && !s.Current.AcceptedBy(s.Trust); {
	case theirs: // once it is the owner's, the owner may have written another ID
		out.ExternalID = grant.ID{}
	case !s.Current.IsZero():
		if err := r.settle(ctx, p, s.Closed, &out); err != nil {
			return out, err
		}
	}
	if _, kept := s.Inline[grant.KeptClosedPolicy]; kept {
		err := r.Roles.DeleteInlinePolicy(ctx, s.Name, grant.KeptClosedPolicy)
		if err != nil && !errors.Is(err, grant.ErrNotFound) {
			return out, fmt.Errorf("lifting the Deny on %s: %w", s.Name, err)
		}
		out.Done = append(out.Done, "deny")
	}
	return out, r.untag(ctx, s, &out)
}

// keepClosed gives the Deny a policy of its own, for the template's goes with the grant, and sees that the trust policy is
// closed.
func (r Release) keepClosed(ctx context.Context, s State, out *Released) error {
	if !grant.ReadRevocation(s.Inline[grant.KeptClosedPolicy]).Denies {
		if err := r.Roles.PutInlinePolicy(ctx, s.Name, grant.KeptClosedPolicy, []byte(grant.DenyRevocation)); err != nil {
			return fmt.Errorf("keeping %s closed: %w", s.Name, err)
		}
		out.Done = append(out.Done, "deny")
	}
	g := gate.Gate{Roles: r.Roles, Now: r.Now, Wait: r.Wait, Log: r.Log}
	diff, err := g.Close(ctx, s.Name, s.plan.Trust())
	if err != nil {
		return err
	}
	if out.Changes = diff.Lines; !diff.Empty() {
		out.Done = append(out.Done, "trust")
	}
	return r.untag(ctx, s, out)
}

// undo notes that the revocation is undone, so that a later adoption of the role doesn't find it revoked.
func (r Release) undo(ctx context.Context, s State, out *Released) error {
	id := s.secret.Tags[grant.TagRevoked]
	if id == "" || id == s.secret.Tags[grant.TagRestored] {
		return nil
	}
	if err := r.Secrets.Tag(ctx, s.plan.SecretARN, map[string]string{grant.TagRestored: id}); err != nil {
		return fmt.Errorf("noting that %s is undone: %w", id, err)
	}
	out.Done = append(out.Done, "note")
	return nil
}

// drain waits until no rotation is under way. Its steps find the mark and give up; one that is stuck is given up here.
func (r Release) drain(ctx context.Context, p grant.Plan, out *Released) error {
	for end := r.Now().Add(r.Patience); ; {
		secret, err := r.Secrets.Describe(ctx, p.SecretARN)
		if err != nil {
			return fmt.Errorf("describing the secret of %s: %w", p.Grant, err)
		}
		pending := secret.At(grant.StagePending)
		if pending == "" || pending == secret.At(grant.StageCurrent) {
			return nil
		}
		if !r.Now().Before(end) {
			if err := r.Secrets.MoveStage(ctx, p.SecretARN, grant.StagePending, "", pending); err != nil {
				return fmt.Errorf("clearing the pending label of version %s: %w", pending, err)
			}
			out.Done = append(out.Done, "pending")
			return nil
		}
		if err := r.Wait(ctx, 2*time.Second); err != nil {
			return err
		}
	}
}

// settle brings the trust policy to the current ID alone, and looks again until nothing of ours has come between.
func (r Release) settle(ctx context.Context, p grant.Plan, open bool, out *Released) error {
	g := gate.Gate{Roles: r.Roles, Now: r.Now, Wait: r.Wait, Log: r.Log, Patience: 2 * time.Minute}
	for range looks {
		s, err := r.Look(ctx, p)
		if err != nil {
			return err
		}
		out.ExternalID = s.Current
		diff, err := g.Replace(ctx, p, s.Trust, s.want(open))
		switch {
		case errors.Is(err, grant.ErrConflict):
			continue
		case err != nil:
			return err
		case diff.Empty():
			return nil
		}
		out.Changes = append(out.Changes, diff.Lines...)
		if !slices.Contains(out.Done, "trust") {
			out.Done = append(out.Done, "trust")
		}
	}
	return fmt.Errorf("the trust policy of %s keeps changing: %w", p.RoleName(), grant.ErrConflict)
}

// untag takes Countersign's tags off the role.
func (r Release) untag(ctx context.Context, s State, out *Released) error {
	var keys []string
	for key := range s.Tags {
		if strings.HasPrefix(key, grant.TagPrefix) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	slices.Sort(keys)
	if err := r.Roles.UntagRole(ctx, s.Name, keys...); err != nil {
		return fmt.Errorf("taking tags off %s: %w", s.Name, err)
	}
	out.Done = append(out.Done, "tags")
	return nil
}
