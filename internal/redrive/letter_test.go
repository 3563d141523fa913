package redrive

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/deliver"
)

// Who set a letter aside says what it is: notify by the letter itself, SQS and EventBridge by what they write beside it.
func TestWhatALetterSays(t *testing.T) {
	const (
		id       = "00000000000000000000000000000001"
		said     = `"eventId":"` + id + `","event":"Access Revoked","grant":"migration","revokeId":"rv-20260901T160200Z-5d0c2e9a"`
		delivery = `{"deliver":{` + said + `,"destination":"mail-0123456789abcdef","attempt":3,"firstTried":"2026-09-01T16:02:01Z","reason":"no"}}`
		event    = `{"source":"countersign","detail-type":"Access Revoked","time":"2026-09-01T16:02:01Z",` +
			`"detail":{"metadata":{"id":"` + id + `","grant":"migration"},"data":{"revokeId":"rv-20260901T160200Z-5d0c2e9a"}}}`
		source = "arn:aws:sqs:eu-west-1:444455556666:countersign-notify"
		rule   = "arn:aws:events:eu-west-1:444455556666:rule/countersign/countersign-"
	)
	type attrs = map[string]string
	for _, tt := range []struct {
		name  string
		body  string
		attrs attrs
		want  string // attempts, rule, reason
		again bool   // by a replay
	}{
		{"notify made the last attempt", delivery, nil, "3 , no", false},
		{"the attempt was never made", delivery, attrs{attrSource: source}, "2 , " + trouble, false},
		{"an event was never handed out", event, attrs{attrSource: source}, "0 , " + trouble, false},
		{"a rule couldn't reach notify's queue", event, attrs{attrRule: rule + "notify-2", attrErrorCode: "NO_PERMISSIONS", attrRetries: "0"}, "1 countersign-notify-2, EventBridge: NO_PERMISSIONS", false},
		{"nor a provider's bus, for a day", event, attrs{attrRule: rule + "forward-hestio", attrErrorCode: "THROTTLING", attrRetries: "185"}, "186 countersign-forward-hestio, EventBridge: THROTTLING", true},
		{"nor the history", event, attrs{attrRule: rule + "trail", attrErrorCode: "SDK_CLIENT_ERROR", attrRetries: "x"}, "1 countersign-trail, EventBridge: SDK_CLIENT_ERROR", true},
		{"another's event", strings.Replace(event, `"countersign"`, `"mallory"`, 1), nil, "0 , unreadable: " + errUnreadable.Error(), false},
		{"an address for a destination", strings.Replace(delivery, "mail-0123456789abcdef", "mail-eve@example.com", 1), nil, "0 , unreadable: " + errUnreadable.Error(), false},
		{"a reason as long as a book", strings.Replace(delivery, `"no"`, `"`+strings.Repeat("no ", 200)+`"`, 1), nil, "0 , unreadable: " + errUnreadable.Error(), false},
	} {
		l := read(deliver.Received{ID: "m1", Body: tt.body, Sent: time.Unix(1, 0), Attributes: tt.attrs})
		if got := fmt.Sprintf("%d %s, %s", l.Attempts, l.Rule, l.Reason); got != tt.want || l.Replayed() != tt.again {
			t.Errorf("%s: %q, by a replay %t", tt.name, got, l.Replayed())
		}
		if l.Readable() == strings.HasPrefix(l.Reason, "unreadable") || l.Readable() == l.FirstTried.IsZero() {
			t.Errorf("%s: readable %t, first tried %s", tt.name, l.Readable(), l.FirstTried)
		}
	}
}
