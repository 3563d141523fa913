package simtest

import (
	"bytes"
	"time"

	"github.com/countersign/countersign/internal/sim"
)

// terraform is the tool of an adopted role's owner, whose configuration has the trust policy from before the adoption and no
// ignore_changes: at each apply it puts that back where anything else stands, Deny and all. It never learns.
func (a *acting) terraform() error {
	if !a.plan.Adopted {
		return nil
	}
	ctx, state, name := sim.As(a.ctx, "terraform"), a.watch.documents[0], a.plan.RoleName()
	for a.rest(20*time.Minute, 3*time.Hour) {
		role, err := a.IAM.Role(ctx, name)
		if err != nil || bytes.Equal(role.Trust, state) {
			continue
		}
		_ = a.Wait(a.ctx, a.draw().between(0, time.Minute)) // between plan and apply
		if a.edit(ctx, state) {
			a.Reverted++
		}
	}
	return nil
}
