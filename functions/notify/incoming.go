package notify

import (
	"encoding/json"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
)

// incoming is what a message holds: one of them.
type incoming struct {
	said     *deliver.Said   // an event, or the schedule's word that it is time for digests
	delivery *deliver.Queued // which notify made of either
	feedback *feedback       // what SES says of a mail
}

// own is what of a message only notify knows: nobody is told anything by it alone.
type own struct {
	Digest string    `json:"digest"` // Weekly
	Mail   *feedback `json:"mail"`
}

// furthest is how far an attempt may lie ahead: more than any overlap.
const furthest = 366 * 24 * time.Hour

// read takes from a message what may be taken. What it can't read is dropped: it will not read better next time.
func (b *batch) read(body string) (incoming, error) {
	said, one, err := deliver.ReadQueued(body)
	var mine own
	if err != nil && json.Unmarshal([]byte(body), &mine) == nil {
		switch {
		case mine.Digest == Weekly:
			return incoming{said: &deliver.Said{Kind: events.WeeklyDigest}}, nil
		case mine.Mail != nil:
			return incoming{feedback: mine.Mail}, b.checkFeedback(*mine.Mail)
		}
	}
	switch {
	case err != nil:
		return incoming{}, drop("%s", err)
	case !b.Grants[said.Grant]:
		return incoming{}, drop("grant %s is none of this stack", said.Grant)
	case one != nil && one.NotBefore.Sub(b.Now()) > furthest:
		return incoming{}, drop("delivery that waits until %s", one.NotBefore.UTC().Format(time.DateOnly))
	}
	return incoming{said: &said, delivery: one}, nil
}
