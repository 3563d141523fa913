package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/aws/cloudwatchlogs"
	"github.com/countersign/countersign/internal/grant"
	"github.com/spf13/cobra"
)

// happening is one event of a grant as history tells it. A field that nobody knows is empty.
type happening struct {
	Time   time.Time   `json:"time"`
	Event  events.Type `json:"event"`
	ID     string      `json:"id"`
	By     string      `json:"by,omitempty"`
	Reason string      `json:"reason,omitempty"`
	Data   events.Data `json:"data,omitempty"` // nil: of a kind that this program doesn't know

	mailed events.Type // Mail Undelivered: the event that the mail told of; "": it isn't in this history
}

// chronicle is the answer of history.
type chronicle struct {
	Grant      string      `json:"grant"`
	Since      time.Time   `json:"since,omitzero"`
	Happenings []happening `json:"happenings"` // newest first
	Unreadable int         `json:"unreadable,omitempty"`
}

func newHistoryCommand(c *cli) *cobra.Command {
	var f remoteFlags
	var since string
	var all bool
	cmd := &cobra.Command{
		Use:   "history GRANT",
		Short: "Tell a grant's life, newest first: who and why",
		Long: `Tell what happened to a grant, newest first: rotations, revocations, drift, who
asked for what and why. It is what the stack's event bus was told in the last 400
days, read from a log group with your own credentials (logs:FilterLogEvents).
Deliveries that worked and daily signs of life are left out without --all.

Whoever may write to the bus can write there. CloudTrail proves what was done.`,
		Example: `countersign history migration
countersign history migration --since 30d --json`,
		Args: cobra.ExactArgs(1),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&since, "since", "", "how far back: 30d, 36h, a date or RFC 3339; unset: all")
	cmd.Flags().BoolVar(&all, "all", false, "deliveries that worked and signs of life too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		name, err := grantArg(args)
		if err != nil {
			return err
		}
		from, err := pastMoment("since", since, c.now())
		if err != nil {
			return err
		}
		cfg, s, err := f.deployed(ctx, name)
		if err != nil {
			return err
		}
		told, err := s.history(ctx, cfg, name, from)
		if err != nil {
			return err
		}
		if !all {
			told.Happenings = slices.DeleteFunc(told.Happenings, func(h happening) bool {
				return h.Event == events.TypeDeliverySucceeded || h.Event == events.TypeGrantReported
			})
		}
		if c.json {
			return writeJSON(c.stdout, told)
		}
		_, err = io.WriteString(c.stdout, told.text())
		return err
	}
	return cmd
}

// history reads what the stack's trail holds of a grant.
func (s stack) history(ctx context.Context, cfg aws.Config, name grant.Name, since time.Time) (chronicle, error) {
	group := s.outputs["TrailLogGroup"]
	if group == "" {
		return chronicle{}, fail(exitFailed, "Deploy it again: events are kept from then on.", "stack %s has no output TrailLogGroup", s.name)
	}
	found, err := cloudwatchlogs.New(cfg).Find(ctx, group, fmt.Sprintf(`{ $.detail.metadata.grant = "%s" }`, name), since)
	switch {
	case errors.Is(err, grant.ErrNotFound):
		return chronicle{}, fail(exitFailed, "Somebody deleted it, and what it held. Deploy again: events are kept from then on.", "there is no log group %s", group)
	case errors.Is(err, grant.ErrDenied):
		return chronicle{}, fail(exitDenied, "You need logs:FilterLogEvents on log group "+group+".", "reading the history of %s: %w", name, err)
	case err != nil:
		return chronicle{}, remoteError(fmt.Errorf("reading the history of %s: %w", name, err))
	}
	told := chronicle{Grant: string(name), Since: since, Happenings: []happening{}}
	for _, m := range found {
		h, theirs, err := readHappening(m)
		switch {
		case err != nil:
			told.Unreadable++
		case theirs == string(name): // whatever the service made of the pattern
			told.Happenings = append(told.Happenings, h)
		}
	}
	told.Happenings = once(told.Happenings)
	told.nameMails()
	return told, nil
}

// readHappening reads one message of the trail, and which grant it is about.
func readHappening(m cloudwatchlogs.Message) (h happening, about string, err error) {
	var e events.Envelope
	var detail struct{ Metadata events.Metadata }
	if err := json.Unmarshal([]byte(m.Text), &e); err != nil {
		return happening{}, "", err
	}
	if err := json.Unmarshal(e.Detail, &detail); err != nil {
		return happening{}, "", err
	}
	h = happening{Time: detail.Metadata.Time, Event: e.DetailType, ID: detail.Metadata.ID}
	if h.Time.IsZero() {
		h.Time = m.At
	}
	if !slices.Contains(events.Types(), e.DetailType) {
		return h, detail.Metadata.Grant, nil
	}
	event, err := e.Event()
	if err != nil {
		return happening{}, "", err
	}
	h.Data = event.Data
	switch d := event.Data.(type) {
	case *events.AccessRevoked:
		h.By, h.Reason = d.By, d.Reason
	case *events.OperationRequested:
		h.By, h.Reason = d.By, d.Reason
	case *events.TestRequested:
		h.By, h.Reason = d.By, d.Reason
	case *events.RotationFailed:
		h.Reason = d.Reason
	case *events.DeliveryFailed:
		h.Reason = d.Reason
	case *events.DestinationDisabled:
		h.Reason = d.Reason
	}
	return h, detail.Metadata.Grant, nil
}

// nameMails finds the events that undelivered mails told of.
func (t chronicle) nameMails() {
	of := map[string]events.Type{}
	for _, h := range t.Happenings {
		of[h.ID] = h.Event
	}
	for i := range t.Happenings {
		if d, ok := t.Happenings[i].Data.(*events.MailUndelivered); ok {
			t.Happenings[i].mailed = of[d.EventID]
		}
	}
}

// unknownCaller is whom events name that nobody signed, as a revocation that reconcile found.
const unknownCaller = "unknown"

// once drops repeats of one event, and orders the rest newest first. Of repeats the first one counts, but for one that knows
// who did it.
func once(all []happening) []happening {
	slices.SortStableFunc(all, func(a, b happening) int { return a.Time.Compare(b.Time) })
	at := map[string]int{}
	out := all[:0]
	for _, h := range all {
		i, again := at[h.ID]
		switch {
		case !again || h.ID == "" || out[i].Event != h.Event:
			at[h.ID] = len(out)
			out = append(out, h)
		case out[i].By == unknownCaller && h.By != unknownCaller:
			h.Time = out[i].Time
			out[i] = h
		}
	}
	slices.Reverse(out)
	return out
}
