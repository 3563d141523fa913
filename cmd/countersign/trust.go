package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/trust"
)

// maxDocument is more than any quota of a trust policy allows, URL-encoded.
const maxDocument = 1 << 20

func newTrustCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Edit, audit or evaluate a trust policy file",
		Long: `Edit, audit or evaluate a role's trust policy in a file, exactly as Countersign
does it in the account. Nothing is sent anywhere and no credentials are needed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTrustApplyCommand(c), newTrustAuditCommand(c), newTrustEvaluateCommand(c))
	return cmd
}

// document reads and parses FILE, or standard input for "-".
func (c *cli) document(file string) (*trust.Document, error) {
	in := c.stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fail(exitInput, "Give a file with a trust policy, or - for standard input.", "reading the trust policy: %w", err)
		}
		defer f.Close() //nolint:errcheck // only read
		in = f
	}
	src, err := io.ReadAll(io.LimitReader(in, maxDocument+1))
	if err != nil {
		return nil, fail(exitInput, "Give a file with a trust policy, or - for standard input.", "reading the trust policy: %w", err)
	}
	if len(src) > maxDocument {
		return nil, fail(exitRefused, "Check that it is the trust policy and nothing else.", "refused: the document is larger than any trust policy")
	}
	doc, err := trust.Parse(src)
	if err != nil {
		return nil, fail(exitRefused, "Correct the document; nothing was changed.", "%w", err)
	}
	return doc, nil
}

// externalID is the value of a flag that takes an ID: the ID itself, or @FILE, whose trailing newline doesn't count.
func externalID(flag, value string) (string, error) {
	file, ok := strings.CutPrefix(value, "@")
	if !ok {
		return value, nil
	}
	src, err := os.ReadFile(file)
	if err != nil {
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			err = path.Err // the name could be an ID that begins with @
		}
		return "", fail(exitInput, "Give the ID itself, or @ and the name of a file that holds it.", "reading the file of --%s: %w", flag, err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(src), "\n"), "\r"), nil
}

// date reads an RFC 3339 flag.
func date(flag, value string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, fail(exitInput, "Write it as 2026-02-05T03:00:00Z.", "--%s is not a date and time", flag)
	}
	return t.UTC(), nil
}

// talk prints lines of talk.
func (c *cli) talk(lines ...string) {
	for _, l := range lines {
		_, _ = fmt.Fprintln(c.stderr, l)
	}
}
