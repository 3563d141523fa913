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

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/aws/sqs"
	"github.com/countersign/countersign/internal/aws/ssm"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/redrive"
)

// toldSince is how far back deliveries looks for what was told.
const toldSince = 7 * 24 * time.Hour

// letter is one dead letter as it is shown.
type letter struct {
	Stack       string      `json:"stack"`
	Grant       string      `json:"grant,omitempty"` // empty: it can't be read
	Event       events.Type `json:"event,omitempty"`
	EventID     string      `json:"eventId,omitempty"`
	Destination string      `json:"destination"`        // "webhook 1", or the rule's name without its prefix
	Attempts    int         `json:"attempts,omitempty"` // that failed; absent: nobody counted
	FirstTried  time.Time   `json:"firstTried,omitzero"`
	Since       time.Time   `json:"since"` // how long it has been lying there
	Reason      string      `json:"reason"`

	is redrive.Letter
}

// depth is what notify's queue of a stack holds.
type depth struct {
	Stack string `json:"stack"`
	sqs.Depth
}

// told is what the history knows of a grant's deliveries in the last days.
type told struct {
	Since   time.Time `json:"since"`
	Times   int       `json:"times"`
	Last    string    `json:"last,omitempty"` // "webhook 1 of Access Revoked"
	LastAt  time.Time `json:"lastAt,omitzero"`
	Waiting []waiting `json:"waiting,omitempty"`
}

// waiting is a delivery that is tried again.
type waiting struct {
	events.Delivery
	Next time.Time `json:"next"`
}

// post is the answer of deliveries.
type post struct {
	Queues  []depth  `json:"queues"`
	Told    *told    `json:"told,omitempty"`        // of the grant that was named
	Unknown string   `json:"toldUnknown,omitempty"` // why the history can't be read
	Dead    []letter `json:"dead"`                  // the oldest first
}

func newDeliveriesCommand(c *cli) *cobra.Command {
	var f remoteFlags
	cmd := &cobra.Command{
		Use:   "deliveries [GRANT]",
		Short: "Say what is still to be told, or could not be",
		Long: `Say how many messages to people and providers wait, and list the dead letters:
what nobody took, and for which no attempt is left. Each is a line: grant, event,
destination by its name, attempts, since when, and why the last one failed. With
GRANT also what was told in the last 7 days, and what is tried again when.
countersign deliveries redrive sends dead letters again; its --help says how.

Looking takes each dead letter out of its queue for a moment and hands it back:
none is lost, a second look at the same time sees fewer, and where it is killed
they are back after a minute. It costs a request for ten letters, and one for each.

Your own credentials need cloudformation:DescribeStacks; sqs:GetQueueAttributes on
countersign-notify; sqs:ReceiveMessage and sqs:ChangeMessageVisibility on
countersign-notify-dead; and, to know more, ssm:GetParameter for the destinations'
names and logs:FilterLogEvents for what was told.`,
		Example: `countersign deliveries
countersign deliveries migration --json
countersign deliveries redrive --grant migration`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []string{"redrive\tSend dead letters again"}, cobra.ShellCompDirectiveNoFileComp
		},
	}
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		name := grant.Name("")
		if len(args) == 1 {
			var err error
			if name, err = grantArg(args); err != nil {
				return err
			}
		}
		cfg, err := f.config(ctx)
		if err != nil {
			return err
		}
		p, err := c.look(ctx, cfg, f, name)
		if err != nil {
			return err
		}
		if c.json {
			return writeJSON(c.stdout, p)
		}
		_, err = io.WriteString(c.stdout, p.text(c.now()))
		return err
	}
	cmd.AddCommand(newRedriveCommand(c))
	return cmd
}

// look reads queues and dead letters: of the stack that a grant lies in, or of all.
func (c *cli) look(ctx context.Context, cfg aws.Config, f remoteFlags, name grant.Name) (post, error) {
	out := post{Queues: []depth{}, Dead: []letter{}}
	stacks, err := f.stacksOf(ctx, cfg, name)
	if err != nil {
		return out, remoteError(err)
	}
	for _, s := range stacks {
		queue, letters, err := s.queues(cfg)
		if err != nil {
			return out, err
		}
		n, err := queue.Depth(ctx)
		if err != nil {
			return out, deliveriesError(fmt.Errorf("counting what is to be told: %w", err))
		}
		out.Queues = append(out.Queues, depth{s.name, n})
		found, err := redrive.Look(ctx, letters)
		if err != nil {
			return out, deliveriesError(err)
		}
		out.Dead = append(out.Dead, s.shown(ctx, cfg, found, name)...)
	}
	slices.SortStableFunc(out.Dead, func(a, b letter) int { return a.Since.Compare(b.Since) })
	if name != "" {
		since := c.now().Add(-toldSince).UTC().Truncate(time.Second)
		h, err := stacks[0].history(ctx, cfg, name, since)
		if err != nil {
			out.Unknown = err.Error()
		} else {
			out.Told = toldLately(h, c.now())
		}
	}
	return out, nil
}

