package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/countersign/countersign/events"
)

// inAWord are the events as history's second column has them.
var inAWord = map[events.Type]string{
	events.TypeAccessGranted: "GRANTED", events.TypeAccessExpired: "EXPIRED", events.TypeAccessRevoked: "REVOKED",
	events.TypeAccessRestored: "RESTORED", events.TypeExternalIDRotated: "ROTATED", events.TypeExternalIDConfirmed: "CONFIRMED",
	events.TypeRotationUnconfirmed: "REMINDED", events.TypePreviousRetired: "RETIRED",
	events.TypeRotationFailed: "FAILED", events.TypeTrustDriftDetected: "DRIFT", events.TypeOperationRequested: "ASKED",
	events.TypeGrantReported: "REPORTED", events.TypeTestRequested: "TEST", events.TypeDeliverySucceeded: "TOLD", events.TypeDeliveryFailed: "NOT TOLD",
	events.TypeDestinationDisabled: "DISABLED", events.TypeMailUndelivered: "NO MAIL",
}

// text is what waits and what is dead, for a terminal.
func (p post) text(now time.Time) string {
	b := block{}
	ready, later := 0, 0
	for _, q := range p.Queues {
		ready, later = ready+q.Ready, later+q.Waiting+q.InHand
	}
	b.head("queued", fmt.Sprintf("%d now, %d later or in hand, as SQS reckons, of all grants", ready, later))
	switch {
	case p.Told != nil:
		b.head("told", p.Told.text())
		for _, w := range p.Told.Waiting {
			b.head("again", printable(fmt.Sprintf("%s of %s: %s; attempt %d %s", w.Destination, w.Event, w.Reason, w.Attempt+1, clock(w.Next, now))))
		}
	case p.Unknown != "":
		b.head("told", "not known: "+printable(p.Unknown))
	}
	if len(p.Dead) == 0 {
		b.head("dead", "no letters")
		return b.String()
	}
	b.head("dead", count(len(p.Dead), "letter")+". Mend what the last column says, then: countersign deliveries redrive")
	return b.String() + "\n" + letterTable(p.Dead, now)
}

func (t told) text() string {
	since := " since " + stamp(t.Since)
	if t.Times == 0 {
		return "nothing" + since
	}
	return printable(fmt.Sprintf("%s%s, last %s: %s", count(t.Times, "message"), since, stamp(t.LastAt), t.Last))
}

// class is a reason in few words: what is to be done about it stands behind the colon, and in the runbook.
func class(reason string) string {
	const short = 30
	for _, who := range []string{"the endpoint ", "EventBridge: ", "AWS: "} {
		reason = strings.TrimPrefix(reason, who)
	}
	if what, _, more := strings.Cut(reason, ": "); more && len(reason) > short {
		return what
	}
	return reason
}

// letterTable is a line a letter. It leaves the year out: a letter is kept for 14 days.
func letterTable(all []letter, now time.Time) string {
	rows := [][]string{{"GRANT", "WHAT", "TO", "TRIES", "FIRST TRIED", "AGE", "WHY"}}
	for _, l := range all {
		tries, first := "-", "-"
		if l.Attempts > 0 {
			tries = fmt.Sprint(l.Attempts)
		}
		if !l.FirstTried.IsZero() {
			first = l.FirstTried.UTC().Format("2 Jan 15:04")
		}
		rows = append(rows, append(l.cells(), tries, first, roughly(now.Sub(l.Since)), class(l.Reason)))
	}
	return wrapped(rows)
}

// cells are grant, event and destination of a letter.
func (l letter) cells() []string {
	if l.Grant == "" {
		return []string{"?", "?", l.Destination}
	}
	return []string{l.Grant, inAWord[l.Event], l.Destination}
}

// wrapped aligns columns as table does, and breaks the last one between words.
func wrapped(rows [][]string) string {
	last := len(rows[0]) - 1
	leads := make([][]string, len(rows))
	for i, row := range rows {
		for _, cell := range row[:last] {
			leads[i] = append(leads[i], printable(cell))
		}
		leads[i] = append(leads[i], "|")
	}
	b := block{}
	for i, lead := range strings.Split(strings.TrimSuffix(table(leads), "\n"), "\n") {
		lead = lead[:len(lead)-1]
		indent := labelWidth
		if width := utf8.RuneCountInString(lead); width <= terminalWidth-16 {
			indent = width
		}
		b.wrapAt(lead, printable(rows[i][last]), indent)
	}
	return b.String()
}
