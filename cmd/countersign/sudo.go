package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/customers"
	"github.com/countersign/countersign/internal/entry"
	"github.com/countersign/countersign/internal/shell"
	"github.com/countersign/countersign/internal/visit"
)

func newSudoCommand(c *cli) *cobra.Command {
	var f entryFlags
	var ids idFlags
	var program string
	cmd := &cobra.Command{
		Use:     "sudo CUSTOMER",
		Aliases: []string{"assume"},
		Short:   "Enter a customer's account, in a shell",
		Long: `Enter a customer's account: by name, by a part of it, by the account or by the
role's ARN. The customer's row in the registry says which role and which secret;
the external ID is read there, and never typed. On AccessDenied, and on nothing
else, the ID before is tried, and an ID of minutes ago is waited for.

You get your own shell. Its prompt says CUSTOMER, the customer, the account and
the time left, in words as well as in colour. Its credentials are the customer's
alone, and are renewed as long as the shell lives; nothing of AWS's is inherited.
sudo in it enters the next customer from your own account again.

The customer's CloudTrail shows you and --reason.

A role's ARN needs no registry. Then the external ID is asked for, or read from
stdin (-) or a file (@FILE).

Exit codes: the shell's own; 2 unknown, 3 not accepted, or not what was accepted,
4 revoked, expired or denied.`,
		Example: `countersign sudo acme --reason INC-812
countersign sudo arn:aws:iam::444455556666:role/Partner
countersign sudo arn:aws:iam::444455556666:role/Partner @id.txt`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: c.completeCustomers(&f.wayFlags),
	}
	f.add(cmd)
	f.anew = true
	ids.add(cmd)
	cmd.Flags().StringVar(&program, "shell", "", "the shell, instead of $SHELL")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !isTerminal(c.stdin) || !isTerminal(c.stdout) {
			return fail(exitInput, "countersign exec "+printable(args[0])+" -- COMMAND runs one command.", "no terminal for a shell")
		}
		return c.sudo(cmd.Context(), f, ids, args, cmp.Or(program, c.env("SHELL"), defaultShell))
	}
	return cmd
}

func (c *cli) sudo(ctx context.Context, f entryFlags, ids idFlags, args []string, program string) error {
	p := c.progress()
	w, r, opened, err := c.enter(ctx, f, ids, args, p)
	if err != nil {
		return err
	}
	inside, err := c.inside(ctx, w, r, opened, f.region)
	if err != nil {
		return err
	}
	defer inside.end()
	start, err := inside.shell(shell.Of(program), c.env("ZDOTDIR"))
	if err != nil {
		return err
	}
	for _, line := range welcome(opened.Visit) {
		c.tell("%s\n", line)
	}
	err = c.child(program, start.Args, append(inside.environment(), start.Env...))
	if w.inside == nil {
		c.tell("Back from %s: PROVIDER %s\n", opened.Label(), opened.From.Account)
	} else if v, facts := w.inside.Facts(); facts == nil {
		c.tell("Back from %s: %s\n", opened.Label(), visit.Line(v, c.now()))
	}
	return err
}

// enter opens a session for a command's arguments.
func (c *cli) enter(ctx context.Context, f entryFlags, ids idFlags, args []string, p progress) (wayIn, entry.Request, entry.Opened, error) {
	var keep entry.Keep
	if !f.anew && c.env(visit.Variable) == "" {
		keep = c.keep(p.quiet)
	}
	w, err := c.way(ctx, f.wayFlags, keep)
	if err != nil {
		return w, entry.Request{}, entry.Opened{}, err
	}
	t, err := c.find(ctx, w, args[0])
	if err == nil {
		t, err = c.idOf(ctx, t, ids, args[1:])
	}
	if err != nil {
		return w, entry.Request{}, entry.Opened{}, err
	}
	r := f.request(t)
	opened, err := w.Enter(ctx, r, func(line string) { p.step("%s", line) })
	if ctx.Err() != nil {
		return w, r, opened, childExit(exitInterrupted)
	}
	return w, r, opened, entryError(err)
}

// welcome says where one is.
func welcome(v entry.Visit) []string {
	kind := ""
	if v.Kind == customers.KindStatic || v.Kind == customers.KindNone || v.Kind == entry.KindAdHoc {
		kind = " (" + map[customers.Kind]string{customers.KindStatic: "static external ID", customers.KindNone: "no external ID", entry.KindAdHoc: "in no registry"}[v.Kind] + ")"
	}
	lines := []string{fmt.Sprintf("%s (%s), role %s%s, as %s", v.Label(), v.Account, v.RoleName(), kind, v.Session)}
	if v.Previous {
		lines = append(lines, "The ID was rotated just now; the previous one was used meanwhile.")
	}
	return lines
}

// inside is a visit with its door open.
type inside struct {
	dir    visit.Dir
	visit  entry.Visit
	region string
	stop   func()
}

// inside makes the private directory and opens the door.
func (c *cli) inside(ctx context.Context, w wayIn, r entry.Request, opened entry.Opened, region string) (*inside, error) {
	base := c.env("XDG_RUNTIME_DIR")
	if info, err := os.Stat(base); err != nil || !info.IsDir() {
		base = ""
	}
	dir, err := visit.NewDir(base)
	if err != nil {
		return nil, err
	}
	c.lent.Store(true)
	i := &inside{dir: dir, visit: opened.Visit, region: cmp.Or(region, opened.Region, w.region), stop: func() {}}
	err = dir.Note(opened.Visit)
	if err == nil {
		err = dir.Configure(i.region, program(), "credential-process", "--visit", dir.Path)
	}
	if err == nil {
		// A Ctrl-C is the shell's, and ends no renewal.
		i.stop, err = visit.NewDoor(dir, w.Enterer, r, opened, c.now).Serve(context.WithoutCancel(ctx))
	}
	if err != nil {
		i.end()
		return nil, fmt.Errorf("preparing the shell: %w", err)
	}
	return i, nil
}

func (i *inside) end() {
	if i.stop != nil {
		i.stop()
	}
	_ = i.dir.Remove()
}

func (i *inside) environment() []string { return i.dir.Environment(os.Environ(), i.region) }

// shell writes a shell's files.
func (i *inside) shell(kind shell.Kind, zdotdir string) (shell.Start, error) {
	standing := strings.Join(strings.Fields("CUSTOMER "+i.visit.Customer+" "+visit.Short(i.visit.Account)), " ")
	plan := shell.Plan{Prompt: []string{program(), "prompt"}, Variables: i.dir.Variables(i.region), Keep: visit.Kept, Standing: standing}
	start, err := plan.In(kind, i.dir.Path, zdotdir)
	if err != nil {
		return start, err
	}
	for name, content := range start.Files {
		path := filepath.Join(i.dir.Path, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return start, err
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return start, err
		}
	}
	return start, nil
}
