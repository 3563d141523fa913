package deliver

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
)

func TestSlackIsToldInItsForm(t *testing.T) {
	const endpoint = "https://hooks.slack.com/services/T0/B0/letmein"
	p := plan()
	p.Provider = "<!channel> & friends"
	f := facts(events.TypeExternalIDRotated, func(f *Facts) { f.VersionID, f.PreviousUntil = scheduledVersion, f.At.Add(24*time.Hour) })
	body, err := BodyFor(endpoint, p, f, events.Provider)
	if err != nil {
		t.Fatal(err)
	}
	var said map[string]any
	if err := json.Unmarshal(body, &said); err != nil {
		t.Fatal(err)
	}
	text, _ := said["text"].(string)
	if len(said) != 2 || said["mrkdwn"] != false {
		t.Errorf("said %s", body)
	}
	if strings.ContainsAny(text, "<>") || !strings.Contains(text, "&lt;!channel&gt; &amp; friends") {
		t.Errorf("a plan's words call the channel: %s", text)
	}
	for _, part := range []string{"Use the new external ID for account 444455556666 before 5 Feb 03:00 UTC.", p.RoleARN, `"Action":"*"`} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in %s", part, text)
		}
	}
	r, err := NewRequest(t.Context(), endpoint, Key{}, f.EventID, now, body)
	if err != nil {
		t.Fatal(err)
	}
	if _, signed := r.Header[http.CanonicalHeaderKey("webhook-signature")]; signed {
		t.Error("signed with no key")
	}
	sent, err := io.ReadAll(r.Body)
	if err != nil || string(sent) != string(body) {
		t.Errorf("sent %s, %v", sent, err)
	}
}

func TestOnlySlackIsToldInItsForm(t *testing.T) {
	p, f := plan(), facts(events.TypeAccessRevoked, func(f *Facts) { f.RevokeID = "rv-20260901T160200Z-5d0c2e9a" })
	plain, err := NewBody(p, f)
	if err != nil {
		t.Fatal(err)
	}
	for endpoint, slack := range map[string]bool{
		"https://hooks.slack.com/services/T0/B0/x": true, "https://HOOKS.slack.com/workflows/x": true, "https://hooks.slack-gov.com/services/x": true,
		"https://hooks.slack.com.example.com/": false, "https://example.com/hooks.slack.com": false, "https://slack.com/": false,
		"https://hooks.slack.com@example.com/": false, "https://hooks.example.com/": false, "": false,
	} {
		body, err := BodyFor(endpoint, p, f, events.Provider)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(body) != string(plain); got != slack {
			t.Errorf("%s: Slack's form: %t", endpoint, got)
		}
	}
}
