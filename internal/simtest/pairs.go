package simtest

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// Pairs are what is explored exhaustively.
var Pairs = []Pair{
	{"rotate x revoke", startRotation, []act{revoking}},
	{"revoke x restore", revokedBefore, []act{revoking, restoring}},
	{"revoke x revoke", nothing, []act{revoking, revoking}},
	{"rotate x redeploy", startRotation, []act{redeploying}},
	{"rotate x reconcile", startRotation, []act{reconciling}},
	{"rotate x foreign edit", startRotation, []act{editing}},
	{"restore x replayed event", revokedBefore, []act{restoring, replaying}},
	{"revoke x forger", nothing, []act{revoking, forging}},
}

func nothing(*run) error { return nil }

// startRotation lets Secrets Manager begin a rotation: its steps are a process.
func startRotation(r *run) error {
	return r.Secrets.Rotate(r.ctx, r.plan.SecretARN, "rotate-00000000000000000000000000000001")
}

// revokedBefore is a grant that was revoked and wholly closed.
func revokedBefore(r *run) error {
	if _, err := r.Revoke(r.ctx, r.plan.Grant, ""); err != nil {
		return err
	}
	r.Sleep(r.ctx, 10*time.Minute)
	return r.watch.check()
}

// Who gets no answer asks again.
func twice(ask func() error) error {
	if err := ask(); err != nil {
		return ask()
	}
	return nil
}

var revoking = act{"ann", func(r *run, ctx context.Context) error {
	return twice(func() error {
		asked := r.Now()
		answer, err := r.Revoke(ctx, r.plan.Grant, "")
		if err == nil {
			r.watch.answered(answer.RevokeID, asked)
		}
		return err
	})
}}

// restoring asks for the restore of what stands when it begins; the engine rotates, and reconcile looks when it was asked to.
var restoring = act{"bob", func(r *run, ctx context.Context) error {
	id := r.watch.standing
	r.watch.asked[id] = true
	_ = twice(func() error {
		_, err := r.Restore(ctx, r.plan.Grant, id, "")
		return err
	})
	for range 2 {
		if err := r.Wait(ctx, 20*time.Second); err != nil {
			return err
		}
		_, _ = r.Reconcile(ctx, r.plan.Grant)
	}
	return nil
}}

var reconciling = act{"reconcile", func(r *run, ctx context.Context) error {
	return r.watch.looks(false, func() error {
		_, err := r.Reconcile(ctx, r.plan.Grant)
		return err
	})
}}

var redeploying = act{"deploy", func(r *run, ctx context.Context) error {
	deploy := sim.As(ctx, "cloudformation")
	if err := r.Redeploy(deploy, r.plan); err != nil {
		return err
	}
	return twice(func() error { return r.CustomGrant(deploy, r.plan.Grant, "Update") })
}}

var editing = act{"editor", func(r *run, ctx context.Context) error {
	ctx = sim.As(ctx, "editor")
	role, err := r.IAM.Role(ctx, r.plan.RoleName())
	if err != nil {
		return err
	}
	out, err := addStatement(role.Trust, 1)
	if err != nil {
		return err
	}
	return r.IAM.SetTrust(ctx, r.plan.RoleName(), out)
}}

// replaying repeats a check and the last steps of the rotation before.
var replaying = act{"replay", func(r *run, ctx context.Context) error {
	first, _ := r.Secrets.Labelled(r.plan.SecretARN, grant.StageCurrent)
	for _, step := range []string{"setSecret", "finishSecret"} {
		_ = r.Secrets.InvokeStep(ctx, sim.RotationEvent{Step: step, SecretID: r.plan.SecretARN, ClientRequestToken: first})
	}
	_, _ = r.Reconcile(ctx, r.plan.Grant)
	return nil
}}

// forging says by tags that the revocation is undone, moves a label, and has reconcile look.
var forging = act{"forger", func(r *run, ctx context.Context) error {
	ctx = sim.As(ctx, "forger")
	arn := r.plan.SecretARN
	_ = r.Secrets.Tag(ctx, arn, map[string]string{grant.TagRestored: r.watch.standing, grant.TagRevoked: r.watch.standing})
	current, _ := r.Secrets.Labelled(arn, grant.StageCurrent)
	_ = r.Secrets.MoveStage(ctx, arn, grant.StagePending, current, "")
	_, _ = r.Reconcile(ctx, r.plan.Grant)
	_ = r.Secrets.Tag(ctx, arn, map[string]string{grant.TagRestored: r.watch.standing})
	_, _ = r.Reconcile(ctx, r.plan.Grant)
	return nil
}}
