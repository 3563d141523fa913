package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/aws/sso"
	"github.com/countersign/countersign/internal/aws/sts"
	"github.com/countersign/countersign/internal/entry"
	"github.com/countersign/countersign/internal/visit"
)

// memory is what creds load remembers: no credential.
type memory struct {
	Profile string `json:"profile"`
}

func memoryPath() (string, error) {
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "countersign", "base.json"), err
}

// remembered is what creds load chose; nothing where it never ran.
func (c *cli) remembered() (m memory) {
	path, err := memoryPath()
	if err != nil {
		return memory{}
	}
	src, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(src, &m) != nil {
		return memory{}
	}
	return m
}

func remember(m memory) error {
	path, err := memoryPath()
	if err != nil {
		return err
	}
	out, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, out, 0o600))
}

func newCredsCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "creds",
		Short:   "Your own credentials: sign in, be remembered",
		Long:    "Your own credentials, in your own account, from which you enter customers' accounts.",
		Example: "countersign creds load",
		Args:    unknownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	load := &cobra.Command{
		Use:   "load [PROFILE]",
		Short: "Choose a profile, sign in, and say who you are",
		Long: `Choose the profile of AWS's configuration that is your own, sign in to IAM Identity
Center if it asks for that, and say who you are. The choice is remembered for
commands that run without --profile, AWS_PROFILE or keys in the environment; no
credential is. A sign-in is kept where AWS's own CLI keeps it.`,
		Example: "countersign creds load\ncountersign creds load hestio",
		Args:    cobra.MaximumNArgs(1),
	}
	load.RunE = func(cmd *cobra.Command, args []string) error { return c.credsLoad(cmd.Context(), args) }
	cmd.AddCommand(load)
	return cmd
}

func (c *cli) credsLoad(ctx context.Context, args []string) error {
	if c.env(visit.Variable) != "" {
		return fail(exitRefused, "Leave this shell first: exit", "this shell is in a customer's account")
	}
	profile, err := c.chooseProfile(ctx, args)
	if err != nil {
		return err
	}
	cfg, err := c.base(ctx, wayFlags{profile: profile})
	if err != nil {
		return err
	}
	account, arn, err := sts.New(cfg).Caller(ctx)
	if err != nil {
		if account, arn, err = c.signIn(ctx, cfg, profile, err); err != nil {
			return err
		}
	}
	if err := remember(memory{profile}); err != nil {
		return fmt.Errorf("remembering the profile: %w", err)
	}
	who := identity{Side: sideProvider, Account: account, ARN: arn, Engineer: entry.Engineer(arn)}
	if creds, err := cfg.Credentials.Retrieve(ctx); err == nil && creds.CanExpire {
		who.Expires = creds.Expires.UTC()
	}
	if c.json {
		return writeJSON(c.stdout, who)
	}
	_, err = io.WriteString(c.stdout, who.text(c.now()))
	return err
}

// signIn signs in, where the profile has a place for that, after the first try failed.
func (c *cli) signIn(ctx context.Context, cfg aws.Config, profile string, failed error) (account, arn string, err error) {
	session, err := sso.Of(ctx, profile)
	if errors.Is(err, sso.ErrNone) {
		return "", "", fail(exitDenied, "Renew the profile's credentials as you got them; one with an sso_session is signed in from here.", "AWS takes no credentials of profile %s: %w", profile, failed)
	}
	if err != nil {
		return "", "", fail(exitInput, "", "%w", err)
	}
	err = session.SignIn(ctx, cfg, func(s sso.Step) {
		c.tell("Sign in at %s\n  1  open     %s\n  2  compare  %s\n  3  allow access; this goes on by itself (Ctrl-C ends it)\n", printable(session.StartURL), printable(s.URL), printable(s.Code))
	}, c.wait, c.now)
	if ctx.Err() != nil {
		return "", "", childExit(exitInterrupted)
	}
	if err != nil {
		return "", "", fail(exitDenied, "", "%w", err)
	}
	if cfg, err = c.base(ctx, wayFlags{profile: profile}); err != nil { // the SDK has kept that there was no token
		return "", "", err
	}
	if account, arn, err = sts.New(cfg).Caller(ctx); err != nil {
		return "", "", fail(exitDenied, "The profile's sso_account_id and sso_role_name say as whom.", "signed in, and AWS takes no credentials of profile %s: %w", profile, err)
	}
	return account, arn, nil
}

// chooseProfile is the profile that is named, or the only one, or the one that a person chooses.
func (c *cli) chooseProfile(ctx context.Context, args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	names := profileNames(configFile(c.env))
	switch {
	case len(names) == 0:
		return "", fail(exitInput, "aws configure sso writes one.", "AWS's configuration has no profiles")
	case len(names) == 1:
		return names[0], nil
	case c.json || !isTerminal(c.stdin) || !isTerminal(c.stderr):
		return "", fail(exitInput, "countersign creds load PROFILE", "which profile is your own? There are %s", printable(strings.Join(names[:min(len(names), manyNames)], ", ")))
	}
	for i, name := range names {
		c.tell("%3d  %s\n", i+1, printable(name))
	}
	number, err := c.askNumber(ctx, "Which one is your own? ", len(names))
	if err != nil {
		return "", err
	}
	return names[number], nil
}

func configFile(env func(string) string) string {
	home, _ := os.UserHomeDir()
	return cmp.Or(env("AWS_CONFIG_FILE"), filepath.Join(home, ".aws", "config"))
}

// profileNames are the profiles of a configuration that are not of our making.
func profileNames(path string) (names []string) {
	src, _ := os.ReadFile(path)
	ours := false
	for line := range strings.Lines(string(src)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "# countersign: begin"):
			ours = true
		case strings.HasPrefix(line, "# countersign: end"):
			ours = false
		case ours:
		case line == "[default]":
			names = append(names, "default")
		case strings.HasPrefix(line, "[profile ") && strings.HasSuffix(line, "]"):
			names = append(names, strings.TrimSpace(line[len("[profile "):len(line)-1]))
		}
	}
	slices.Sort(names)
	return names
}
