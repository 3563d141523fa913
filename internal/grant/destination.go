package grant

import "fmt"

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
