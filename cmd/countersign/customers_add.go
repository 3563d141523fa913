package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/customers"
	"github.com/countersign/countersign/internal/grant"
)

// addFlags are an invitation.
type addFlags struct {
	registryFlags
	account, prefix, grant, role, secret, static string
	noID                                         bool
	teams                                        []string
}

func newCustomersAddCommand(c *cli) *cobra.Command {
	var f addFlags
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Invite a customer: its account and its prefix",
		Long: `Invite a customer: from now on what its account says is heard, and of all other
accounts nothing is kept. Its prefix stands in front of every external ID of this
customer and of no other, so that no customer can have you use another one's ID;
without --prefix one is made, and an account keeps the one that it was given.

The first event of its account proposes a grant, role and secret; countersign
customers accept takes that over. Where you know them, give --grant, --role and
--secret: then no event has to come, and accepting is all that is left to do.

A customer that doesn't run Countersign yet is added by its role, and with
--static-secret the ARN of a secret of your own that holds its external ID as
text, or with --no-external-id. When it moves to Countersign, its account proposes
that by itself.`,
		Example: `countersign customers add acme --account 444455556666 --team blue
countersign customers add acme --account 444455556666 --prefix acme --grant migration
countersign customers add old --account 666677778888 \
  --role arn:aws:iam::666677778888:role/Vendor \
  --static-secret arn:aws:secretsmanager:eu-west-1:111122223333:secret:old-a1B2c3`,
		Args: cobra.ExactArgs(1),
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.account, "account", "", "the customer's AWS account, 12 digits (required)")
	fl.StringVar(&f.prefix, "prefix", "", "of its external IDs: 4 to 32 lower-case letters and digits")
	fl.StringVar(&f.grant, "grant", "", "hear of this grant only; an account may have several customers, one a grant")
	fl.StringVar(&f.role, "role", "", "ARN of the role, where you know it")
	fl.StringVar(&f.secret, "secret", "", "ARN of the customer's secret, where you know it")
	fl.StringVar(&f.static, "static-secret", "", "ARN of your own secret with a fixed external ID")
	fl.BoolVar(&f.noID, "no-external-id", false, "the role needs none")
	fl.StringSliceVar(&f.teams, "team", nil, "who serves it; may be repeated")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		e, err := f.entry(args[0], c.now())
		if err != nil {
			return err
		}
		r, err := f.registry(ctx)
		if err != nil {
			return err
		}
		if e, err = invite(ctx, r, e, f.prefix == ""); err != nil {
			return customersError(err)
		}
		one := customers.Join(e, customers.Heard{})
		if c.json {
			return writeJSON(c.stdout, one)
		}
		return c.printInvitation(one)
	}
	return cmd
}

// entry is what the flags say, checked as far as it can be without the registry.
func (f addFlags) entry(name string, now time.Time) (customers.Entry, error) {
	e := customers.Entry{
		Name: name, Account: f.account, Prefix: f.prefix, Grant: f.grant, Kind: customers.KindCountersign, StaticSecretARN: f.static,
		Teams: sorted(f.teams), Invited: now.UTC().Truncate(time.Second),
	}
	switch {
	case f.account == "":
		return e, fail(exitInput, `As --account 444455556666.`, "--account is missing")
	case f.static != "" && f.noID:
		return e, fail(exitInput, "Give one of them.", "--static-secret and --no-external-id exclude each other")
	case f.static != "":
		e.Kind = customers.KindStatic
	case f.noID:
		e.Kind = customers.KindNone
	}
	own := e.Kind == customers.KindCountersign
	switch {
	case !own && (f.role == "" || f.secret != "" || f.prefix != "" || f.grant != ""):
		return e, fail(exitInput, "Give --role, and no --secret, --prefix or --grant: those are Countersign's.", "a customer that doesn't run Countersign is added by its role alone")
	case own && f.role == "" && f.secret != "", own && f.role != "" && f.grant == "":
		return e, fail(exitInput, "Give --grant and --role, and --secret if it has an external ID.", "a role or secret that is known needs its grant")
	}
	if own && e.Prefix == "" {
		var err error
		if e.Prefix, err = customers.NewPrefix(rand.Reader); err != nil {
			return e, err
		}
	}
	if f.role != "" {
		e.Offered = customers.Binding{Account: e.Account, Prefix: e.Prefix, Grant: f.grant, RoleARN: f.role, SecretARN: f.secret}
	}
	if f.grant != "" {
		if _, err := grant.ParseName(f.grant); err != nil {
			return e, fail(exitInput, "", "%w", err)
		}
	}
	if err := e.Check(); err != nil {
		return e, fail(exitInput, "", "%w", err)
	}
	return e, nil
}

