package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign/events"
)

// Widths of the columns of a history, gaps included.
const (
	whenWidth = 18
	whatWidth = 10
)

// text is the history for a terminal.
func (t chronicle) text() string {
	b := block{}
	period := "in the last 400 days"
	if !t.Since.IsZero() {
		period = "since " + stamp(t.Since)
	}
	if len(t.Happenings) == 0 {
		b.head(t.Grant, "nothing was said of it "+period)
	} else {
		b.head(t.Grant, count(len(t.Happenings), "event")+" "+period+", newest first; times are UTC")
	}
	for _, h := range t.Happenings {
		what, said := h.words()
		lead := fmt.Sprintf("%-*s%-*s", whenWidth, stamp(h.Time), whatWidth, what)
		b.wrapAt(lead, strings.ReplaceAll(printable(said), "version ", "version"+noBreak), whenWidth+whatWidth)
	}
	if t.Unreadable > 0 {
		b.wrapFlat(count(t.Unreadable, "line") + " of the log can't be read as an event, whatever grant it was about.")
	}
	return b.String()
}

// words are what happened, in a word, and the rest of it in a sentence. Nothing in them is to be believed that the account's
// own functions did not say, and nothing is printed as it came.
func (h happening) words() (what, said string) {
	switch d := h.Data.(type) {
	case *events.AccessGranted:
		return "GRANTED", join("open for the first time", ends(d.Expires), versionWords(d.VersionID))
	case *events.AccessExpired:
		return "EXPIRED", "its end has passed: " + stamp(d.Expires)
	case *events.AccessRevoked:
		return "REVOKED", join(by(d.By, d.Account, d.Reason), d.RevokeID)
	case *events.AccessRestored:
		return "RESTORED", join("for sessions from "+stamp(d.ValidFrom)+" on", "undoes "+d.RevokeID, versionWords(d.VersionID))
	case *events.ExternalIDRotated:
		previous := "the previous ID ended at once"
		if !d.PreviousUntil.IsZero() {
			previous = "the previous ID until " + stamp(d.PreviousUntil)
		}
		if d.Extended {
			previous += ", and on until somebody confirms"
		}
		return "ROTATED", join(causes(d.Cause), previous, versionWords(d.VersionID))
	case *events.ExternalIDConfirmed:
		return "CONFIRMED", join("by the "+d.By, until("the previous ID", d.PreviousUntil), versionWords(d.VersionID))
	case *events.RotationUnconfirmed:
		end := "ends then"
		if d.Extended {
			end = "stays until somebody confirms"
		}
		return "REMINDED", join("nobody has confirmed, "+overlapGone[d.Reminder]+" of the overlap is over", "the previous ID "+end, versionWords(d.VersionID))
	case *events.PreviousRetired:
		return "RETIRED", join("the previous ID is not accepted any more", versionWords(d.VersionID))
	case *events.RotationFailed:
		return "FAILED", join("rotation, "+d.Step+": "+d.Reason, d.Next, versionWords(d.VersionID))
	case *events.TrustDriftDetected:
		state := "not mended"
		if d.Mended {
			state = "mended"
		}
		return "DRIFT", join(append(d.Findings, state)...)
	case *events.GrantReported:
		return "REPORTED", join(d.State, versionWords(d.VersionID))
	case *events.OperationRequested:
		asked := d.Operation
		if !d.Until.IsZero() {
			asked += " until " + stamp(d.Until)
		}
		return "ASKED", join(asked+" "+by(d.By, d.Account, d.Reason), d.RevokeID, versionWords(d.VersionID))
	case *events.TestRequested:
		return "TEST", "asked for " + by(d.By, d.Account, d.Reason)
	case *events.DeliverySucceeded:
		return "TOLD", d.Destination + " of " + string(d.Event) + sentAgain(d.Delivery)
	case *events.DeliveryFailed:
		next := "no attempt follows"
		if !d.Next.IsZero() {
			next = "next attempt " + stamp(d.Next)
		}
		return "NOT TOLD", join(fmt.Sprintf("%s of %s%s, attempt %d: %s", d.Destination, d.Event, sentAgain(d.Delivery), d.Attempt, d.Reason), next)
	case *events.DestinationDisabled:
		return "DISABLED", join(d.Destination+" is told of nothing from now on: "+d.Reason, "tag "+d.Tag)
	case *events.MailUndelivered:
		return "NO MAIL", d.Destination + " of " + cmp.Or(string(h.mailed), "event "+d.EventID) + ": " + mailWords(d)
	}
	return "OTHER", string(h.Event)
}

// overlapGone is how much of an overlap a reminder says is over.
var overlapGone = map[string]string{"half": "half", "nine-tenths": "nine tenths", "over": "all"}

// until says how long something lasts, if it lasts.
func until(what string, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return what + " until " + stamp(at)
}

// mailWords says what became of a mail that Amazon SES took.
func mailWords(d *events.MailUndelivered) string {
	words := map[string]string{
		events.MailBounced: "bounced, another one may arrive", events.MailComplaint: "called spam by its reader",
		events.MailRejected: "not sent, SES took it for a virus", events.MailUnrendered: "not sent, SES could not render it",
	}[d.Kind]
	if d.Kind == events.MailBounced && d.Permanent {
		words = "bounced for good"
	}
	if d.Cause != "" {
		words += " (" + d.Cause + ")"
	}
	return words
}

// sentAgain says that a person took a delivery from the dead letters: its attempts count from there.
func sentAgain(d events.Delivery) string {
	if d.SentAgain.IsZero() {
		return ""
	}
	return ", sent again " + stamp(d.SentAgain)
}

// by says who did something and why: by role/Operations: "project ended".
func by(arn, account, reason string) string {
	who := "by " + arn
	parts := strings.SplitN(arn, ":", 6)
	switch {
	case arn == unknownCaller || arn == "":
		who = "by somebody who left no name"
	case len(parts) == 6 && parts[4] == account:
		who = "by " + parts[5]
	}
	if reason == "" {
		return who
	}
	return who + ": " + quoted(reason)
}

// quoted puts words of people in quotes, so that they can't pass for ours.
func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, "'") + `"` }

// stamp writes a time that may be long ago; all of a history is UTC.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

func ends(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return "ends " + stamp(at)
}

func versionWords(id string) string {
	if id == "" {
		return ""
	}
	return "version " + id
}

// causes are the causes of a rotation in words.
func causes(cause string) string {
	if words := map[string]string{
		"scheduled": "on schedule", "requested": "on request", "leaked": "because it leaked", "restored": "by a restore",
	}[cause]; words != "" {
		return words
	}
	return cause
}

// join puts parts behind one another, leaving empty ones out.
func join(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, "; ")
}
