package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"charm.land/huh/v2"
	"github.com/countersign/countersign/internal/access"
	"github.com/spf13/cobra"
)

// schemaFile is where init --schema puts the JSON Schema, beside access.yaml.
const schemaFile = "access.schema.json"

func newInitCommand(c *cli) *cobra.Command {
	var d draft
	var force, schema bool
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a first access.yaml: flags or questions",
		Long: `Write a first access.yaml: one provider with one grant. On a terminal it asks
for what the flags don't say. The file that it writes is valid.`,
		Example: `countersign init
countersign init --provider hestio --account 111122223333
countersign init --provider hestio --account 111122223333 \
  --grant migration --permission AmazonS3FullAccess`,
		Args: cobra.NoArgs,
	}
	file := fileFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&d.Provider, "provider", "", "name of the third party: a-z, 0-9 and -")
	f.StringVar(&d.Account, "account", "", "its AWS account id, 12 digits")
	f.StringVar(&d.Grant, "grant", "", "name of the grant; left out, the provider's")
	f.StringArrayVar(&d.Permissions, "permission", nil, "what it may do: an AWS managed policy or\na policy file; repeat it (ReadOnlyAccess)")
	f.StringArrayVar(&d.Principals, "principal", nil, "who of that account, as role/Engineers-*; repeat it")
	f.StringVar(&d.RotateEvery, "rotate-every", "", "how often the ID changes: 4h, 6h, 8h, 12h, daily,\nweekly, monthly, N days or never (monthly)")
	f.StringVar(&d.Expires, "expires", "", "when access ends, as 2027-03-31T23:59:59Z")
	f.StringArrayVar(&d.Topics, "sns", nil, "topic of yours that is told, by ARN; repeat it")
	f.BoolVar(&force, "force", false, "overwrite a file that is there")
	f.BoolVar(&schema, "schema", false, "also write "+schemaFile+" and point editors at it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if _, err := os.Lstat(*file); err == nil && !force {
			return fail(exitRefused, "--force overwrites it, --file names another.", "%s is there already", *file)
		}
		if schema {
			d.Schema = "./" + schemaFile
		}
		if d.Provider == "" || d.Account == "" {
			if c.json || !isTerminal(c.stdin) || !isTerminal(c.stderr) {
				return fail(exitInput, "countersign init --provider hestio --account 111122223333", "no terminal to ask on: --provider and --account are needed")
			}
			if err := c.ask(cmd.Context(), &d); err != nil {
				return err
			}
		}
		return c.writeDraft(*file, d)
	}
	return cmd
}

// writeDraft writes the file once it is valid.
func (c *cli) writeDraft(file string, d draft) error {
	src := []byte(d.yaml())
	folder := filepath.Dir(file)
	_, err := access.Parse(file, src, os.DirFS(folder), c.now())
	if problems, ok := errors.AsType[*access.Problems](err); ok {
		var lines []string
		for _, p := range problems.Errors {
			lines = append(lines, p.Message+" ("+p.Field+")")
			if !c.json {
				c.tell("%s", p)
			}
		}
		if c.json {
			return fail(exitInput, "Nothing was written.", "%s", strings.Join(lines, "; "))
		}
		return fail(exitInput, "", "%s in what was given. Nothing was written.", count(len(problems.Errors), "error"))
	}
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, src, 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	if d.Schema != "" {
		if err := os.WriteFile(filepath.Join(folder, schemaFile), access.Schema(), 0o644); err != nil {
			return fmt.Errorf("writing the schema: %w", err)
		}
	}
	if c.json {
		return writeJSON(c.stdout, struct {
			File   string `json:"file"`
			Grant  string `json:"grant"`
			Schema string `json:"schema,omitempty"`
		}{file, d.grantName(), d.Schema})
	}
	c.tell("Next: countersign explain says what it means; then deploy.\n")
	_, err = fmt.Fprintf(c.stdout, "%s is written: grant %s for %s.\n", file, d.grantName(), d.Provider)
	return err
}

// draft is what init writes.
type draft struct {
	Provider, Account, Grant string
	Permissions, Principals  []string
	RotateEvery, Expires     string
	Topics                   []string
	Schema                   string // path of the schema for editors; may be empty
}

func (d draft) grantName() string {
	if d.Grant != "" {
		return d.Grant
	}
	return d.Provider
}

