package redrive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

// Letters is the queue of the dead letters.
type Letters interface {
	// Receive takes some, and hides them from everybody for that long. None: there is none that isn't hidden.
	Receive(ctx context.Context, hidden time.Duration) ([]deliver.Received, error)
	// Hide keeps a received one hidden for that long from now; zero hands it back.
	Hide(ctx context.Context, receipt string, d time.Duration) error
	// Delete ends a received one. An error may also mean that the answer was lost.
	Delete(ctx context.Context, receipt string) error
}

// Queue is notify's own. An error may also mean that the answer was lost: the message is then there.
type Queue interface {
	Send(ctx context.Context, body []byte, delay time.Duration) error
}

// Archive hands what was said in a time to one rule of the bus again, and comes back when that is done.
type Archive interface {
	Replay(ctx context.Context, rule string, from, until time.Time) error
}

// For how long letters are hidden. Who dies with some in hand leaves them hidden until then, and loses none.
const (
	HiddenByLook = time.Minute
	HiddenByRun  = 5 * time.Minute
)

// idle is how many receipts in a row may bring nothing new: what is handed back comes again.
const idle = 3

// Look reads every dead letter, the oldest first, and hands it back. SQS may hand out a message more than once: copies under one
// id are one letter, and each of them is handed back.
func Look(ctx context.Context, letters Letters) ([]Letter, error) {
	var out []Letter
	var inHand []string // receipts
	defer func() { handBack(ctx, letters, inHand) }()
	seen := map[string]bool{}
	for none := 0; none < idle; none++ {
		batch, err := letters.Receive(ctx, HiddenByLook)
		if err != nil {
			return nil, fmt.Errorf("reading the dead letters: %w", err)
		}
		if len(batch) == 0 {
			break
		}
		for _, m := range batch {
			inHand = append(inHand, m.Receipt)
			if !seen[m.ID] {
				none, seen[m.ID] = -1, true
				out = append(out, read(m))
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Letter) int { return a.Since.Compare(b.Since) })
	return out, nil
}

// handBack is a courtesy to whoever looks next: what isn't handed back comes back by itself. It is tried for a moment even where
// the run was interrupted. A receipt may be stale, of a message that came once more since: that keeps no other back.
func handBack(ctx context.Context, letters Letters, receipts []string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for _, receipt := range receipts {
		if err := letters.Hide(ctx, receipt, 0); errors.Is(err, grant.ErrDenied) || ctx.Err() != nil {
			return
		}
	}
}

// Outcome is what became of a letter.
type Outcome string

// The outcomes. A letter is ended by the first two only.
const (
	Sent     Outcome = "sent"     // it is on the queue again, or its rule has it
	Repeated Outcome = "repeated" // a copy of one that was sent
	Kept     Outcome = "kept"     // it is sent, and could not be ended: the next run sends it once more
	Failed   Outcome = "failed"   // nothing was sent, as far as anybody knows
	Missing  Outcome = "missing"  // it was there, and isn't now: somebody else has it in hand, or sent it
)

// Result is what became of one letter, and why.
type Result struct {
	Letter
	Outcome Outcome
	Err     error // of Kept, Failed and Missing
}

// Redrive sends letters again.
type Redrive struct {
	Letters Letters
	Queue   Queue
	Archive Archive
	Now     func() time.Time
	Tell    func(Result) // of each letter, when its fate is known; nil: nobody
}

var (
	errMissing  = errors.New("it isn't there any more: somebody else has it in hand, or has sent it")
	errNotTried = errors.New("not tried: what came before failed")
)

// Run sends letters again that Look has found, and no others. Whatever becomes of it, and wherever it dies: a letter is ended
// behind the message that stands for it, never before. So none is lost, and one that was in hand may be sent once more by the
// next run. The results are in the order of the letters.
func (r *Redrive) Run(ctx context.Context, chosen []Letter) []Result {
	d := drive{Redrive: r, out: make([]Result, len(chosen)), chosen: map[string]bool{}, open: map[string]int{}, sent: map[string]bool{}, failed: map[string]error{}}
	for i, l := range chosen {
		d.out[i].Letter = l
		d.chosen[l.ID], d.open[l.ID] = true, i
	}
	for _, l := range chosen {
		if !l.Readable() {
			d.settle(l.ID, Failed, errUnreadable)
		}
	}
	d.replay(ctx, chosen)
	err := d.receive(ctx)
	for _, l := range chosen {
		if _, open := d.open[l.ID]; open && err != nil {
			d.settle(l.ID, Failed, err)
		} else if open {
			d.settle(l.ID, Missing, errMissing)
		}
	}
	return d.out
}

// drive is one run.
type drive struct {
	*Redrive
	out    []Result
	chosen map[string]bool  // letters by id
	open   map[string]int   // those without an outcome: their place in out
	sent   map[string]bool  // what was sent, by key
	failed map[string]error // what could not be, and why: it may be there all the same, so its copies aren't tried
}

func (d *drive) settle(id string, o Outcome, err error) {
	i, open := d.open[id]
	if !open {
		return
	}
	delete(d.open, id)
	d.out[i].Outcome, d.out[i].Err = o, err
	if d.Tell != nil {
		d.Tell(d.out[i])
	}
}

// receive takes letters in hand until none of those that were chosen is open. Others are handed back, copies of what was sent
// among them: notify may have put one there a moment ago, because it could not tell what was sent. An error is what kept it from
// going on.
func (d *drive) receive(ctx context.Context) error {
	var others []string // receipts
	defer func() { handBack(ctx, d.Letters, others) }()
	seen := map[string]bool{}
	for none := 0; none < idle && len(d.open) > 0; none++ {
		batch, err := d.Letters.Receive(ctx, HiddenByRun)
		if err != nil {
			return fmt.Errorf("reading the dead letters: %w", err)
		}
		if len(batch) == 0 {
			return nil
		}
		for i, m := range batch {
			if !seen[m.ID] {
				none, seen[m.ID] = -1, true
			}
			l := read(m)
			if _, open := d.open[l.ID]; !d.chosen[l.ID] || !open && !d.sent[l.key()] {
				others = append(others, l.receipt)
				continue
			}
			if err := d.deal(ctx, l); err != nil {
				others = append(others, l.receipt)
				if errors.Is(err, grant.ErrDenied) || ctx.Err() != nil {
					for _, rest := range batch[i+1:] {
						others = append(others, rest.Receipt)
					}
					return errNotTried
				}
			}
		}
	}
	return nil
}

// deal sends one letter and ends it. An error says that it lies there still.
func (d *drive) deal(ctx context.Context, l Letter) error {
	outcome := Repeated
	if !d.sent[l.key()] {
		if err := d.send(ctx, l); err != nil {
			d.failed[l.key()] = err
			d.settle(l.ID, Failed, err)
			return err
		}
		d.sent[l.key()], outcome = true, Sent
	}
	if l.Replayed() {
		outcome = Sent
	}
	// Once it is sent, an interruption waits for its end.
	if err := d.Letters.Delete(context.WithoutCancel(ctx), l.receipt); err != nil {
		err = fmt.Errorf("ending it with the dead letters: %w", err)
		d.settle(l.ID, Kept, err)
		return err
	}
	d.settle(l.ID, outcome, nil)
	return nil
}

func (d *drive) send(ctx context.Context, l Letter) error {
	if err := d.failed[l.key()]; err != nil {
		return err
	}
	body, err := l.again(d.Now())
	if err != nil {
		return fmt.Errorf("writing it: %w", err)
	}
	if err := d.Queue.Send(ctx, body, 0); err != nil {
		return fmt.Errorf("putting it on the queue: %w", err)
	}
	return nil
}

// Settled is how old an event is before it is surely in the archive: AWS asks for ten minutes.
const Settled = 10 * time.Minute

// step is how exactly an archive knows when an event was said.
const step = time.Minute

// replay hands events to the rules that could not hand them on, in as few and as short times as there can be. Its letters are
// sent then; receive ends them.
func (d *drive) replay(ctx context.Context, chosen []Letter) {
	var due []Letter
	for _, l := range chosen {
		switch {
		case !l.Readable() || !l.Replayed():
		case d.Now().Sub(l.FirstTried) < Settled+step:
			d.settle(l.ID, Failed, fmt.Errorf("the archive may not have it yet: try again in %d minutes", Settled/time.Minute))
		default:
			due = append(due, l)
		}
	}
	slices.SortStableFunc(due, func(a, b Letter) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), a.FirstTried.Compare(b.FirstTried))
	})
	for len(due) > 0 {
		rule, from := due[0].Rule, due[0].FirstTried.UTC().Truncate(step)
		until, n := from.Add(step), 1
		for n < len(due) && due[n].Rule == rule && !due[n].FirstTried.Truncate(step).After(until) {
			until = due[n].FirstTried.UTC().Truncate(step).Add(step)
			n++
		}
		err := d.Archive.Replay(ctx, rule, from, until)
		for _, l := range due[:n] {
			if err != nil {
				d.settle(l.ID, Failed, err)
				continue
			}
			d.sent[l.key()] = true
		}
		due = due[n:]
	}
}
