package main

import (
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/api"
	"github.com/spf13/cobra"
)

func newConfirmCommand(c *cli) *cobra.Command {
	var f remoteFlags
	var req api.ConfirmRequest
	var retireIn time.Duration
	cmd := &cobra.Command{
		Use:   "confirm GRANT",
		Short: "Say that the provider uses the new external ID",
		Long: `Say for the provider that it uses the current external ID: the one before ends
--retire-in from now, and never later than its deadline. Providers that follow
rotations do it themselves. See first that it is so: whoever still uses the ID
before is out from then on.

A confirmation by hand ends an external ID that is kept because nobody has
confirmed, and lets scheduled rotations go on. It doesn't count as the
provider's own: the next rotation is extended as this one was.`,
		Example: `countersign confirm migration --reason "seen in CloudTrail"
countersign confirm migration --retire-in 0s --reason INC-812`,
		Args: cobra.ExactArgs(1),
	}
	f.add(cmd)
	cmd.Flags().DurationVar(&retireIn, "retire-in", 15*time.Minute, "how long the ID before may stay; 0s ends it now")
	cmd.Flags().StringVar(&req.Reason, "reason", "", "why, for the log: up to 200 characters")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if retireIn < 0 {
			return fail(exitInput, "--retire-in 0s ends it now.", "--retire-in can't be negative")
		}
		name, client, err := f.grantAPI(ctx, args)
		if err != nil {
			return err
		}
		s, err := client.Grant(ctx, name)
		if err != nil {
			return remoteError(fmt.Errorf("looking at %s: %w", name, err))
		}
		if s.VersionID == "" {
			return fail(exitRefused, "", "grant %s has no external ID to confirm", name)
		}
		req.VersionID, req.RetireIn = s.VersionID, retireIn.String()
		answer, err := client.Confirm(ctx, name, req)
		if err != nil {
			return remoteError(fmt.Errorf("confirming %s: %w", name, err))
		}
		if c.json {
			return writeJSON(c.stdout, answer)
		}
		b := block{}
		b.head(printable(answer.Grant), "confirmed: version "+printable(answer.VersionID))
		b.row("previous", retiresText(answer.RetireAt, c.now()))
		_, err = fmt.Fprint(c.stdout, b.String())
		return err
	}
	return cmd
}

// retiresText says when the ID before ends.
func retiresText(at, now time.Time) string {
	if !at.After(now) {
		return "ends within a minute"
	}
	return "ends " + clock(at, now)
}
