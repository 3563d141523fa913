package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

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

const outRevoked = "revoked"

// revokeMany revokes all grants of a provider, the Denies of all of them first.
func (c *cli) revokeMany(ctx context.Context, f revokeFlags) error {
	if f.printAWS {
		return fail(exitInput, "Give it a grant; countersign grants lists them.", "--print-aws prints the line of one grant")
	}
	if err := checkReason(f.reason); err != nil {
		return err
	}
	if err := checkRate(f.rate); err != nil {
		return err
	}
	cfg, err := f.config(ctx)
	if err != nil {
		return err
	}
	members, err := f.members(ctx, cfg, f.provider, func(ctx context.Context, s stack) ([]member, error) { return c.found(ctx, cfg, f, s) })
	if err != nil {
		return err
	}
	out := map[grant.Name]outcome{}
	var todo []member
	for _, m := range members {
		switch {
		case m.Provider == "":
			out[m.name] = outcome{
				Grant: string(m.name), Outcome: outFailed, Why: "it can't be told whose it is: " + m.Fault,
				Next: "If it is this provider's: countersign revoke " + string(m.name),
			}
		case m.State == api.Closed && len(m.Missing) == 0 && m.Fault == "" && m.RestoreTo == "":
			out[m.name] = outcome{Grant: string(m.name), Outcome: "revoked before", RevokeID: m.RevokeID}
		default:
			todo = append(todo, m)
		}
	}
	if len(todo) > 0 && !f.yes {
		ok, err := c.confirm(fmt.Sprintf("%s\nRevoke these %s of %s? Live sessions end too.", names(todo), count(len(todo), "grant"), printable(f.provider)))
		if err != nil {
			return err
		}
		if !ok {
			return fail(exitRefused, "", "nothing was changed")
		}
	}
	again := commandLine(append([]string{"countersign", "revoke", "--provider", f.provider, "--reason", f.reason}, f.where()...)...)
	m := c.meter(len(todo))
	denied := c.onEach(ctx, todo, pace{every(f.rate, writesOfDeny), 8}, m, func(ctx context.Context, one member) outcome { return c.denyOne(ctx, cfg, f, one) })
	m.end()
	m = m.next(len(members))
	for _, one := range members {
		if o, known := out[one.name]; known {
			m.done(o)
		}
	}
	for i, o := range c.onEach(ctx, todo, pace{every(f.rate, writesOfClose), 8}, m, func(ctx context.Context, one member) outcome { return c.closeOne(ctx, cfg, f, one) }) {
		if o.Outcome == outUntried && denied[i].Outcome == outDenied {
			o.Outcome, o.Why = outDenied, "live sessions are ended; reconcile closes the trust policy if nobody goes on"
		}
		out[todo[i].name] = o
	}
	m.end()
	if len(todo) > 0 {
		c.say("%swhat was built or shared meanwhile. Undo: countersign restore GRANT --reason …", notUndone)
	}
	all := inOrder(members, out)
	if err := c.printOutcomes(all, struct {
		Provider string    `json:"provider"`
		Grants   []outcome `json:"grants"`
	}{f.provider, all}); err != nil {
		return err
	}
	return verdict(all, outRevoked, again)
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
		m := member{name: grant.Name(name), stack: s}
		plan, err := ssm.New(cfg).Plan(ctx, m.name)
		m.Grant, m.Provider, m.Account, m.State = name, plan.Provider, plan.Account, api.Open
		if err != nil {
			m.Fault = err.Error()
		} else if denied, err := m.direct(cfg).look(ctx); err == nil && denied {
			m.State = api.Closed
		}
		out = append(out, m)
	}
	return out, nil
}

func (m member) direct(cfg aws.Config) direct {
	return direct{cfg: cfg, grant: m.name, role: m.stack.roleName(m.name)}
}

// down says whether the API is worth no further try for this grant.
func down(ctx context.Context, err error) bool {
	return ctx.Err() == nil && (errors.Is(err, grant.ErrUnavailable) || errors.Is(err, grant.ErrThrottled))
}

func (m member) interrupted() outcome {
	return outcome{Grant: string(m.name), Outcome: outUntried, Why: "interrupted: what was sent may have worked"}
}

// denyOne ends a grant's live sessions, and nothing else.
func (c *cli) denyOne(ctx context.Context, cfg aws.Config, f revokeFlags, m member) outcome {
	err := grant.ErrUnavailable
	if m.client != nil {
		_, err = m.client.Revoke(ctx, m.name, api.RevokeRequest{Reason: f.reason, DenyOnly: true})
	}
	if m.client == nil || down(ctx, err) {
		d := m.direct(cfg)
		err = iam.NewUrgent(cfg).PutInlinePolicy(ctx, d.roleName(), grant.RevocationPolicy, []byte(grant.DenyRevocation))
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return m.interrupted()
	case err != nil:
		return m.failedWith(err)
	}
	return outcome{Grant: string(m.name), Outcome: outDenied}
}

// closeOne does all of a revoke, and reads it back.
func (c *cli) closeOne(ctx context.Context, cfg aws.Config, f revokeFlags, m member) outcome {
	p, d := progress{c: c, start: c.now(), quiet: true}, m.direct(cfg)
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
	o := outcome{Grant: string(m.name), Outcome: outRevoked, RevokeID: result.RevokeID}
	if len(result.Failed) > 0 {
		o.Why = "reconcile makes up within minutes for " + strings.Join(result.Failed, ", ")
	}
	return o
}
