package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

// leaked is an ID that was found in public.
func (y *Year) leaked(ctx context.Context) error {
	if err := y.pass(ctx, time.Date(2026, 6, 14, 2, 58, 0, 0, time.UTC)); err != nil {
		return err
	}
	leaked := y.current()
	y.say("%s is public: %s", idName(leaked), y.out("finder", stranger, leaked).because())
	y.mood = changing
	start := y.World.Now()
	if _, err := y.World.Rotate(ctx, y.plan.Grant, true); err != nil {
		return fmt.Errorf("rotating: %w", err)
	}
	if err := y.passUntil(ctx, time.Second, 5*time.Minute, "the end of the leaked ID", func() bool { return !y.gets(hestio, leaked) }); err != nil {
		return err
	}
	if len(y.lockouts) == 0 {
		y.look()
	}
	if err := y.pickUp(ctx); err != nil {
		return err
	}
	y.mood = open
	if len(y.lockouts) == 0 {
		return errors.New("nobody saw the leaked external ID end")
	}
	after := y.lockouts[0].Sub(start)
	y.check("the leaked ID ends within a minute", after < time.Minute, after.String())
	y.say("%s  %s after %s, no overlap", y.in("Hestio "+idName(y.holds), hestio, y.holds), y.out(idName(leaked), hestio, leaked), lasting(after))
	return nil
}

// revoked takes the access away while jdoe works. It happens a few hours before a scheduled rotation.
func (y *Year) revoked(ctx context.Context) error {
	if err := y.pass(ctx, time.Date(2026, 8, 20, 8, 0, 0, 0, time.UTC)); err != nil {
		return err
	}
	secret, err := y.World.Secrets.Describe(sim.As(ctx, "audience"), y.plan.SecretARN)
	if err != nil {
		return fmt.Errorf("reading the secret: %w", err)
	}
	if err := y.pass(ctx, secret.NextRotation.Add(-5*time.Hour).Truncate(time.Minute)); err != nil {
		return err
	}
	session, err := y.open(ctx, 12*time.Hour)
	if err != nil {
		return fmt.Errorf("entering: %w", err)
	}
	y.does(ctx, "jdoe", session, "s3:ListBucket", bucket, true)
	y.World.Sleep(ctx, time.Hour)
	works := y.does(ctx, "jdoe works in S3, in a session of 12 h", session, "s3:ListBucket", bucket, true)

	y.mood = changing
	y.World.ResetCalls()
	start := y.World.Now()
	answer, err := y.World.Revoke(ctx, y.plan.Grant, "break-in at Hestio")
	if err != nil {
		return fmt.Errorf("revoking: %w", err)
	}
	y.mood, y.sessions = closed, append(y.sessions, session)
	y.revokeID = answer.RevokeID
	calls := y.World.Calls("revoke")
	if len(calls) == 0 || calls[0].Action != "PutRolePolicy" || calls[0].Err != nil {
		return errors.New("the first call of the revoke isn't the Deny")
	}
	first := calls[0].At.Sub(start)
	y.check("the Deny is the first write, within a second", first < time.Second, first.String())
	y.check("nothing of the revoke failed", len(answer.Failed) == 0, fmt.Sprint(answer.Failed))
	y.say("%s", works)
	y.say("first write after %s: %s", lasting(first), y.does(ctx, "jdoe's next call", session, "s3:ListBucket", bucket, false).because())
	y.say("%s", y.out("Hestio "+idName(y.holds), hestio, y.holds).because())
	return nil
}

// rotatedWhileRevoked is a rotation on schedule that finds the grant closed.
func (y *Year) rotatedWhileRevoked(ctx context.Context) error {
	if err := y.nextRotation(ctx, 6*time.Hour); err != nil {
		return err
	}
	y.say("on schedule, revoked: %s  %s  %s", y.out(idName(y.current()), hestio, y.current()),
		y.out(idName(y.previous()), hestio, y.previous()), y.does(ctx, "jdoe", y.session(), "s3:ListBucket", bucket, false))
	return nil
}

// session is jdoe's, from before the revocation.
func (y *Year) session() *sim.Session {
	if len(y.sessions) == 0 {
		return nil
	}
	return y.sessions[len(y.sessions)-1]
}

