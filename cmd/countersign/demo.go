package main

import (
	"fmt"

	"github.com/countersign/countersign/internal/demo"
	"github.com/spf13/cobra"
)

func newDemoCommand(c *cli) *cobra.Command {
	var seed uint64
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play a year of a grant's life, with no account",
		Long: `Play a year of a grant's life: born, granted, rotated, leaked, revoked,
restored, expired. Countersign's own functions run on an embedded AWS, in
virtual time; no account, no network. Each line says who gets in with which
external ID, and what in IAM decided.

Exit codes: 0 all checks hold, 1 one failed.`,
		Example: `countersign demo
countersign demo --seed 7 --json`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().Uint64Var(&seed, "seed", demo.Seed, "another year: other IDs, other minutes")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		year, err := demo.New(seed)
		if err != nil {
			return err
		}
		return c.tellYear(year.Play(cmd.Context()))
	}
	return cmd
}

// tellYear prints what became of a year, and fails if a check did.
func (c *cli) tellYear(r demo.Report) error {
	var err error
	if c.json {
		err = writeJSON(c.stdout, r)
	} else {
		err = demo.Print(c.stdout, r, c.environ())
	}
	switch {
	case err != nil:
		return fmt.Errorf("printing the year: %w", err)
	case r.Failed > 0:
		return fail(exitFailed, "", "%d of %d checks failed", r.Failed, r.Checks)
	}
	return nil
}

// environ is what of the environment decides about colours.
func (c *cli) environ() (out []string) {
	for _, name := range []string{"NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM", "COLORTERM", "TMUX"} {
		if value := c.env(name); value != "" {
			out = append(out, name+"="+value)
		}
	}
	return out
}
