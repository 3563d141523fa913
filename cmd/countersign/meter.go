package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// meter is the progress of a command on many grants: a line a grant, and on a terminal a last line that is written anew. Several
// accounts may share one.
type meter struct {
	progress
	live bool

	mu       sync.Mutex
	accounts int // looked into; 0: it is about one only
	total    int
	counts   map[string]int
}

func (c *cli) meter(total int) *meter {
	return &meter{progress: c.progress(), total: total, counts: map[string]int{}, live: !c.json && isTerminal(c.stderr) && c.env("TERM") != "dumb"}
}

// looked counts an account, and the grants that are to be done in it.
func (m *meter) looked(grants int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accounts++
	m.total += grants
	if m.live {
		m.c.tell("%s", eraseLine+m.summary())
	}
}

// next is the meter of what comes after, by the same clock.
func (m *meter) next(total int) *meter {
	after := m.c.meter(total)
	after.start = m.start
	return after
}

const eraseLine = "\r\x1b[K"

// done prints the line of a grant.
func (m *meter) done(o outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[o.Outcome]++
	line := o.Grant + "  " + o.Outcome
	if o.Account != "" {
		line = o.Account + "  " + line
	}
	if o.Why != "" {
		line += ": " + o.Why
	}
	m.line(line)
}

// note prints a line that is no grant's.
func (m *meter) note(line string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.line(line)
}

func (m *meter) line(text string) {
	m.clear()
	m.step("%s", text)
	if m.live {
		m.c.tell("%s", m.summary())
	}
}

// end prints how many there are of each outcome.
func (m *meter) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clear()
	m.step("%s", m.summary())
}

// clear takes the last line away, so that another one can stand there.
func (m *meter) clear() {
	if m.live {
		m.c.tell(eraseLine)
	}
}

// summary says how far it is: "37 of 400: 35 rotated, 2 refused".
func (m *meter) summary() string {
	done, in := 0, ""
	for _, n := range m.counts {
		done += n
	}
	if m.accounts > 0 {
		in = count(m.accounts, "account") + " looked into; "
		if done == 0 {
			return in + count(m.total, "grant") + " to revoke"
		}
	}
	return fmt.Sprintf("%s%d of %d: %s", in, done, m.total, counted(m.counts))
}

// counted is "35 rotated, 2 refused", the most frequent first.
func counted(counts map[string]int) string {
	var words []string
	for outcome := range counts {
		words = append(words, outcome)
	}
	slices.SortFunc(words, func(a, b string) int { return cmp.Or(counts[b]-counts[a], strings.Compare(a, b)) })
	for i, word := range words {
		words[i] = fmt.Sprintf("%d %s", counts[word], word)
	}
	return strings.Join(words, ", ")
}
