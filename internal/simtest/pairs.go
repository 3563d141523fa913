package simtest

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// Pairs are what is explored exhaustively. A restore is two halves: until the version that may reopen is current, and from then
// on. Between them nothing but labels and tags changes, and what looks in the first half finds the grant closed.
var Pairs = []Pair{
	{"rotate x revoke", nil, startRotation, []act{revoking}},
	{"revoke x restore, asked", nil, revokedBefore, []act{revoking, restoring}},
	{"revoke x restore, opening", nil, restoredNext, []act{revoking, reconciling}},
	{"revoke x revoke", nil, nothing, []act{revoking, again}},
	{"rotate x redeploy", nil, startRotation, []act{redeploying}},
	{"rotate x reconcile", nil, startRotation, []act{reconciling}},
	{"rotate x foreign edit", nil, startRotation, []act{editing}},
	{"restore, asked x replayed event", nil, revokedBefore, []act{restoring, replaying}},
	{"restore, opening x replayed event", nil, restoredNext, []act{reconciling, replaying}},
	{"revoke x forger", nil, nothing, []act{revoking, forging}},
	{"rotate x confirm", auto, startRotation, []act{inUse}},
	{"revoke x confirm", auto, rotatedBefore, []act{revoking, inUse}},
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

// restoredNext is a revoked grant whose restore is signed and rotated: who looks next may open it.
func restoredNext(r *run) error {
	if err := revokedBefore(r); err != nil {
		return err
	}
	r.watch.asked[r.watch.standing] = true
	if _, err := r.Restore(r.ctx, r.plan.Grant, r.watch.standing, ""); err != nil {
		return err
	}
	if err := r.RunRotations(r.ctx); err != nil {
		return err
	}
	return r.watch.check()
}

// twice asks again where there was no answer.
func (h *history) twice(ask func() error) error {
	err := ask()
	h.knows("no answer")
	if err != nil {
		return ask()
	}
	return nil
}

// Two operators who revoke.
var revoking, again = act{"ann", revokes}, act{"bob", revokes}

func revokes(h *history, ctx context.Context) error {
	return h.twice(func() error {
		asked := h.Now()
		answer, err := h.Revoke(ctx, h.plan.Grant, "")
		if err == nil {
			h.watch.answered(answer.RevokeID, asked)
		}
		return err
	})
}

// restoring asks for the restore of what stands when it begins. The engine then rotates.
var restoring = act{"bob", func(h *history, ctx context.Context) error {
	id := h.watch.standing
	h.watch.asked[id] = true
	return h.twice(func() error {
		_, err := h.Restore(ctx, h.plan.Grant, id, "")
		return err
	})
}}

var reconciling = act{"reconcile", func(h *history, ctx context.Context) error {
	return h.watch.looks(false, func() error {
		_, err := h.Reconcile(ctx, h.plan.Grant)
		return err
	})
}}

var redeploying = act{"deploy", func(h *history, ctx context.Context) error {
	deploy := sim.As(ctx, "cloudformation")
	if err := h.Redeploy(deploy, h.plan); err != nil {
		return err
	}
	return h.twice(func() error { return h.CustomGrant(deploy, h.plan.Grant, "Update") })
}}

var editing = act{"editor", func(h *history, ctx context.Context) error {
	ctx = sim.As(ctx, "editor")
	role, err := h.IAM.Role(ctx, h.plan.RoleName())
	if err != nil {
		return err
	}
	out, err := addStatement(role.Trust, 1)
	if err != nil {
		return err
	}
	return h.IAM.SetTrust(ctx, h.plan.RoleName(), out)
}}

// replaying repeats a check and the last steps of the rotation before.
var replaying = act{"replay", func(h *history, ctx context.Context) error {
	first, _ := h.Secrets.Labelled(h.plan.SecretARN, grant.StageCurrent)
	for _, step := range []string{"setSecret", "finishSecret"} {
		_ = h.Secrets.InvokeStep(ctx, sim.RotationEvent{Step: step, SecretID: h.plan.SecretARN, ClientRequestToken: first})
		h.knows("replayed", step)
	}
	_, _ = h.Reconcile(ctx, h.plan.Grant)
	return nil
}}

// forging says by tags that the revocation is undone, moves a label, and has reconcile look.
var forging = act{"forger", func(h *history, ctx context.Context) error {
	ctx = sim.As(ctx, "forger")
	arn := h.plan.SecretARN
	_ = h.Secrets.Tag(ctx, arn, map[string]string{grant.TagRestored: h.watch.standing, grant.TagRevoked: h.watch.standing})
	current, _ := h.Secrets.Labelled(arn, grant.StageCurrent)
	_ = h.Secrets.MoveStage(ctx, arn, grant.StagePending, current, "")
	_, _ = h.Reconcile(ctx, h.plan.Grant)
	h.knows("looked", h.watch.standing)
	_ = h.Secrets.Tag(ctx, arn, map[string]string{grant.TagRestored: h.watch.standing})
	_, _ = h.Reconcile(ctx, h.plan.Grant)
	return nil
}}

// auto is the plan of pairs in which somebody confirms.
func auto(p *grant.Plan) { p.WhenUnconfirmed = grant.UnconfirmedAuto }

// rotatedBefore is a grant whose last rotation nobody has confirmed: the ID before is to stay.
func rotatedBefore(r *run) error {
	if err := r.Secrets.Rotate(r.ctx, r.plan.SecretARN, "rotate-00000000000000000000000000000001"); err != nil {
		return err
	}
	if err := r.RunRotations(r.ctx); err != nil {
		return err
	}
	r.Sleep(r.ctx, 3*time.Hour)
	return r.watch.check()
}

// inUse is a provider that enters with what it finds current, and confirms that.
var inUse = act{"fleet", func(h *history, ctx context.Context) error {
	version, id, err := h.Read(ctx, h.plan.Grant, grant.StageCurrent)
	if err != nil {
		return nil
	}
	s, err := h.EnterTo(ctx, h.plan.Grant, version, id)
	h.knows("entered", version, err == nil)
	if err != nil {
		return nil
	}
	_, _ = h.Confirm(ctx, s, h.plan.Grant, version, "0s")
	return nil
}}
