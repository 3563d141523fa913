package deliver

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/countersign/countersign/internal/grant"
)

// Destination is one place that is told. Its name counts within its channel; addresses stay out of events, logs and queues.
type Destination struct {
	Channel string // mail, webhook or sns
	Place   int    // in the plan, from 1
	To      Audience
	Address string // of mail or topic; a webhook's URL, or its secret where the URL stands in there
	Hook    grant.Webhook
}

// Name is what people call it: "webhook 1".
func (d Destination) Name() string { return fmt.Sprintf("%s %d", d.Channel, d.Place) }

// ID is by which a message on the queue knows the destination: it stays the same where others come and go, and names another
// one when the address changes.
func (d Destination) ID() string { return d.Channel + "-" + Fingerprint(d.Channel, d.Address) }

// Fingerprint stands for what must not be shown: 16 digits of a hash.
func Fingerprint(parts ...string) string {
	sum := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(sum, "%d %s", len(p), p)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// Destinations are those of the plan, in its order.
func Destinations(p grant.Plan) (out []Destination) {
	for i, address := range p.Notify.Mail {
		out = append(out, Destination{Channel: "mail", Place: i + 1, To: Provider, Address: address})
	}
	for i, hook := range p.Notify.Webhook {
		address := hook.URL
		if address == "" {
			address = hook.Secret
		}
		out = append(out, Destination{Channel: "webhook", Place: i + 1, To: Provider, Address: address, Hook: hook})
	}
	for i, topic := range p.Notify.SNS {
		out = append(out, Destination{Channel: "sns", Place: i + 1, To: Operators, Address: topic})
	}
	return out
}
