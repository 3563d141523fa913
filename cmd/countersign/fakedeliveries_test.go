package main

import (
	"context"
	"crypto/md5" // SQS answers with the MD5 of what it took
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// The destinations of the fake's grant, where it tells anybody. The webhook's URL is a credential.
var fakeNotify = grant.Notify{
	{Channel: grant.Mail, Address: "jdoe@hestio.example"},
	{Channel: grant.Webhook, Address: "https://hooks.hestio.example/s3cret-token", Secret: "arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook-XyZ123"},
}

// fakePost is notify's queue and its dead letters, on the embedded AWS: two letters to the webhook, one of them of yesterday, one
// to a mail address that has gone from the plan, one of another grant, an event that a rule could not hand on, and one that
// nobody can read and that would steer a terminal.
type fakePost struct {
	*sim.World
	queue, dead *sim.Queue
}

func newFakePost() *fakePost {
	w := sim.New(sim.Config{Start: time.Now().Add(-74 * time.Hour)})
	p := &fakePost{w, w.Queue("countersign-notify"), w.Queue("countersign-notify-dead")}
	first := time.Date(2026, 9, 1, 16, 2, 1, 0, time.UTC)
	bury := func(body []byte) { must(p.dead.Send(context.Background(), body, 0)) }
	letter := func(n int, name grant.Name, kind events.Type, destination, reason string) []byte {
		q := deliver.Queued{
			Said:        deliver.Said{ID: fmt.Sprintf("%032x", n), Kind: kind, Grant: name},
			Destination: destination, Attempt: 10, FirstTried: first, Reason: reason,
		}
		if kind == events.TypeAccessRevoked {
			q.RevokeID = fakeRevokeID
		}
		body, err := q.Encode()
		must(err)
		return body
	}
	all := grant.Plan{Notify: fakeNotify}.Destinations()
	bury(letter(1, "migration", events.TypeAccessRevoked, deliver.IDOf(all[1]), "the endpoint answered 503"))
	bury(letter(2, "migration", events.TypePreviousRetired, "mail-0123456789abcdef", "not a mail address: correct it in access.yaml"))
	w.Advance(49 * time.Hour)
	bury(letter(3, "audit", events.TypeAccessExpired, "sns-0123456789abcdef", "AWS: access denied"))
	bury(fmt.Appendf(nil, `{"source":"countersign","detail-type":"Access Revoked","time":%q,"rule":"countersign-forward-hestio",`+
		`"detail":{"metadata":{"id":"%032x","grant":"migration"},"data":{"revokeId":%q}}}`, first.Format(time.RFC3339), 1, fakeRevokeID))
	bury([]byte("\x1b[2Jnobody wrote this"))
	bury(letter(1, "migration", events.TypeAccessRevoked, deliver.IDOf(all[0]), "SES did not take the mail: see that the sender is verified, and the log of countersign-notify"))
	w.Advance(25 * time.Hour)
	return p
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// serveQueues answers as SQS. post: ok, empty, denied, unsendable, undeletable.
func (f *fakeAWS) serveQueues(w http.ResponseWriter, operation string, body []byte) {
	var in struct {
		QueueURL                   string `json:"QueueUrl"`
		MessageBody, ReceiptHandle string
		VisibilityTimeout          int
	}
	_ = json.Unmarshal(body, &in)
	p, ctx := f.post, context.Background()
	queue := map[string]*sim.Queue{f.url + "/post/countersign-notify": p.queue, f.url + "/post/countersign-notify-dead": p.dead}[in.QueueURL]
	mode := f.mode["post"]
	switch {
	case queue == nil:
		awstest.JSONError(http.StatusBadRequest, "com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist.")(w)
		return
	case mode == "denied", mode == "unsendable" && operation == "SendMessage", mode == "undeletable" && operation == "DeleteMessage":
		awstest.JSONError(http.StatusForbidden, "AccessDeniedException", "User is not authorized to perform: sqs:"+operation)(w)
		return
	}
	f.calls[len(f.calls)-1] += " " + queue.Name
	hidden := time.Duration(in.VisibilityTimeout) * time.Second
	var answer any = struct{}{}
	switch operation {
	case "GetQueueAttributes":
		n, delayed, inHand := strconv.Itoa(len(queue.Messages())), "2", "1"
		if mode == "empty" {
			n, delayed, inHand = "0", "0", "0"
		}
		answer = map[string]any{"Attributes": map[string]string{
			"ApproximateNumberOfMessages": n, "ApproximateNumberOfMessagesDelayed": delayed, "ApproximateNumberOfMessagesNotVisible": inHand,
		}}
	case "ReceiveMessage":
		if mode == "empty" {
			break
		}
		received, err := queue.Take(ctx, hidden)
		must(err)
		answer = map[string]any{"Messages": wire(received)}
	case "SendMessage":
		must(queue.Send(ctx, []byte(in.MessageBody), 0))
		sum := md5.Sum([]byte(in.MessageBody))
		answer = map[string]string{"MD5OfMessageBody": hex.EncodeToString(sum[:]), "MessageId": "1"}
	case "DeleteMessage":
		must(queue.Delete(ctx, in.ReceiptHandle))
	case "ChangeMessageVisibility":
		must(queue.Hide(ctx, in.ReceiptHandle, hidden))
	}
	b, _ := json.Marshal(answer)
	awstest.JSON(string(b))(w)
}

// wire is messages as SQS writes them; what EventBridge says of a letter stands in its body here.
func wire(received []deliver.Received) []any {
	out := []any{}
	for _, m := range received {
		said := map[string]any{}
		var of struct{ Rule string }
		if json.Unmarshal([]byte(m.Body), &of) == nil && of.Rule != "" {
			for name, value := range map[string]string{
				"RULE_ARN": "arn:aws:events:eu-west-1:444455556666:rule/countersign/" + of.Rule, "ERROR_CODE": "NO_PERMISSIONS", "RETRY_ATTEMPTS": "0",
			} {
				said[name] = map[string]string{"DataType": "String", "StringValue": value}
			}
		}
		sum := md5.Sum([]byte(m.Body))
		out = append(out, map[string]any{
			"MessageId": m.ID, "ReceiptHandle": m.Receipt, "Body": m.Body, "MD5OfBody": hex.EncodeToString(sum[:]), "MessageAttributes": said,
			"Attributes": map[string]string{"SentTimestamp": strconv.FormatInt(m.Sent.UnixMilli(), 10)},
		})
	}
	return out
}

// The words of deliveries are those of history.
func TestDeliveriesSpeakAsHistoryDoes(t *testing.T) {
	for _, typ := range events.Types() {
		src, err := events.Example(typ)
		if err != nil {
			t.Fatal(err)
		}
		var e events.Envelope
		if err := json.Unmarshal(src, &e); err != nil {
			t.Fatal(err)
		}
		event, err := e.Event()
		if err != nil {
			t.Fatal(err)
		}
		if what, _ := (happening{Event: typ, Data: event.Data}).words(); what != inAWord[typ] {
			t.Errorf("%s is %s in a history, and %s here", typ, what, inAWord[typ])
		}
	}
	if strings.Contains(fmt.Sprint(inAWord), "OTHER") {
		t.Error("an event has no word")
	}
}
