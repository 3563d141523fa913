package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/aws/operator"
	"github.com/countersign/countersign/internal/aws/secretsmanager"
	"github.com/countersign/countersign/internal/aws/sts"
	"github.com/countersign/countersign/internal/entry"
	"github.com/countersign/countersign/internal/visit"
	"github.com/countersign/countersign/provider"
)

// wayFlags say who enters, and where the registry of customers is.
type wayFlags struct {
	customers, profile, region string
}

func (f *wayFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.customers, "customers", "", "registry of customers: a DynamoDB table, or a file *.json")
	cmd.Flags().StringVar(&f.profile, "profile", "", "profile of AWS with your own credentials")
	cmd.Flags().StringVar(&f.region, "region", "", "Region of AWS, instead of the profile's")
}

// entryFlags are wayFlags with what an entry is told.
type entryFlags struct {
	wayFlags
	reason   string
	patience time.Duration
	anew     bool // a session of its own, kept nowhere
}

func (f *entryFlags) add(cmd *cobra.Command) {
	f.wayFlags.add(cmd)
	cmd.Flags().StringVar(&f.reason, "reason", "", "why, for the customer's CloudTrail: a ticket, say")
	cmd.Flags().DurationVar(&f.patience, "wait", 2*time.Minute, "how long to wait for IAM to show a new ID")
}

func (f entryFlags) request(t target) entry.Request {
	r := entry.Request{Customer: t.name, RoleARN: t.roleARN, ID: t.id, Reason: f.reason, Patience: f.patience}
	if f.patience <= 0 {
		r.Patience = -1
	}
	return r
}

// wayIn is how accounts are entered from here.
type wayIn struct {
	visit.Enterer
	book   *book
	region string     // of one's own configuration
	inside *visit.Dir // the customer's shell that this is; nil: none
}

// way finds it: from one's own credentials, or where this shell is in a customer's account, through the door that opened it. That
// account's credentials never open anything.
func (c *cli) way(ctx context.Context, f wayFlags, keep entry.Keep) (wayIn, error) {
	if path := c.env(visit.Variable); path != "" {
		dir := visit.Dir{Path: path}
		if _, err := dir.Facts(); err != nil {
			return wayIn{}, fail(exitFailed, "Leave this shell (exit), and enter again.", "the countersign that opened this shell has ended")
		}
		return wayIn{Enterer: dir, book: c.closedBook(f.customers), region: f.region, inside: &dir}, nil
	}
	cfg, err := c.base(ctx, f)
	if err != nil {
		return wayIn{}, err
	}
	b := c.openBook(cfg, f.customers)
	w := c.wayFrom(cfg, b, provider.New(cfg, &provider.Memory{}, provider.Options{Now: c.now}))
	w.Keep = keep
	return wayIn{Enterer: w, book: b, region: cfg.Region}, nil
}

// wayFrom leads from one's own credentials to the customers of a registry.
func (c *cli) wayFrom(cfg aws.Config, b *book, client *provider.Client) *entry.Way {
	return &entry.Way{
		Customers: b, Client: client, Secrets: secretsmanager.New(cfg), Now: c.now, Wait: c.wait,
		Who: func(ctx context.Context) (entry.Base, error) {
			account, arn, err := sts.New(cfg).Caller(ctx)
			return entry.Base{Account: account, ARN: arn}, err
		},
	}
}

// base is one's own configuration: the flags', the environment's, or what creds load remembered.
func (c *cli) base(ctx context.Context, f wayFlags) (aws.Config, error) {
	profile := f.profile
	if profile == "" && c.env("AWS_PROFILE") == "" && c.env("AWS_ACCESS_KEY_ID") == "" {
		profile = c.remembered().Profile
	}
	region := f.region
	if region == "" && c.env("AWS_REGION") == "" {
		region = c.env("AWS_DEFAULT_REGION")
	}
	var ask []func() (string, error)
	if isTerminal(c.stdin) && isTerminal(c.stderr) {
		ask = append(ask, func() (string, error) { return c.askMFA(ctx) })
	}
	cfg, err := operator.Load(ctx, profile, region, ask...)
	switch {
	case errors.Is(err, operator.ErrNoRegion):
		return cfg, fail(exitInput, "Set AWS_REGION, or give --region.", "%w", err)
	case err != nil:
		return cfg, fail(exitInput, "countersign creds load shows the profiles that there are.", "%w", err)
	}
	return cfg, nil
}

// entryError gives a refusal its exit code.
func entryError(err error) error {
	no, ok := errors.AsType[*entry.Refusal](err)
	if !ok {
		return err
	}
	code := map[entry.Cause]int{
		entry.CauseUnknown: exitInput, entry.CauseNoRegistry: exitInput, entry.CauseNothing: exitInput,
		entry.CauseNotAccepted: exitRefused, entry.CauseNotBound: exitRefused,
		entry.CauseRevoked: exitDenied, entry.CauseExpired: exitDenied, entry.CauseUnreadable: exitDenied, entry.CauseDenied: exitDenied,
		entry.CauseNobody: exitDenied,
	}[no.Cause]
	return fail(cmp.Or(code, exitFailed), no.Next, "%w", no)
}

// program is this program's own path, for what others are to run.
func program() string {
	if path, err := os.Executable(); err == nil {
		return path
	}
	return "countersign"
}
