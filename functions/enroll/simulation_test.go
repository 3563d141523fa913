package enroll_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/functions/enroll"
	"github.com/countersign/countersign/internal/customers"
	kit "github.com/countersign/countersign/internal/customers/customerstest"
	"github.com/countersign/countersign/internal/metric"
)

var runs = flag.Int("runs", 300, "runs of the simulation")

// The provider's side beside people who change their minds, accounts that lie, a queue that repeats and reorders, and a table that
// fails or loses its answer. Each run is given by its seed.
func TestTheRegistryKeepsItsPromises(t *testing.T) {
	for seed := range *runs {
		r := newRun(uint64(seed))
		for range 60 {
			r.step()
		}
		r.settle()
		if r.broken != "" {
			t.Fatalf("seed %d: %s\n%s", seed, r.broken, r.tale())
		}
	}
}

// The promises.
const (
	keepsBinding = "C1: what was accepted changes by a person alone"
	keepsTime    = "C2: nothing older replaces what is known"
	keepsOut     = "C3: of an account that nobody invited there is no row"
	believesOwn  = "C4: an account speaks for itself alone"
	rings        = "C5: who has something to decide was told"
	converges    = "C6: in the end the row says what all events say, whatever order they came in"
	losesNothing = "C7: what an account said of the accepted binding is known once it is off the queue"
	oneToOne     = "C8: one customer, one role, one secret"
)

var errFault = errors.New("the service fails")

// run is one simulation.
type run struct {
	rng    *rand.Rand
	now    time.Time
	store  *flaky
	h      *enroll.Handler
	queue  []kit.Message
	events map[string][]kit.Message     // all that was ever said, by account
	bound  map[string]customers.Binding // as a person accepted it
	marks  map[string][]time.Time       // of the last look at a row
	told   map[string]int               // alerts by customer
	ahead  map[string]bool              // events that were dated in the future
	log    []string
	broken string
}

var (
	accounts = []string{kit.Acme, "555566667777", "666677778888"}
	names    = []string{"acme", "globex"}
	kinds    = []events.Type{
		events.TypeAccessGranted, events.TypeExternalIDRotated, events.TypeAccessRevoked, events.TypeAccessRestored, events.TypeAccessExpired, events.TypeGrantReported,
	}
)

// flaky is the table: a call fails before or after it worked.
type flaky struct {
	customers.Memory
	*run
}

func (f *flaky) fault() (before, after error) {
	switch f.rng.IntN(12) {
	case 0:
		return errFault, nil
	case 1:
		return nil, errFault
	}
	return nil, nil
}

func (f *flaky) Guests(ctx context.Context) (customers.Guests, error) {
	if before, _ := f.fault(); before != nil {
		return nil, before
	}
	return f.Memory.Guests(ctx)
}

func (f *flaky) Load(ctx context.Context, name string) (customers.Entry, customers.Heard, error) {
	before, _ := f.fault()
	if before != nil {
		return customers.Entry{}, customers.Heard{}, before
	}
	e, h, err := f.Memory.Load(ctx, name)
	if f.rng.IntN(6) == 0 { // somebody comes in between reading and writing
		f.person()
	}
	return e, h, err
}

func (f *flaky) Note(ctx context.Context, name string, h customers.Heard) error {
	before, after := f.fault()
	if before != nil {
		return before
	}
	return errors.Join(f.Memory.Note(ctx, name, h), after)
}

// Publish counts who is told.
func (r *run) Publish(_ context.Context, _, subject, _ string) error {
	if r.rng.IntN(8) == 0 {
		return errFault
	}
	r.count(subject)
	return nil
}

func (r *run) count(subject string) {
	for _, name := range names {
		if strings.Contains(subject, "customer "+name+" ") {
			r.told[name]++
			r.note("%s", subject)
		}
	}
}

func newRun(seed uint64) *run {
	r := &run{
		rng: rand.New(rand.NewPCG(seed, 7)), now: kit.Noon, events: map[string][]kit.Message{}, bound: map[string]customers.Binding{},
		marks: map[string][]time.Time{}, told: map[string]int{}, ahead: map[string]bool{},
	}
	r.store = &flaky{run: r}
	log := slog.New(slog.DiscardHandler)
	r.h = &enroll.Handler{Registry: r.store, Alerts: r, Topic: "topic", Now: func() time.Time { return r.now }, Log: log, Meter: metric.Meter{}}
	return r
}

func (r *run) note(format string, args ...any) {
	r.log = append(r.log, r.now.Format(time.TimeOnly)+" "+fmt.Sprintf(format, args...))
}

