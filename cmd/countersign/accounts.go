package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/aws/operator"
	"github.com/countersign/countersign/internal/aws/organizations"
	"github.com/countersign/countersign/internal/aws/sts"
	"github.com/countersign/countersign/internal/entry"
	"github.com/countersign/countersign/internal/form"
	"github.com/countersign/countersign/internal/grant"
)

// accountsAtOnce is how many accounts are under way: each has its own budget at AWS, and this machine's connections have an end.
const accountsAtOnce = 32

// accountFlags say over which accounts a command goes, and how it gets into them.
type accountFlags struct {
	organization                     bool
	accounts, except, units, regions []string
	role                             string
}

const defaultWayIn = "OrganizationAccountAccessRole"

func (f *accountFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.BoolVar(&f.organization, "organization", false, "with --provider: in every account of your organization")
	fl.StringSliceVar(&f.units, "ou", nil, "with --provider: in the accounts under these units")
	fl.StringSliceVar(&f.accounts, "accounts", nil, "with --provider: in these; the organization isn't asked")
	fl.StringSliceVar(&f.except, "except", nil, "leave these accounts out")
	fl.StringVar(&f.role, "assume", defaultWayIn, "role to enter accounts by")
	fl.StringSliceVar(&f.regions, "regions", nil, "Regions to look in, instead of the one of --region")
}

// several says whether the command goes over accounts at all.
func (f accountFlags) several() bool {
	return f.organization || len(f.accounts) > 0 || len(f.units) > 0
}

var (
	unitForm   = form.New(`^(ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|r-[0-9a-z]{4,32})$`)
	regionForm = form.New(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)
	wayInForm  = form.New(`^([\w+=,.@-]+/)*[\w+=,.@-]{1,64}$`)
)

// check refuses flags that don't belong together, and what can be no account, unit, Region or role.
func (f accountFlags) check(cmd *cobra.Command) error {
	if !f.several() {
		for _, name := range []string{"except", "assume", "regions", "dry-run"} {
			if cmd.Flags().Changed(name) {
				return fail(exitInput, "", "--%s goes with --organization, --ou or --accounts", name)
			}
		}
		return nil
	}
	for _, account := range slices.Concat(f.accounts, f.except) {
		if err := grant.CheckAccount(account); err != nil {
			return fail(exitInput, "As --accounts 444455556666,555566667777.", "%w", err)
		}
	}
	for _, unit := range f.units {
		if !unitForm.MatchString(unit) {
			return fail(exitInput, "As --ou ou-abcd-11111111, or r-abcd for the root.", "--ou: %.60q is no unit of an organization", unit)
		}
	}
	for _, region := range f.regions {
		if !regionForm.MatchString(region) {
			return fail(exitInput, "As --regions eu-central-1,us-east-1.", "--regions: %.40q is no Region", region)
		}
	}
	switch {
	case len(f.accounts) > 0 && len(f.units) > 0:
		return fail(exitInput, "", "give --accounts or --ou, not both")
	case !wayInForm.MatchString(f.role):
		return fail(exitInput, "As --assume AWSControlTowerExecution: each account has one of that name.", "--assume: %.80q is no name of a role", f.role)
	case cmd.Flags().Changed("stack"):
		return fail(exitInput, "Leave it out.", "--stack names one stack; over accounts stacks are found whatever they are called")
	}
	return nil
}

// where are the flags that say which accounts it is, as they were given.
func (f accountFlags) where() (words []string) {
	if f.organization {
		words = append(words, "--organization")
	}
	for _, list := range []struct {
		flag   string
		values []string
	}{{"--ou", f.units}, {"--accounts", f.accounts}, {"--except", f.except}, {"--regions", f.regions}} {
		if len(list.values) > 0 {
			words = append(words, list.flag, strings.Join(list.values, ","))
		}
	}
	if f.role != defaultWayIn {
		words = append(words, "--assume", f.role)
	}
	return words
}

// site is one account, what was found there, and what of it could not be seen.
type site struct {
	organizations.Account
	leftOut string // why it isn't entered: it is out of use, or was named
	*batch
	unread []outcome
	known  []string // who has grants there
}

// label names an account for people.
func (s *site) label() string { return strings.TrimSpace(s.ID + " " + s.Name) }

// miss notes something that could not be seen.
func (s *site) miss(err error, next string) {
	o := outcome{Account: s.ID, Outcome: outUnread, Why: err.Error(), Next: next, code: exitFailed}
	if s.Name != "" {
		o.Why = s.Name + ": " + o.Why
	}
	if errors.Is(err, grant.ErrDenied) {
		o.code = exitDenied
	}
	s.unread = append(s.unread, o)
}

// all are the outcomes of an account: of its grants, and of what couldn't be seen.
func (s *site) all() []outcome { return slices.Concat(s.out, s.unread) }

// tour is a command's way through accounts.
type tour struct {
	cfg     aws.Config // one's own
	flags   accountFlags
	session string // of the roles that it enters: who, and why
	sites   []*site
	cut     error // why the list of accounts ended early
	meter   *meter

	self func() (oneself, error)
}