// invite adds an entry. An account that was given a prefix before keeps it: made is whether this one was made up.
func invite(ctx context.Context, r customers.Registry, e customers.Entry, made bool) (customers.Entry, error) {
	err := r.Add(ctx, e)
	taken, ok := errors.AsType[*customers.Taken](err)
	if !made || !ok || taken.Field != customers.FieldPrefix || taken.By != "account "+e.Account {
		return e, err
	}
	e.Prefix = taken.Value
	if e.Offered != (customers.Binding{}) {
		e.Offered.Prefix = e.Prefix
	}
	return e, r.Add(ctx, e)
}

func sorted(s []string) []string {
	if len(s) == 0 {
		return nil
	}
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}

// printInvitation says what the customer has to put into its access.yaml.
func (c *cli) printInvitation(one customers.Customer) error {
	b := block{}
	b.head(one.Name, "invited, account "+one.Account)
	if one.Prefix != "" {
		b.row("prefix", one.Prefix)
	}
	if _, err := fmt.Fprint(c.stdout, b.String()); err != nil {
		return err
	}
	if one.Proposed != nil {
		c.talk("Its role is known: countersign customers accept " + one.Name)
		return nil
	}
	c.talk("The customer puts this into its access.yaml, beside your account:",
		"    prefix: "+one.Prefix,
		"    bus: (output BusArn of your stack CustomerAccess)",
		"When it has deployed: countersign customers accept "+one.Name)
	return nil
}

func newCustomersRemoveCommand(c *cli) *cobra.Command {
	var f registryFlags
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Forget a customer",
		Long: `Remove a customer from the registry: nobody finds it any more, and what its account
says is dropped. It takes nothing away: whoever holds credentials of a session
keeps them until they end, and the customer's role still trusts your account. The
prefix stays the account's.`,
		Example: "countersign customers remove acme\ncountersign customers remove acme --yes",
		Args:    cobra.ExactArgs(1),
	}
	f.add(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		r, err := f.registry(ctx)
		if err != nil {
			return err
		}
		e, h, err := r.Load(ctx, args[0])
		if err != nil {
			return customersError(err)
		}
		if !yes {
			ok, err := c.confirm(fmt.Sprintf("Remove %s (account %s, %s)?", e.Name, e.Account, customers.Join(e, h).State))
			if err != nil {
				return err
			}
			if !ok {
				return fail(exitRefused, "", "nothing was changed")
			}
		}
		if err := r.Remove(ctx, e); err != nil {
			return customersError(err)
		}
		if c.json {
			return writeJSON(c.stdout, map[string]string{"removed": e.Name})
		}
		_, err = fmt.Fprintf(c.stdout, "%s is removed\n", e.Name)
		role := cmp.Or(e.RoleARN, "none accepted")
		c.talk("Its role still trusts your account until the customer deletes it: "+printable(role),
			"Deploy CustomerAccess from a new export, so that engineers lose it: countersign customers export -f customers.yaml")
		return err
	}
	return cmd
}

// lastFour is how a person shows that it read the account.
func lastFour(account string) string { return account[max(0, len(account)-4):] }

// sameAs says what a proposal changes of what was accepted, for a person to see.
func sameAs(was, is customers.Binding) []string {
	var out []string
	for _, part := range [][3]string{{"grant", was.Grant, is.Grant}, {"role", was.RoleARN, is.RoleARN}, {"secret", was.SecretARN, is.SecretARN}} {
		if part[1] != part[2] {
			out = append(out, fmt.Sprintf("%s: was %s", part[0], cmp.Or(part[1], "none")))
		}
	}
	return out
}
