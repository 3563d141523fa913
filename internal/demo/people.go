package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
	"github.com/countersign/countersign/internal/trust"
)

// Who tries to enter.
const (
	hestio   = simtest.Provider
	intern   = "arn:aws:iam::111122223333:role/Interns-max" // of Hestio's account, and no engineer
	stranger = simtest.Stranger
	wrongID  = "hestio-00000000000000000000000000000000"
)

// attempt is what became of somebody's try: the verdict of the trust policy, or of a session's call.
type attempt struct {
	label   string
	allowed bool
	why     string
}

// String is the mark and whose it is. It is never broken into two lines.
func (a attempt) String() string {
	mark := "✗ "
	if a.allowed {
		mark = "✓ "
	}
	return together(mark + a.label)
}

// because is String with the reason.
func (a attempt) because() string { return a.String() + " (" + together(a.why) + ")" }

// in asks the trust policy about somebody who must get in.
func (y *Year) in(label, who, id string) attempt { return y.enters(label, who, id, "session", true) }

// out asks the trust policy about somebody who must stay out.
func (y *Year) out(label, who, id string) attempt { return y.enters(label, who, id, "session", false) }

// confirms asks whether an ID opens a session in which Hestio can confirm the current version.
func (y *Year) confirms(label, id string, want bool) attempt {
	return y.enters(label, hestio, id, grant.ConfirmSession(strings.Repeat("0", 32)), want)
}

func (y *Year) enters(label, who, id, session string, want bool) attempt {
	v := y.World.STS.Verdict(who, y.plan.RoleARN, id, session, sim.Assume{})
	what := "stays out"
	if want {
		what = "gets in"
	}
	full := who[strings.LastIndexByte(who, '/')+1:] + " with " + idName(id) + " " + what
	y.check(full, v.Effect == trust.Allow == want && v.Effect != trust.Unknown, strings.Join(v.Why, "; "))
	return attempt{label, v.Effect == trust.Allow, short(v)}
}

func idName(id string) string {
	switch id {
	case "":
		return "no ID"
	case wrongID:
		return "a wrong ID"
	}
	return trust.Fingerprint(id)
}

// does lets a session make a call that must work, or must not.
func (y *Year) does(ctx context.Context, label string, s *sim.Session, action, resource string, want bool) attempt {
	if s == nil {
		y.check(action+" in a session", false, "there is no session")
		return attempt{label: label, why: "no session"}
	}
	err := s.Do(sim.AsPrincipal(ctx, "hestio", s.ARN), action, resource)
	got, why := "allowed", ""
	if err != nil {
		got, why = err.Error(), shortRefusal(err)
	}
	y.check(fmt.Sprintf("%s in %s's session: %t", action, s.Name, want), (err == nil) == want && (err == nil || errors.Is(err, grant.ErrDenied)), got)
	return attempt{label, err == nil, why}
}

const bucket, instance = "arn:aws:s3:::acme-data", "arn:aws:ec2:eu-central-1:" + simtest.Customer + ":instance/i-0123456789abcdef0"

// open makes Hestio enter with the ID that it holds, for so long.
func (y *Year) open(ctx context.Context, d time.Duration) (*sim.Session, error) {
	return y.World.STS.AssumeRole(sim.AsPrincipal(ctx, "hestio", hestio), hestio, y.plan.RoleARN, y.holds, "jdoe", sim.Assume{Duration: d})
}

// learn lets the audience, not Hestio, know the current ID.
func (y *Year) learn(ctx context.Context) error {
	_, id, err := y.World.Read(sim.As(ctx, "audience"), y.plan.Grant, grant.StageCurrent)
	if err != nil {
		return fmt.Errorf("reading the current external ID: %w", err)
	}
	if id != y.current() {
		y.ids = append(y.ids, id)
	}
	return nil
}

// pickUp lets Hestio have the current ID by another way than a session: from its own account, or from a person.
func (y *Year) pickUp(ctx context.Context) error {
	if err := y.learn(ctx); err != nil {
		return err
	}
	y.holds = y.current()
	return nil
}

// current is the ID that is current, as far as the audience knows; before the first one it is a wrong one.
func (y *Year) current() string { return y.idAt(1) }

// previous is the one before.
func (y *Year) previous() string { return y.idAt(2) }

func (y *Year) idAt(fromEnd int) string {
	if len(y.ids) < fromEnd {
		return wrongID
	}
	return y.ids[len(y.ids)-fromEnd]
}

// refresh is how often Hestio looks for another external ID.
const refresh = 6 * time.Hour

// pass lets time pass, in which Hestio follows every few hours.
func (y *Year) pass(ctx context.Context, until time.Time) error {
	for y.World.Now().Before(until) {
		y.World.Sleep(ctx, min(refresh, until.Sub(y.World.Now())))
		if err := y.follow(ctx); err != nil {
			return err
		}
	}
	return nil
}

// passUntil lets time pass by such steps until something has happened.
func (y *Year) passUntil(ctx context.Context, step, limit time.Duration, what string, happened func() bool) error {
	end := y.World.Now().Add(limit)
	for !happened() {
		if y.World.Now().After(end) {
			return fmt.Errorf("%s: not within %s", what, limit)
		}
		y.World.Sleep(ctx, step)
	}
	return nil
}

// nextRotation lets time pass until a scheduled rotation has run.
func (y *Year) nextRotation(ctx context.Context, limit time.Duration) error {
	before := y.promoted
	if err := y.passUntil(ctx, time.Minute, limit, "a scheduled rotation", func() bool { return y.promoted > before }); err != nil {
		return err
	}
	return y.learn(ctx)
}
