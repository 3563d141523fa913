package main

import (
	"fmt"

	"github.com/countersign/countersign/internal/aws/secretsmanager"
	"github.com/countersign/countersign/internal/aws/ssm"
	"github.com/countersign/countersign/internal/grant"
	"github.com/spf13/cobra"
)

func newRevealCommand(c *cli) *cobra.Command {
	var f remoteFlags
	cmd := &cobra.Command{
		Use:   "reveal GRANT",
		Short: "Show the external ID itself, on a terminal",
		Long: `Show the current external ID of a grant, read from its secret with your own
credentials. For providers that take it by hand. It goes to a terminal only,
never into a file or a pipe, so --json is refused.`,
		Example: "countersign reveal migration",
		Args:    cobra.ExactArgs(1),
	}
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		name, err := grantArg(args)
		if err != nil {
			return err
		}
		if c.json || !isTerminal(c.stdout) {
			return fail(exitRefused, "A program reads it from the secret "+name.Secret()+" in Secrets Manager.", "an external ID is shown on a terminal only")
		}
		cfg, err := f.config(ctx)
		if err != nil {
			return err
		}
		plan, err := ssm.New(cfg).Plan(ctx, name)
		if err != nil {
			return remoteError(fmt.Errorf("reading the plan of %s: %w", name, err))
		}
		if plan.NoExternalID {
			return fail(exitInput, "", "grant %s has no external ID", name)
		}
		value, err := secretsmanager.New(cfg).AtStage(ctx, plan.SecretARN, grant.StageCurrent)
		if err != nil {
			return remoteError(fmt.Errorf("reading the secret of %s: %w", name, err))
		}
		id, err := plan.DecodeVersion(value)
		if err != nil {
			return remoteError(err)
		}
		c.tell("Role %s, external ID %s:\n", plan.RoleARN, id.Fingerprint())
		_, err = fmt.Fprintln(c.stdout, id.Reveal())
		return err
	}
	return cmd
}
