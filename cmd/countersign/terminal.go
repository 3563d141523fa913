package main

import (
	"bufio"
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/foreign"
)

// confirm asks a question on the terminal; anything but y or yes is no.
func (c *cli) confirm(question string) (bool, error) {
	if c.json || !isTerminal(c.stdin) || !isTerminal(c.stderr) {
		return false, fail(exitRefused, "--yes answers for you.", "no terminal to ask on")
	}
	c.tell("%s [y/N] ", question)
	line, err := bufio.NewReader(c.stdin).ReadString('\n')
	if err != nil {
		c.tell("\n")
		return false, nil // end of input is no
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}

// printable keeps text from elsewhere from steering the terminal.
func printable(s string) string { return foreign.Text(s) }

// clock writes a time as people read it beside now: "today 15:36 UTC", "4 Feb 03:00 UTC", with the year where it differs.
func clock(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	switch {
	case t.Format(time.DateOnly) == now.Format(time.DateOnly):
		return t.Format("today 15:04 UTC")
	case t.Year() == now.Year():
		return t.Format("2 Jan 15:04 UTC")
	}
	return t.Format("2 Jan 2006 15:04 UTC")
}

// roughly writes a duration in its largest unit, rounded down: "12 min", "26 days".
func roughly(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// progress prints what happened, with the seconds since it began.
type progress struct {
	c     *cli
	start time.Time
	quiet bool
}

func (c *cli) progress() progress { return progress{c, c.now(), c.json} }

func (p progress) step(format string, args ...any) {
	if p.quiet {
		return
	}
	seconds := p.c.now().Sub(p.start).Seconds()
	p.c.tell("%5.1f s  %s\n", seconds, printable(fmt.Sprintf(format, args...)))
}

func (p progress) seconds() float64 { return p.c.now().Sub(p.start).Seconds() }
