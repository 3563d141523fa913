package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/aws/iam"
	"github.com/countersign/countersign/internal/aws/operator"
	"github.com/countersign/countersign/internal/aws/sts"
	"github.com/countersign/countersign/internal/customers"
	"github.com/countersign/countersign/internal/entry"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/visit"
)

// The sides that one can be on.
const (
	sideCustomer = "CUSTOMER"
	sideProvider = "PROVIDER"
	sideMixed    = "MIXED" // the shell and its credentials disagree
)

// identity is the answer of whoami.
type identity struct {
	Side     string      `json:"side"`
	Customer string      `json:"customer,omitempty"`
	Kind     string      `json:"kind,omitempty"`
	Alias    string      `json:"alias,omitempty"`
	Account  string      `json:"account"`
	ARN      string      `json:"arn"`
	Engineer string      `json:"engineer"`
	Known    bool        `json:"sourceIdentity,omitempty"`
	Reason   string      `json:"reason,omitempty"`
	From     *entry.Base `json:"from,omitempty"`
	Since    time.Time   `json:"since,omitzero"`
	Expires  time.Time   `json:"expires,omitzero"`
}

func newWhoamiCommand(c *cli) *cobra.Command {
	var f wayFlags
	cmd := &cobra.Command{
		Use:   "whoami",
		Short: "Say whose account this is, and who you are",
		Long: `Say where you are, CUSTOMER or PROVIDER, as AWS itself sees your credentials: the
account and its alias, role, engineer, reason, time left, and how you got here.

Exit codes: 0 yes, 3 shell and credentials belong to different accounts (MIXED),
4 AWS takes no credentials from here.`,
		Example: "countersign whoami\ncountersign whoami --json",
		Args:    cobra.NoArgs,
	}
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		who, err := c.whoami(cmd.Context(), f)
		if err != nil {
			return err
		}
		if c.json {
			err = writeJSON(c.stdout, who)
		} else {
			_, err = io.WriteString(c.stdout, who.text(c.now()))
		}
		if err == nil && who.Side == sideMixed {
			err = fail(exitRefused, "Leave this shell (exit), and enter again.", "this shell is of %s, its credentials are of account %s", who.Customer, who.Account)
		}
		return err
	}
	return cmd
}

// here is the configuration of where one is: a customer's account in its shell, one's own elsewhere.
func (c *cli) here(ctx context.Context, f wayFlags) (aws.Config, *visit.Dir, error) {
	if path := c.env(visit.Variable); path != "" {
		cfg, err := operator.Load(ctx, f.profile, f.region)
		if err != nil {
			return cfg, nil, fail(exitInput, "Set AWS_REGION, or give --region.", "%w", err)
		}
		return cfg, &visit.Dir{Path: path}, nil
	}
	cfg, err := c.base(ctx, f)
	return cfg, nil, err
}

func (c *cli) whoami(ctx context.Context, f wayFlags) (identity, error) {
	cfg, inside, err := c.here(ctx, f)
	if err != nil {
		return identity{}, err
	}
	account, arn, err := sts.New(cfg).Caller(ctx)
	if err != nil {
		return identity{}, fail(exitDenied, "countersign creds load says what is missing; in a customer's shell: exit, and enter again.", "AWS takes no credentials from here: %w", err)
	}
	who := identity{Side: sideProvider, Account: account, ARN: arn, Engineer: entry.Engineer(arn)}
	if creds, err := cfg.Credentials.Retrieve(ctx); err == nil && creds.CanExpire {
		who.Expires = creds.Expires.UTC()
	}
	if alias, err := iam.New(cfg).Alias(ctx); err == nil {
		who.Alias = alias
	}
	if inside != nil {
		v, err := inside.Facts()
		switch {
		case errors.Is(err, visit.ErrNone):
			who.Side, who.Customer = sideMixed, "a customer whose shell has ended"
		case err != nil:
			return who, err
		case v.Account != account || !strings.Contains(arn, ":assumed-role/"+v.RoleName()+"/"):
			who.Side, who.Customer = sideMixed, v.Label()
		default:
			who.Side, who.Customer, who.Kind, who.Engineer, who.Known, who.Reason = sideCustomer, v.Customer, string(v.Kind), v.Engineer, v.Known, v.Reason
			who.From, who.Since, who.Expires = &v.From, v.Since, v.Expires
		}
		return who, nil
	}
	rows, _ := c.closedBook(f.customers).read()
	for _, r := range rows { // credentials of a customer's, got by export
		if r.Account == account && strings.Contains(arn, ":assumed-role/"+r.RoleARN[strings.LastIndexByte(r.RoleARN, '/')+1:]+"/") {
			who.Side, who.Customer, who.Kind = sideCustomer, r.Name, string(r.Kind)
			break
		}
	}
	return who, nil
}

// text is what a person reads.
func (who identity) text(now time.Time) string {
	b := block{}
	name := strings.TrimSpace(printable(strings.Join([]string{who.Customer, who.Account}, " ")))
	if who.Alias != "" && who.Alias != who.Customer {
		name += " (alias " + printable(who.Alias) + ")"
	}
	if who.Kind == string(customers.KindStatic) || who.Kind == string(customers.KindNone) {
		name += ", " + who.Kind
	}
	b.head(who.Side, name)
	b.row("as", printable(who.ARN[strings.LastIndexByte(who.ARN, ':')+1:]))
	you := printable(who.Engineer)
	if who.Known {
		you += " (source identity)"
	}
	if who.Reason != "" {
		you += ", because " + printable(who.Reason)
	}
	b.row("you", you)
	if who.From != nil {
		b.row("came from", fmt.Sprintf("PROVIDER %s, %s, %s ago", who.From.Account, printable(who.From.ARN[strings.LastIndexByte(who.From.ARN, ':')+1:]), roughly(now.Sub(who.Since))))
	}
	if !who.Expires.IsZero() {
		left := visit.Left(who.Expires, now) + " (until " + clock(who.Expires, now) + ")"
		if who.From != nil {
			left += ", then renewed"
		}
		b.row("time left", left)
	}
	return b.String()
}

// denial says that a call isn't permitted here, as plainly as what it would have given.
func denial(err error, what string, who string) error {
	if !errors.Is(err, grant.ErrDenied) {
		return err
	}
	return fail(exitDenied, "That is where the grant ends; countersign whoami says where you are.", "DENIED: %s may not call %s", who, what)
}
