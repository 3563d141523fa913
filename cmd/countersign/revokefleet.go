package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/aws/iam"
	"github.com/countersign/countersign/internal/aws/ssm"
	"github.com/countersign/countersign/internal/grant"
)

// The writes of IAM that a revoke of many takes for each: the Deny alone, then the Deny once more and the trust policy.
const (
	writesOfDeny  = 1
	writesOfClose = 2
)

const (
	outRevoked = "revoked"
	outBefore  = "revoked before"
)

const notTold = "it can't be told whose it is: "

// revokeMany revokes all grants of a provider, the Denies of all of them first.
func (c *cli) revokeMany(ctx context.Context, f revokeFlags) error {
	cfg, err := f.config(ctx)
	if err != nil {
		return err
	}
	members, err := f.members(ctx, cfg, f.provider, func(ctx context.Context, s stack) ([]member, error) { return c.found(ctx, cfg, f, s) })
	if err != nil {
		return err
	}
	b := newBatch(members)
	if len(b.todo) > 0 && !f.yes {
		ok, err := c.confirm(fmt.Sprintf("%s\nRevoke these %s of %s? Live sessions end too.", names(b.left()), count(len(b.todo), "grant"), printable(f.provider)))
		if err != nil {
			return err
		}
		if !ok {
			return fail(exitRefused, "", "nothing was changed")
		}
	}
	m := c.meter(len(b.todo))
	c.denyAll(ctx, f, b, m)
	m.end()
	m = m.next(len(members))
	c.closeAll(ctx, f, b, m)
	m.end()
	if len(b.todo) > 0 {
		c.say("%swhat was built or shared meanwhile. Undo: countersign restore GRANT --reason …", notUndone)
	}
	if err := c.printOutcomes(b.out, struct {
		Provider string    `json:"provider"`
		Grants   []outcome `json:"grants"`
	}{f.provider, b.out}); err != nil {
		return err
	}
	return verdict(b.out, outRevoked, f.again())
}

// batch is the grants of one account, which share its budget of IAM's writes, and what becomes of each.
type batch struct {
	members []member
	out     []outcome // of each member, in their order
	todo    []int     // the members that something has to be done to
}

// newBatch sorts out of which there is nothing to do.
func newBatch(members []member) *batch {
	b := &batch{members: members, out: make([]outcome, len(members))}
	for i, m := range members {
		switch {
		case m.Provider == "":
			b.out[i] = m.comes(outFailed, notTold+m.Fault)
			b.out[i].Next = "If it is this provider's: countersign revoke " + string(m.name)
			if m.account != "" {
				b.out[i].Next += " --stack " + cmp.Or(m.stack.name, "NAME") + ", with the account's own credentials"
			}
		case m.State == api.Closed && len(m.Missing) == 0 && m.Fault == "" && m.RestoreTo == "":
			b.out[i] = m.comes(outBefore, "")
			b.out[i].RevokeID = m.RevokeID
		default:
			b.out[i] = m.comes(outUntried, "")
			b.todo = append(b.todo, i)
		}
	}
	return b
}

// left are the members that something has to be done to.
func (b *batch) left() (out []member) {
	for _, i := range b.todo {
		out = append(out, b.members[i])
	}
	return out
}

// denyAll writes the Denies, which end live sessions, and nothing else.
func (c *cli) denyAll(ctx context.Context, f revokeFlags, b *batch, m *meter) {
	for n, o := range c.onEach(ctx, b.left(), pace{every(f.rate, writesOfDeny), 8}, m, func(ctx context.Context, one member) outcome { return c.denyOne(ctx, f, one) }) {
		b.out[b.todo[n]] = o
	}
}

// closeAll does the rest of each revoke, and reads it back.
func (c *cli) closeAll(ctx context.Context, f revokeFlags, b *batch, m *meter) {
	for i, o := range b.out {
		if !slices.Contains(b.todo, i) {
			m.done(o)
		}
	}
	for n, o := range c.onEach(ctx, b.left(), pace{every(f.rate, writesOfClose), 8}, m, func(ctx context.Context, one member) outcome { return c.closeOne(ctx, f, one) }) {
		i := b.todo[n]
		if o.Outcome == outUntried && b.out[i].Outcome == outDenied {
			o.Outcome, o.Why = outDenied, "live sessions are ended; reconcile closes the trust policy if nobody goes on"
		}
		b.out[i] = o
	}
}

