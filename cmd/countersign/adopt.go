package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/adopt"
	"github.com/countersign/countersign/internal/aws/iam"
	"github.com/countersign/countersign/internal/aws/ssm"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
	"github.com/spf13/cobra"
)

type adoptFlags struct {
	remoteFlags
	file, grant, provider, id string
	rotateEvery, pickUp       string
	fromStack, terraform      string
	wholeRole, yes, dryRun    bool
}

func newAdoptCommand(c *cli) *cobra.Command {
	var f adoptFlags
	cmd := &cobra.Command{
		Use:   "adopt ROLE-ARN",
		Short: "Take over a role that is there already",
		Long: `Take over a role that is there already, with the external ID that its provider
uses now. Nobody loses access meanwhile: no step writes the trust policy. Only
a rotation does later, in the statement that holds the ID, and every other byte
of it stays.

Run it twice. First it reads the live role, says what is weak about it, who else
enters it, who else writes it and what a rotation would change, and writes the
grant into access.yaml. Then deploy. Run again, it hands the external ID over:
from the trust policy into the grant's secret, by your own credentials. The ID
stands in no file, template, argument or log. Run a third time it does nothing.

Refused are roles of AWS, of Identity Center, of CDK and of Countersign, those
without an external ID, and those without room for the Deny of a revocation.

Exit codes: 0 done, 2 bad input, 3 refused, nothing was changed, 4 AWS denies
it to you.`,
		Example: `countersign adopt arn:aws:iam::444455556666:role/VendorBackups --dry-run
countersign adopt arn:aws:iam::444455556666:role/VendorBackups \
  --grant backups --provider hestio --terraform yes
countersign adopt arn:aws:iam::444455556666:role/Shared \
  --whole-role --id - < id.txt`,
		Args: cobra.ExactArgs(1),
	}
	f.add(cmd)
	file := fileFlag(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.grant, "grant", "", "name of the grant; left out, made from the role's")
	fl.StringVar(&f.provider, "provider", "", "whose role it is, where access.yaml doesn't\nknow the account yet")
	fl.StringVar(&f.id, "id", "", "which of several external IDs: - reads it from\nstdin, @FILE from a file")
	fl.StringVar(&f.rotateEvery, "rotate-every", "", "how often the ID changes, as in access.yaml")
	fl.StringVar(&f.pickUp, "pick-up", "", "session or account: the only way by which\nthe provider reads a new ID")
	fl.BoolVar(&f.wholeRole, "whole-role", false, "others enter it too, and a revoke may close\nit for them")
	fl.StringVar(&f.fromStack, "from-stack", "", "the CloudFormation stack that owns it, if its\ntemplate leaves the role alone from now on")
	fl.StringVar(&f.terraform, "terraform", "", "yes or no: Terraform, or another tool, writes\nits trust policy")
	fl.BoolVar(&f.dryRun, "dry-run", false, "say what it means, and write nothing")
	fl.BoolVarP(&f.yes, "yes", "y", false, "don't ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.file = *file
		return c.adopt(cmd.Context(), f, args[0])
	}
	return cmd
}

// adoption is what adopt says as JSON.
type adoption struct {
	Stage    string `json:"stage"` // refused, planned, written, deploy, ready, handedOver or adopted
	Grant    string `json:"grant,omitempty"`
	Provider string `json:"provider,omitempty"`
	RoleARN  string `json:"roleArn"`
	adopt.Inspection
	File   string        `json:"file,omitempty"`
	Lines  string        `json:"lines,omitempty"` // of access.yaml
	Handed *adopt.Handed `json:"handedOver,omitempty"`
	Next   string        `json:"next,omitempty"`
}

