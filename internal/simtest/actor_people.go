package simtest

import (
	"errors"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// provider reads its external ID, enters with it, with the one before if that fails, keeps sessions and uses them.
func (a *acting) provider() error {
	var sessions []*sim.Session
	for a.rest(2*time.Minute, 25*time.Minute) {
		for _, stage := range []string{grant.StageCurrent, grant.StagePrevious} {
			_, id, err := a.Read(a.ctx, a.plan.Grant, stage)
			if err != nil || id == "" {
				continue
			}
			session, err := a.Enter(a.ctx, Provider, a.plan.Grant, id)
			if err == nil {
				sessions = append(sessions, session)
				break
			}
		}
		if len(sessions) > 3 {
			sessions = sessions[1:]
		}
		for _, s := range sessions {
			err := s.Do(a.ctx, "s3:ListBucket", "arn:aws:s3:::data")
			a.watch.used(s, err)
		}
	}
	return nil
}

// operator revokes, restores, rotates, says that IDs leaked, and pauses the schedule.
func (a *acting) operator() error {
	for a.rest(10*time.Minute, 150*time.Minute) {
		d := a.draw()
		if a.watch.closed() && d.nth(1).chance(0.6) {
			a.restore()
			continue
		}
		switch {
		case !a.profile.mild && d.chance(0.35):
			_ = a.insist(3, func() error {
				asked := a.Now()
				answer, err := a.Revoke(a.ctx, a.plan.Grant, "project ended")
				if err == nil {
					a.watch.answered(answer.RevokeID, asked)
				}
				return err
			})
		case d.chance(0.5):
			_ = a.insist(2, func() error { return a.patient(a.Rotate(a.ctx, a.plan.Grant, false)) })
		case d.chance(0.8):
			_ = a.insist(3, func() error {
				answer, err := a.Rotate(a.ctx, a.plan.Grant, true)
				if err == nil {
					a.watch.leaked[answer.VersionID] = true
				}
				return a.patient(answer, err)
			})
		case d.chance(0.88):
			a.freeze()
		case d.chance(0.95):
			a.confirmByHand()
		default:
			_, _ = a.Status(a.ctx, a.plan.Grant)
		}
	}
	return nil
}

// freeze pauses the schedule for a while, or ends a pause.
func (a *acting) freeze() {
	d := a.draw()
	_ = a.insist(2, func() error {
		if d.chance(0.3) {
			return a.patient(a.Resume(a.ctx, a.plan.Grant))
		}
		return a.patient(a.Pause(a.ctx, a.plan.Grant, a.Now().Add(d.nth(1).between(30*time.Minute, 6*time.Hour))))
	})
}

// restore asks to have undone what stands, or stood when the operator looked.
func (a *acting) restore() {
	status, err := a.Status(a.ctx, a.plan.Grant)
	if err != nil || status.RevokeID == "" {
		return
	}
	if d := a.draw(); d.chance(0.3) && a.Wait(a.ctx, d.nth(1).between(0, rush)) != nil {
		return
	}
	a.watch.asked[status.RevokeID] = true
	_ = a.insist(4, func() error { return a.patient(a.Restore(a.ctx, a.plan.Grant, status.RevokeID, "project goes on")) })
}

// patient takes a refusal for an answer: asking again would not change it.
func (a *acting) patient(_ any, err error) error {
	if refused := (*Refused)(nil); errors.As(err, &refused) && refused.Status < 500 {
		return nil
	}
	return err
}

// deploy puts the role's document back: to the birth document, as a deploy, a rollback or a drift-revert does, or to any that
// ever stood there. Custom::Grant follows.
func (a *acting) deploy() error {
	for a.rest(30*time.Minute, 4*time.Hour) {
		a.redeploy(func(p *grant.Plan) {
			d := a.draw()
			if d.chance(0.2) {
				p.Overlap = grant.Duration(time.Hour)
			}
			if d.nth(1).chance(0.1) {
				p.WhenUnconfirmed = pick(d.nth(2), []grant.Unconfirmed{grant.UnconfirmedAuto, grant.UnconfirmedCut, grant.UnconfirmedExtend})
			}
		})
	}
	return nil
}

// expiry ends the grant, by a deploy that says when.
func (a *acting) expiry() error {
	if !a.rest(time.Hour, 8*time.Hour) {
		return nil
	}
	end := a.Now().Add(a.draw().between(10*time.Minute, 2*time.Hour)).Truncate(time.Second)
	a.redeploy(func(p *grant.Plan) {
		if !p.Adopted {
			p.Expires = end
		}
	})
	return nil
}

func (a *acting) redeploy(change func(*grant.Plan)) {
	if a.watch.leaving {
		return
	}
	a.watch.deploying++
	defer func() { a.watch.deploying-- }()
	p := a.Plans[a.plan.Grant]
	change(&p)
	ctx := sim.As(a.ctx, "cloudformation")
	_ = a.Stacks.Unprotect(ctx, StackName) // as cdk deploy: its app asks for no protection
	d := a.draw()
	if documents := a.watch.older(); d.chance(0.35) && len(documents) > 0 {
		_ = a.IAM.SetTrust(ctx, p.RoleName(), pick(d.nth(1), documents)) // a rollback to some older state
	} else if a.insist(3, func() error { return a.Redeploy(ctx, p) }) == nil {
		a.Plans[p.Grant] = p
	}
	_ = a.insist(3, func() error { return a.CustomGrant(ctx, p.Grant, "Update") })
}
