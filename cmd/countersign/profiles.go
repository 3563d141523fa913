package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/profiles"
)

func newProfilesCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "profiles",
		Short:   "Customers as profiles of AWS's configuration",
		Long:    "Write customers into AWS's configuration, so that aws --profile acme, Terraform and every SDK enter them.",
		Example: "countersign profiles write",
		Args:    unknownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var f wayFlags
	var prefix string
	var dry bool
	write := &cobra.Command{
		Use:   "write [CUSTOMER...]",
		Short: "Write profiles into AWS's configuration",
		Long: `Write a profile for each customer that may be entered, or for those named, into
AWS's configuration. They stand between two markers, in place of what stood there:
customers that may not be entered any more go. What is outside stays as it is;
where a profile of the same name is there, ours is left out.

The profiles hold no credential: AWS's programs ask countersign, which enters with
the profile of your own that --profile names.`,
		Example: `countersign profiles write --profile hestio
countersign profiles write --prefix cs- --dry-run`,
	}
	f.add(write)
	write.Flags().StringVar(&prefix, "prefix", "", "what the profiles' names begin with")
	write.Flags().BoolVar(&dry, "dry-run", false, "say what would change")
	write.RunE = func(cmd *cobra.Command, args []string) error {
		return c.writeProfiles(cmd.Context(), f, prefix, dry, args)
	}
	cmd.AddCommand(write)
	return cmd
}

func (c *cli) writeProfiles(ctx context.Context, f wayFlags, prefix string, dry bool, only []string) error {
	own := cmp.Or(f.profile, c.env("AWS_PROFILE"), c.remembered().Profile, "default")
	f.profile = own
	b, err := c.readingBook(ctx, f, true)
	if err != nil {
		return err
	}
	rows, _, err := b.Rows(ctx, true)
	if err != nil {
		return fail(exitFailed, "", "%w", err)
	}
	wanted := map[string]bool{}
	for _, name := range only {
		wanted[name] = true
	}
	var want []profiles.Profile
	for _, r := range rows {
		if r.MayEnter() != nil || len(only) > 0 && !wanted[r.Name] {
			continue
		}
		delete(wanted, r.Name)
		command := []string{program(), "credential-process", r.Name, "--profile", own}
		if registry := cmp.Or(f.customers, c.env("COUNTERSIGN_CUSTOMERS")); registry != "" {
			if full, err := filepath.Abs(registry); err == nil && filepath.Ext(registry) == ".json" {
				registry = full
			}
			command = append(command, "--customers", registry)
		}
		if f.region != "" {
			command = append(command, "--region", f.region)
		}
		want = append(want, profiles.Profile{Name: prefix + r.Name, Command: command, Region: cmp.Or(grant.SecretRegion(r.SecretARN), f.region)})
	}
	for name := range wanted {
		return fail(exitInput, "countersign list customers shows all of them.", "%.60q can't be entered, or is no customer", name)
	}
	change, err := rewrite(configFile(c.env), want, dry)
	if err != nil {
		return err
	}
	if c.json {
		return writeJSON(c.stdout, change)
	}
	for _, name := range change.Taken {
		c.tell("%s is left out: a profile of that name is there, and not ours. --prefix makes ours another's.\n", printable(name))
	}
	for _, line := range []struct {
		sign  string
		names []string
	}{{"+", change.Added}, {"-", change.Removed}} {
		for _, name := range line.names {
			if _, err := fmt.Fprintf(c.stdout, "%s %s\n", line.sign, printable(name)); err != nil {
				return err
			}
		}
	}
	c.tell("%s written, %d as before, %d gone: %s\n", count(len(change.Added), "profile"), len(change.Kept), len(change.Removed), configFile(c.env))
	return nil
}

// rewrite changes a configuration in one step. Where it is a link, what it leads to is changed.
func rewrite(path string, want []profiles.Profile, dry bool) (profiles.Change, error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	src, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return profiles.Change{}, fail(exitInput, "", "reading AWS's configuration: %w", err)
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	out, change, err := profiles.Write(src, want)
	if err != nil {
		return change, fail(exitInput, "", "%s: %w", path, err)
	}
	if dry || string(out) == string(src) {
		return change, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return change, fail(exitFailed, "", "writing AWS's configuration: %w", err)
	}
	if err := replaceFile(path, out, mode); err != nil {
		return change, fail(exitFailed, "", "writing AWS's configuration: %w", err)
	}
	return change, nil
}
