// Package deliver says what changed: as a mail, as a signed webhook, as a message to a topic.
//
// It decides the words, the form and the signature, which addresses a webhook may reach, and when the next attempt comes. It trusts the plan, which
// only CloudFormation writes, and the facts that its caller has checked; a version id is shown as it is given. It never
// holds an external ID: a message is a doorbell, and the ID is read from the secret.
package deliver

import (
	"strings"
	"time"
	"unicode"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// Mail is one mail, ready to be sent.
type Mail struct {
	From    string
	To      []string
	Subject string // one line of ASCII
	Text    string
	HTML    string // says the same as Text
	Thread  string // message id that all mails about the grant refer to
	// Tags go along with the mail and are not in it: SES names them when it says what became of it. Names and values are
	// letters, digits, _ and -.
	Tags map[string]string
}

// Facts are what is known of a change besides the plan.
type Facts struct {
	EventID   string // metadata.id of the event
	Kind      events.Type
	At        time.Time // of the change
	VersionID string    // of whatever tells of a rotation, Access Granted, Access Restored
	RevokeID  string    // Access Revoked, Access Restored
	// PreviousUntil is when the ID before a rotated one ends, or a moment before that; zero: it ended with the rotation. The
	// plan's WhenUnconfirmed says whether it may stay longer.
	PreviousUntil time.Time
	Now           time.Time // a deadline before it has passed

	Disabled    Disabled    // Destination Disabled
	Undelivered Undelivered // Mail Undelivered
}

// Disabled is a destination that wants no message any more.
type Disabled struct {
	Destination string // its place in the plan: "webhook 1"
	SecretARN   string // that signs for it, and carries the mark
	Tag         string // the mark
}

// Row is one line of a message: what a value is, the value, and the command that belongs to it.
type Row struct{ Label, Text, Command string }

// Message is what is said to one audience, before it has the form of a channel.
type Message struct {
	Subject string // one line of ASCII, 99 characters at most
	Lead    string // the one sentence to remember
	Rows    []Row
	Check   string // where a reader who doubts the message looks
	Thread  string // what all messages about the grant have in common
	Revoke  string // the AWS CLI call that ends the access; empty where it has ended
}

// pickUpLine is the AWS CLI call by which the provider's principals read the current ID.
func pickUpLine(p grant.Plan) string {
	return "aws secretsmanager get-secret-value --region " + p.Region + " --secret-id " + p.SecretARN + " --query SecretString --output text"
}

// minute writes a moment for people, rounded down: a deadline is never shown later than it is.
func minute(t time.Time) string { return t.UTC().Format("2 Jan 15:04") + " UTC" }

// day is minute with the year.
func day(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04") + " UTC" }

// oneLine drops what could start a new line, or hide or turn text around.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}
