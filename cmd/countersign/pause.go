package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
	"github.com/spf13/cobra"
)

func newPauseCommand(c *cli) *cobra.Command {
	var f remoteFlags
	var length, until string
	var req api.PauseRequest
	cmd := &cobra.Command{
		Use:   "pause GRANT",
		Short: "Hold scheduled rotations back: a change freeze",
		Long: `Hold a grant's scheduled rotations back until a date, 14 days from now if
none is given, 90 days at most. Then the schedule goes on by itself.

Nothing else is held back: rotate, rotate --leaked, revoke and a first
external ID work as ever, a rotation that has begun is finished, and a
previous ID ends at its deadline. countersign resume ends the pause now.`,
		Example: `countersign pause migration --reason "year-end freeze"
countersign pause migration --until 2027-01-11 --reason CHG-1204`,
		Args: cobra.ExactArgs(1),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&length, "for", "", "how long: 14d, 36h (default 14d, at most 90d)")
	cmd.Flags().StringVar(&until, "until", "", "until when instead: a date (its 00:00 UTC) or RFC 3339")
	cmd.Flags().StringVar(&req.Reason, "reason", "", "why, for the log: up to 200 characters")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if err := checkReason(req.Reason); err != nil {
			return err
		}
		var err error
		if req.Until, err = pauseEnd(length, until, c.now()); err != nil {
			return err
		}
		name, client, err := f.grantAPI(ctx, args)
		if err != nil {
			return err
		}
		answer, err := client.Pause(ctx, name, req)
		if err != nil {
			return remoteError(fmt.Errorf("pausing %s: %w", name, err))
		}
		if err := c.printPause(answer); err != nil || c.json {
			return err
		}
		c.talk("Not held back: rotate, rotate --leaked, revoke, deadlines.", "To undo it: countersign resume "+string(name))
		return nil
	}
	return cmd
}

func newResumeCommand(c *cli) *cobra.Command {
	var f remoteFlags
	var req api.ResumeRequest
	cmd := &cobra.Command{
		Use:   "resume GRANT",
		Short: "End a pause: the schedule rotates again",
		Long: `End a pause of a grant's scheduled rotations now. A rotation that was held
back isn't made up for: the next one comes in the schedule's next window, or
with countersign rotate. Where nothing is paused, nothing changes.`,
		Example: `countersign resume migration --reason "freeze called off"`,
		Args:    cobra.ExactArgs(1),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&req.Reason, "reason", "", "why, for the log: up to 200 characters")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		name, client, err := f.grantAPI(ctx, args)
		if err != nil {
			return err
		}
		answer, err := client.Resume(ctx, name, req)
		if err != nil {
			return remoteError(fmt.Errorf("resuming %s: %w", name, err))
		}
		return c.printPause(answer)
	}
	return cmd
}

func (c *cli) printPause(a api.PauseAnswer) error {
	if c.json {
		return writeJSON(c.stdout, a)
	}
	text := "the schedule rotates it"
	if !a.Until.IsZero() {
		text = "paused: " + pausedText(a.Until, c.now())
	}
	b := block{}
	b.head(printable(a.Grant), text)
	_, err := fmt.Fprint(c.stdout, b.String())
	return err
}

// pausedText says until when the schedule is held back.
func pausedText(until, now time.Time) string {
	return "no scheduled rotation until " + clock(until, now)
}

// pauseEnd reads --for and --until; the zero time where neither is given.
func pauseEnd(length, until string, now time.Time) (time.Time, error) {
	switch {
	case length != "" && until != "":
		return time.Time{}, fail(exitInput, "Give one of them.", "--for and --until both say when the pause ends")
	case length != "":
		d, err := pauseLength(length)
		if err != nil {
			return time.Time{}, err
		}
		return now.Add(d).UTC().Truncate(time.Second), nil
	case until == "":
		return time.Time{}, nil
	}
	end, err := time.Parse(time.DateOnly, until)
	if err != nil {
		end, err = time.Parse(time.RFC3339, until)
	}
	switch {
	case err != nil:
		return time.Time{}, fail(exitInput, "Write it as 2027-01-11 or 2027-01-11T06:00:00Z.", "--until is not a date")
	case !end.After(now):
		return time.Time{}, fail(exitInput, "countersign resume ends a pause now.", "--until is over already")
	case end.After(now.Add(grant.MaxPause)):
		return time.Time{}, fail(exitInput, "Pause again when the end is near.", "--until is more than %d days away", int(grant.MaxPause.Hours()/24))
	}
	return end.UTC(), nil
}

// pauseLength reads whole days, as 14d, or what time.ParseDuration takes.
func pauseLength(s string) (time.Duration, error) {
	days, err := strconv.Atoi(strings.TrimSuffix(s, "d"))
	d := time.Duration(days) * 24 * time.Hour
	if err != nil || !strings.HasSuffix(s, "d") {
		if d, err = time.ParseDuration(s); err != nil {
			return 0, fail(exitInput, "Write it as 14d or 36h.", "--for is not a length of time")
		}
	}
	if days > 1000 || d < time.Minute || d > grant.MaxPause {
		return 0, fail(exitInput, "As 14d.", "--for takes a minute to %d days", int(grant.MaxPause.Hours()/24))
	}
	return d, nil
}
