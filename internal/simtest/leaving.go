package simtest

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// leave ends one run of three with the deletion of its stack, as of one that runs a role and didn't make it, while calls go wrong.
// Behind it nobody gets in, and no session from before acts: the role stays closed, whatever state its grant was in (I14). Its
// permissions are its owner's, and stay. Not asked where somebody whom the trust policy names was deleted, before or meanwhile: IAM
// then takes no write of it; nor while the stack is being deployed, which CloudFormation refuses to delete; nor where the forger made
// the only ID that there was look like that of a birth that failed. Who gets in is not asked where somebody writes the trust policy by
// hand meanwhile: there is nobody any more who mends that.
func (r *run) leave() error {
	if r.watch.deleted || r.watch.deploying > 0 || r.watch.stillborn() || !r.on("leave").chance(1./3) {
		return nil
	}
	r.watch.leaving = true
	role, ids := r.plan.RoleName(), []string{"", wrong}
	for id := range r.watch.ids {
		ids = append(ids, id)
	}
	session, _ := r.Enter(r.ctx, Provider, r.plan.Grant, r.watch.current)
	r.watch.open, r.over = false, false
	r.Stacks.Stands(StackName, sim.Template{Plan: r.Plans[r.plan.Grant], RoleStays: true})
	var failed error
	r.start("janitor", func(ctx context.Context) error {
		for range 400 { // longer than any outage
			_ = r.Stacks.Unprotect(sim.As(ctx, "janitor"), StackName)
			if failed = r.Stacks.Delete(sim.As(ctx, "janitor"), StackName); failed == nil {
				return nil
			}
			if err := r.Wait(ctx, time.Minute); err != nil {
				return err
			}
		}
		return nil
	})
	if err := r.until(r.turns[len(r.turns)-1].process); err != nil {
		return err
	}
	switch {
	case r.watch.deleted: // meanwhile
		return nil
	case failed != nil:
		return r.watch.violated("I14", "the stack can't be deleted: %v", failed)
	}
	r.Left++
	r.Sleep(r.ctx, Propagation)
	if !grant.ReadRevocation(r.IAM.ShownPolicy(role, grant.KeptClosedPolicy, 0)).Denies {
		return r.watch.violated("I14", "the stack is gone, and the role that stays has no Deny")
	}
	if session != nil && session.Allowed("s3:ListBucket", "arn:aws:s3:::data", 0) {
		return r.watch.violated("I14", "the stack is gone, and a session from before acts")
	}
	if r.watch.meddled {
		return nil
	}
	for _, who := range askers {
		for _, id := range ids {
			if r.STS.Verdict(who, r.plan.RoleARN, id, "jdoe", sim.Assume{}).Effect == trust.Allow {
				return r.watch.violated("I14", "the stack is gone, and %s gets in", who)
			}
		}
	}
	return nil
}

// stillborn says whether the forger has put AWSPENDING on the only version that ever had an ID.
func (w *watch) stillborn() bool {
	pending, _ := w.Secrets.Labelled(w.plan.SecretARN, grant.StagePending)
	return w.forging() && !w.plan.Adopted && len(w.ids) == 1 && w.valued[pending] != ""
}

// until lets everybody act until a process has ended. Nothing is asked meanwhile.
func (r *run) until(p *sim.Process) error {
	for steps := 0; ; steps++ {
		if ended, _ := p.Ended(); ended {
			return nil
		}
		if steps > most {
			return r.watch.violated("I14", "after %d steps there is still no end", steps)
		}
		for _, task := range r.Due() {
			r.start(task.Name, task.Run)
		}
		t, wake := r.choose(r.Now().Add(time.Hour))
		if t == nil {
			if d := wake.Sub(r.Now()); d > 0 {
				r.Advance(d)
			}
			continue
		}
		r.act(t)
	}
}
