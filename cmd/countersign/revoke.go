package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/aws/apigateway"
	"github.com/countersign/countersign/internal/grant"
	"github.com/spf13/cobra"
)

const (
	maxReason = 200             // characters, as the API takes them
	findTime  = 5 * time.Second // to find the API, and to ask it who would lose access
)

// revocation is what revoke says as JSON.
type revocation struct {
	Grant    string   `json:"grant"`
	RevokeID string   `json:"revokeId,omitempty"`
	Via      string   `json:"via"` // api, or direct: IAM calls with the operator's credentials
	Done     []string `json:"done"`
	Failed   []string `json:"failed,omitempty"`
	Denied   bool     `json:"denied"` // read back
	Seconds  float64  `json:"seconds"`
}

type revokeFlags struct {
	remoteFlags
	accountFlags
	file, reason                  string
	yes, direct, printAWS, dryRun bool
	patience                      time.Duration
	provider                      string // all of its grants
	rate                          float64
}

func newRevokeCommand(c *cli) *cobra.Command {
	var f revokeFlags
	cmd := &cobra.Command{
		Use:   "revoke [GRANT]",
		Short: "Take access away now, live sessions too",
		Long: `Take a grant's access away: a Deny on the role comes first and ends what live
sessions can do at their next call, then nobody can enter any more. If the API
doesn't answer within 5 s, the same IAM calls are made with your credentials.
A minute later, with --direct an hour at most, the stack can't be deleted any
more, until somebody takes its termination protection off: what says that a
grant is revoked lies in it.

With --provider all grants of a provider are revoked, shards included: the
Denies of all of them first, then the rest. Interrupted, the same command goes
on: what is revoked already is left alone.

With --organization, --ou or --accounts besides, it goes through accounts, the
Denies of all of them first. Stacks are found whatever they are called. Each
account is entered by a role of the same name (--assume; in accounts of Control
Tower's it is AWSControlTowerExecution), the one that you are in with your own
credentials. One that can't be entered or read keeps no other from its turn, is
named with the reason, and the exit code isn't 0. --dry-run tells beforehand.

Exit codes: 0 read back as denied, 1 some failed, 3 refused, 4 AWS denies it to
you, 5 written but not yet read back.`,
		Example: `countersign revoke migration --reason "project ended"
countersign revoke migration --yes --direct --reason INC-812
countersign revoke --provider hestio --reason "contract ended"
countersign revoke --provider hestio --organization --dry-run
countersign revoke migration --print-aws`,
		Args: cobra.MaximumNArgs(1),
	}
	f.remoteFlags.add(cmd)
	file := fileFlag(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.reason, "reason", "", "why: up to 200 characters, kept in the event and in the log")
	fl.BoolVarP(&f.yes, "yes", "y", false, "don't ask")
	fl.BoolVar(&f.direct, "direct", false, "leave the API out: IAM calls with your own credentials")
	fl.BoolVar(&f.printAWS, "print-aws", false, "print the one AWS CLI line that does it, and do nothing")
	fl.DurationVar(&f.patience, "wait", 2*time.Minute, "how long to wait until it is read back")
	fl.StringVar(&f.provider, "provider", "", "revoke every grant of a provider")
	fl.BoolVar(&f.dryRun, "dry-run", false, "over accounts: say what would be revoked, change nothing")
	f.accountFlags.add(cmd)
	addRate(cmd, &f.rate, 5)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.file = *file
		if (f.provider != "") == (len(args) == 1) {
			return fail(exitInput, "countersign grants lists them.", "name one grant, or give --provider NAME")
		}
		if err := f.check(cmd); err != nil {
			return err
		}
		if f.provider != "" {
			if err := f.checkMany(); err != nil {
				return err
			}
			if f.several() {
				return c.revokeAccounts(cmd.Context(), f)
			}
			return c.revokeMany(cmd.Context(), f)
		}
		if f.several() {
			return fail(exitInput, "", "name the provider: one grant is in one account")
		}
		name, err := grantArg(args)
		if err != nil {
			return err
		}
		if f.printAWS {
			return c.printRevokeLine(cmd.Context(), f, name)
		}
		if err := checkReason(f.reason); err != nil {
			return err
		}
		return c.revoke(cmd.Context(), f, name)
	}
	return cmd
}

