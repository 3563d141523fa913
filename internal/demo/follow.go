package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
	"github.com/countersign/countersign/internal/trust"
)

// follow is what Hestio's backend does every few hours, in the session that it opens anyway: it reads the secret, and where that
// shows a version that it has not confirmed, it enters under the name that proves the new ID, keeps that, and confirms.
func (y *Year) follow(ctx context.Context) error {
	if err := y.learn(ctx); err != nil {
		return err
	}
	session, err := y.open(ctx, time.Hour)
	if err != nil {
		return fmt.Errorf("entering: %w", err)
	}
	theirs := sim.AsPrincipal(ctx, "hestio", session.ARN)
	_, v, err := y.World.Secrets.Get(theirs, sim.Caller{Session: session}, y.plan.SecretARN, "", "")
	switch {
	case err != nil:
		return fmt.Errorf("reading the secret in a session: %w", err)
	case !strings.Contains(string(v.Value), y.current()):
		return errors.New("a session reads another external ID than the current one")
	case v.ID == y.confirmed:
		return nil
	}
	proof, err := y.World.EnterTo(sim.AsPrincipal(ctx, "hestio", hestio), y.plan.Grant, v.ID, y.current())
	if err != nil {
		return fmt.Errorf("entering to confirm: %w", err)
	}
	y.holds = y.current()
	if _, err := y.World.Confirm(sim.AsPrincipal(ctx, "hestio", proof.ARN), proof, y.plan.Grant, v.ID, ""); err != nil {
		return fmt.Errorf("confirming: %w", err)
	}
	y.confirmed = v.ID
	return nil
}

// before is what the API says of the previous ID.
func (y *Year) before(ctx context.Context) (api.ID, error) {
	status, err := y.World.Status(ctx, y.plan.Grant)
	if err != nil {
		return api.ID{}, fmt.Errorf("asking for the grant's status: %w", err)
	}
	for _, id := range status.Accepted {
		if id.Fingerprint == trust.Fingerprint(y.previous()) {
			return id, nil
		}
	}
	return api.ID{}, errors.New("the status doesn't name the previous external ID")
}

// rotated is the first rotation on schedule. Hestio sleeps through it.
func (y *Year) rotated(ctx context.Context) error {
	if err := y.nextRotation(ctx, 32*24*time.Hour); err != nil {
		return err
	}
	id, err := y.before(ctx)
	if err != nil {
		return err
	}
	y.check("the previous ID stays until Hestio confirms", id.Unconfirmed && id.Until.IsZero(), id.Until.Format(time.RFC3339))
	y.say("%s until it confirms  %s", y.in("Hestio "+idName(y.holds), hestio, y.holds), y.in("new "+idName(y.current()), hestio, y.current()))
	return nil
}

// asleep is Hestio behind the overlap, having never heard of a rotation.
func (y *Year) asleep(ctx context.Context) error {
	y.World.Sleep(ctx, 36*time.Hour)
	y.check("people were reminded three times", y.announced(events.TypeRotationUnconfirmed) == 3, fmt.Sprintf("%d events", y.announced(events.TypeRotationUnconfirmed)))
	y.say("overlap over, Hestio asleep, not locked out: %s", y.in(idName(y.holds), hestio, y.holds))
	return nil
}

// waits is the next date of the schedule.
func (y *Year) waits(ctx context.Context) error {
	due, current := time.Date(2026, 3, 6, 12, 0, 0, 0, time.UTC), y.current()
	y.World.Sleep(ctx, due.Sub(y.World.Now()))
	if err := y.learn(ctx); err != nil {
		return err
	}
	y.check("the schedule tried, and people were told why it waits", y.announced(events.TypeRotationFailed) == 1, fmt.Sprintf("%d events", y.announced(events.TypeRotationFailed)))
	y.check("there is no third ID", y.current() == current, idName(y.current()))
	y.say("no third ID while unconfirmed: %s  %s", y.in(idName(y.holds), hestio, y.holds), y.in(idName(current), hestio, current))
	return nil
}

