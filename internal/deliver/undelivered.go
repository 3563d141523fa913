package deliver

import (
	"regexp"
	"slices"

	"github.com/countersign/countersign/events"
)

// Undelivered is what became of a mail, in the words of events.MailUndelivered.
type Undelivered struct {
	Destination string `json:"destination"`
	Kind        string `json:"kind"`
	Permanent   bool   `json:"permanent,omitempty"`
	Cause       string `json:"cause,omitempty"` // of a bounce, see IsBounceCause
}

var mailName = regexp.MustCompile(`^mail [1-9][0-9]?$`)

func (u Undelivered) inForm() bool {
	known := u.Kind == events.MailBounced || u.Kind == events.MailComplaint || u.Kind == events.MailRejected || u.Kind == events.MailUnrendered
	return known && mailName.MatchString(u.Destination) && (u.Cause == "" || IsBounceCause(u.Cause))
}

// IsBounceCause says whether a word is one of SES's for why a mail bounced. Another one could be anybody's.
func IsBounceCause(word string) bool { return slices.Contains(causes, word) }

var causes = []string{
	"AttachmentRejected", "ContentRejected", "CustomTimeoutExceeded", "General", "MailboxFull", "MessageTooLarge", "NoEmail",
	"OnAccountSuppressionList", "Suppressed", "Undetermined", "UnsubscribedRecipient",
}
