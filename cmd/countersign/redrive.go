package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/aws/eventbridge"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/redrive"
)

// redriven is what became of one letter.
type redriven struct {
	letter
	Outcome redrive.Outcome `json:"outcome"`
	Error   string          `json:"error,omitempty"`
}

func newRedriveCommand(c *cli) *cobra.Command {
	var f remoteFlags
	var of, older string
	var yes bool
	patience := 10 * time.Minute
	cmd := &cobra.Command{
		Use:   "redrive",
		Short: "Send dead letters again",
		Long: `Send dead letters again. Mend first what the last column of countersign deliveries
says: a letter starts anew, with attempt 1 of ten in three days, and lies there
again if nobody takes it. Its event id stays, by which receivers drop repeats.

Each is put on the queue first, and ended then. However this ends, none is lost;
those that were in hand are back after 5 minutes, and the next run may tell them a
second time. Who is told is decided as always: no destination that wants nothing any
more, none that has gone from the plan, no rotation that nobody needs to know of.

What a rule of the bus could not hand on (forward-…: a provider's bus; trail: the
history) is replayed from the archive, to that rule only.

Your own credentials need what countersign deliveries needs; sqs:SendMessage on
countersign-notify and sqs:DeleteMessage on countersign-notify-dead; for rules also
events:ListRules, events:StartReplay and events:DescribeReplay.`,
		Example: `countersign deliveries redrive
countersign deliveries redrive --grant migration --older-than 1h --yes`,
		Args:   cobra.NoArgs,
		Hidden: true, // "[GRANT] [command]" is wider than the list of commands has room for: the command above says that it is there
	}
	f.add(cmd)
	cmd.Flags().StringVar(&of, "grant", "", "letters about this grant only")
	cmd.Flags().StringVar(&older, "older-than", "", "those that have been there so long: 36h, 3d, or a date")
	cmd.Flags().BoolVar(&yes, "yes", false, "don't ask")
	cmd.Flags().DurationVar(&patience, "wait", patience, "how long to wait for the end of a replay")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		name := grant.Name("")
		var err error
		if of != "" {
			if name, err = grantArg([]string{of}); err != nil {
				return err
			}
		}
		before, err := pastMoment("older-than", older, c.now())
		if err != nil {
			return err
		}
		cfg, err := f.config(ctx)
		if err != nil {
			return err
		}
		return c.redrive(ctx, cfg, f, name, before, yes, patience)
	}
	return cmd
}

// redrive finds the letters, asks, and sends them stack by stack.
func (c *cli) redrive(ctx context.Context, cfg aws.Config, f remoteFlags, name grant.Name, before time.Time, yes bool, patience time.Duration) error {
	stacks, err := f.stacksOf(ctx, cfg, name)
	if err != nil {
		return remoteError(err)
	}
	chosen := map[string][]letter{}
	var all []letter
	for _, s := range stacks {
		_, letters, err := s.queues(cfg)
		if err != nil {
			return err
		}
		found, err := redrive.Look(ctx, letters)
		if err != nil {
			return deliveriesError(err)
		}
		its := s.shown(ctx, cfg, found, name)
		if !before.IsZero() {
			its = slices.DeleteFunc(its, func(l letter) bool { return !l.Since.Before(before) })
		}
		chosen[s.name], all = its, append(all, its...)
	}
	if len(all) == 0 {
		return c.printRedriven(nil)
	}
	if !yes {
		if !c.json {
			c.tell("%s", letterTable(all, c.now()))
		}
		ok, err := c.confirm(fmt.Sprintf("Send %s again? Each starts anew: up to ten attempts in three days.", count(len(all), "dead letter")))
		if err != nil {
			return err
		}
		if !ok {
			return fail(exitRefused, "", "nothing was changed")
		}
	}
	p := c.progress()
	var out []redriven
	var denied error
	for _, s := range stacks {
		results, err := c.sendAgain(ctx, cfg, s, chosen[s.name], p, patience)
		denied = errors.Join(denied, err)
		out = append(out, results...)
	}
	if err := c.printRedriven(out); err != nil {
		return err
	}
	return redriveVerdict(out, denied)
}

