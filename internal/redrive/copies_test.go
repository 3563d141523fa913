package redrive_test

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/redrive"
)

// twice is a message of which SQS has two copies under one id, as it may: a standard queue hands out at least once.
func (b *bench) twice(body []byte) {
	b.Queue("dead").Copies = func([]byte) []time.Duration { return []time.Duration{0, 0} }
	b.bury(body)
	b.Queue("dead").Copies = nil
}

func TestCopiesOfAMessageAreOneLetterAndAllHandedBack(t *testing.T) {
	for _, before := range []int{0, 9} { // of ten that come at once: both copies, or the first
		b := newBench(t)
		for n := range before {
			b.bury(delivery("migration", n, hook))
		}
		b.twice(delivery("migration", 90, hook))
		found, err := redrive.Look(b.ctx, b.dead())
		if err != nil || len(found) != before+1 {
			t.Errorf("behind %d: %d letters, %v", before, len(found), err)
		}
		visible := 0
		for {
			batch, err := b.dead().Receive(b.ctx, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			if len(batch) == 0 {
				break
			}
			visible += len(batch)
		}
		if visible != before+2 {
			t.Errorf("behind %d: %d of %d messages were handed back", before, visible, before+2)
		}
	}
}

func TestARunEndsBothCopiesOfWhatItSends(t *testing.T) {
	b := newBench(t)
	b.twice(delivery("migration", 90, hook))
	if got := b.redrive(); len(got) != 1 || got[0].Outcome != redrive.Sent {
		t.Errorf("%+v", got)
	}
	if sent := b.Queue("notify").Messages(); len(sent) != 1 {
		t.Errorf("sent %d times", len(sent))
	}
	if left := b.left(); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}
