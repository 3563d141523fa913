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
	"github.com/countersign/countersign/internal/aws/eventbridge"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/redrive"
	"github.com/spf13/cobra"
)

func newEventsCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Send events of the past again",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newReplayCommand(c))
	return cmd
}

// replayed is the answer of events replay.
type replayed struct {
	Replay  string    `json:"replay"`
	To      string    `json:"to"`
	From    time.Time `json:"from"`
	Until   time.Time `json:"until"`
	State   string    `json:"state"` // AWS's word
	Seconds float64   `json:"seconds"`
}

func newReplayCommand(c *cli) *cobra.Command {
	var f remoteFlags
	var since, until, to string
	var yes bool
	patience := 10 * time.Minute
	cmd := &cobra.Command{
		Use:   "replay --since TIME --to RULE",
		Short: "Send the events of a time again, to one rule of the bus only",
		Long: `Send what the stack's bus was told from a time on once more, to one rule of the
bus and to no other. The archive holds 90 days; an event may take 10 minutes
to get there, so that is where a replay ends unless --until says otherwise.

Events keep their metadata.id, by which whoever had one before drops it. With
--to countersign-notify, mails and webhooks are sent again as well.

Your own credentials need events:ListRules, events:StartReplay and
events:DescribeReplay.`,
		Example: `countersign events replay --since 36h --to countersign-forward-hestio
countersign events replay --since 2026-02-03 --until 2026-02-04 --to countersign-trail --yes`,
		Args: cobra.NoArgs,
	}
	f.add(cmd)
	cmd.Flags().StringVar(&since, "since", "", "from when on: 36h, 30d, a date (its 00:00 UTC) or RFC 3339")
	cmd.Flags().StringVar(&until, "until", "", "until when (default 10 minutes ago)")
	cmd.Flags().StringVar(&to, "to", "", "the rule")
	cmd.Flags().BoolVar(&yes, "yes", false, "don't ask")
	cmd.Flags().DurationVar(&patience, "wait", patience, "how long to wait for its end")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		r, err := replayOf(since, until, to, c.now())
		if err != nil {
			return err
		}
		cfg, err := f.config(ctx)
		if err != nil {
			return err
		}
		bus, rule, err := f.subscription(ctx, cfg, to)
		if err != nil {
			return err
		}
		r.To = rule.Name
		if !yes {
			ok, err := c.confirm(printable(fmt.Sprintf("Send the events from %s to %s again, to %s only?", stamp(r.From), stamp(r.Until), rule.Name)))
			if err != nil {
				return err
			}
			if !ok {
				return fail(exitRefused, "", "nothing was changed")
			}
		}
		p := c.progress()
		if err := bus.Replay(ctx, r.Replay, rule, r.From, r.Until); err != nil {
			return replayError(fmt.Errorf("replaying to %s: %w", rule.Name, err))
		}
		p.step("started: replay %s", r.Replay)
		failed := c.awaitReplay(ctx, bus, &r, p, patience)
		r.Seconds = p.seconds()
		if c.json {
			if err := writeJSON(c.stdout, r); err != nil {
				return err
			}
			return failed
		}
		if failed == nil {
			b := block{}
			b.wrapFlat(fmt.Sprintf("%s has the events from %s to %s UTC", printable(r.To), stamp(r.From), stamp(r.Until)))
			_, failed = io.WriteString(c.stdout, b.String())
		}
		return failed
	}
	return cmd
}

// replayOf reads the flags.
func replayOf(since, until, to string, now time.Time) (replayed, error) {
	r := replayed{Replay: replayName(now), Until: now.Add(-redrive.Settled).UTC().Truncate(time.Second)}
	switch {
	case since == "":
		return r, fail(exitInput, "As --since 36h.", "--since is missing")
	case to == "":
		return r, fail(exitInput, "As --to countersign-notify; another name lists the rules there are.", "--to is missing")
	}
	var err error
	if r.From, err = pastMoment("since", since, now); err != nil {
		return r, err
	}
	if until != "" {
		if r.Until, err = pastMoment("until", until, now); err != nil {
			return r, err
		}
	}
	if !r.From.Before(r.Until) {
		return r, fail(exitInput, "Name an earlier --since. An event can be replayed about 10 minutes after it was said.", "there is no time between %s and %s", stamp(r.From), stamp(r.Until))
	}
	return r, nil
}