// sendAgain sends the letters of one stack. The error is that of the first letter that AWS denied.
func (c *cli) sendAgain(ctx context.Context, cfg aws.Config, s stack, chosen []letter, p progress, patience time.Duration) (out []redriven, denied error) {
	queue, letters, err := s.queues(cfg)
	if err != nil {
		return nil, err
	}
	var want []redrive.Letter
	shown := map[string]letter{}
	for _, l := range chosen {
		want, shown[l.is.ID] = append(want, l.is), l
	}
	r := redrive.Redrive{
		Letters: letters, Queue: queue, Archive: replayer{c, eventbridge.New(cfg, s.outputs["BusName"]), p, patience}, Now: c.now,
		Tell: func(r redrive.Result) {
			p.step("%s", strings.Join(append(shown[r.ID].cells(), string(r.Outcome)), "  "))
		},
	}
	for _, one := range r.Run(ctx, want) {
		result := redriven{letter: shown[one.ID], Outcome: one.Outcome}
		if one.Err != nil {
			result.Error = one.Err.Error()
		}
		if errors.Is(one.Err, grant.ErrDenied) && denied == nil {
			denied = one.Err
		}
		out = append(out, result)
	}
	return out, denied
}

// replayer hands events to a rule of the bus again.
type replayer struct {
	*cli
	bus      *eventbridge.Bus
	p        progress
	patience time.Duration
}

func (r replayer) Replay(ctx context.Context, rule string, from, until time.Time) error {
	rules, err := r.bus.Rules(ctx)
	if err != nil {
		return fmt.Errorf("listing the rules of the bus: %w", err)
	}
	i := slices.IndexFunc(rules, func(one eventbridge.Rule) bool { return one.Name == rule && one.Enabled })
	if i < 0 {
		return fmt.Errorf("rule %.64q isn't there, or is disabled", rule)
	}
	what := replayed{Replay: replayName(r.now()), To: rule, From: from, Until: until}
	if err := r.bus.Replay(ctx, what.Replay, rules[i], from, until); err != nil {
		return fmt.Errorf("replaying to %s: %w", rule, err)
	}
	r.p.step("replay %s to %s", what.Replay, rule)
	p := r.p
	p.start = r.now()
	return r.awaitReplay(ctx, r.bus, &what, p, r.patience)
}

func (c *cli) printRedriven(all []redriven) error {
	if c.json {
		return writeJSON(c.stdout, struct {
			Letters []redriven `json:"letters"`
		}{list(all)})
	}
	if len(all) == 0 {
		_, err := io.WriteString(c.stdout, "No dead letters to send.\n")
		return err
	}
	rows := [][]string{{"GRANT", "WHAT", "TO", "OUTCOME"}}
	for _, one := range all {
		outcome := string(one.Outcome)
		if one.Error != "" {
			outcome += ": " + one.Error
		}
		rows = append(rows, append(one.cells(), outcome))
	}
	_, err := io.WriteString(c.stdout, wrapped(rows))
	return err
}

// redriveVerdict is the command's error: nil where every letter was sent and ended.
func redriveVerdict(all []redriven, denied error) error {
	n := map[redrive.Outcome]int{}
	for _, one := range all {
		n[one.Outcome]++
	}
	var what []string
	next := "The next run sends them once more; receivers drop repeats by the event's id."
	if kept := n[redrive.Kept]; kept > 0 {
		what = append(what, "sent, and not ended with the dead letters: "+count(kept, "letter"))
	}
	if bad := n[redrive.Failed] + n[redrive.Missing]; bad > 0 {
		what = append(what, fmt.Sprintf("%d of %s could not be sent", bad, count(len(all), "letter")))
		next = "None is lost. What was in hand is back after 5 minutes: countersign deliveries."
	}
	err := errors.New(strings.Join(what, "; "))
	switch {
	case denied != nil:
		return deliveriesError(fmt.Errorf("%w: %w", err, denied))
	case len(what) > 0:
		return fail(exitFailed, next, "%w", err)
	}
	return nil
}
