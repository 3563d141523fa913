package grant

import (
	"fmt"

	"github.com/countersign/countersign/events"
)

// Channel is a way in which somebody is told.
type Channel string

// The channels.
const (
	Mail    Channel = "mail"
	Webhook Channel = "webhook"
	SNS     Channel = "sns"
)

// Destination is one place that is told of a grant's changes.
type Destination struct {
	Channel Channel `json:"channel"`
	// Address is a mail address, a webhook's URL or a topic's ARN. A webhook whose URL is a credential itself has none: the URL
	// stands in its secret, {"url":"https://…","key":"whsec_…"}.
	Address string `json:"address,omitempty"`
	Secret  string `json:"secret,omitempty"` // webhooks: ARN of a secret of the customer's, which signs for it

	For events.Audience `json:"for,omitempty"` // who reads it; empty: see Audience
	On  []events.Class  `json:"on,omitempty"`  // what it is told of; empty: see Classes

	// Name is by which events, logs and people know it: "webhook 1", its place within its channel. Addresses stay out of those.
	Name string `json:"-"`
}

// Notify is who is told of a grant's changes.
type Notify []Destination

// Destinations are those of the plan, in its order, with their names.
func (p Plan) Destinations() []Destination {
	places := map[Channel]int{}
	var out []Destination
	for _, d := range p.Notify {
		places[d.Channel]++
		d.Name = fmt.Sprintf("%s %d", d.Channel, places[d.Channel])
		out = append(out, d)
	}
	return out
}

// By are the destinations of one channel.
func (n Notify) By(c Channel) Notify {
	var out Notify
	for _, d := range n {
		if d.Channel == c {
			out = append(out, d)
		}
	}
	return out
}

// Audience is who reads what the destination is told. Unless somebody else is named, that is the provider, and of a topic the
// customer's operators.
func (d Destination) Audience() events.Audience {
	switch {
	case d.For != "":
		return d.For
	case d.Channel == SNS:
		return events.Operators
	}
	return events.Provider
}

// Classes are what the destination is told of. Where it doesn't say, people hear of what they have to do and of revocations, and
// a webhook of everything: a machine drops what it doesn't need.
func (d Destination) Classes() []events.Class {
	switch {
	case len(d.On) > 0:
		return d.On
	case d.Channel == Webhook:
		return []events.Class{events.All}
	}
	return []events.Class{events.Action, events.Revoke}
}

// Hears says whether the destination is told of such an event. No mail tells of one that didn't arrive: it might not arrive
// either, and so on without end.
func (d Destination) Hears(t events.Type) bool {
	return t.Among(d.Classes(), d.Audience()) && (d.Channel != Mail || t != events.TypeMailUndelivered)
}
