package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/visit"
)

func newExecCommand(c *cli) *cobra.Command {
	var f entryFlags
	var variables bool
	cmd := &cobra.Command{
		Use:   "exec CUSTOMER",
		Short: "Run one command in a customer's account",
		Long: `Run a command in a customer's account. Exit code, signals and terminal are the
command's own. Its credentials are renewed as long as it runs; --env gives them
in environment variables instead, for programs that know no AWS configuration:
those end after an hour.`,
		Example: `countersign exec acme -- aws s3 ls
countersign exec acme --env -- docker run -e AWS_ACCESS_KEY_ID -e AWS_SECRET_ACCESS_KEY -e AWS_SESSION_TOKEN …`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: c.completeCustomers(&f.wayFlags),
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&variables, "env", false, "credentials in environment variables")
	cmd.Flags().SetInterspersed(true)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.ArgsLenAtDash() != 1 {
			return fail(exitInput, "countersign exec CUSTOMER -- COMMAND", "the command stands behind --")
		}
		return c.exec(cmd.Context(), f, variables, args[0], args[1:])
	}
	return cmd
}

func (c *cli) exec(ctx context.Context, f entryFlags, variables bool, who string, command []string) error {
	w, r, opened, err := c.enter(ctx, f, idFlags{}, []string{who}, c.progress())
	if err != nil {
		return err
	}
	inside, err := c.inside(ctx, w, r, opened, f.region)
	if err != nil {
		return err
	}
	defer inside.end()
	env := inside.environment()
	if variables {
		env = append(env, assignments(opened.Credentials, "")...)
	}
	return c.child(command[0], command[1:], env)
}

// assignments are credentials as environment variables.
func assignments(creds aws.Credentials, region string) []string {
	out := []string{
		"AWS_ACCESS_KEY_ID=" + creds.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + creds.SecretAccessKey, "AWS_SESSION_TOKEN=" + creds.SessionToken,
		"AWS_CREDENTIAL_EXPIRATION=" + creds.Expires.UTC().Format(time.RFC3339),
	}
	if region != "" {
		out = append(out, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region)
	}
	return out
}

func newExportCommand(c *cli) *cobra.Command {
	var f entryFlags
	var format string
	var show bool
	cmd := &cobra.Command{
		Use:   "export CUSTOMER",
		Short: "Print a session's credentials for this shell",
		Long: `Print the credentials of a session in a customer's account, for this shell to
take over. They end after an hour. On a terminal nothing is printed without
--show: what stands there others read.

Formats: sh, fish, powershell, env (NAME=value lines), json.`,
		Example:           `eval "$(countersign export acme)"`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeCustomers(&f.wayFlags),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&format, "format", "sh", "sh, fish, powershell, env or json")
	cmd.Flags().BoolVar(&show, "show", false, "print them on a terminal too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if isTerminal(c.stdout) && !show {
			return fail(exitRefused, `eval "$(countersign export `+printable(args[0])+`)" takes them over; --show prints them.`, "credentials aren't printed on a terminal")
		}
		line, ok := exports[format]
		if !ok && format != "json" {
			return fail(exitInput, "sh, fish, powershell, env or json", "no format %.40q", format)
		}
		w, _, opened, err := c.enter(cmd.Context(), f, idFlags{}, args, c.progress())
		if err != nil {
			return err
		}
		if c.json || format == "json" {
			return c.processCredentials(opened.Credentials)
		}
		var b strings.Builder
		for _, set := range assignments(opened.Credentials, cmp.Or(f.region, opened.Region, w.region)) {
			name, value, _ := strings.Cut(set, "=")
			if strings.ContainsAny(value, "'\n\r\\") {
				return fmt.Errorf("%s can't stand in a shell's line", name) // AWS's keys and tokens have none of these
			}
			_, _ = fmt.Fprintf(&b, line, name, value)
		}
		_, err = io.WriteString(c.stdout, b.String())
		return err
	}
	return cmd
}

var exports = map[string]string{
	"sh": "export %s='%s'\n", "fish": "set -gx %s '%s'\n", "powershell": "$env:%s = '%s'\n", "env": "%s=%s\n",
}

// processCredentials prints credentials as AWS's configuration wants them of a credential_process.
func (c *cli) processCredentials(creds aws.Credentials) error {
	return json.NewEncoder(c.stdout).Encode(struct {
		Version                                    int
		AccessKeyId, SecretAccessKey, SessionToken string //nolint:staticcheck // AWS's names
		Expiration                                 time.Time
	}{1, creds.AccessKeyID, creds.SecretAccessKey, creds.SessionToken, creds.Expires.UTC()})
}

// asking is set for the programs that AWS's SDK starts for us: one of them that comes back here would do so for ever.
const asking = "COUNTERSIGN_ASKING"

func newCredentialProcessCommand(c *cli) *cobra.Command {
	var f entryFlags
	var inside string
	cmd := &cobra.Command{
		Use:    "credential-process [CUSTOMER]",
		Hidden: true, // programs call it
		Short:  "Print a session's credentials for AWS's configuration",
		Long: `Print credentials in the form that credential_process in AWS's configuration
wants. countersign profiles write makes such profiles. Name your own with
--profile: without it AWS_PROFILE counts, which names the customer's then.`,
		Example:           "credential_process = countersign credential-process acme --profile hestio",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeCustomers(&f.wayFlags),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&inside, "visit", "", "the directory of a shell that countersign sudo opened")
	_ = cmd.Flags().MarkHidden("visit")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if inside == "" && len(args) == 0 {
			inside = c.env(visit.Variable)
		}
		if inside != "" {
			opened, err := visit.Dir{Path: inside}.Ask(cmd.Context(), nil)
			if err != nil {
				return entryError(err)
			}
			return c.processCredentials(opened.Credentials)
		}
		if len(args) == 0 {
			return fail(exitInput, "", "whose? This shell is in no customer's account")
		}
		if c.env(asking) != "" {
			return fail(exitInput, "Give credential-process --profile with your own.", "the profile with your own credentials leads back to this command")
		}
		if err := os.Setenv(asking, "1"); err != nil {
			return err
		}
		_, _, opened, err := c.enter(cmd.Context(), f, idFlags{}, args, progress{c: c, quiet: true})
		if err != nil {
			return err
		}
		return c.processCredentials(opened.Credentials)
	}
	return cmd
}