// forged is everything that somebody can claim who may not write IAM.
func (y *Year) forged(ctx context.Context) error {
	y.World.Sleep(ctx, 10*time.Minute)
	forger := sim.As(ctx, "forger")
	where := y.plan.Where()
	now := y.World.Now()
	detail, err := json.Marshal(events.Event{
		Metadata: events.Metadata{ID: "forged", Version: "1", Time: now, Grant: string(y.plan.Grant), StackVersion: "1.0.0"},
		Data:     events.AccessRestored{Where: where, RevokeID: y.revokeID, VersionID: "restore-forged", ValidFrom: now},
	})
	if err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	check, err := json.Marshal(grant.Check{Grant: y.plan.Grant})
	if err != nil {
		return fmt.Errorf("writing a message: %w", err)
	}
	if err := errors.Join(
		y.World.Bus(simtest.BusName).PutEnvelope(forger, events.Envelope{Source: events.Source, DetailType: events.TypeAccessRestored, Detail: detail}),
		y.World.Secrets.Tag(forger, y.plan.SecretARN, map[string]string{grant.TagRestored: y.revokeID}),
		y.World.Queue(simtest.CheckQueue).Send(forger, check, 0),
	); err != nil {
		return fmt.Errorf("forging: %w", err)
	}
	y.World.Sleep(ctx, 2*time.Hour)
	tried := y.out("Hestio", hestio, y.current())
	err = y.World.Ask(ctx, hestio, http.MethodPost, "/grants/"+string(y.plan.Grant)+"/restore", api.RestoreRequest{Reason: "let us in", RevokeID: y.revokeID}, nil)
	refused := (*simtest.Refused)(nil)
	answer := "accepted"
	if errors.As(err, &refused) {
		answer = fmt.Sprint(refused.Status)
	}
	y.check("Hestio may not restore its own access", answer == "403", answer)
	y.say("event, tag and message say restored: %s", tried)
	y.say("Hestio asks our API to restore: HTTP %s", answer)
	return nil
}

// restored undoes the revocation.
func (y *Year) restored(ctx context.Context) error {
	older := append([]string(nil), y.ids...)
	if _, err := y.World.Restore(ctx, y.plan.Grant, y.revokeID, "all clear"); err != nil {
		return fmt.Errorf("restoring: %w", err)
	}
	start := y.World.Now() // the watch goes on: no older ID and no session gets in on the way
	status := api.Status{}
	if err := y.passUntil(ctx, time.Second, 30*time.Minute, "the restore", func() bool {
		s, err := y.World.Status(ctx, y.plan.Grant)
		status = s
		return err == nil && s.State == api.Open
	}); err != nil {
		return err
	}
	if err := y.pickUp(ctx); err != nil {
		return err
	}
	y.mood = open
	y.check("the restore brings an ID that never was", len(y.ids) == len(older)+1, idName(y.holds))
	fresh := y.in("new "+idName(y.holds), hestio, y.holds)
	all := attempt{label: fmt.Sprintf("all %d older IDs", len(older))}
	for _, id := range older {
		all.allowed = y.out(idName(id), hestio, id).allowed || all.allowed
	}
	soon, err := y.open(ctx, time.Hour)
	if err != nil {
		return fmt.Errorf("entering: %w", err)
	}
	y.does(ctx, "too soon", soon, "s3:ListBucket", bucket, false)
	y.say("after %s: %s  %s", lasting(y.World.Now().Sub(start)), fresh, all)
	if !status.DeadBefore.After(y.World.Now()) {
		return errors.New("the restore does not say from when to enter")
	}
	y.sessions = append(y.sessions, soon)
	y.World.Sleep(ctx, status.DeadBefore.Sub(y.World.Now()))
	late, err := y.open(ctx, time.Hour)
	if err != nil {
		return fmt.Errorf("entering: %w", err)
	}
	jdoe := y.sessions[0]
	y.check("jdoe's old session would live by its own end", y.World.Now().Before(jdoe.Expires), jdoe.Expires.Format(time.RFC3339))
	y.say("enter from now on: %s  %s", y.does(ctx, "new session", late, "s3:ListBucket", bucket, true),
		y.does(ctx, "jdoe's old one", jdoe, "s3:ListBucket", bucket, false))
	return nil
}

// expired is the end that access.yaml names.
func (y *Year) expired(ctx context.Context) error {
	end := y.plan.Expires
	if err := y.pass(ctx, end.Add(-30*time.Minute)); err != nil {
		return err
	}
	y.offline = true
	session, err := y.open(ctx, time.Hour)
	if err != nil {
		return fmt.Errorf("entering: %w", err)
	}
	y.World.Sleep(ctx, end.Add(-time.Second).Sub(y.World.Now()))
	y.in("Hestio", hestio, y.holds)
	y.check("the session lives until the end", session.Allowed("s3:ListBucket", bucket, 0), "")
	y.mood = closed
	y.World.Sleep(ctx, 2*time.Second)
	y.say("%s", y.out("Hestio "+idName(y.holds), hestio, y.holds).because())
	y.say("%s", y.does(ctx, "live session", session, "s3:ListBucket", bucket, false).because())
	y.sessions, y.offline = append(y.sessions, session), false
	y.World.Sleep(ctx, 2*time.Hour)
	y.check("the end is announced", y.announced(events.TypeAccessExpired) == 1, fmt.Sprintf("%d events", y.announced(events.TypeAccessExpired)))
	return nil
}