// oneself is whose one's own credentials are.
type oneself struct{ account, arn, partition string }

func newTour(ctx context.Context, cfg aws.Config, f accountFlags, reason string, m *meter) *tour {
	t := &tour{cfg: cfg, flags: f, meter: m}
	if len(f.regions) == 0 {
		t.flags.regions = []string{cfg.Region}
	}
	t.self = sync.OnceValues(func() (oneself, error) {
		account, arn, err := sts.New(cfg).Caller(ctx)
		if err != nil {
			return oneself{}, fmt.Errorf("asking who you are: %w", err)
		}
		t.session = entry.SessionName(entry.Engineer(arn), reason)
		return oneself{account, arn, strings.Split(arn+"::", ":")[1]}, nil
	})
	return t
}

// visit does something in each account that is in use, as soon as the list tells of it. What the list can't tell ends up in t.cut.
func (t *tour) visit(ctx context.Context, act func(*site)) error {
	go func() { _, _ = t.self() }() // while the list is asked for
	each(t.listed(ctx), act)
	if _, err := t.self(); err != nil {
		return remoteError(err)
	}
	if len(t.sites) == 0 && t.cut != nil {
		return t.cut
	}
	slices.SortFunc(t.sites, func(a, b *site) int { return strings.Compare(a.ID, b.ID) })
	return nil
}

// each does something for all, some at a time.
func each(sites iter.Seq[*site], act func(*site)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, accountsAtOnce)
	for s := range sites {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			act(s)
		})
	}
	wg.Wait()
}

// listed gives the accounts to enter, and keeps all of them.
func (t *tour) listed(ctx context.Context) iter.Seq[*site] {
	return func(yield func(*site) bool) {
		seen := map[string]bool{}
		for _, list := range t.lists(ctx) {
			for account, err := range list {
				if err != nil {
					t.cut = t.whyCut(err)
					return
				}
				if seen[account.ID] {
					continue
				}
				seen[account.ID] = true
				s := &site{Account: account, batch: newBatch(nil), leftOut: t.leaves(account)}
				t.sites = append(t.sites, s)
				if s.leftOut == "" && !yield(s) {
					return
				}
			}
		}
	}
}

func (t *tour) lists(ctx context.Context) (lists []iter.Seq2[organizations.Account, error]) {
	client := organizations.New(t.cfg)
	switch {
	case len(t.flags.accounts) > 0:
		return append(lists, func(yield func(organizations.Account, error) bool) {
			for _, account := range t.flags.accounts {
				if !yield(organizations.Account{ID: account}, nil) {
					return
				}
			}
		})
	case len(t.flags.units) > 0:
		for _, unit := range t.flags.units {
			lists = append(lists, client.Under(ctx, unit))
		}
		return lists
	}
	return append(lists, client.All(ctx))
}

// leaves says why an account isn't entered. One that is being closed is, until it is closed: it may still let somebody in.
func (t *tour) leaves(account organizations.Account) string {
	switch {
	case slices.Contains(t.flags.except, account.ID):
		return "--except"
	case slices.Contains([]string{organizations.Suspended, organizations.Closed, organizations.PendingActivation}, account.State):
		return strings.ToLower(strings.ReplaceAll(account.State, "_", " "))
	}
	return ""
}

func (t *tour) whyCut(err error) error {
	err = fmt.Errorf("listing the organization's accounts: %w", err)
	switch {
	case errors.Is(err, grant.ErrDenied):
		return fail(exitDenied, "AWS answers the management account and delegated administrators. Or name the accounts: --accounts 444455556666,…", "%w", err)
	case errors.Is(err, grant.ErrNotFound):
		return fail(exitInput, "aws organizations list-organizational-units-for-parent tells what there is.", "%w", err)
	}
	e, _ := errors.AsType[*exitError](remoteError(err))
	e.next = cmp.Or(e.next, "Or name the accounts: --accounts 444455556666,…")
	return e
}

// enter is the configuration inside an account: one's own where one stands, the role's elsewhere.
func (t *tour) enter(ctx context.Context, s *site) (aws.Config, bool) {
	who, err := t.self()
	if err != nil {
		return aws.Config{}, false // visit tells
	}
	if s.ID == who.account {
		return t.cfg, true
	}
	cfg, err := operator.Enter(ctx, t.cfg, "arn:"+who.partition+":iam::"+s.ID+":role/"+t.flags.role, t.session)
	if err == nil {
		return cfg, true
	}
	next := "Try again; AWS's own state: https://health.aws.amazon.com"
	switch {
	case errors.Is(err, grant.ErrDenied) && s.ID == s.Management:
		next = "It is the management account, which has no " + defaultWayIn + " by itself, and into which StackSets deploy nothing. Run this with its own credentials; --except leaves it out."
	case errors.Is(err, grant.ErrDenied):
		next = "The role of --assume has to be there and to let in " + who.arn + ". --except leaves out an account of which you know that it has none of these grants."
	}
	s.miss(fmt.Errorf("entering it as %s: %w", t.flags.role, err), next)
	return aws.Config{}, false
}
