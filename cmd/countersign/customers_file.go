package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/customers"
)

// imported is what became of one customer of a file.
type imported struct {
	Name   string `json:"name"`
	Did    string `json:"did"` // invited, there, refused
	Prefix string `json:"prefix,omitempty"`
	Why    string `json:"why,omitempty"`
}

func newCustomersImportCommand(c *cli) *cobra.Command {
	var f registryFlags
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Invite many customers, from YAML or CSV",
		Long: `Invite the customers of a file: customers.yaml as export writes it, or a CSV whose
first line names its columns: name, account, prefix, grant, kind, role, secret,
teams (separated by spaces). Only name and account are needed.

Those that are there already are left alone, and nothing is accepted: a role in
the file is a proposal, which countersign customers accept takes over. With
--dry-run nothing is written. Exit code 1 if one was refused.`,
		Example: "countersign customers import customers.csv --dry-run\ncountersign customers import customers.yaml --json",
		Args:    cobra.ExactArgs(1),
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be done")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		members, err := c.members(args[0])
		if err != nil {
			return err
		}
		r, err := f.registry(cmd.Context())
		if err != nil {
			return err
		}
		done, err := c.inviteAll(cmd.Context(), r, members, dryRun)
		if err != nil {
			return err
		}
		return c.printImported(done, dryRun)
	}
	return cmd
}

// members reads the customers of a file.
func (c *cli) members(file string) ([]access.Member, error) {
	if strings.EqualFold(filepath.Ext(file), ".csv") {
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, fail(exitInput, "", "%w", err)
		}
		members, err := membersOfCSV(src)
		if err != nil {
			return nil, fail(exitInput, "The first line names the columns: name,account,prefix,teams", "%s: %w", file, err)
		}
		return members, nil
	}
	roster, err := c.roster(file)
	if err != nil {
		return nil, err
	}
	return roster.Members, nil
}

// roster reads customers.yaml for a command that needs it to be right.
func (c *cli) roster(file string) (*access.Roster, error) {
	roster, err := access.LoadRoster(file)
	if err != nil {
		return nil, c.rosterUnread(err)
	}
	return roster, nil
}

// rosterUnread makes the error of a customers.yaml that can't be deployed or read.
func (c *cli) rosterUnread(err error) error {
	if problems, ok := errors.AsType[*access.Problems](err); ok {
		return c.wrong(problems, "countersign validate --customers FILE")
	}
	return fail(exitInput, "countersign customers export writes one.", "%w", err)
}

// membersOfCSV reads a table. What is no number of an account or no ARN is refused when it is invited.
func membersOfCSV(src []byte) ([]access.Member, error) {
	in := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(src, []byte("\ufeff"))))
	in.TrimLeadingSpace = true
	rows, err := in.ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errors.New("the file is empty")
	}
	known := []string{"name", "account", "prefix", "grant", "kind", "role", "secret", "teams"}
	for _, column := range rows[0] {
		if !slices.Contains(known, column) {
			return nil, fmt.Errorf("no column is called %.40q: %s", column, strings.Join(known, ", "))
		}
	}
	var out []access.Member
	for _, row := range rows[1:] {
		cell := func(name string) string {
			if i := slices.Index(rows[0], name); i >= 0 {
				return strings.TrimSpace(row[i])
			}
			return ""
		}
		out = append(out, access.Member{
			Name: cell("name"), Account: cell("account"), Prefix: cell("prefix"), Grant: cell("grant"), Role: cell("role"), Secret: cell("secret"),
			Kind: cmp.Or(customers.Kind(cell("kind")), customers.KindCountersign), Teams: strings.Fields(cell("teams")),
		})
	}
	return out, nil
}

// inviteAll invites who isn't there yet.
func (c *cli) inviteAll(ctx context.Context, r customers.Registry, members []access.Member, dryRun bool) ([]imported, error) {
	all, err := r.All(ctx)
	if err != nil {
		return nil, customersError(err)
	}
	there := map[string]customers.Customer{}
	for _, one := range all {
		there[one.Name] = one
	}
	var done []imported
	for _, m := range members {
		if was, ok := there[m.Name]; ok {
			one := imported{Name: m.Name, Did: "there", Prefix: was.Prefix}
			if was.Account != m.Account {
				one.Did, one.Why = "refused", "it is there with account "+was.Account
			}
			done = append(done, one)
			continue
		}
		f := addFlags{account: m.Account, prefix: m.Prefix, grant: m.Grant, role: m.Role, secret: m.Secret, teams: m.Teams}
		switch m.Kind {
		case customers.KindStatic:
			f.static, f.secret = m.Secret, ""
		case customers.KindNone:
			f.noID = m.Grant == ""
		}
		e, err := f.entry(m.Name, c.now())
		if err == nil && !dryRun {
			e, err = invite(ctx, r, e, f.prefix == "")
		}
		one := imported{Name: m.Name, Did: "invited", Prefix: e.Prefix}
		if err != nil {
			one = imported{Name: m.Name, Did: "refused", Why: err.Error()}
		}
		if ctx.Err() != nil {
			return nil, customersError(fmt.Errorf("interrupted after %s: the same command goes on: %w", count(len(done), "customer"), ctx.Err()))
		}
		done = append(done, one)
	}
	return done, nil
}

