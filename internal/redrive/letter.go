// Package redrive reads the dead letters, and sends them again: first the message to the queue, then the end of the letter.
//
// It decides what a letter says and in which order it is dealt with. It trusts nothing that a letter holds: of one that is not
// in our form nothing is taken, and it stays where it is. Whether a destination is told is notify's to decide, as of every
// other message; nothing here tells anybody, and no address is ever seen.
package redrive

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

// Letter is one dead letter, as far as it can be read.
type Letter struct {
	ID      string      // of the message: SQS's
	Grant   grant.Name  // empty: it can't be read
	Event   events.Type // what it is about
	EventID string

	// Destination is whom a delivery could not tell, see deliver.IDOf. Empty: the letter is the event itself, which
	// reached no destination of Rule.
	Destination string
	// Rule is the rule of the bus that could not hand the event on. Empty: notify had it, or its queue.
	Rule string

	Attempts   int       // that failed; 0: nobody counted
	FirstTried time.Time // or when the event was said; zero where it can't be read
	Since      time.Time // when SQS took it: how long it has been lying there
	Reason     string    // why the last attempt failed, in words that name no address

	body    string
	queued  *deliver.Queued
	receipt string
}

// NotifyRule is how the rule begins that feeds notify's queue; further shards have a number behind it.
const NotifyRule = "countersign-notify"

// Names under which SQS and EventBridge say what has happened to a message:
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
const (
	attrSource    = "DeadLetterQueueSourceArn"
	attrRule      = "RULE_ARN"
	attrErrorCode = "ERROR_CODE"
	attrRetries   = "RETRY_ATTEMPTS"
)

// errUnreadable says that a letter is none of ours: sending it again would tell nobody.
var errUnreadable = errors.New("neither an event nor a delivery of this version")

// read takes from a message what a letter may say.
func read(m deliver.Received) Letter {
	l := Letter{ID: m.ID, Since: m.Sent, body: m.Body, receipt: m.Receipt}
	said, queued, err := deliver.ReadQueued(m.Body)
	if err != nil {
		l.Reason = "unreadable: " + errUnreadable.Error()
		return l
	}
	l.Grant, l.Event, l.EventID, l.queued = said.Grant, said.Kind, said.ID, queued
	switch code := m.Attributes[attrErrorCode]; {
	case queued != nil:
		l.Destination, l.Attempts, l.FirstTried = queued.Destination, queued.Attempt, queued.FirstTried
		l.Reason = queued.Reason
		if m.Attributes[attrSource] != "" { // the attempt to come was never made
			l.Attempts, l.Reason = queued.Attempt-1, trouble
		}
	case code != "":
		rule := m.Attributes[attrRule]
		l.Rule = rule[strings.LastIndexByte(rule, '/')+1:]
		l.Attempts, _ = strconv.Atoi(m.Attributes[attrRetries])
		l.Attempts++ // the first one is no retry
		l.Reason = "EventBridge: " + code
		l.FirstTried = saidAt(m.Body, m.Sent)
	default:
		l.FirstTried, l.Reason = saidAt(m.Body, m.Sent), trouble
	}
	return l
}

// trouble is what SQS's own redrive stands for: a message that came again and again, without an attempt.
const trouble = "trouble of ours: it came again and again without an attempt, see the log of countersign-notify"

// saidAt is when an event was said, as its envelope has it.
func saidAt(body string, otherwise time.Time) time.Time {
	var e struct{ Time time.Time }
	if json.Unmarshal([]byte(body), &e) != nil || e.Time.IsZero() {
		return otherwise
	}
	return e.Time
}

// Readable says whether the letter is in our form.
func (l Letter) Readable() bool { return l.Grant != "" }

// Replayed says whether the letter is sent again from the archive: its rule feeds somebody else than notify, and there is no
// other way to one rule alone.
func (l Letter) Replayed() bool { return l.Rule != "" && !strings.HasPrefix(l.Rule, NotifyRule) }

// key is the same for copies of one letter.
func (l Letter) key() string { return l.EventID + " " + l.Destination + " " + l.Rule }

// again is the message that is put back on the queue: a delivery from its first attempt on, an event as it was.
func (l Letter) again(now time.Time) ([]byte, error) {
	if l.queued == nil {
		return []byte(l.body), nil
	}
	return l.queued.Again(now).Encode()
}
