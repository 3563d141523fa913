package demo

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
)

const (
	width  = 80
	column = 26 // where the text begins
)

const title = `Acme lets Hestio into its AWS account by grant "migration": S3 full, EC2 read.
A year of it on an embedded AWS. No account, no network, no real time.

✓ gets in, or may   ✗ does not (what decided)   #1a2b3c fingerprint of an ID
`

const small = `Who gets in was also asked at each of %s AWS calls in between. Time is virtual: a call takes %d ms ` +
	`and IAM shows a write at once. On AWS that takes seconds to minutes.`

// Print tells a report as people read it, in at most 80 columns. environ decides about colours: NO_COLOR, TERM and what w is.
func Print(w io.Writer, r Report, environ []string) error {
	var b strings.Builder
	b.WriteString(title + "\n")
	for _, s := range r.Scenes {
		s.print(&b)
	}
	b.WriteString("\n")
	wrap(&b, "", fmt.Sprintf(small, thousands(r.Calls), Latency.Milliseconds()), 0)
	end := fmt.Sprintf("%d scenes, %d checks, %d failed, %.1f s.", len(r.Scenes), r.Checks, r.Failed, r.Seconds)
	if r.Failed == 0 {
		end += "      Next: countersign init"
	}
	b.WriteString(end + "\n")
	_, err := io.WriteString(colorprofile.NewWriter(w, environ), coloured(strings.ReplaceAll(b.String(), noBreak, " ")))
	return err
}

// thousands writes 55159 as 55,159.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

func (s Scene) print(b *strings.Builder) {
	name, at := s.Name, ""
	for _, l := range s.Lines {
		stamp := l.At.UTC().Format("_2 Jan 15:04")
		lead := fmt.Sprintf(" %-12s  %-10s ", stamp, name)
		if stamp == at {
			lead = fmt.Sprintf(" %-12s  %-10s ", "", name)
		}
		name, at = "", stamp
		wrap(b, lead, string(l.Text), column)
	}
	for _, c := range s.Checks {
		if c.OK {
			continue
		}
		text := c.What
		if c.Got != "" {
			text += " (" + c.Got + ")"
		}
		wrap(b, fmt.Sprintf(" %-12s  %-10s ", "", "FAILED"), text, column)
	}
}

// wrap breaks a text between its words.
func wrap(b *strings.Builder, lead, text string, indent int) {
	line, empty := lead, true
	for _, word := range strings.Split(text, " ") {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line, empty = strings.Repeat(" ", indent), true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}

// looks are what a reader looks for, each in its colour.
var looks = []struct {
	what  *regexp.Regexp
	style lipgloss.Style
}{
	{regexp.MustCompile(`✓`), lipgloss.NewStyle().Foreground(lipgloss.Green)},
	{regexp.MustCompile(`✗|FAILED|[1-9]\d* failed`), lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)},
	{regexp.MustCompile(`#[0-9a-f]{6}\b`), lipgloss.NewStyle().Foreground(lipgloss.Cyan)},
	{regexp.MustCompile(`(?m)^ .{12}  ([A-Z]+)`), lipgloss.NewStyle().Bold(true)},
}

func coloured(text string) string {
	for _, l := range looks {
		text = l.what.ReplaceAllStringFunc(text, func(s string) string { return l.style.Render(s) })
	}
	return text
}
