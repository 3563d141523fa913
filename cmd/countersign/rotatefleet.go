package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
)

// writesOfRotation is how often a rotation writes IAM: the new ID goes in, the previous one gets its deadline.
const writesOfRotation = 2

// rotateFlags are those of rotate.
type rotateFlags struct {
	remoteFlags
	api.RotateRequest
	patience time.Duration

	all, yes bool
	provider string
	to       string // where an external ID is read from that the provider has issued
	rate     float64
}

// target says which grants are meant: one, or many.
func (f rotateFlags) target(args []string) (many bool, err error) {
	given := len(args)
	for _, is := range []bool{f.all, f.provider != ""} {
		if is {
			given++
		}
	}
	if given != 1 {
		return false, fail(exitInput, "countersign grants lists them.", "name one grant, or give --provider NAME, or --all")
	}
	if len(args) == 1 {
		if f.Run != "" {
			return false, fail(exitInput, "", "--run goes with --provider or --all")
		}
		return false, nil
	}
	if f.Run != "" {
		if err := grant.CheckRun(f.Run); err != nil {
			return true, fail(exitInput, "It is printed when a run begins.", "--run: %w", err)
		}
	}
	return true, checkRate(f.rate)
}

// rotateMany rotates all grants, or those of a provider, at a pace that leaves room for a revoke.
func (c *cli) rotateMany(ctx context.Context, f rotateFlags) error {
	cfg, err := f.config(ctx)
	if err != nil {
		return err
	}
	members, err := f.members(ctx, cfg, f.provider, func(ctx context.Context, s stack) ([]member, error) { return s.listed(ctx, cfg) })
	if err != nil {
		return err
	}
	if f.Leaked && !f.yes {
		ok, err := c.confirm(fmt.Sprintf("%s\nCut the external IDs of these %d grants? Their providers are out until they have read the new ones.", names(members), len(members)))
		if err != nil {
			return err
		}
		if !ok {
			return fail(exitRefused, "", "nothing was changed")
		}
	}
	if f.Run == "" {
		if f.Run, err = grant.NewRun(rand.Reader); err != nil {
			return err
		}
	}
	again := f.again()
	c.say("This is run %s. If it is interrupted, this goes on:", f.Run)
	if !c.json {
		c.tell("  %s\n", printable(again)) // in one line, to be copied
	}
	m := c.meter(len(members))
	var todo []member
	out := map[grant.Name]outcome{}
	for _, one := range members {
		if o, known := f.settled(one); known {
			out[one.name] = o
			m.done(o)
			continue
		}
		todo = append(todo, one)
	}
	for i, o := range c.onEach(ctx, todo, pace{every(f.rate, writesOfRotation), 64}, m, func(ctx context.Context, one member) outcome {
		return c.rotateOne(ctx, f, one)
	}) {
		out[todo[i].name] = o
	}
	m.end()
	all := inOrder(members, out)
	if err := c.printOutcomes(all, struct {
		Run    string    `json:"run"`
		Grants []outcome `json:"grants"`
	}{f.Run, all}); err != nil {
		return err
	}
	return verdict(all, "rotated", again)
}

// again is the command that goes on with the run.
func (f rotateFlags) again() string {
	words := []string{"countersign", "rotate", "--all"}
	if f.provider != "" {
		words = []string{"countersign", "rotate", "--provider", f.provider}
	}
	if f.Leaked {
		words = append(words, "--leaked")
	}
	words = append(words, "--run", f.Run)
	if f.Reason != "" {
		words = append(words, "--reason", f.Reason)
	}
	return commandLine(append(words, f.where()...)...)
}

// settled is the outcome of a grant that nothing has to be asked about.
func (f rotateFlags) settled(m member) (outcome, bool) {
	purpose := grant.OnDemand
	if f.Leaked {
		purpose = grant.Cut
	}
	why := ""
	switch {
	case m.Provider == "" && f.provider != "":
		return outcome{Grant: string(m.name), Outcome: outFailed, Why: notTold + m.Fault, Next: "countersign show " + string(m.name)}, true
	case grant.InRun(m.VersionID, purpose, f.Run):
		return outcome{Grant: string(m.name), Outcome: "rotated before", Version: m.VersionID, Accepted: m.Accepted}, true
	case m.State == api.Closed:
		why = "it is revoked"
	case m.State == api.Expired:
		why = "it has expired"
	case m.State == api.Born:
		why = "it is not open yet"
	case m.State == api.Open && m.SecretARN == "":
		why = "it has no external ID"
	default:
		return outcome{}, false
	}
	return outcome{Grant: string(m.name), Outcome: outLeft, Why: why}, true
}

// rotateOne starts a rotation and waits until it is in.
func (c *cli) rotateOne(ctx context.Context, f rotateFlags, m member) outcome {
	began := c.now()
	answer, err := m.client.Rotate(ctx, m.name, f.RotateRequest)
	for n := 0; n < 2 && errors.Is(err, grant.ErrUnavailable) && ctx.Err() == nil; n++ { // the run's number makes it harmless
		_ = c.wait(ctx, time.Second<<n)
		answer, err = m.client.Rotate(ctx, m.name, f.RotateRequest)
	}
	o := outcome{Grant: string(m.name), Outcome: outUnseen, Version: answer.VersionID}
	switch {
	case err != nil && ctx.Err() != nil:
		return m.interrupted()
	case err != nil:
		return m.failedWith(err)
	}
	for wait := time.Second; ; wait = min(2*wait, 15*time.Second) {
		s, err := m.client.Grant(ctx, m.name)
		switch {
		case err == nil && (answer.Done || s.VersionID == answer.VersionID):
			o.Outcome, o.Accepted = "rotated", s.Accepted
			return o
		case err != nil && !errors.Is(err, grant.ErrUnavailable) && !errors.Is(err, grant.ErrThrottled):
			return m.failedWith(fmt.Errorf("looking whether it is rotated: %w", err))
		case c.now().Add(wait).After(began.Add(f.patience)):
			o.Why = fmt.Sprintf("started, and not in after %s", roughly(c.now().Sub(began)))
			o.Next = "countersign show " + string(m.name) + " tells when it is; the log group of countersign-rotate tells why not"
			return o
		}
		if c.wait(ctx, wait) != nil {
			o.Outcome, o.Why = outUntried, "interrupted: it is started"
			return o
		}
	}
}

// names are the members' for a question.
func names(members []member) string {
	b := block{}
	b.wrapAt("  ", listed(members), 2)
	return strings.TrimRight(b.String(), "\n")
}

func listed(members []member) string {
	var list []string
	for _, m := range members {
		list = append(list, printable(string(m.name)))
	}
	return strings.Join(list, ", ")
}

func inOrder(members []member, out map[grant.Name]outcome) []outcome {
	all := make([]outcome, 0, len(members))
	for _, m := range members {
		all = append(all, out[m.name])
	}
	return all
}
