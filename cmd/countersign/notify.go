package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/aws/apigateway"
	"github.com/countersign/countersign/internal/grant"
	"github.com/spf13/cobra"
)

func newNotifyCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notify",
		Short: "Send a test message to those who are told",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newNotifyTestCommand(c))
	return cmd
}

// arrival is what became of one destination of a test.
type arrival struct {
	Destination string `json:"destination"`
	Outcome     string `json:"outcome"` // taken, failed or unknown
	Reason      string `json:"reason,omitempty"`

	Next time.Time `json:"next,omitzero"` // of failed: the next attempt; absent: none follows
}

// The outcomes of an arrival.
const (
	arrivalTaken   = "taken"
	arrivalFailed  = "failed"
	arrivalUnknown = "unknown" // nothing was said of it yet
)

// words say why it failed, and what follows.
func (a arrival) words(now time.Time) string {
	if a.Next.IsZero() {
		return a.Reason + "; no attempt follows"
	}
	return a.Reason + "; next attempt " + clock(a.Next, now)
}

// testResult is the answer of notify test.
type testResult struct {
	Grant    string    `json:"grant"`
	EventID  string    `json:"eventId"`
	Arrivals []arrival `json:"arrivals"`
}

func newNotifyTestCommand(c *cli) *cobra.Command {
	var f remoteFlags
	var req api.TestRequest
	patience := 2 * time.Minute
	cmd := &cobra.Command{
		Use:   "test GRANT",
		Short: "Send a message that says TEST to each destination of a grant",
		Long: `Send a message that says TEST to each destination of a grant: mails, webhooks,
topics, and the provider's bus. It goes the way of every other message, and
changes nothing. What became of it is read from the history of the grant (your
own credentials need logs:FilterLogEvents), but for the bus, where nobody
answers.

A failed attempt is tried again as always, ten times in three days, and the line
says when. Where it says that no attempt follows, only a person can help: mend what
it names. The message lies with the dead letters then, countersign deliveries GRANT
shows it, and deliveries redrive sends it again.`,
		Example: `countersign notify test migration --reason "first set-up"
countersign notify test migration --wait 0s`,
		Args: cobra.ExactArgs(1),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&req.Reason, "reason", "", "why, for the history: up to 200 characters")
	cmd.Flags().DurationVar(&patience, "wait", patience, "how long to wait for what becomes of it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		name, err := grantArg(args)
		if err != nil {
			return err
		}
		cfg, s, err := f.deployed(ctx, name)
		if err != nil {
			return err
		}
		client, err := s.api(cfg)
		if err != nil {
			return remoteError(err)
		}
		return c.notifyTest(ctx, cfg, s, client, name, req, patience)
	}
	return cmd
}

// notifyTest asks for the messages and looks what becomes of them.
func (c *cli) notifyTest(ctx context.Context, cfg aws.Config, s stack, client *apigateway.Client, name grant.Name, req api.TestRequest, patience time.Duration) error {
	p := c.progress()
	answer, err := client.Test(ctx, name, req)
	if err != nil {
		return remoteError(fmt.Errorf("testing who is told of %s: %w", name, err))
	}
	p.step("asked for: %s", count(len(answer.Destinations), "destination"))
	result := testResult{Grant: answer.Grant, EventID: answer.EventID}
	for _, d := range answer.Destinations {
		result.Arrivals = append(result.Arrivals, arrival{Destination: d, Outcome: arrivalUnknown})
	}
	failed := c.awaitArrivals(ctx, cfg, s, name, &result, p, patience)
	if c.json {
		err = writeJSON(c.stdout, result)
	} else {
		rows := [][]string{{"DESTINATION", "TEST"}}
		b := block{}
		for _, a := range result.Arrivals {
			rows = append(rows, []string{printable(a.Destination), a.Outcome})
			if a.Reason != "" {
				b.head(printable(a.Destination), printable(a.words(c.now())))
			}
		}
		_, err = io.WriteString(c.stdout, table(rows)+b.String())
	}
	return errors.Join(err, failed)
}

// awaitArrivals reads the history every two seconds until each destination took the message or failed.
func (c *cli) awaitArrivals(ctx context.Context, cfg aws.Config, s stack, name grant.Name, r *testResult, p progress, patience time.Duration) error {
	const clocksApart = 5 * time.Minute
	until := p.start.Add(patience)
	for patience > 0 {
		told, err := s.history(ctx, cfg, name, p.start.Add(-clocksApart))
		if err != nil {
			return err
		}
		r.see(told.Happenings)
		if r.count(arrivalUnknown) == 0 || c.now().After(until) {
			break
		}
		if c.wait(ctx, 2*time.Second) != nil {
			break
		}
	}
	show := "countersign history " + string(name) + " --all --since 1h"
	switch bad, open := r.count(arrivalFailed), r.count(arrivalUnknown); {
	case bad > 0:
		next := "A failed attempt is tried again. " + show + " tells how it goes on."
		if r.ended() {
			next = "Where no attempt follows, mend what the line says. countersign deliveries " + string(name) + " shows what lies with the dead letters, and countersign deliveries redrive sends it again."
		}
		return fail(exitFailed, next, "%d of %s could not be told", bad, count(len(r.Arrivals), "destination"))
	case open > 0:
		return fail(exitNotSeen, show+" tells later; the log group of countersign-notify tells why not.", "nothing is known yet of %d of %s", open, count(len(r.Arrivals), "destination"))
	}
	return nil
}

// see notes what the history, newest first, says of this test. What was taken once stays taken.
func (r *testResult) see(newestFirst []happening) {
	for _, h := range slices.Backward(newestFirst) {
		switch d := h.Data.(type) {
		case *events.DeliverySucceeded:
			r.note(d.Delivery, arrivalTaken, time.Time{})
		case *events.DeliveryFailed:
			r.note(d.Delivery, arrivalFailed, d.Next)
		}
	}
}

func (r *testResult) note(d events.Delivery, outcome string, next time.Time) {
	for i := range r.Arrivals {
		a := &r.Arrivals[i]
		if d.EventID == r.EventID && d.Destination == a.Destination && a.Outcome != arrivalTaken {
			a.Outcome, a.Reason, a.Next = outcome, d.Reason, next
		}
	}
}

// ended says whether a destination failed for good.
func (r *testResult) ended() bool {
	return slices.ContainsFunc(r.Arrivals, func(a arrival) bool { return a.Outcome == arrivalFailed && a.Next.IsZero() })
}

func (r *testResult) count(outcome string) (n int) {
	for _, a := range r.Arrivals {
		if a.Outcome == outcome {
			n++
		}
	}
	return n
}
