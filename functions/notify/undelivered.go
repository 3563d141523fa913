package notify

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/metric"
)

// The tags by which SES says which mail it was.
const (
	tagGrant       = "grant"
	tagEvent       = "event"
	tagDestination = "destination"
)

// tagsOf are a mail's: names and hashes, no address.
func tagsOf(name grant.Name, eventID string, to grant.Destination) map[string]string {
	return map[string]string{tagGrant: string(name), tagEvent: eventID, tagDestination: deliver.IDOf(to)}
}

// feedback is what the rule on SES's events hands on of one: the mail's tags, and what became of it. Addresses, subjects and
// what the other server answered stay behind: the rule does not copy them.
type feedback struct {
	Said        string     `json:"said"` // SES's detail type
	MessageID   string     `json:"messageId"`
	BounceType  string     `json:"bounceType"` // of a bounce: Permanent, Transient or Undetermined
	Cause       string     `json:"cause"`      // of a bounce: bounceSubType
	Grant       grant.Name `json:"grant"`
	EventID     string     `json:"event"`
	Destination string     `json:"destination"` // see deliver.IDOf
}

// kinds are SES's detail types, and what we call them.
var kinds = map[string]string{
	"Email Bounced": events.MailBounced, "Email Complaint Received": events.MailComplaint,
	"Email Rejected": events.MailRejected, "Email Rendering Failed": events.MailUnrendered,
}

var (
	eventID       = regexp.MustCompile(`^[0-9a-f]{32}$`)
	destinationID = regexp.MustCompile(`^mail-[0-9a-f]{16}$`)
	messageID     = regexp.MustCompile(`^[A-Za-z0-9-]{1,100}$`)
)

func (b *batch) checkFeedback(f feedback) error {
	switch _, err := grant.ParseName(string(f.Grant)); {
	case err != nil || !b.Grants[f.Grant]:
		return drop("mail of grant %.60q, which is none of this stack", string(f.Grant))
	case kinds[f.Said] == "":
		return drop("SES says %.60q of a mail, which is nothing to us", f.Said)
	case !eventID.MatchString(f.EventID):
		return drop("mail of event id %.60q, which is not in our form", f.EventID)
	case !destinationID.MatchString(f.Destination):
		return drop("mail to %.60q, which is not in our form", f.Destination)
	case !messageID.MatchString(f.MessageID):
		return drop("mail with message id %.60q", f.MessageID)
	}
	return nil
}

// hear announces what became of a mail, and counts it. The bus brings the event back, and the operators' topics are told.
// Nothing else follows: an address that refused one mail may take the next, and SES keeps its own list of those that it sends
// nothing to. To stop telling a provider of its new external IDs is a person's decision.
func (b *batch) hear(ctx context.Context, f feedback) error {
	key := "mail " + f.MessageID + " " + f.Said
	if b.done[key] {
		return nil
	}
	plan, err := b.plan(ctx, f.Grant)
	if err != nil {
		return err
	}
	all := plan.Destinations()
	i := slices.IndexFunc(all, func(d grant.Destination) bool { return d.Channel == grant.Mail && deliver.IDOf(d) == f.Destination })
	if i < 0 {
		return drop("mail to an address that is not in the plan of %s any more", f.Grant)
	}
	said := events.MailUndelivered{EventID: f.EventID, Destination: all[i].Name, Kind: kinds[f.Said]}
	if said.Kind == events.MailBounced {
		said.Permanent = f.BounceType == "Permanent"
		if deliver.IsBounceCause(f.Cause) {
			said.Cause = f.Cause
		}
	}
	if err := b.Bus.Put(ctx, events.New(string(f.Grant), key, b.StackVersion, b.Now(), said)); err != nil {
		return fmt.Errorf("announcing that a mail did not arrive: %w", err)
	}
	b.done[key] = true
	b.Meter.Add(b.report, metric.MailsUndelivered, 1)
	b.Log.WarnContext(b.report, "mail not delivered", "grant", string(f.Grant), "event_id", f.EventID, "destination", said.Destination,
		"kind", said.Kind, "permanent", said.Permanent, "cause", said.Cause, "message_id", f.MessageID)
	return nil
}

// undelivered holds what an event says of a mail to the plan: nothing else can be asked.
func (b *batch) undelivered(p grant.Plan, f deliver.Facts, u deliver.Undelivered) (deliver.Facts, error) {
	known := slices.ContainsFunc(p.Destinations(), func(d grant.Destination) bool { return d.Name == u.Destination })
	if !known {
		return f, drop("%s is none of the plan of %s", u.Destination, p.Grant)
	}
	f.Undelivered = u
	return f, nil
}