// replayName is one that no other replay has.
func replayName(now time.Time) string {
	return "countersign-" + now.UTC().Format("20060102T150405.000Z")
}

// subscription finds a rule on the buses of the stack and its shards.
func (f remoteFlags) subscription(ctx context.Context, cfg aws.Config, name string) (bus *eventbridge.Bus, rule eventbridge.Rule, err error) {
	var known []string
	var failed error
	err = f.stacks(ctx, cfg, func(s stack) bool {
		if s.outputs["BusName"] == "" {
			failed = fail(exitFailed, "Deploy it again.", "stack %s has no output BusName", s.name)
			return false
		}
		its := eventbridge.New(cfg, s.outputs["BusName"])
		var rules []eventbridge.Rule
		if rules, failed = its.Rules(ctx); failed != nil {
			failed = replayError(fmt.Errorf("listing the rules of bus %s: %w", s.outputs["BusName"], failed))
			return false
		}
		for _, r := range rules {
			known = append(known, r.Name)
		}
		if i := slices.IndexFunc(rules, func(r eventbridge.Rule) bool { return r.Name == name }); i >= 0 {
			bus, rule = its, rules[i]
		}
		return bus == nil
	})
	switch {
	case err != nil:
		return nil, rule, err
	case failed != nil:
		return nil, rule, failed
	case bus == nil && len(known) == 0:
		return nil, rule, fail(exitInput, "Deploy it again.", "the bus of %s has no rules", f.stack)
	case bus == nil:
		return nil, rule, fail(exitInput, "--to takes one of: "+printable(strings.Join(known, ", "))+".", "no rule %.64q on the bus of %s", name, f.stack)
	case !rule.Enabled:
		return nil, rule, fail(exitRefused, "Enable it first: aws events enable-rule.", "rule %s is disabled: nothing would reach it", rule.Name)
	}
	return bus, rule, nil
}

// awaitReplay looks every two seconds until the replay has ended.
func (c *cli) awaitReplay(ctx context.Context, bus *eventbridge.Bus, r *replayed, p progress, patience time.Duration) error {
	look := "aws events describe-replay --replay-name " + r.Replay
	r.State = "STARTING"
	until, last := p.start.Add(patience), r.State
	for {
		now, err := bus.Replaying(ctx, r.Replay)
		switch {
		case err != nil && !errors.Is(err, grant.ErrUnavailable) && !errors.Is(err, grant.ErrThrottled):
			return replayError(fmt.Errorf("looking at replay %s: %w", r.Replay, err))
		case err == nil && now.Failed:
			r.State = now.State
			return fail(exitFailed, "What was sent stays sent. Try again: repeats are dropped by metadata.id.", "replay %s %s", r.Replay, printable(strings.TrimSpace(strings.ToLower(now.State)+" "+now.Reason)))
		case err == nil:
			r.State = now.State
			if now.State != last && !now.Ended {
				p.step("%s", strings.ToLower(now.State))
			}
			last = now.State
			if now.Ended {
				p.step("all of it is sent")
				return nil
			}
		}
		if c.now().After(until) {
			return fail(exitNotSeen, "It goes on. "+look+" tells when it has ended.", "replay %s has not ended yet", r.Replay)
		}
		if err := c.wait(ctx, 2*time.Second); err != nil {
			return fail(exitNotSeen, "It goes on. To end it: aws events cancel-replay --replay-name "+r.Replay, "interrupted while replay %s runs", r.Replay)
		}
	}
}

// replayError is remoteError with what a replay needs.
func replayError(err error) error {
	switch {
	case errors.Is(err, grant.ErrDenied):
		return fail(exitDenied, "You need events:ListRules, events:StartReplay and events:DescribeReplay.", "%w", err)
	case errors.Is(err, grant.ErrNotFound):
		return fail(exitFailed, "Deploy again: bus and archive are the stack's.", "%w", err)
	}
	return remoteError(err)
}
