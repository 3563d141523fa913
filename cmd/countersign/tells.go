package main

import (
	"slices"
	"strings"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// tells says who is told of what: mails that ask for the same in one line, each webhook and topic in its own.
func tells(bus string, n grant.Notify) []string {
	var out []string
	if m := strings.SplitN(bus, ":", 6); len(m) == 6 {
		out = append(out, "bus in "+m[4])
	}
	var mails []string          // what they are told
	to := map[string][]string{} // of each of those, whom
	for _, d := range n.By(grant.Mail) {
		what := toldOf(d)
		if !slices.Contains(mails, what) {
			mails = append(mails, what)
		}
		to[what] = append(to[what], d.Address)
	}
	for _, what := range mails {
		out = append(out, "mail "+strings.Join(to[what], ", ")+what)
	}
	for _, d := range n.By(grant.Webhook) {
		if d.Address == "" {
			out = append(out, "a webhook whose URL is in its secret"+toldOf(d))
			continue
		}
		out = append(out, "webhook "+d.Address+toldOf(d))
	}
	for _, d := range n.By(grant.SNS) {
		out = append(out, "sns "+topicName(d.Address)+toldOf(d))
	}
	if len(out) == 0 {
		out = append(out, "nobody but the event bus: set notify, so that the provider hears of a new ID")
	}
	return out
}

// toldOf is what a destination is told of, and for whom where that is not as usual.
func toldOf(d grant.Destination) string {
	var words []string
	for _, c := range events.Classes() {
		switch {
		case !slices.Contains(d.Classes(), c):
		case c == events.Digest:
			words = append(words, "weekly digest")
		default:
			words = append(words, string(c))
		}
	}
	of := " (" + strings.Join(words, ", ") + ")"
	if d.Audience() == events.Operators && d.Channel != grant.SNS {
		return " for operators" + of
	}
	return of
}
