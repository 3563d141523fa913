package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/aws/dynamodb"
	"github.com/countersign/countersign/internal/aws/sts"
	"github.com/countersign/countersign/internal/customers"
)

func newCustomersAcceptCommand(c *cli) *cobra.Command {
	var f registryFlags
	var ends string
	var refuse bool
	cmd := &cobra.Command{
		Use:   "accept NAME",
		Short: "Accept the role that a customer proposes",
		Long: `Accept what a customer's account proposes: the first time, or where it speaks of
another grant, role or secret than before. You are shown account, prefix, role and
secret, and asked for the account's last four digits: compare them with what the
customer told you by another way. From then on every entry takes account, prefix,
role and secret from what you accepted here, and nothing that a secret or an event
says changes that.

--refuse sets the proposal aside, and what was accepted before stays.`,
		Example: `countersign customers accept acme
countersign customers accept acme --account-ends 6666
countersign customers accept acme --refuse`,
		Args: cobra.ExactArgs(1),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&ends, "account-ends", "", "the account's last four digits, where there is no terminal to ask on")
	cmd.Flags().BoolVar(&refuse, "refuse", false, "set the proposal aside instead")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		cfg, err := remoteFlags{profile: f.profile, region: f.region}.config(ctx)
		if err != nil {
			return err
		}
		r := dynamodb.New(cfg, f.table)
		e, h, err := r.Load(ctx, args[0])
		if err != nil {
			return customersError(err)
		}
		one := customers.Join(e, h)
		if one.Proposed == nil {
			return fail(exitRefused, "countersign customers show "+one.Name+" says what is known.", "%s proposes nothing: %s", one.Name, nothingProposed(one))
		}
		if refuse {
			return c.refuse(ctx, r, e, one)
		}
		if err := c.askAccount(one, ends); err != nil {
			return err
		}
		_, by, err := sts.New(cfg).Caller(ctx)
		if err != nil {
			return remoteError(fmt.Errorf("asking AWS who you are: %w", err))
		}
		accepted, err := e.Accept(one, by, c.now())
		if err != nil {
			return customersError(err)
		}
		if err := r.Change(ctx, e, accepted); err != nil {
			return customersError(err)
		}
		return c.printAccepted(customers.Join(accepted, h))
	}
	return cmd
}

func nothingProposed(one customers.Customer) string {
	switch one.State {
	case customers.StateInvited:
		return "account " + one.Account + " has said nothing yet"
	default:
		return "what it says is what was accepted"
	}
}

// askAccount shows what is to be accepted, and has a person read the account.
func (c *cli) askAccount(one customers.Customer, ends string) error {
	c.tell("%s", proposalText(one))
	if ends == "" {
		if c.json || !isTerminal(c.stdin) || !isTerminal(c.stderr) {
			return fail(exitRefused, "--account-ends gives the account's last four digits.", "no terminal to ask on")
		}
		c.tell("Last four digits of the account, from the customer's own words: ")
		line, err := bufio.NewReader(c.stdin).ReadString('\n')
		if err != nil {
			c.tell("\n")
			return fail(exitRefused, "", "nothing was accepted")
		}
		ends = strings.TrimSpace(line)
	}
	if ends != lastFour(one.Account) {
		return fail(exitRefused, "Ask the customer for its account's number, by another way than this one.", "that is not how account %s ends: nothing was accepted", one.Account)
	}
	return nil
}

// proposalText is what a person decides on.
func proposalText(one customers.Customer) string {
	b := block{}
	p := one.Proposed
	head := "proposes a role for the first time"
	if !one.Accepted.IsZero() {
		head = "proposes a CHANGE; you enter as before until you accept it"
	}
	b.head(one.Name, head)
	b.row("account", p.Account)
	b.row("prefix", cmp.Or(p.Prefix, "none"))
	b.row("grant", printable(cmp.Or(p.Grant, "none: not Countersign's")))
	b.row("role", printable(p.RoleARN))
	b.row("secret", printable(cmp.Or(p.SecretARN, one.StaticSecretARN, "none: the role needs no external ID")))
	if !one.Accepted.IsZero() {
		for _, change := range sameAs(one.Binding(), *p) {
			b.row("", printable(change))
		}
	}
	return b.String()
}

func (c *cli) printAccepted(one customers.Customer) error {
	if c.json {
		return writeJSON(c.stdout, one)
	}
	b := block{}
	b.head(one.Name, "accepted: role "+printable(one.RoleARN))
	if _, err := fmt.Fprint(c.stdout, b.String()); err != nil {
		return err
	}
	c.talk("So that engineers' roles know it, unless they go by session tags:",
		"    countersign customers export -f customers.yaml    and deploy CustomerAccess")
	return nil
}

// refuse sets a proposal aside.
func (c *cli) refuse(ctx context.Context, r customers.Registry, e customers.Entry, one customers.Customer) error {
	if err := r.Change(ctx, e, e.Dismiss(one, c.now())); err != nil {
		return customersError(err)
	}
	if c.json {
		return writeJSON(c.stdout, map[string]any{"refused": one.Proposed, "customer": one.Name})
	}
	_, err := fmt.Fprintf(c.stdout, "%s: set aside; said again, it is shown again\n", one.Name)
	return err
}
