package deliver

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// slackHosts have no other use than Slack's incoming webhooks and workflows.
var slackHosts = []string{"hooks.slack.com", "hooks.slack-gov.com"}

// isSlack says whether an endpoint takes Slack's form, verifies nothing and has a URL that is its only credential.
func isSlack(endpoint string) bool {
	u, err := url.Parse(endpoint)
	return err == nil && slices.Contains(slackHosts, strings.ToLower(u.Hostname()))
}

// BodyFor is what an endpoint is told: NewBody, and for Slack, which takes nothing else, a mail's words as {"text": …}.
func BodyFor(endpoint string, p grant.Plan, f Facts, to events.Audience) ([]byte, error) {
	if !isSlack(endpoint) {
		return NewBody(p, f)
	}
	m := NewMessage(p, f, to)
	out, err := json.Marshal(struct {
		Text   string `json:"text"`
		Mrkdwn bool   `json:"mrkdwn"` // false: the asterisks of a command stay
	}{Text: slackEscapes.Replace(m.Subject + "\n\n" + m.text("message"))})
	if err != nil {
		return nil, fmt.Errorf("writing to Slack about %s: %w", p.Grant, err)
	}
	return out, nil
}

// slackEscapes keeps words of a plan from calling a whole channel, as <!channel> does.
var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
