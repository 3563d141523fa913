package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/countersign/countersign/internal/adopt"
	"github.com/countersign/countersign/internal/aws/iam"
	"github.com/countersign/countersign/internal/aws/secretsmanager"
	"github.com/countersign/countersign/internal/aws/ssm"
	"github.com/countersign/countersign/internal/grant"
	"github.com/spf13/cobra"
)

type releaseFlags struct {
	remoteFlags
	terms       adopt.Terms
	yes, dryRun bool
	patience    time.Duration
}

// release is what release says as JSON.
type release struct {
	Grant   string `json:"grant"`
	RoleARN string `json:"roleArn"`
	adopt.Released
	DryRun bool   `json:"dryRun,omitempty"`
	Next   string `json:"next"`
}

func newReleaseCommand(c *cli) *cobra.Command {
	var f releaseFlags
	cmd := &cobra.Command{
		Use:   "release GRANT",
		Short: "Give an adopted role back to its owner",
		Long: `Give an adopted role back. Its provider enters as before with the external ID
that is current, which stands in the trust policy as a plain condition and
changes no more. Countersign's statements, Denies and tags are taken off, and
its functions leave the role alone from then on. Then take the grant out of
access.yaml and deploy.

A revoked role stays closed, live sessions too, and outlives the grant like
that. --open opens it, with the ID that it has; a new ID comes by
"countersign restore" before.

Run again after an interruption it goes on where it was.

Exit codes: 0 done, 3 refused, nothing was changed, 4 AWS denies it to you.`,
		Example: `countersign release backups --dry-run
countersign release backups
countersign release backups --open --yes`,
		Args: cobra.ExactArgs(1),
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.BoolVar(&f.terms.Open, "open", false, "open a revoked role again")
	fl.BoolVar(&f.terms.EndPrevious, "end-previous", false, "end the ID before the current one now, whoever\nuses it")
	fl.BoolVar(&f.dryRun, "dry-run", false, "say what would change, and write nothing")
	fl.BoolVarP(&f.yes, "yes", "y", false, "don't ask")
	fl.DurationVar(&f.patience, "wait", 6*time.Minute, "how long a rotation that is under way may take")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := grantArg(args)
		if err != nil {
			return err
		}
		return c.release(cmd.Context(), f, name)
	}
	return cmd
}

func (c *cli) release(ctx context.Context, f releaseFlags, name grant.Name) error {
	cfg, s, err := f.deployed(ctx, name)
	if err != nil {
		return err
	}
	plan, err := ssm.New(cfg).Plan(ctx, name)
	if err != nil {
		return remoteError(fmt.Errorf("reading the plan of %s: %w", name, err))
	}
	r := adopt.Release{
		Roles: iam.New(cfg), Secrets: secretsmanager.New(cfg), Now: c.now, Wait: c.wait, Log: slog.New(slog.DiscardHandler), Patience: f.patience,
	}
	state, err := r.Look(ctx, plan)
	if err != nil {
		return c.releaseError(err, name, state)
	}
	staysClosed := state.Closed && !f.terms.Open
	if state.Previous && !f.terms.EndPrevious && !state.Released() && !staysClosed {
		return c.releaseError(adopt.ErrPrevious, name, state)
	}
	changes, err := state.Preview(f.terms)
	if err != nil {
		return c.releaseError(err, name, state)
	}
	out := release{Grant: string(name), RoleARN: plan.RoleARN, DryRun: f.dryRun, Next: nextOfRelease(name, s)}
	if f.dryRun {
		out.Released = adopt.Released{ExternalID: state.Current, Closed: staysClosed, Changes: changes, Done: []string{}}
		out.Next = "Nothing was written."
		return c.printRelease(out)
	}
	if !f.yes {
		if !c.json {
			c.tell("%s", releaseText(out.Grant, changes))
		}
		ok, err := c.confirm(releaseQuestion(plan, state, f.terms))
		if err != nil {
			return err
		}
		if !ok {
			return fail(exitRefused, "", "nothing was changed")
		}
	}
	if out.Released, err = r.Do(ctx, plan, f.terms); err != nil {
		return c.releaseError(err, name, state)
	}
	return c.printRelease(out)
}

// nextOfRelease is what becomes of the entry in access.yaml.
func nextOfRelease(name grant.Name, s stack) string {
	return fmt.Sprintf("Next: take grant %s out of access.yaml and deploy %s: secret and plan go, and the last policy on the role. Until then Countersign leaves it alone.", name, s.name)
}

func releaseQuestion(plan grant.Plan, s adopt.State, terms adopt.Terms) string {
	switch {
	case s.Closed && terms.Open:
		return printable(fmt.Sprintf("Open %s to %s again, with the ID that it has? Sessions from before the revocation live on too.", plan.RoleName(), plan.Provider))
	case s.Closed:
		return fmt.Sprintf("Give %s back closed?", plan.RoleName())
	}
	return printable(fmt.Sprintf("Give %s back? %s enters as before, and its external ID changes no more.", plan.RoleName(), plan.Provider))
}

func releaseText(name string, changes []string) string {
	var b block
	for i, line := range changes {
		label := ""
		if i == 0 {
			label = "changes"
		}
		b.row(label, printable(line))
	}
	if len(changes) == 0 {
		b.row("changes", "none in the trust policy")
	}
	return name + "\n" + b.String()
}

func (c *cli) printRelease(out release) error {
	out.Changes, out.Done = list(out.Changes), list(out.Done)
	if c.json {
		return writeJSON(c.stdout, out)
	}
	c.tell("%s", releaseText(out.Grant, out.Changes))
	said := out.Grant + " is given back: its provider enters with " + out.ExternalID.Fingerprint()
	switch {
	case out.DryRun && out.Closed:
		said = out.Grant + " would be given back closed"
	case out.DryRun:
		said = out.Grant + " would be given back"
	case out.Closed:
		said = out.Grant + " is given back CLOSED: nobody enters"
	case out.ExternalID.IsZero():
		said = out.Grant + " is given back: its external ID is not Countersign's"
	}
	if _, err := fmt.Fprintln(c.stdout, said); err != nil {
		return err
	}
	c.tell("%s", flat(out.Next))
	return nil
}

// releaseError gives an error of giving back its exit code and what to try.
func (c *cli) releaseError(err error, name grant.Name, s adopt.State) error {
	switch {
	case errors.Is(err, adopt.ErrNotOurs):
		return fail(exitRefused, "To end its access: countersign revoke "+string(name)+", or take it out of access.yaml and deploy.",
			"role of %s is one that Countersign made: there is nobody to give it back to", name)
	case errors.Is(err, adopt.ErrPrevious):
		until := "until somebody confirms the current one"
		if !s.Until.IsZero() {
			until = "until " + clock(s.Until, c.now())
		}
		return fail(exitRefused, "Wait; or, if the provider uses the current one: --end-previous.", "%w, %s", err, until)
	case errors.Is(err, grant.ErrConflict):
		return fail(exitRefused, "Run it again.", "%w", err)
	}
	return adoptError(err)
}