// stacksOf are the stacks that a grant may lie in: its own, or all where none is named.
func (f remoteFlags) stacksOf(ctx context.Context, cfg aws.Config, name grant.Name) (out []stack, err error) {
	if name != "" {
		s, err := f.stackOf(ctx, cfg, name)
		return []stack{s}, err
	}
	err = f.stacks(ctx, cfg, func(s stack) bool {
		out = append(out, s)
		return true
	})
	return out, err
}

// queues are notify's queue and that of its dead letters.
func (s stack) queues(cfg aws.Config) (queue, letters *sqs.Queue, err error) {
	for _, output := range []string{"DeliveriesUrl", "DeadLettersUrl"} {
		if s.outputs[output] == "" {
			return nil, nil, fail(exitFailed, "Deploy it again.", "stack %s has no output %s", s.name, output)
		}
	}
	return sqs.New(cfg, s.outputs["DeliveriesUrl"]), sqs.New(cfg, s.outputs["DeadLettersUrl"]), nil
}

// shown are the letters of a grant, or all, with the names that plans give their destinations.
func (s stack) shown(ctx context.Context, cfg aws.Config, found []redrive.Letter, name grant.Name) []letter {
	plans := map[grant.Name]grant.Plan{}
	var out []letter
	for _, l := range found {
		if name != "" && l.Grant != name {
			continue
		}
		p, known := plans[l.Grant]
		if !known && l.Destination != "" {
			p, _ = ssm.New(cfg).Plan(ctx, l.Grant)
			plans[l.Grant] = p
		}
		out = append(out, letter{
			Stack: s.name, Grant: string(l.Grant), Event: l.Event, EventID: l.EventID, Destination: destinationOf(l, p), Attempts: l.Attempts,
			FirstTried: l.FirstTried.UTC(), Since: l.Since.UTC(), Reason: l.Reason, is: l,
		})
	}
	return out
}

// destinationOf is what people call the destination of a letter. A plan that nobody could read has no grant.
func destinationOf(l redrive.Letter, p grant.Plan) string {
	channel, _, _ := strings.Cut(l.Destination, "-")
	switch {
	case !l.Readable():
		return "unknown"
	case l.Rule != "":
		return strings.TrimPrefix(l.Rule, "countersign-")
	case l.Destination == "":
		return "all"
	case p.Grant == "":
		return channel
	}
	for _, d := range p.Destinations() {
		if deliver.IDOf(d) == l.Destination {
			return d.Name
		}
	}
	return channel + ", gone" // from the plan: notify drops what is sent there
}

// toldLately reads a history, newest first, for what was told and what is tried again.
func toldLately(h chronicle, now time.Time) *told {
	out := &told{Since: h.Since}
	seen := map[string]bool{}
	for _, one := range h.Happenings {
		switch d := one.Data.(type) {
		case *events.DeliverySucceeded:
			if out.Times++; out.Times == 1 {
				out.Last, out.LastAt = d.Destination+" of "+string(d.Event), one.Time
			}
			seen[d.EventID+d.Destination] = true
		case *events.DeliveryFailed:
			if !seen[d.EventID+d.Destination] && d.Next.After(now) {
				out.Waiting = append(out.Waiting, waiting{d.Delivery, d.Next})
			}
			seen[d.EventID+d.Destination] = true
		}
	}
	return out
}

// deliveriesError is remoteError with what the two commands need.
func deliveriesError(err error) error {
	if errors.Is(err, grant.ErrDenied) {
		return fail(exitDenied, "countersign deliveries --help and countersign deliveries redrive --help list what you need on which queue. Granted roles never get there.", "%w", err)
	}
	if errors.Is(err, grant.ErrNotFound) {
		return fail(exitFailed, "Deploy again: the queues are the stack's.", "%w", err)
	}
	return remoteError(err)
}
