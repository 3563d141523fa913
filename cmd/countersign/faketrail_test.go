package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/aws/awstest"
)

const fakeTrail = "/aws/events/countersign"

// trailDay is when the fake account's history ends.
var trailDay = time.Date(2026, 9, 1, 16, 2, 1, 0, time.UTC)

// fakeHistory is what the fake bus was told: events of migration and of another grant, a repeat by reconcile that doesn't
// know who, one of a kind of a later version, a forged one that would steer a terminal, and a line that is no event.
func (f *fakeAWS) fakeHistory() []string {
	where := f.plan().Where()
	const ann = "arn:aws:sts::444455556666:assumed-role/Operations/ann"
	var out []string
	sayAt := func(grant, change string, at time.Time, data events.Data) {
		e := events.New(grant, change, "1.0.0", at, data)
		envelope, err := events.Enclose(e)
		if err != nil {
			panic(err)
		}
		envelope.Account, envelope.Time = "444455556666", e.Metadata.Time
		line, err := json.Marshal(envelope)
		if err != nil {
			panic(err)
		}
		out = append(out, string(line))
	}
	say := func(grant, change string, daysAgo int, data events.Data) {
		sayAt(grant, change, trailDay.AddDate(0, 0, -daysAgo), data)
	}
	first, asked := "birth-00000000000000000000000000000000", "rotate-11111111111111111111111111111111"
	say("migration", first, 239, events.AccessGranted{Where: where, VersionID: first})
	grantedID := events.New("migration", first, "", trailDay, events.AccessGranted{}).Metadata.ID
	say("migration", "d1", 238, events.DeliverySucceeded{Delivery: events.Delivery{Event: events.TypeAccessGranted, Channel: "mail", Destination: "mail 1", Attempt: 1}})
	webhook := events.Delivery{Event: events.TypeAccessGranted, Channel: "webhook", Destination: "webhook 1", Attempt: 9, Reason: "the endpoint answered 503"}
	say("migration", "d2", 237, events.DeliveryFailed{Delivery: webhook, Next: trailDay.AddDate(0, 0, -236)})
	webhook.Attempt, webhook.Reason = 10, "the endpoint answered 410"
	say("migration", "d3", 236, events.DeliveryFailed{Delivery: webhook})
	say("migration", "d4", 236, events.DestinationDisabled{Event: webhook.Event, Channel: "webhook", Destination: "webhook 1", Tag: "countersign:disabled-9f86d081884c7d65", Reason: webhook.Reason})
	say("migration", "m1", 235, events.MailUndelivered{EventID: grantedID, Destination: "mail 1", Kind: events.MailBounced, Permanent: true, Cause: "NoEmail"})
	say("migration", "m2", 234, events.MailUndelivered{EventID: fakeTestID, Destination: "mail 1", Kind: events.MailComplaint})
	say("migration", "d5", 235, events.DeliverySucceeded{Delivery: events.Delivery{
		Event: webhook.Event, Channel: "webhook", Destination: "webhook 1", Attempt: 1, SentAgain: trailDay.AddDate(0, 0, -235),
	}})
	say("audit", first, 236, events.AccessGranted{Where: where, VersionID: first})
	say("migration", asked, 30, events.OperationRequested{Where: where, Operation: "rotate", VersionID: asked, Reason: "new engineer", By: ann})
	say("migration", asked, 29, events.ExternalIDRotated{Where: where, VersionID: asked, Cause: "requested", PreviousUntil: trailDay.AddDate(0, 0, -28)})
	say("migration", first, 28, events.PreviousRetired{Where: where, VersionID: first})
	say("migration", "x", 20, events.TrustDriftDetected{Where: where, Findings: []string{"statement \"Temporary\" is not in the plan"}})
	say("migration", "y", 10, events.RotationFailed{Where: where, VersionID: asked, Step: "createSecret", Reason: "overlap open", Next: "wait"})
	say("migration", fakeRevokeID, 0, events.AccessRevoked{Where: where, RevokeID: fakeRevokeID, By: "unknown"})
	say("migration", fakeRevokeID, 0, events.AccessRevoked{Where: where, RevokeID: fakeRevokeID, By: ann, Reason: "project ended"})
	said := out[len(out)-1]
	f.sayTest(func(data events.Data) { sayAt("migration", fmt.Sprint(len(out)), time.Now(), data) })
	later := strings.NewReplacer("Access Revoked", "Access \\u001b[2JLost", "T16:02:01Z", "T16:03:01Z").Replace(said)
	return append(out, later, "no event at all")
}