// yaml is the file.
func (d draft) yaml() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if d.Schema != "" {
		line("# yaml-language-server: $schema=%s", d.Schema)
	}
	line("# Who may enter this account, as what, and for how long. \"countersign explain\" says it in plain words.")
	line("version: 1\n")
	line("providers:")
	line("  - name: %s", yamlText(d.Provider))
	line("    account: %q", d.Account)
	if len(d.Principals) > 0 {
		line("    principals:")
		for _, p := range d.Principals {
			line("      - %s", yamlText(p))
		}
	}
	line("    grants:")
	line("      - name: %s", yamlText(d.grantName()))
	line("        permissions:")
	permissions := d.Permissions
	if len(permissions) == 0 {
		permissions = []string{"ReadOnlyAccess"}
	}
	for _, p := range permissions {
		line("          - %s", yamlText(p))
	}
	if d.RotateEvery != "" {
		line("        rotateEvery: %s", yamlText(d.RotateEvery))
	}
	if d.Expires != "" {
		line("        expires: %q", d.Expires)
	}
	if len(d.Topics) > 0 {
		line("        notify:")
		line("          sns:")
		for _, t := range d.Topics {
			line("            - %s", yamlText(t))
		}
	}
	return b.String()
}

// yamlText quotes a text unless YAML surely reads it as it stands.
func yamlText(s string) string {
	plain := s != "" && strings.ContainsAny(s[:1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.") &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./*") == "" &&
		len(s) > 5 // shorter ones may be true, no, null
	if days, ok := strings.CutSuffix(s, " days"); plain || ok && strings.Trim(days, "0123456789") == "" {
		return s
	}
	return fmt.Sprintf("%q", s)
}

// problemOf is the first problem that the draft has in a field, by the field's last part.
func (d draft) problemOf(field string) error {
	_, err := access.Parse("access.yaml", []byte(d.yaml()), os.DirFS("."), time.Now())
	problems, ok := errors.AsType[*access.Problems](err)
	if !ok {
		return nil
	}
	for _, p := range problems.Errors {
		if strings.HasPrefix(p.Field, field) {
			return errors.New(p.Message)
		}
	}
	return nil
}

// ask puts the questions on the terminal, in stderr's place: stdout stays data.
func (c *cli) ask(ctx context.Context, d *draft) error {
	permissions, principals, schedule := strings.Join(d.Permissions, ", "), strings.Join(d.Principals, ", "), d.RotateEvery
	if schedule == "" {
		schedule = "monthly"
	}
	check := func(field string, set func(*draft, string)) func(string) error {
		return func(s string) error {
			try := *d
			set(&try, s)
			return try.problemOf(field)
		}
	}
	const provider, grant = "providers[0].", "providers[0].grants[0]."
	form := huh.NewForm(
		huh.NewGroup(
			huh.NewInput().Title("Who is the third party?").Description("A short name: a-z, 0-9 and -").Value(&d.Provider).
				Validate(check(provider+"name", func(d *draft, s string) { d.Provider = s })),
			huh.NewInput().Title("Its AWS account id?").Description("12 digits").Value(&d.Account).
				Validate(check(provider+"account", func(d *draft, s string) { d.Account = s })),
			huh.NewInput().Title("Who of that account?").Description("As role/Engineers-*, with commas between; empty: that account decides").Value(&principals).
				Validate(check(provider+"principals", func(d *draft, s string) { d.Principals = commas(s) })),
		),
		huh.NewGroup(
			huh.NewInput().Title("A name for the grant?").Description("As migration or audit; empty: the third party's").Value(&d.Grant).
				Validate(check(grant+"name", func(d *draft, s string) { d.Grant = s })),
			huh.NewInput().Title("What may it do?").Description("AWS managed policies or policy files, with commas between; empty: ReadOnlyAccess").Value(&permissions).
				Validate(check(grant+"permissions", func(d *draft, s string) { d.Permissions = commas(s) })),
			huh.NewSelect[string]().Title("How often does the external ID change?").Options(huh.NewOptions("monthly", "weekly", "daily", "12h", "8h", "6h", "4h", "never")...).Value(&schedule),
			huh.NewInput().Title("When does access end?").Description("As 2027-03-31T23:59:59Z; empty: when you revoke it").Value(&d.Expires).
				Validate(check(grant+"expires", func(d *draft, s string) { d.Expires = s })),
		),
	).WithInput(c.stdin).WithOutput(c.stderr).WithAccessible(c.env("ACCESSIBLE") != "" || c.env("TERM") == "dumb").WithWidth(terminalWidth)
	if c.env("NO_COLOR") != "" {
		form = form.WithTheme(huh.ThemeFunc(huh.ThemeBase))
	}
	if err := form.RunWithContext(ctx); err != nil {
		return fail(exitRefused, "", "nothing was written: %w", err)
	}
	d.Permissions, d.Principals, d.RotateEvery = commas(permissions), commas(principals), schedule
	return nil
}

// commas splits a list that a person typed.
func commas(s string) []string {
	var out []string
	for _, item := range strings.Split(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}