// checkMany checks what revokes of many grants take.
func (f revokeFlags) checkMany() error {
	if f.printAWS {
		return fail(exitInput, "Give it a grant; countersign grants lists them.", "--print-aws prints the line of one grant")
	}
	if f.dryRun {
		return checkRate(f.rate)
	}
	return cmp.Or(checkReason(f.reason), checkRate(f.rate))
}

func checkReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return fail(exitInput, `As --reason "project ended": it is kept in the log, and in a revoke's event.`, "--reason is missing")
	}
	if utf8.RuneCountInString(reason) > maxReason || strings.ContainsFunc(reason, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fail(exitInput, "", "--reason takes up to %d printable characters", maxReason)
	}
	return nil
}

// revoke asks, writes and reads back.
func (c *cli) revoke(ctx context.Context, f revokeFlags, name grant.Name) error {
	cfg, err := f.config(ctx)
	if err != nil {
		return err
	}
	d := direct{cfg: cfg, grant: name, role: f.roleFromFile(name)}
	var client *apigateway.Client
	if client, err = c.findAPI(ctx, f, &d); err != nil {
		return err
	}
	if !f.yes {
		ok, err := c.confirm(c.revokeQuestion(ctx, client, d))
		if err != nil {
			return err
		}
		if !ok {
			return fail(exitRefused, "", "nothing was changed")
		}
	}
	p := c.progress()
	result := revocation{Grant: string(name), Via: "api"}
	look := func(ctx context.Context) (bool, error) { return lookByAPI(ctx, client, name) }
	if client != nil {
		err = c.revokeByAPI(ctx, client, f, &result, p)
	}
	if client == nil || errors.Is(err, grant.ErrUnavailable) || errors.Is(err, grant.ErrThrottled) {
		if err != nil {
			p.step("%s: going on without the API", err)
		}
		result.Via, look = "direct", d.look
		err = c.revokeDirectly(ctx, d, &result, p)
	}
	if err != nil {
		return remoteError(fmt.Errorf("revoking %s: %w", name, err))
	}
	waitErr := c.awaitDenied(ctx, name, look, &result, p, f.patience)
	result.Seconds = p.seconds()
	if c.json {
		if err := writeJSON(c.stdout, result); err != nil {
			return err
		}
		return waitErr
	}
	c.tell("%s", c.aftermath(f, name))
	if waitErr == nil {
		_, waitErr = fmt.Fprintf(c.stdout, "%s is revoked: DENIED\n", strings.TrimSpace(string(name)+" "+printable(result.RevokeID)))
	}
	return waitErr
}

// findAPI looks the API up, unless it shall be left out. Where CloudFormation doesn't tell, a revoke goes on without it;
// only a grant that isn't deployed ends it.
func (c *cli) findAPI(ctx context.Context, f revokeFlags, d *direct) (*apigateway.Client, error) {
	findCtx, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	s, err := f.stackOf(findCtx, d.cfg, d.grant)
	if err != nil {
		if e, ok := errors.AsType[*exitError](err); ok && e.code == exitInput && !f.direct {
			return nil, err
		}
		c.say("The stack's outputs can't be read (%s): the role is taken to be %s.", err, d.roleName())
		return nil, nil
	}
	d.role = cmp.Or(s.roleName(d.grant), d.role)
	if f.direct {
		return nil, nil
	}
	client, err := s.api(d.cfg)
	if err != nil {
		c.say("%s: going on without the API.", err)
		return nil, nil
	}
	return client, nil
}

// say writes a line of talk.
func (c *cli) say(format string, args ...any) {
	if !c.json {
		b := block{}
		b.wrapFlat(printable(fmt.Sprintf(format, args...)))
		c.tell("%s", b.String())
	}
}

func (c *cli) revokeQuestion(ctx context.Context, client *apigateway.Client, d direct) string {
	if client != nil {
		if s, err := client.Grant(ctx, d.grant); err == nil && s.Provider != "" {
			return printable(fmt.Sprintf("Revoke %s's access to %s? Live sessions end too.", s.Provider, s.Account))
		}
	}
	return fmt.Sprintf("Revoke grant %s (role %s)? Live sessions end too.", d.grant, d.roleName())
}