const fakeTestID = "0b7f3c1d9e5a4f2286c4d1e8a7b69035"

// sayTest is what became of a test: a webhook fails first and takes it then, or is tried again, or never takes it, or nothing is
// known of it yet.
func (f *fakeAWS) sayTest(say func(events.Data)) {
	if !f.tested {
		return
	}
	delivery := func(channel, reason string) events.Delivery {
		return events.Delivery{EventID: fakeTestID, Event: events.TypeTestRequested, Channel: channel, Destination: channel + " 1", Attempt: 1, Reason: reason}
	}
	say(events.DeliverySucceeded{Delivery: delivery("mail", "")})
	say(events.DeliverySucceeded{Delivery: delivery("sns", "")})
	switch failed := delivery("webhook", "the endpoint answered 503"); f.mode["test"] {
	case "slow":
	case "given":
		say(events.DeliveryFailed{Delivery: delivery("webhook", "the host is not at a public address: webhooks reach the internet only")})
	default:
		say(events.DeliveryFailed{Delivery: failed, Next: time.Now().Add(5 * time.Second)})
	}
	if f.mode["test"] == "" || f.mode["test"] == "ok" {
		say(events.DeliverySucceeded{Delivery: delivery("webhook", "")})
	}
}

// serveTrail gives two lines a page, whatever the pattern.
func (f *fakeAWS) serveTrail(w http.ResponseWriter, body []byte) {
	var in struct {
		LogGroupName, FilterPattern, NextToken string
		StartTime                              int64
	}
	_ = json.Unmarshal(body, &in)
	switch {
	case f.mode["trail"] == "denied":
		awstest.JSONError(http.StatusBadRequest, "AccessDeniedException", "User is not authorized to perform: logs:FilterLogEvents")(w)
		return
	case f.mode["trail"] == "gone" || in.LogGroupName != fakeTrail:
		awstest.JSONError(http.StatusBadRequest, "ResourceNotFoundException", "The specified log group does not exist.")(w)
		return
	case in.FilterPattern != `{ $.detail.metadata.grant = "migration" }`:
		awstest.JSONError(http.StatusBadRequest, "InvalidParameterException", "Invalid filter pattern")(w)
		return
	}
	type entry struct {
		Timestamp int64  `json:"timestamp"`
		Message   string `json:"message"`
	}
	answer := struct {
		Events    []entry `json:"events"`
		NextToken string  `json:"nextToken,omitempty"`
	}{Events: []entry{}}
	var all []entry
	for _, line := range f.fakeHistory() {
		at := trailDay
		var e events.Envelope
		if json.Unmarshal([]byte(line), &e) == nil {
			at = e.Time
		}
		if at.UnixMilli() >= in.StartTime && f.mode["trail"] != "none" {
			all = append(all, entry{at.UnixMilli(), line})
		}
	}
	from := 0
	_, _ = fmt.Sscanf(in.NextToken, "from-%d", &from)
	to := min(from+2, len(all))
	answer.Events = append(answer.Events, all[from:to]...)
	if to < len(all) {
		answer.NextToken = fmt.Sprintf("from-%d", to)
	}
	b, _ := json.Marshal(answer)
	awstest.JSON(string(b))(w)
}