// woken is Hestio once somebody has read the mails.
func (y *Year) woken(ctx context.Context) error {
	y.World.Sleep(ctx, time.Date(2026, 3, 18, 9, 0, 0, 0, time.UTC).Sub(y.World.Now()))
	told, holding := 0, 0
	for _, l := range y.World.Letters() {
		if strings.Contains(l.Subject, "new external ID") {
			told++ // of the rotation, and three reminders to confirm it
		}
		if slices.ContainsFunc(y.ids, func(id string) bool { return strings.Contains(l.Subject+l.Text+l.HTML, id[len(id)-32:]) }) {
			holding++
		}
	}
	y.check("mails tell of the new ID, remind, and don't hold it", told == 4 && holding == 0, fmt.Sprintf("%d tell, %d hold it", told, holding))
	old := y.holds
	if err := y.follow(ctx); err != nil {
		return err
	}
	y.say("mailed without ID, read in a session: %s", y.in("Hestio "+idName(y.holds), hestio, y.holds))
	y.say("to confirm: %s  %s", y.confirms(idName(y.holds), y.holds, true), y.confirms(idName(old), old, false).because())
	return y.ends(ctx, old)
}

// ends waits for the end of an ID, once the one behind it is confirmed.
func (y *Year) ends(ctx context.Context, old string) error {
	start := y.World.Now()
	if err := y.passUntil(ctx, 5*time.Second, time.Hour, "the end of "+idName(old), func() bool { return !y.gets(hestio, old) }); err != nil {
		return err
	}
	after := y.World.Now().Sub(start)
	y.check("15 minutes later the ID before is out", after > grant.DefaultRetireIn-time.Minute && after < grant.DefaultRetireIn+time.Minute, after.String())
	y.say("confirmed: %s", y.out(idName(old), hestio, old).because())
	return nil
}

// confirmedEarly is a rotation that Hestio follows within hours.
func (y *Year) confirmedEarly(ctx context.Context) error {
	if err := y.pass(ctx, time.Date(2026, 4, 5, 0, 0, 0, 0, time.UTC)); err != nil {
		return err
	}
	if err := y.nextRotation(ctx, 24*time.Hour); err != nil {
		return err
	}
	id, err := y.before(ctx)
	if err != nil {
		return err
	}
	now := y.World.Now()
	y.check("the overlap is as planned", id.Until.Sub(now) > 23*time.Hour && id.Until.Sub(now) <= 24*time.Hour, id.Until.Format(time.RFC3339))
	y.say("%s until %s  %s", y.in("Hestio "+idName(y.holds), hestio, y.holds), when(id.Until), y.in("new "+idName(y.current()), hestio, y.current()))
	y.World.Sleep(ctx, 2*time.Hour)
	old := y.holds
	if err := y.follow(ctx); err != nil {
		return err
	}
	if err := y.ends(ctx, old); err != nil {
		return err
	}
	early := id.Until.Sub(y.World.Now())
	y.check("that is early", early > 20*time.Hour, early.String())
	y.say("%s before the deadline; %s", lasting(early), y.in("Hestio "+idName(y.holds), hestio, y.holds))
	return nil
}

// deadline passes while nothing of ours runs: Hestio follows, and its confirmation finds nobody.
func (y *Year) deadline(ctx context.Context) error {
	if err := y.nextRotation(ctx, 31*24*time.Hour); err != nil {
		return err
	}
	id, err := y.before(ctx)
	if err != nil {
		return err
	}
	y.offline = true
	defer func() { y.offline = false }()
	old := y.holds
	refused := (*simtest.Refused)(nil)
	switch err := y.follow(ctx); {
	case err == nil:
		return errors.New("a confirmation got through while nothing ran")
	case !errors.As(err, &refused) || y.holds == old:
		return fmt.Errorf("following: %w", err)
	}
	y.World.Sleep(ctx, id.Until.Add(-time.Second).Sub(y.World.Now()))
	y.in(idName(old), hestio, old)
	y.World.Sleep(ctx, id.Until.Sub(y.World.Now()))
	y.check("none of our functions got through to AWS meanwhile", y.refused > 0, fmt.Sprintf("%d calls refused", y.refused))
	y.say("%s: IAM's own clock, our functions were all off; %s", y.out(idName(old), hestio, old).because(), y.in(idName(y.holds), hestio, y.holds))
	return nil
}
