package grant

import (
	"time"

	"github.com/countersign/countersign/internal/trust"
)

// AcceptedBy says whether a trust policy accepts the ID, until whatever date.
func (id ID) AcceptedBy(doc *trust.Document) bool { return !id.IsZero() && doc.Holds(id.Reveal()) }

// DeadlineIn is until when a trust policy accepts the ID as a previous one, zero without an end; ok is false where it
// isn't a previous one.
func (id ID) DeadlineIn(doc *trust.Document) (until time.Time, ok bool) {
	if id.IsZero() {
		return time.Time{}, false
	}
	return doc.Deadline(id.Reveal())
}
