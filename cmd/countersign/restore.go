package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/aws/apigateway"
	"github.com/countersign/countersign/internal/grant"
	"github.com/spf13/cobra"
)

// restoration is what restore says as JSON.
type restoration struct {
	api.RestoreAnswer
	Open     bool      `json:"open"`
	From     time.Time `json:"from,omitzero"` // since when it can be entered
	Accepted []api.ID  `json:"accepted,omitempty"`
	Seconds  float64   `json:"seconds"`
}

func newRestoreCommand(c *cli) *cobra.Command {
	var f remoteFlags
	var req api.RestoreRequest
	var yes bool
	var patience time.Duration
	cmd := &cobra.Command{
		Use:   "restore GRANT",
		Short: "Let a revoked provider in again, with a new ID",
		Long: `Undo a revocation. The provider gets a new external ID, which it reads
from the secret. Every older one stays out, and sessions issued before, and
in the first three minutes behind the restore, stay dead. Only the
revocation that stands is undone: if another one comes meanwhile, the grant
stays closed. The stack's termination protection, which the revocation turned
on, stays on.

Exit codes: 0 open, 3 refused, 4 AWS denies it to you, 5 begun and not yet
open.`,
		Example: `countersign restore migration --reason "contract renewed"
countersign restore migration --yes --revoke-id rv-20260901T160200Z-5d0c2e9a --reason INC-812`,
		Args: cobra.ExactArgs(1),
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&req.Reason, "reason", "", "why: up to 200 characters, kept in the log")
	fl.StringVar(&req.RevokeID, "revoke-id", "", "undo this revocation only; without it, the one that stands")
	fl.BoolVarP(&yes, "yes", "y", false, "don't ask")
	fl.DurationVar(&patience, "wait", 5*time.Minute, "how long to wait until the grant is open")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if err := checkReason(req.Reason); err != nil {
			return err
		}
		name, client, err := f.grantAPI(ctx, args)
		if err != nil {
			return err
		}
		status, err := client.Grant(ctx, name)
		if err != nil {
			return remoteError(fmt.Errorf("reading %s: %w", name, err))
		}
		if status.State != api.Closed {
			return fail(exitRefused, fmt.Sprintf("countersign show %s tells how it stands.", name), "%s is not revoked: nothing to restore", name)
		}
		req.RevokeID = cmp.Or(req.RevokeID, status.RevokeID)
		if !yes {
			ok, err := c.confirm(printable(fmt.Sprintf("Let %s into %s again? It was revoked %s.", status.Provider, status.Account, revokedText(status, c.now()))))
			if err != nil {
				return err
			}
			if !ok {
				return fail(exitRefused, "", "nothing was changed")
			}
		}
		return c.restore(ctx, client, name, req, patience)
	}
	return cmd
}

// restore asks for it and looks until the grant is open.
func (c *cli) restore(ctx context.Context, client *apigateway.Client, name grant.Name, req api.RestoreRequest, patience time.Duration) error {
	p := c.progress()
	answer, err := client.Restore(ctx, name, req)
	if err != nil {
		return remoteError(fmt.Errorf("restoring %s: %w", name, err))
	}
	p.step("begun: version %s", answer.VersionID)
	result := restoration{RestoreAnswer: answer}
	waitErr := c.awaitOpen(ctx, client, name, &result, p, patience)
	result.Seconds = p.seconds()
	if c.json {
		if err := writeJSON(c.stdout, result); err != nil {
			return err
		}
		return waitErr
	}
	if waitErr != nil {
		return waitErr
	}
	b := block{}
	b.wrapFlat("Sessions issued before " + clock(result.From, c.now()) + " stay dead: enter from then on. The provider is told by event, mail and " +
		"webhook; it reads the new ID from its own account, or you hand it over: countersign reveal " + string(name))
	c.tell("%s", b.String())
	_, err = fmt.Fprintf(c.stdout, "%s is restored: %s\n", name, printable(cmp.Or(acceptedText(result.Accepted, c.now()), "open")))
	return err
}

// awaitOpen looks every two seconds until the grant is open.
func (c *cli) awaitOpen(ctx context.Context, client *apigateway.Client, name grant.Name, r *restoration, p progress, patience time.Duration) error {
	until, made := p.start.Add(patience), false
	for patience > 0 {
		s, err := client.Grant(ctx, name)
		switch {
		case err != nil && !errors.Is(err, grant.ErrUnavailable) && !errors.Is(err, grant.ErrThrottled):
			return remoteError(fmt.Errorf("looking whether %s is open: %w", name, err))
		case err == nil && s.State == api.Open:
			r.Open, r.From, r.Accepted = true, s.DeadBefore, s.Accepted
			p.step("open")
			return nil
		case err == nil && s.State == api.Closed && s.RestoreTo != r.VersionID:
			return fail(exitRefused, fmt.Sprintf("countersign show %s tells how it stands.", name),
				"the restore of %s was given up: another revocation came, or another restore", name)
		case err == nil && s.VersionID == r.VersionID && !made:
			made = true
			p.step("the new external ID is made; nobody gets in yet")
		}
		if c.now().After(until) {
			break
		}
		if err := c.wait(ctx, 2*time.Second); err != nil {
			return remoteError(err)
		}
	}
	return fail(exitNotSeen, fmt.Sprintf("countersign show %s tells when it is; the log of countersign-rotate or countersign-reconcile tells why not.", name),
		"the restore of %s has begun and it is not yet open", name)
}
