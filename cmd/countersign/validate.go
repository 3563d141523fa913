package main

import (
	"errors"
	"fmt"

	"github.com/countersign/countersign/internal/access"
	"github.com/spf13/cobra"
)

// validation is what validate says as JSON.
type validation struct {
	File     string           `json:"file"`
	Valid    bool             `json:"valid"`
	Grants   int              `json:"grants"`
	Stacks   int              `json:"stacks"`
	Errors   []access.Problem `json:"errors"`
	Warnings []access.Problem `json:"warnings"`
}

// rosterValidation is the same of a customers.yaml.
type rosterValidation struct {
	File      string           `json:"file"`
	Valid     bool             `json:"valid"`
	Teams     int              `json:"teams"`
	Customers int              `json:"customers"`
	Errors    []access.Problem `json:"errors"`
	Warnings  []access.Problem `json:"warnings"`
}

func newValidateCommand(c *cli) *cobra.Command {
	var schema bool
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check access.yaml: all that is wrong, at once",
		Long: `Check access.yaml and the policy files that it names, before anything is built
or deployed: every error with its line, column and fix. With --customers the same
of a provider's customers.yaml. No call to AWS.

Exit codes: 0 it can be deployed, 2 it can't.`,
		Example: `countersign validate
countersign validate --file prod/access.yaml --json
countersign validate --customers customers.yaml
countersign validate --schema > access.schema.json`,
		Args: cobra.NoArgs,
	}
	file := fileFlag(cmd)
	roster := cmd.Flags().String("customers", "", "check this customers.yaml of a provider instead")
	_ = cmd.MarkFlagFilename("customers", "yaml", "yml")
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema of access.yaml, for editors")
	cmd.MarkFlagsMutuallyExclusive("customers", "file", "schema")
	cmd.RunE = func(*cobra.Command, []string) error {
		if schema {
			_, err := c.stdout.Write(access.Schema())
			return err
		}
		if *roster != "" {
			return c.validateRoster(*roster)
		}
		return c.validate(*file)
	}
	return cmd
}

func (c *cli) validate(file string) error {
	a, err := access.Load(file)
	if problems, ok := errors.AsType[*access.Problems](err); ok {
		if c.json {
			if err := writeJSON(c.stdout, validation{File: file, Errors: problems.Errors, Warnings: list(problems.Warnings)}); err != nil {
				return err
			}
		}
		return c.wrong(problems, "countersign validate")
	}
	if err != nil {
		return c.unread(file, err)
	}
	if c.json {
		return writeJSON(c.stdout, validation{file, true, len(a.Entries()), a.Shards, []access.Problem{}, list(a.Warnings)})
	}
	c.warn(a.Warnings)
	_, err = fmt.Fprintf(c.stdout, "%s is valid: %s, %s, %s.\n", file,
		count(len(a.Providers), "provider"), count(len(a.Entries()), "grant"), count(a.Shards, "stack"))
	return err
}

func (c *cli) validateRoster(file string) error {
	r, err := access.LoadRoster(file)
	if problems, ok := errors.AsType[*access.Problems](err); ok && c.json {
		if err := writeJSON(c.stdout, rosterValidation{File: file, Errors: problems.Errors, Warnings: list(problems.Warnings)}); err != nil {
			return err
		}
	}
	if err != nil {
		return c.rosterUnread(err)
	}
	if c.json {
		return writeJSON(c.stdout, rosterValidation{file, true, len(r.Teams), len(r.Members), []access.Problem{}, list(r.Warnings)})
	}
	c.warn(r.Warnings)
	_, err = fmt.Fprintf(c.stdout, "%s is valid: %s, %s.\n", file, count(len(r.Teams), "team"), count(len(r.Members), "customer"))
	return err
}

// load reads access.yaml for a command that needs it to be right.
func (c *cli) load(file string) (*access.Access, error) {
	a, err := access.Load(file)
	if problems, ok := errors.AsType[*access.Problems](err); ok {
		return nil, c.wrong(problems, "countersign validate")
	}
	if err != nil {
		return nil, c.unread(file, err)
	}
	return a, nil
}

// wrong makes the error of a file that can't be deployed. Warnings go in front of it. check is the command that lists them as JSON.
func (c *cli) wrong(p *access.Problems, check string) error {
	if c.json {
		return fail(exitInput, check+" --json lists them on stdout.", "%s. Nothing was deployed", count(len(p.Errors), "error"))
	}
	c.warn(p.Warnings)
	return &exitError{code: exitInput, err: p}
}

func (c *cli) unread(file string, err error) error {
	return fail(exitInput, "countersign init writes one; --file names another.", "%s can't be read: %w", file, err)
}

// warn prints warnings on stderr.
func (c *cli) warn(warnings []access.Problem) {
	if c.json {
		return
	}
	for _, w := range warnings {
		w.Message = "warning: " + w.Message
		c.tell("%s", w)
	}
}

// fileFlag adds --file.
func fileFlag(cmd *cobra.Command) *string {
	file := cmd.Flags().StringP("file", "f", "access.yaml", "the file that says who may enter")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
	return file
}

// list is the slice, never nil, so that JSON says [].
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
