package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/aws/dynamodb"
	"github.com/countersign/countersign/internal/customers"
	"github.com/countersign/countersign/internal/grant"
)

// defaultTable is the registry that the stack CustomerAccess makes.
const defaultTable = "countersign-customers"

// registryFlags say where the registry is.
type registryFlags struct{ table, profile, region string }

func (f *registryFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.table, "table", defaultTable, "the registry: a DynamoDB table")
	cmd.Flags().StringVar(&f.profile, "profile", "", "profile of AWS, instead of the environment's")
	cmd.Flags().StringVar(&f.region, "region", "", "where the registry is, instead of the profile's Region")
}

// registry is the table, as these credentials may use it.
func (f registryFlags) registry(ctx context.Context) (*dynamodb.Registry, error) {
	cfg, err := remoteFlags{profile: f.profile, region: f.region}.config(ctx)
	if err != nil {
		return nil, err
	}
	return dynamodb.New(cfg, f.table), nil
}

// all are the registry's customers.
func (f registryFlags) all(ctx context.Context) ([]customers.Customer, error) {
	r, err := f.registry(ctx)
	if err != nil {
		return nil, err
	}
	all, err := r.All(ctx)
	if err != nil {
		return nil, customersError(err)
	}
	return all, nil
}

// customerList is customers as JSON.
type customerList struct {
	Customers []customers.Customer `json:"customers"`
}

func newCustomersCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "customers",
		Short: "The registry of the accounts that you enter",
		Long: `The registry of your customers: who was invited, what their accounts said, and
what a person accepted. It lies in a DynamoDB table of your own account, which the
stack CustomerAccess makes; what accounts say is written there as it comes.

  add      invite a customer: its account, and a prefix of its own
  accept   take over, as a person, the role that its account proposes
  list     all of them; --stale and --outdated say whom to ask
  show     one of them
  remove   forget one
  import   invite many, from customers.yaml or a CSV
  export   write customers.yaml, which your engineers' roles are made from

Looking needs dynamodb:BatchGetItem and dynamodb:Query on the table, which your
engineers' roles have; changing it needs the role CountersignRegistrar.`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCustomersAddCommand(c), newCustomersAcceptCommand(c), newCustomersListCommand(c), newCustomersShowCommand(c),
		newCustomersRemoveCommand(c), newCustomersImportCommand(c), newCustomersExportCommand(c))
	return cmd
}

// customersError gives an error of the registry its exit code and what to try.
func customersError(err error) error {
	if _, ok := errors.AsType[*exitError](err); ok || err == nil {
		return err
	}
	code, next := exitFailed, ""
	switch {
	case errors.Is(err, customers.ErrUnknown):
		code, next = exitInput, "countersign customers list has them all."
	case errors.Is(err, customers.ErrExists):
		code, next = exitRefused, "countersign customers show NAME; another name, or countersign customers remove NAME first."
	case errors.Is(err, customers.ErrTaken):
		code, next = exitRefused, "An account, its prefix, a role and a secret belong to one customer: countersign customers list shows whose it is."
	case errors.Is(err, customers.ErrChanged):
		code, next = exitRefused, "Somebody else changed it at the same moment: look again with countersign customers show NAME."
	case errors.Is(err, grant.ErrDenied):
		code, next = exitDenied, "Looking needs an engineer's role, changing the role CountersignRegistrar of your own account."
	case errors.Is(err, grant.ErrNotFound):
		code, next = exitInput, "--table, --region and --profile say where the registry is; the stack CustomerAccess makes it."
	case errors.Is(err, grant.ErrThrottled), errors.Is(err, grant.ErrUnavailable):
		next = "Try again; AWS's own state: https://health.aws.amazon.com"
	}
	return &exitError{code: code, err: errors.New(printable(err.Error())), next: next}
}

type listFlags struct {
	registryFlags
	team, state     string
	stale, outdated string
}

func newCustomersListCommand(c *cli) *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List customers, or those to ask after",
		Long: `List customers: state, account, grant, when the external ID last changed, and
when their account last said anything.

--stale lists those that may be entered and whose account has said nothing for 45
days, or for another time given: a customer whose stack is gone or whose events
don't arrive. --outdated lists those whose stack is older than the newest of all,
or than a version given.`,
		Example: `countersign customers list
countersign customers list --team blue --state pending
countersign customers list --stale=90d
countersign customers list --outdated=1.4.0 --json`,
		Args: cobra.NoArgs,
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.team, "team", "", "only those of a team")
	fl.StringVar(&f.state, "state", "", "only those in a state: invited, pending, accepted, revoked, expired")
	fl.StringVar(&f.stale, "stale", "", "only those that were silent for 45d, or =90d")
	fl.StringVar(&f.outdated, "outdated", "", "only those with an older stack than the newest, or =VERSION")
	fl.Lookup("stale").NoOptDefVal = "45d"
	fl.Lookup("outdated").NoOptDefVal = "newest"
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		keep, err := f.filter(c.now())
		if err != nil {
			return err
		}
		all, err := f.all(cmd.Context())
		if err != nil {
			return err
		}
		found := slices.DeleteFunc(slices.Clone(all), func(one customers.Customer) bool { return !keep(one, all) })
		if c.json {
			return writeJSON(c.stdout, customerList{list(found)})
		}
		_, err = io.WriteString(c.stdout, customerTable(found, len(all), c.now()))
		return err
	}
	return cmd
}

