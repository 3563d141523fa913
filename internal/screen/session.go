package screen

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// Session is a block of a page that shows what somebody typed and saw. Above it stands, in a comment, that it is recorded, and where
// its commands run:
//
//	<!-- recorded by make sessions: emulator -->
type Session struct {
	Where string
	Shown string // the block's lines
}

var (
	block    = regexp.MustCompile("(?s)<!-- recorded by make sessions: ([a-z ]+) -->\n```\n(.*?)```\n")
	typed    = regexp.MustCompile(`^(?:\[CUSTOMER [^\]]+\] )?\$ (.+)$|\[y/N\] (\S+)$`)
	prompted = regexp.MustCompile(`(?:^|\n)(?:\[CUSTOMER [^\]\n]+\] )?\$ $|\[y/N\] $`)
)

// Typed are the lines that a person types in a session: commands behind the prompt, and answers.
func (s Session) Typed() (lines []string) {
	for line := range strings.Lines(s.Shown) {
		if m := typed.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			lines = append(lines, m[1]+m[2])
		}
	}
	return lines
}

// Renew gives a page with each session of a place as now records it. A page that shows none there is as it was.
func Renew(page, where string, now func(Session) (string, error)) (renewed string, sessions int, err error) {
	at := 0
	for _, m := range block.FindAllStringSubmatchIndex(page, -1) {
		s := Session{Where: page[m[2]:m[3]], Shown: page[m[4]:m[5]]}
		if s.Where != where {
			continue
		}
		sessions++
		text, err := now(s)
		if err != nil {
			return page, sessions, fmt.Errorf("recording %q: %w", s.Typed(), err)
		}
		renewed += page[at:m[4]] + text
		at = m[5]
	}
	return renewed + page[at:], sessions, nil
}

// RenewFile renews a page, or with write false only says what differs between what it shows and what is recorded now, aside from
// what differs each time.
func RenewFile(path, where string, write bool, now func(Session) (string, error)) (sessions int, differs []string, err error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return 0, nil, err
	}
	page, sessions, err := Renew(string(src), where, func(s Session) (string, error) {
		text, err := now(s)
		if err == nil && Lasting(text) != Lasting(s.Shown) {
			differs = append(differs, fmt.Sprintf("%s shows\n%s\nand now it is\n%s", path, s.Shown, text))
		}
		return text, err
	})
	if err != nil || !write || len(differs) == 0 {
		return sessions, differs, err
	}
	return sessions, nil, os.WriteFile(path, []byte(page), 0o644)
}

// passing is what differs from one recording to the next: times, durations, fingerprints, versions made at random.
var passing = []struct {
	form *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`(today|tomorrow|yesterday|\d{1,2} [A-Z][a-z]{2}( \d{4})?) \d\d:\d\d( UTC)?`), "THEN"},
	{regexp.MustCompile(`\b\d{1,2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b`), "DAY"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?Z?)?`), "THEN"},
	{regexp.MustCompile(`\b\d+\s+(s|min|h)\s+ago`), "AGO"},
	{regexp.MustCompile(`\b\d+\.\d s\b`), "SECONDS"},
	{regexp.MustCompile(`#[0-9a-f]{6}\b`), "#"},
	{regexp.MustCompile(`\brv-[0-9TZ]+-[0-9a-f]+\b`), "REVOKE"},
	{regexp.MustCompile(`\b(birth|rotate|cut|restore)-[0-9a-f]{32}\b`), "$1-VERSION"},
	{regexp.MustCompile(` +`), " "}, // columns are as wide as what stands in them
}

// Lasting is a session without what differs from one recording to the next.
func Lasting(s string) string {
	for _, p := range passing {
		s = p.form.ReplaceAllString(s, p.as)
	}
	return s
}