// adopt does what is due: the entry of access.yaml, or the hand-over behind the deploy.
func (c *cli) adopt(ctx context.Context, f adoptFlags, roleARN string) error {
	if err := f.check(); err != nil {
		return err
	}
	_, _, path, roleName, err := grant.SplitRoleARN(roleARN)
	if err != nil {
		return fail(exitInput, "As arn:aws:iam::444455556666:role/VendorBackups.", "%w", err)
	}
	src, file, err := c.loadIfThere(f.file)
	if err != nil {
		return err
	}
	entry, named := adoptedEntry(file, roleName, path)
	name, err := f.grantName(entry, named, roleName)
	if err != nil {
		return err
	}
	var id grant.ID
	if f.id != "" {
		if id, err = c.issuedID("--id", f.id); err != nil {
			return err
		}
	}
	cfg, err := f.config(ctx)
	if err != nil {
		return err
	}
	live, err := adopt.Look(ctx, iam.New(cfg), roleARN)
	if err != nil {
		return adoptError(err)
	}
	q := adopt.Question{ID: id, Session: f.pickUp != "account", WholeRole: f.wholeRole, FromStack: f.fromStack, OurStack: f.stack}
	if named {
		q.Session, q.Prefix = entry.Grant.PickUp.Session, entry.Provider.Prefix
	}
	if file != nil {
		q.Quota = file.Quota
	}
	plan, deployed, err := f.deployedFor(ctx, cfg, name)
	switch {
	case err != nil:
		return err
	case deployed && plan.RoleARN != roleARN:
		return fail(exitInput, "Give this one another name: --grant NAME.", "grant %s is deployed for role %s", name, plan.RoleARN)
	case deployed && !plan.Adopted:
		return fail(exitRefused, "", "role %s is one of Countersign's own: grant %s made it", roleName, name)
	case deployed:
		return c.handOver(ctx, cfg, f, plan, live, q)
	}
	a := adoption{Grant: string(name), RoleARN: roleARN, File: f.file, Inspection: adopt.Inspect(live, q, c.now())}
	if len(a.Refusals) > 0 {
		a.Stage, a.File = "refused", ""
		return c.refuseAdoption(a)
	}
	if a.Provider, err = f.providerName(file, a.Inspection.Provider, entry, named); err != nil {
		return err
	}
	if named {
		a.Stage, a.Next = "deploy", f.again("Deploy, then run this once more")
		return c.printAdoption(a, f)
	}
	n := access.Adoption{
		Provider: a.Provider, Account: a.Inspection.Provider, Grant: name, RoleName: roleName, RolePath: path, RotateEvery: f.rotateEvery, PickUp: f.pickUp,
	}
	return c.writeAdoption(ctx, f, a, n, src)
}

// check refuses what can't be meant.
func (f adoptFlags) check() error {
	switch {
	case f.pickUp != "" && f.pickUp != "session" && f.pickUp != "account":
		return fail(exitInput, "Left out: both.", "--pick-up is session or account")
	case f.terraform != "" && f.terraform != "yes" && f.terraform != "no":
		return fail(exitInput, "", "--terraform is yes or no")
	}
	return nil
}

// loadIfThere reads access.yaml; nil where there is none.
func (c *cli) loadIfThere(file string) ([]byte, *access.Access, error) {
	src, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, c.unread(file, err)
	}
	a, err := access.Parse(file, src, os.DirFS(filepath.Dir(file)), c.now())
	if problems, ok := errors.AsType[*access.Problems](err); ok {
		return nil, nil, c.wrong(problems, "countersign validate")
	}
	return src, a, err
}

// adoptedEntry is the grant that names the role as adopted already.
func adoptedEntry(a *access.Access, roleName, path string) (access.Entry, bool) {
	if a == nil {
		return access.Entry{}, false
	}
	for _, e := range a.Entries() {
		if e.Grant.Adopted && e.Grant.RoleName == roleName && e.Grant.RolePath == path {
			return e, true
		}
	}
	return access.Entry{}, false
}

// grantName is the grant's name: as given, as the file has it, or made from the role's.
func (f adoptFlags) grantName(e access.Entry, named bool, roleName string) (grant.Name, error) {
	switch {
	case named && f.grant != "" && f.grant != string(e.Grant.Name):
		return "", fail(exitInput, "Leave --grant out.", "%s has this role as grant %s already", f.file, e.Grant.Name)
	case named:
		return e.Grant.Name, nil
	}
	name, err := grant.ParseName(cmp.Or(f.grant, nameOf(roleName)))
	if err != nil {
		return "", fail(exitInput, "Give one: --grant backups.", "%w", err)
	}
	return name, nil
}

// nameOf makes a grant's name of a role's: VendorBackups is vendor-backups.
func nameOf(role string) string {
	var out strings.Builder
	lower := false
	for _, r := range role {
		switch {
		case unicode.IsUpper(r) && lower:
			out.WriteByte('-')
			fallthrough
		case r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			out.WriteRune(unicode.ToLower(r))
		default:
			out.WriteByte('-')
		}
		lower = unicode.IsLower(r) || unicode.IsDigit(r)
	}
	name := strings.Trim(out.String(), "-")
	return strings.TrimRight(name[:min(len(name), 40)], "-")
}

