package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/countersign/countersign/internal/api"
	"github.com/spf13/cobra"
)

func newShowCommand(c *cli) *cobra.Command {
	var f remoteFlags
	cmd := &cobra.Command{
		Use:   "show GRANT",
		Short: "Show one grant: open or closed, IDs, drift",
		Long: `Show one deployed grant as IAM and Secrets Manager tell it now. External IDs
appear as fingerprints (#b81e02), never as values.`,
		Example: "countersign show migration",
		Args:    cobra.ExactArgs(1),
	}
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		name, client, err := f.grantAPI(ctx, args)
		if err != nil {
			return err
		}
		s, err := client.Grant(ctx, name)
		if err != nil {
			return remoteError(fmt.Errorf("reading %s: %w", name, err))
		}
		if c.json {
			return writeJSON(c.stdout, s)
		}
		_, err = io.WriteString(c.stdout, showText(s, c.now()))
		return err
	}
	return cmd
}

// showText is one grant for a terminal.
func showText(s api.Status, now time.Time) string {
	b := block{}
	state := map[api.State]string{
		api.Open: "OPEN to ", api.Closed: "CLOSED to ", api.Expired: "EXPIRED for ", api.Born: "NOT YET OPEN to ",
	}[s.State]
	if state == "" {
		state = strings.ToUpper(string(s.State)) + " to "
	}
	left := fmt.Sprintf("%-*s%s%s (%s)", labelWidth, s.Grant, state, s.Provider, s.ProviderAccount)
	right := fmt.Sprintf("%s, checked %s ago", s.Region, roughly(now.Sub(s.CheckedAt)))
	if len(s.Grant) >= labelWidth {
		left = fmt.Sprintf("%s  %s%s (%s)", s.Grant, state, s.Provider, s.ProviderAccount)
	}
	gap := terminalWidth - utf8.RuneCountInString(left) - utf8.RuneCountInString(right)
	if gap >= 2 {
		b.WriteString(printable(left+strings.Repeat(" ", gap)+right) + "\n")
	} else {
		b.WriteString(printable(left) + "\n")
		b.row("checked", printable(right))
	}
	if s.State == api.Closed {
		b.row("revoked", printable(revokedText(s, now)))
		if s.Undone {
			b.row("but", printable(undoneText(s)))
		}
		if s.RestoreTo != "" {
			b.row("restore", printable("begun, opens to "+s.RestoreTo))
		}
	}
	showIDs(&b, s, now)
	if s.DeadBefore.After(now) {
		b.row("restored", "sessions from before "+clock(s.DeadBefore, now)+" stay dead: enter from then on")
	}
	if s.PausedUntil.After(now) {
		b.row("paused", pausedText(s.PausedUntil, now))
	}
	b.row("last used", lastUsed(s, now))
	for _, d := range s.Drift {
		b.row("drift", printable(d))
	}
	if len(s.Drift) == 0 {
		b.row("drift", "none")
	}
	ends := "when it is revoked"
	if s.State == api.Closed {
		ends = "revoked now"
	}
	if !s.Expires.IsZero() {
		ends = clock(s.Expires, now)
		if s.Expires.After(now) {
			ends += " (in " + roughly(s.Expires.Sub(now)) + ")"
		}
	}
	b.row("ends", ends)
	b.row("role", printable(s.RoleARN))
	if s.Fault != "" {
		b.row("fault", printable(s.Fault))
	}
	return b.String()
}

// showIDs tells which external IDs the trust policy accepts.
func showIDs(b *block, s api.Status, now time.Time) {
	if s.SecretARN == "" {
		if s.Fault == "" {
			b.row("needs", "no external ID")
		}
		return
	}
	current := 0
	for _, id := range s.Accepted {
		if id.Unconfirmed {
			b.row("previous", printable(id.Fingerprint+"   accepted until somebody confirms the current one"))
			continue
		}
		if !id.Until.IsZero() {
			text := fmt.Sprintf("%s   accepted until %s", id.Fingerprint, clock(id.Until, now))
			if id.Until.After(now) {
				text += " (in " + roughly(id.Until.Sub(now)) + ")"
			} else {
				text = id.Fingerprint + "   over since " + clock(id.Until, now) + ": IAM refuses it"
			}
			b.row("previous", printable(text))
			continue
		}
		label, text := "current", id.Fingerprint
		if current++; current > 1 {
			label = "also"
		} else if age := ageText(s, now); age != "" {
			text += "   " + age
		}
		b.row(label, printable(text))
	}
	if len(s.Accepted) == 0 {
		b.row("accepts", "no external ID: nobody gets in")
	}
	if s.Confirmation != nil {
		b.row("confirmed", printable(confirmedText(*s.Confirmation, s, now)))
	}
}

// confirmedText says what was confirmed last; and in an overlap that nobody has confirmed, what happens at its end and why.
func confirmedText(c api.Confirmation, s api.Status, now time.Time) string {
	text := "never"
	switch {
	case c.VersionID != "" && c.VersionID == s.VersionID:
		text = "the current one, by the " + c.By
	case c.VersionID != "":
		text = "an older one, by the " + c.By + " (" + c.VersionID + ")"
	}
	if c.Why == "" {
		return text
	}
	ends := "the previous one ends at its deadline"
	if c.Extended {
		ends = "the previous one stays until somebody confirms"
	}
	return text + "; " + ends + ": " + c.Why
}

func ageText(s api.Status, now time.Time) string {
	var parts []string
	if !s.LastRotated.IsZero() {
		parts = append(parts, roughly(now.Sub(s.LastRotated))+" old")
	}
	switch {
	case s.PausedUntil.After(now):
	case !s.NextRotation.IsZero() && s.NextRotation.After(now):
		parts = append(parts, "next window ends in "+roughly(s.NextRotation.Sub(now)))
	case s.RotateEvery != "":
		parts = append(parts, "rotates "+s.RotateEvery)
	}
	return strings.Join(parts, ", ")
}

func lastUsed(s api.Status, now time.Time) string {
	if s.LastUsed.IsZero() {
		return "never, as far as IAM knows"
	}
	return clock(s.LastUsed, now)
}

// undoneText says what to do about tags that call the revocation undone that the Deny stands for.
func undoneText(s api.Status) string {
	return "its tags call that undone, and the Deny stands: nobody gets in. Right behind a restore IAM may show it late. If it lasts, " +
		"ask once more: countersign restore " + s.Grant + ", or revoke it anew"
}

// revokedText says when and by which revoke id, and which of the three marks still lack.
func revokedText(s api.Status, now time.Time) string {
	text := "by hand: no revoke id yet"
	if s.RevokeID != "" {
		text = s.RevokeID
		if parts := strings.Split(s.RevokeID, "-"); len(parts) == 3 {
			if at, err := time.Parse("20060102T150405Z", parts[1]); err == nil {
				text = clock(at, now) + " (" + s.RevokeID + ")"
			}
		}
	}
	if len(s.Missing) > 0 {
		missing := slices.Clone(s.Missing)
		text += "; not in place yet: " + strings.Join(missing, ", ")
	}
	return text
}