func (c *cli) printImported(done []imported, dryRun bool) error {
	refused := 0
	for _, one := range done {
		if one.Did == "refused" {
			refused++
		}
	}
	if c.json {
		if err := writeJSON(c.stdout, struct {
			DryRun    bool       `json:"dryRun"`
			Customers []imported `json:"customers"`
		}{dryRun, list(done)}); err != nil {
			return err
		}
	} else {
		rows := [][]string{{"CUSTOMER", "", "PREFIX"}}
		var why strings.Builder
		for _, one := range done {
			rows = append(rows, []string{printable(one.Name), one.Did, printable(cmp.Or(one.Prefix, "-"))})
			if one.Why != "" {
				b := block{}
				b.head(printable(one.Name), printable(one.Why))
				why.WriteString(b.String())
			}
		}
		if _, err := io.WriteString(c.stdout, table(rows)+why.String()); err != nil {
			return err
		}
	}
	if dryRun {
		c.talk("Nothing was written: --dry-run.")
	}
	if refused > 0 {
		return fail(exitFailed, "Mend the file and import it again: who is there is left alone.", "%s of %d refused", count(refused, "customer"), len(done))
	}
	return nil
}

func newCustomersExportCommand(c *cli) *cobra.Command {
	var f registryFlags
	var file string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the customers of the registry as YAML",
		Long: `Write customers.yaml, from which the stack CustomerAccess makes your engineers'
roles: each may enter exactly the roles that were accepted. With --file the list of
customers in that file is replaced, and what stands above it stays as it is; the
list must be the last thing in it.`,
		Example: "countersign customers export > customers.yaml\ncountersign customers export -f customers.yaml",
		Args:    cobra.NoArgs,
	}
	f.add(cmd)
	cmd.Flags().StringVarP(&file, "file", "f", "", "replace the list of customers in this file")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		all, err := f.all(cmd.Context())
		if err != nil {
			return err
		}
		if c.json {
			return writeJSON(c.stdout, customerList{list(all)})
		}
		head := "version: 1\n"
		if file != "" {
			src, err := os.ReadFile(file)
			if err != nil {
				return fail(exitInput, "Without --file a whole one is written.", "%w", err)
			}
			if head, err = headOf(src); err != nil {
				return fail(exitInput, "Move the list of customers to the end.", "%s: %w", file, err)
			}
		}
		text := head + access.WriteMembers(membersOf(all))
		if _, err := access.ParseRoster(cmp.Or(filepath.Base(file), "customers.yaml"), []byte(text)); err != nil {
			return fail(exitFailed, "Mend it, in the registry or above the list.", "the file would not be valid: %w", err)
		}
		if file == "" {
			_, err = io.WriteString(c.stdout, text)
			return err
		}
		if err := replaceFile(file, []byte(text), 0o644); err != nil {
			return fail(exitFailed, "", "%w", err)
		}
		c.talk(count(len(all), "customer") + " in " + file + ". Look with git diff, then deploy CustomerAccess.")
		return nil
	}
	return cmd
}

var (
	listLine = regexp.MustCompile(`(?m)^customers:.*\n?`)
	keyLine  = regexp.MustCompile(`(?m)^[A-Za-z]+:`)
)

// headOf is what stands above the list of customers.
func headOf(src []byte) (string, error) {
	at := listLine.FindIndex(src)
	if at == nil {
		return strings.TrimRight(string(src), "\n") + "\n", nil
	}
	if key := keyLine.Find(src[at[1]:]); key != nil {
		return "", fmt.Errorf("%s stands below the list of customers", key)
	}
	return string(src[:at[0]]), nil
}

// membersOf are the customers as customers.yaml has them: a role only where one was accepted.
func membersOf(all []customers.Customer) []access.Member {
	var out []access.Member
	for _, one := range all {
		if one.Kind != customers.KindCountersign && one.RoleARN == "" {
			continue // by its role alone, and nobody accepted that
		}
		out = append(out, access.Member{
			Name: one.Name, Account: one.Account, Prefix: one.Prefix, Grant: one.Grant, Kind: one.Kind, Role: one.RoleARN,
			Secret: cmp.Or(one.SecretARN, one.StaticSecretARN), Teams: one.Teams,
		})
	}
	return out
}

// replaceFile writes a file anew, whole or not at all.
func replaceFile(path string, content []byte, mode fs.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".countersign-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.Write(content)
	if err := cmp.Or(err, temp.Chmod(mode), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