// providerName is the provider's name: as the file has it for the account, or as given.
func (f adoptFlags) providerName(a *access.Access, account string, e access.Entry, named bool) (string, error) {
	if named {
		if e.Provider.Account != account {
			return "", fail(exitRefused, "Put the grant under the provider of account "+account+".", "%s has the role under %s, account %s, and who enters it is of account %s",
				f.file, e.Provider.Name, e.Provider.Account, account)
		}
		return e.Provider.Name, nil
	}
	var known []string
	if a != nil {
		for _, p := range a.Providers {
			if p.Name == f.provider && p.Account != account {
				return "", fail(exitInput, "", "provider %s is account %s in %s, and who enters the role is of account %s", p.Name, p.Account, f.file, account)
			}
			if p.Account == account {
				known = append(known, p.Name)
			}
		}
	}
	switch {
	case f.provider != "":
		return f.provider, nil
	case len(known) == 1:
		return known[0], nil
	case len(known) > 1:
		return "", fail(exitInput, "Say which: --provider NAME.", "%s has account %s as %s", f.file, account, strings.Join(known, " and "))
	}
	return "", fail(exitInput, "Say who that is: --provider NAME.", "account %s enters the role, and %s doesn't know it", account, f.file)
}

// writeAdoption writes the entry once it is valid and meant.
func (c *cli) writeAdoption(ctx context.Context, f adoptFlags, a adoption, n access.Adoption, src []byte) error {
	out, err := access.Adopt(f.file, src, n, os.DirFS(filepath.Dir(f.file)), c.now())
	if problems, ok := errors.AsType[*access.Problems](err); ok {
		return c.wrong(problems, "countersign validate")
	}
	byHand := errors.Is(err, access.ErrByHand)
	if err != nil && !byHand {
		return err
	}
	if a.Lines = n.Text(); !byHand {
		a.Lines = insertedLines(src, out)
	}
	a.Stage, a.Next = "planned", "Nothing was written."
	if f.dryRun {
		return c.printAdoption(a, f)
	}
	if byHand {
		a.Next = ""
		if err := c.printAdoption(a, f); err != nil {
			return err
		}
		return fail(exitRefused, "Put the lines in yourself, then run this again.", "%s is written in a way that no program should change", f.file)
	}
	if !c.json {
		c.tell("%s", adoptionText(a, f))
	}
	owned, err := c.askTerraform(&f)
	if err != nil {
		return err
	}
	if owned {
		c.tell("%s", terraformText)
	}
	if !f.yes {
		ok, err := c.confirm("Write grant " + a.Grant + " to " + f.file + "?")
		if err != nil {
			return err
		}
		if !ok {
			return fail(exitRefused, "", "nothing was changed")
		}
	}
	if err := rewriteFile(f.file, src, out); err != nil {
		return err
	}
	a.Stage, a.Next = "written", f.again("Deploy, then run this once more: it hands the external ID over")
	if c.json {
		return writeJSON(c.stdout, a)
	}
	if _, err := fmt.Fprintf(c.stdout, "%s is written: grant %s of role %s.\n", f.file, a.Grant, n.RoleName); err != nil {
		return err
	}
	c.tell("%s", flat(a.Next))
	return nil
}

// again says how to run the command again.
func (f adoptFlags) again(lead string) string {
	if f.id != "" {
		lead += ", with the same --id"
	}
	return lead + "."
}

// adoptError gives an error of reading the role its exit code.
func adoptError(err error) error {
	var refusal *trust.Refusal
	switch {
	case errors.As(err, &refusal):
		return fail(exitRefused, "Nothing was changed.", "%w", err)
	case errors.Is(err, grant.ErrNotFound):
		return fail(exitInput, "Check the ARN, and with aws sts get-caller-identity in which account you are.", "%w", err)
	}
	return remoteError(err)
}

// deployedFor is the plan of a grant, if it is deployed.
func (f remoteFlags) deployedFor(ctx context.Context, cfg aws.Config, name grant.Name) (grant.Plan, bool, error) {
	found := false
	err := f.stacks(ctx, cfg, func(s stack) bool {
		for _, g := range s.grants() {
			found = found || g == string(name)
		}
		return !found
	})
	if errors.Is(err, errNoStack) {
		return grant.Plan{}, false, nil
	}
	if err != nil || !found {
		return grant.Plan{}, false, remoteError(err)
	}
	plan, err := ssm.New(cfg).Plan(ctx, name)
	if err != nil {
		return grant.Plan{}, false, remoteError(fmt.Errorf("reading the plan of %s: %w", name, err))
	}
	return plan, true, nil
}