func (c *cli) revokeByAPI(ctx context.Context, client *apigateway.Client, f revokeFlags, result *revocation, p progress) error {
	answer, err := client.Revoke(ctx, grant.Name(result.Grant), api.RevokeRequest{Reason: f.reason})
	if err != nil {
		return err
	}
	result.RevokeID, result.Done, result.Failed = answer.RevokeID, list(answer.Done), answer.Failed
	words := map[string]string{"deny": "Deny written: live sessions fail at their next call", "trust": "trust policy closed"}
	for _, act := range answer.Done {
		if words[act] != "" {
			p.step("%s", words[act])
		}
	}
	if len(answer.Failed) > 0 {
		p.step("not done yet: %s; reconcile makes up for it within minutes", strings.Join(answer.Failed, ", "))
	}
	return nil
}

// lookByAPI says whether the grant reads back as denied: Deny and closed trust policy stand. A missing tag doesn't let in.
func lookByAPI(ctx context.Context, client *apigateway.Client, name grant.Name) (bool, error) {
	s, err := client.Grant(ctx, name)
	if err != nil {
		return false, err
	}
	for _, mark := range s.Missing {
		if mark != "tag" {
			return false, nil
		}
	}
	return s.State == api.Closed && s.Fault == "", nil
}

// awaitDenied looks once a second until the role reads back as denied.
func (c *cli) awaitDenied(ctx context.Context, name grant.Name, look func(context.Context) (bool, error), r *revocation, p progress, patience time.Duration) error {
	until := p.start.Add(patience)
	for patience > 0 {
		denied, err := look(ctx)
		if denied {
			r.Denied = true
			p.step("read back: DENIED")
			return nil
		}
		if errors.Is(err, grant.ErrDenied) {
			p.step("reading back is denied to you: %s", err)
			break
		}
		if c.now().After(until) {
			break
		}
		if err := c.wait(ctx, time.Second); err != nil {
			break
		}
	}
	return fail(exitNotSeen, fmt.Sprintf("countersign show %s tells; or run the revoke again: it does no harm.", name),
		"the Deny of %s is written and not yet read back", name)
}

const notUndone = "IAM may take seconds to a few minutes to spread this. Not undone by it: sessions of other roles entered from here, " +
	"open shells and connections, "

// aftermath says what a revoke does not do, and what undoing it takes.
func (c *cli) aftermath(f revokeFlags, name grant.Name) string {
	made := "what was built or shared meanwhile"
	if a, err := access.Load(f.file); err == nil {
		if e, ok := a.Find(name); ok && !e.Grant.MayShareResources {
			made = "what was built or copied meanwhile"
		}
	}
	b := block{}
	b.wrapFlat(notUndone + made + ".")
	b.wrapFlat("Undo: countersign restore " + string(name) + " --reason … (nothing else reopens it, a deploy neither)")
	b.wrapFlat("No countersign at hand: countersign revoke " + string(name) + " --print-aws")
	return b.String()
}

// printRevokeLine prints the AWS CLI line that revokes. Where access.yaml has the grant, no call is made at all.
func (c *cli) printRevokeLine(ctx context.Context, f revokeFlags, name grant.Name) error {
	role := f.roleFromFile(name)
	if role == "" {
		cfg, err := f.config(ctx)
		if err != nil {
			return err
		}
		s, err := f.stackOf(ctx, cfg, name)
		if err != nil {
			return err
		}
		role = cmp.Or(s.roleName(name), name.DefaultRole())
	}
	line := grant.RevokeLine(role)
	if c.json {
		return writeJSON(c.stdout, struct {
			Grant   string `json:"grant"`
			Command string `json:"command"`
		}{string(name), line})
	}
	_, err := fmt.Fprintln(c.stdout, line)
	return err
}

// roleFromFile is the name of the grant's role as access.yaml has it, "" where the file or the grant isn't there.
func (f revokeFlags) roleFromFile(name grant.Name) string {
	if _, err := os.Stat(f.file); err != nil {
		return ""
	}
	a, err := access.Load(f.file)
	if err != nil {
		return ""
	}
	e, ok := a.Find(name)
	if !ok {
		return ""
	}
	return e.Grant.RoleName
}
