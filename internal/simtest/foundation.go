package simtest

import (
	"fmt"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// foundation is what of a profile the account looks like when the actors come. Runs with the same one begin from the same
// snapshot, which no seed has a part in.
type foundation struct {
	adopted, late, webhook bool
	every, overlap         string
	unconfirmed            grant.Unconfirmed
	asks                   string // of each destination
}

type founded struct {
	account *sim.Snapshot
	watch   watch
	plan    grant.Plan
}

// found puts the account to where the actors come: the grant is deployed and was rotated once.
func (r *run) found() error {
	p := r.profile
	key := foundation{p.plan.Adopted, p.late, p.webhook, p.plan.RotateEvery, time.Duration(p.plan.Overlap).String(), p.plan.WhenUnconfirmed, fmt.Sprint(p.plan.Notify[0].On, p.asks)}
	f := r.shop.founded[key]
	if f == nil {
		first := &run{shop: r.shop, ctx: r.ctx, profile: p, plan: p.plan, started: map[string]int{}}
		first.World = New(Config{
			AWS: sim.Config{
				Replicas: replicas, Lag: first.lag, Observe: func(s sim.Seen) { first.watch.saw(s) }, Forget: true, Policies: r.shop.policies,
			},
			Period: Period, Workers: true,
		})
		first.watch = newWatch(first)
		if err := first.setUpWebhook(); err != nil {
			return err
		}
		if err := first.profile.found(first); err != nil {
			return fmt.Errorf("deploying: %w", err)
		}
		first.watch.begin()
		if err := first.rotateOnce(); err != nil {
			return fmt.Errorf("rotating once: %w", err)
		}
		f = &founded{account: first.Snapshot(), plan: first.plan}
		f.watch.remember(first.watch)
		r.shop.founded[key] = f
	}
	r.plan, r.profile.plan = f.plan, f.plan
	r.Plans[r.plan.Grant], r.Grants[r.plan.Grant], r.Notifier.Grants[r.plan.Grant] = r.plan, r.plan.RoleName(), true
	r.World.World.Restore(f.account)
	r.watch.remember(&f.watch)
	r.Rotations = 1
	return nil
}

// setUpWebhook gives the plan a webhook, where the profile has one.
func (r *run) setUpWebhook() error {
	if !r.profile.webhook {
		return nil
	}
	hook, err := r.SignFor("hestio-webhook", Endpoint)
	if err != nil {
		return fmt.Errorf("setting up the webhook: %w", err)
	}
	hook.On = r.profile.asks
	r.plan.Notify = append(slices.Clip(r.plan.Notify), hook)
	r.profile.plan, r.watch.plan = r.plan, r.plan
	return nil
}

// rotateOnce lets one rotation through in peace, so that every run has one, and in half of the runs its overlap too.
func (r *run) rotateOnce() error {
	r.Sleep(r.ctx, 3*time.Hour) // an adopted version has an overlap too
	ctx := sim.As(r.ctx, "secretsmanager")
	if err := r.Secrets.Rotate(ctx, r.plan.SecretARN, "rotate-00000000000000000000000000000001"); err != nil {
		return err
	}
	if err := r.RunRotations(ctx); err != nil {
		return err
	}
	if r.profile.late {
		r.Sleep(ctx, 3*time.Hour)
	}
	return r.watch.check()
}