func (r *run) tale() (out string) {
	for _, line := range r.log {
		out += line + "\n"
	}
	return out
}

func (r *run) breaks(promise, format string, args ...any) {
	if r.broken == "" {
		r.broken = promise + ": " + fmt.Sprintf(format, args...)
	}
}

func (r *run) step() {
	r.now = r.now.Add(time.Duration(1+r.rng.IntN(20)) * time.Second)
	switch r.rng.IntN(4) {
	case 0:
		r.person()
	case 1, 2:
		r.say()
	default:
		r.deliver()
	}
	r.check()
}

// person invites, accepts what is shown, sets it aside or removes.
func (r *run) person() {
	ctx := context.Background()
	i := r.rng.IntN(len(names))
	name, account := names[i], accounts[i]
	e, h, err := r.store.Memory.Load(ctx, name)
	if err != nil {
		e := kit.Invited(name, account)
		e.Invited = r.now
		if r.store.Add(ctx, e) == nil {
			r.note("%s is invited", name)
			delete(r.bound, name)
			delete(r.marks, name)
			r.told[name] = 0
		}
		return
	}
	c := customers.Join(e, h)
	switch n := r.rng.IntN(12); {
	case n == 0:
		if r.store.Remove(ctx, e) == nil {
			r.note("%s is removed", name)
			delete(r.bound, name)
			delete(r.marks, name)
		}
	case n < 3:
		if r.store.Change(ctx, e, e.Dismiss(c, r.now)) == nil {
			r.note("%s: set aside", name)
			r.told[name] = 0
		}
	case c.Proposed != nil:
		then, err := e.Accept(c, "ann", r.now)
		if err == nil && r.store.Change(ctx, e, then) == nil {
			r.note("%s: accepted %s", name, c.Proposed.RoleARN)
			r.bound[name] = *c.Proposed
			r.told[name] = 0
		}
	}
}

// say has an account say something: now and then of another role, in another's name, or dated wrongly.
func (r *run) say() {
	account := accounts[r.rng.IntN(len(accounts))]
	m := kit.Event(kinds[r.rng.IntN(len(kinds))], r.now, account, "migration")
	switch r.rng.IntN(12) {
	case 0:
		m = m.With("roleArn", kit.Role(account, fmt.Sprint("other", r.rng.IntN(2))))
	case 1:
		m.Sender = accounts[r.rng.IntN(len(accounts))]
	case 2:
		m.Time = r.now.Add(time.Duration(r.rng.IntN(7200)-3600) * time.Second)
		r.ahead[string(m.Body())] = m.Time.After(r.now) // it may be refused for that
	case 3:
		m = m.With("account", accounts[0]).With("roleArn", kit.Role(accounts[0], "migration")).With("secretArn", kit.Secret(accounts[0], "migration"))
	}
	r.note("%s says %s of %v at %s", m.Sender, m.Type, m.Data["roleArn"], m.Time.Format(time.TimeOnly))
	r.queue = append(r.queue, m)
	r.events[m.Sender] = append(r.events[m.Sender], m)
}

// deliver gives the function a batch of what is on the queue, in any order; what it doesn't take, and now and then what it took,
// comes again.
func (r *run) deliver() {
	n := min(len(r.queue), 1+r.rng.IntN(5))
	r.rng.Shuffle(len(r.queue), func(i, j int) { r.queue[i], r.queue[j] = r.queue[j], r.queue[i] })
	batch := r.queue[:n]
	r.queue = slices.Clone(r.queue[n:])
	var in lambdaevents.SQSEvent
	for i, m := range batch {
		in.Records = append(in.Records, lambdaevents.SQSMessage{MessageId: fmt.Sprint(i), Body: string(m.Body())})
	}
	out, err := r.h.Handle(context.Background(), in)
	if err != nil {
		r.breaks(losesNothing, "Handle: %v", err)
	}
	for i, m := range batch {
		failed := slices.ContainsFunc(out.BatchItemFailures, func(f lambdaevents.SQSBatchItemFailure) bool { return f.ItemIdentifier == fmt.Sprint(i) })
		if failed || r.rng.IntN(10) == 0 {
			r.queue = append(r.queue, m)
		}
	}
}