// filter is what the flags ask for: whether a customer of all is to be shown.
func (f listFlags) filter(now time.Time) (func(one customers.Customer, all []customers.Customer) bool, error) {
	states := []customers.State{customers.StateInvited, customers.StatePending, customers.StateAccepted, customers.StateRevoked, customers.StateExpired}
	if f.state != "" && !slices.Contains(states, customers.State(f.state)) {
		return nil, fail(exitInput, "invited, pending, accepted, revoked or expired.", "--state %.40q", f.state)
	}
	var silent time.Duration
	if f.stale != "" {
		var err error
		if silent, err = days(f.stale); err != nil {
			return nil, err
		}
	}
	return func(one customers.Customer, all []customers.Customer) bool {
		switch {
		case f.team != "" && !one.Of(f.team), f.state != "" && one.State != customers.State(f.state):
			return false
		case f.stale != "" && !one.Stale(now, silent):
			return false
		case f.outdated == "newest" && !one.Outdated(customers.Newest(all)):
			return false
		case f.outdated != "" && f.outdated != "newest" && !one.Outdated(f.outdated):
			return false
		}
		return true
	}, nil
}

// days reads whole days, as 45d, or what time.ParseDuration takes.
func days(s string) (time.Duration, error) {
	var n int
	if _, err := fmt.Sscanf(s, "%dd", &n); err == nil && fmt.Sprintf("%dd", n) == s && n > 0 && n < 10_000 {
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fail(exitInput, "Write it as --stale=90d.", "--stale is not a length of time")
	}
	return d, nil
}

// customerTable is one line a customer.
func customerTable(found []customers.Customer, all int, now time.Time) string {
	switch {
	case all == 0:
		return "No customers yet. Invite one: countersign customers add NAME --account 444455556666\n"
	case len(found) == 0:
		return fmt.Sprintf("None of %s.\n", count(all, "customer"))
	}
	rows := [][]string{{"CUSTOMER", "STATE", "ACCOUNT", "GRANT", "ROTATED", "HEARD"}}
	for _, one := range found {
		state := strings.ToUpper(string(one.State))
		if one.Proposed != nil && one.State != customers.StatePending {
			state += " (change)"
		}
		rows = append(rows, []string{one.Name, state, one.Account, cmp.Or(one.Grant, openedBy(one)), ago(one.Rotated, now), ago(one.Reported, now)})
	}
	for _, row := range rows {
		for i := range row {
			row[i] = printable(row[i])
		}
	}
	return table(rows)
}

// openedBy says how a customer is opened that has no grant.
func openedBy(one customers.Customer) string {
	switch one.Kind {
	case customers.KindStatic:
		return "static"
	case customers.KindNone:
		return "no ID"
	}
	return "-"
}

func ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return roughly(now.Sub(t)) + " ago"
}

func newCustomersShowCommand(c *cli) *cobra.Command {
	var f registryFlags
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show one customer, and what it proposes",
		Long: `Show a customer: what was accepted, what its account said since, and what waits
for a person. No external ID is read or shown.`,
		Example: "countersign customers show acme\ncountersign customers show acme --json",
		Args:    cobra.ExactArgs(1),
	}
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := f.registry(cmd.Context())
		if err != nil {
			return err
		}
		one, err := r.Get(cmd.Context(), args[0])
		if err != nil {
			return customersError(err)
		}
		if c.json {
			return writeJSON(c.stdout, one)
		}
		_, err = io.WriteString(c.stdout, customerText(one, c.now()))
		return err
	}
	return cmd
}

// customerText is a customer as show prints it.
func customerText(one customers.Customer, now time.Time) string {
	b := block{}
	head := strings.ToUpper(string(one.State))
	if !one.Since.IsZero() {
		head += " since " + clock(one.Since, now)
	}
	b.head(one.Name, head+", account "+one.Account)
	row := func(label, text string) {
		if text != "" {
			b.row(label, printable(text))
		}
	}
	if one.State == customers.StateRevoked {
		row("reason", fmt.Sprintf("%q, by %s", one.Reason, cmp.Or(one.RevokedBy, "unknown")))
	}
	row("prefix", one.Prefix)
	row("grant", one.Grant)
	row("role", one.RoleARN)
	row("secret", cmp.Or(one.SecretARN, one.StaticSecretARN))
	if one.Kind != customers.KindCountersign {
		row("external ID", map[customers.Kind]string{customers.KindStatic: "static: kept in your own secret", customers.KindNone: "none"}[one.Kind])
	}
	row("teams", strings.Join(one.Teams, ", "))
	if !one.Accepted.IsZero() {
		row("accepted", clock(one.Accepted, now)+" by "+cmp.Or(one.AcceptedBy, "unknown"))
	}
	if !one.Rotated.IsZero() {
		row("rotated", clock(one.Rotated, now)+", "+ago(one.Rotated, now))
	}
	if !one.Reported.IsZero() {
		row("heard", ago(one.Reported, now)+", Countersign "+cmp.Or(one.StackVersion, "of unknown version"))
	}
	if !one.Expires.IsZero() {
		row("ends", clock(one.Expires, now))
	}
	if p := one.Proposed; p != nil {
		row("proposed", "since "+clock(one.ProposedAt, now)+": grant "+cmp.Or(p.Grant, "none"))
		row("", p.RoleARN)
		row("", cmp.Or(p.SecretARN, "no secret: no external ID"))
		row("next", "countersign customers accept "+one.Name)
	}
	return b.String()
}