// found lists a stack's grants: by its API, or where that doesn't answer by the plans, with the operator's own credentials.
func (c *cli) found(ctx context.Context, cfg aws.Config, f revokeFlags, s stack) ([]member, error) {
	if !f.direct {
		all, err := s.listed(ctx, cfg)
		if !errors.Is(err, grant.ErrUnavailable) && !errors.Is(err, grant.ErrThrottled) {
			return all, err
		}
		c.say("%s: going on without the API of %s.", err, s.name)
	}
	var out []member
	for _, name := range s.grants() {
		m := member{name: grant.Name(name), stack: s, cfg: cfg}
		plan, err := ssm.New(cfg).Plan(ctx, m.name)
		out = append(out, m.planned(ctx, plan, err))
	}
	return out, nil
}

// planned is the member as its plan and IAM tell it. An error of the plan leaves open whose it is.
func (m member) planned(ctx context.Context, plan grant.Plan, err error) member {
	m.Grant, m.Provider, m.Account, m.RoleARN, m.State = string(m.name), plan.Provider, plan.Account, plan.RoleARN, api.Open
	if err != nil {
		m.Fault = err.Error()
	} else if denied, err := m.direct().look(ctx); err == nil && denied {
		m.State = api.Closed
	}
	return m
}

// direct goes to the role that the plan names, and where that isn't known to the one of the stack's outputs.
func (m member) direct() direct {
	role := m.RoleARN[strings.LastIndexByte(m.RoleARN, '/')+1:]
	return direct{cfg: m.cfg, grant: m.name, role: cmp.Or(role, m.stack.roleName(m.name))}
}

// down says whether the API is worth no further try for this grant.
func down(ctx context.Context, err error) bool {
	return ctx.Err() == nil && (errors.Is(err, grant.ErrUnavailable) || errors.Is(err, grant.ErrThrottled))
}

func (m member) interrupted() outcome {
	return m.comes(outUntried, "interrupted: what was sent may have worked")
}

// denyTime is when a Deny that isn't written is left to what closes the grant, which writes it again.
const denyTime = 30 * time.Second

// denyOne ends a grant's live sessions, and nothing else.
func (c *cli) denyOne(ctx context.Context, f revokeFlags, m member) outcome {
	short, cancel := context.WithTimeout(ctx, denyTime)
	defer cancel()
	err := grant.ErrUnavailable
	if m.client != nil {
		_, err = m.client.Revoke(short, m.name, api.RevokeRequest{Reason: f.reason, DenyOnly: true})
	}
	if m.client == nil || down(ctx, err) {
		err = iam.NewUrgent(m.cfg).PutInlinePolicy(short, m.direct().roleName(), grant.RevocationPolicy, []byte(grant.DenyRevocation))
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return m.interrupted()
	case err != nil:
		return m.failedWith(err)
	}
	return m.comes(outDenied, "")
}

// closeOne does all of a revoke, and reads it back.
func (c *cli) closeOne(ctx context.Context, f revokeFlags, m member) outcome {
	p, d := progress{c: c, start: c.now(), quiet: true}, m.direct()
	result := revocation{Grant: string(m.name)}
	look := d.look
	var err error
	if m.client != nil {
		look = func(ctx context.Context) (bool, error) { return lookByAPI(ctx, m.client, m.name) }
		err = c.revokeByAPI(ctx, m.client, f, &result, p)
	}
	if m.client == nil || down(ctx, err) {
		look, err = d.look, c.revokeDirectly(ctx, d, &result, p)
	}
	if err == nil {
		err = c.awaitDenied(ctx, m.name, look, &result, p, f.patience)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return m.interrupted()
	case err != nil:
		o := m.failedWith(err)
		o.RevokeID = result.RevokeID
		return o
	}
	o := m.comes(outRevoked, "")
	o.RevokeID = result.RevokeID
	if len(result.Failed) > 0 {
		o.Why = "reconcile makes up within minutes for " + strings.Join(result.Failed, ", ")
	}
	return o
}