// check asks the promises that hold at every moment.
func (r *run) check() {
	ctx := context.Background()
	all, _ := r.store.All(ctx)
	roles := map[string]string{}
	for _, c := range all {
		if !slices.Contains(names, c.Name) {
			r.breaks(keepsOut, "%s", c.Name)
		}
		if want, ok := r.bound[c.Name]; ok != (c.RoleARN != "") || ok && !want.Same(c.Binding()) {
			r.breaks(keepsBinding, "%s is bound to %+v, a person accepted %+v", c.Name, c.Binding(), want)
		}
		if by := roles[c.RoleARN]; by != "" && c.RoleARN != "" {
			r.breaks(oneToOne, "%s and %s have %s", by, c.Name, c.RoleARN)
		}
		roles[c.RoleARN] = c.Name
		if p := c.Proposed; p != nil && (p.Account != c.Account || p.Check() != nil) {
			r.breaks(believesOwn, "%s proposes %+v", c.Name, *p)
		}
		_, h, _ := r.store.Memory.Load(ctx, c.Name)
		if !h.Invitation.Equal(c.Invited) {
			continue // heard of one that was removed
		}
		marks := []time.Time{h.ProposedAt}
		if want, ok := r.bound[c.Name]; ok && h.Of.Same(want) {
			marks = append(marks, h.Granted, h.Rotated, h.Revoked, h.Restored, h.Ended, h.Reported, h.Dated)
		}
		for i, was := range r.marks[c.Name] {
			if len(marks) == len(r.marks[c.Name]) && marks[i].Before(was) {
				r.breaks(keepsTime, "%s: %s became %s", c.Name, was.Format(time.TimeOnly), marks[i].Format(time.TimeOnly))
			}
		}
		r.marks[c.Name] = marks
	}
}

// settle brings every message home, without faults, and compares the rows with what all events say together.
func (r *run) settle() {
	r.h = &enroll.Handler{Registry: &r.store.Memory, Alerts: calm{r}, Topic: "topic", Now: r.h.Now, Log: r.h.Log, Meter: r.h.Meter}
	r.now = r.now.Add(2 * time.Hour) // what was dated in the future is not any more
	for len(r.queue) > 0 {
		r.deliver()
	}
	r.check()
	r.checkLosses()
	for range 2 { // everything once more, as an archive's replay brings it: the second time changes nothing
		for _, account := range accounts {
			r.queue = append(r.queue, r.events[account]...)
		}
		for len(r.queue) > 0 {
			r.deliver()
		}
		r.check()
	}
	for i, name := range names {
		e, h, err := r.store.Memory.Load(context.Background(), name)
		if err != nil {
			continue
		}
		if diff := cmp.Diff(customers.Join(e, r.together(e, accounts[i])), customers.Join(e, h)); diff != "" {
			r.breaks(converges, "%s (-all events +row):\n%s", name, diff)
		}
		if p := customers.Join(e, h).Proposed; p != nil && r.told[name] == 0 {
			r.breaks(rings, "%s proposes %s, and nobody was told", name, p.RoleARN)
		}
	}
}

// checkLosses asks whether the row knows the last that was said of the accepted binding since it was accepted.
func (r *run) checkLosses() {
	for i, name := range names {
		e, h, err := r.store.Memory.Load(context.Background(), name)
		if err != nil || e.Accepted.IsZero() {
			continue
		}
		last := time.Time{}
		for _, m := range r.events[accounts[i]] {
			s, err := customers.Read(m.Body())
			if err != nil || r.ahead[string(m.Body())] || s.Time.Before(e.Accepted) || s.Binding.RoleARN != e.RoleARN || s.Binding.SecretARN != e.SecretARN || s.Binding.Grant != e.Grant {
				continue
			}
			if s.Time.After(last) {
				last = s.Time
			}
		}
		if h.Reported.Before(last) {
			r.breaks(losesNothing, "%s was last heard at %s, and spoke at %s", name, h.Reported.Format(time.TimeOnly), last.Format(time.TimeOnly))
		}
	}
}

// together is what all that an account said comes to, in the order of its own clock, twice.
func (r *run) together(e customers.Entry, account string) (h customers.Heard) {
	said := slices.Clone(r.events[account])
	slices.SortStableFunc(said, func(a, b kit.Message) int { return a.Time.Compare(b.Time) })
	for _, m := range append(said, said...) {
		s, err := customers.Read(m.Body())
		if err != nil {
			continue
		}
		if next, err := e.Hear(h, s, r.now); err == nil {
			h = next
		}
	}
	return h
}

// calm is people whom every alert reaches.
type calm struct{ *run }

func (c calm) Publish(_ context.Context, _, subject, _ string) error {
	c.count(subject)
	return nil
}
