package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/countersign/countersign/internal/api"
	"github.com/spf13/cobra"
)

func newGrantsCommand(c *cli) *cobra.Command {
	var f remoteFlags
	cmd := &cobra.Command{
		Use:   "grants",
		Short: "List who may enter now, since when, until when",
		Long: `List the deployed grants of the stack and its shards as IAM and Secrets Manager
tell them now. No external ID is read or shown.`,
		Example: "countersign grants\ncountersign grants --json --profile acme-prod",
		Args:    cobra.NoArgs,
	}
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		cfg, err := f.config(ctx)
		if err != nil {
			return err
		}
		all := api.List{Grants: []api.Status{}}
		var failed error
		err = f.stacks(ctx, cfg, func(s stack) bool {
			client, err := s.api(cfg)
			if err == nil {
				var l api.List
				l, err = client.Grants(ctx)
				all.Grants = append(all.Grants, l.Grants...)
			}
			if err != nil {
				failed = fmt.Errorf("listing grants of %s: %w", s.name, err)
			}
			return err == nil
		})
		if err := cmp.Or(err, failed); err != nil {
			return remoteError(err)
		}
		if c.json {
			return writeJSON(c.stdout, all)
		}
		_, err = io.WriteString(c.stdout, c.grantTable(all.Grants))
		return err
	}
	return cmd
}

// grantTable is one line a grant.
func (c *cli) grantTable(all []api.Status) string {
	if len(all) == 0 {
		return "No grants are deployed.\n"
	}
	now := c.now()
	rows := [][]string{{"GRANT", "STATE", "PROVIDER", "ROTATED", "LAST USED", "ENDS"}}
	var faults []string
	for _, s := range all {
		row := []string{s.Grant, strings.ToUpper(string(s.State)), s.Provider, "-", "-", "-"}
		if s.SecretARN == "" && s.Fault == "" {
			row[3] = "no ID"
		}
		if !s.LastRotated.IsZero() {
			row[3] = roughly(now.Sub(s.LastRotated)) + " ago"
		}
		if !s.LastUsed.IsZero() {
			row[4] = roughly(now.Sub(s.LastUsed)) + " ago"
		}
		if !s.Expires.IsZero() {
			row[5] = s.Expires.UTC().Format("2006-01-02")
		}
		for i := range row {
			row[i] = printable(row[i])
		}
		rows = append(rows, row)
		faults = append(faults, notesOf(s, now)...)
	}
	return table(rows) + strings.Join(faults, "")
}

// notesOf are lines on what of a grant isn't as usual.
func notesOf(s api.Status, now time.Time) []string {
	var out []string
	note := func(format string, args ...any) {
		b := block{}
		b.head(printable(s.Grant), printable(fmt.Sprintf(format, args...)))
		out = append(out, b.String())
	}
	if s.Fault != "" {
		note("could not be read in full: %s", s.Fault)
	}
	if s.PausedUntil.After(now) {
		note("paused: %s", pausedText(s.PausedUntil, now))
	}
	if len(s.Drift) > 0 {
		note("drift: %s", strings.Join(s.Drift, "; "))
	}
	switch {
	case s.State == api.Closed && s.Undone:
		note("closed: %s", undoneText(s))
	case s.State == api.Closed && len(s.Missing) > 0:
		note("closed, but not everywhere yet: %s missing; reconcile puts it back", strings.Join(s.Missing, ", "))
	}
	return out
}

// table aligns columns, two spaces between them.
func table(rows [][]string) string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		gap := 0 // up to the next cell that has something: lines end with their last word
		for i, cell := range row {
			if cell = strings.TrimRight(cell, " "); cell != "" {
				for ; gap > 0; gap-- {
					b.WriteByte(' ')
				}
				b.WriteString(cell)
			}
			gap += widths[i] - utf8.RuneCountInString(cell) + 2
		}
		b.WriteByte('\n')
	}
	return b.String()
}
