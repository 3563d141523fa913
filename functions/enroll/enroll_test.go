package enroll_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/functions/enroll"
	"github.com/countersign/countersign/internal/customers"
	kit "github.com/countersign/countersign/internal/customers/customerstest"
	"github.com/countersign/countersign/internal/metric"
)

// office is a provider's stack: the registry with its calls counted, the people who are told, and a clock.
type office struct {
	*enroll.Handler
	t      *testing.T
	store  counted
	now    time.Time
	alerts []string // subjects
	deaf   error    // what Publish answers
	log    bytes.Buffer
}

// counted counts the calls of a registry.
type counted struct {
	customers.Memory
	guests, rows int
	broken       error
}

func (c *counted) Guests(ctx context.Context) (customers.Guests, error) {
	c.guests++
	if c.broken != nil {
		return nil, c.broken
	}
	return c.Memory.Guests(ctx)
}

func (c *counted) Load(ctx context.Context, name string) (customers.Entry, customers.Heard, error) {
	c.rows++
	return c.Memory.Load(ctx, name)
}

func (c *counted) Note(ctx context.Context, name string, h customers.Heard) error {
	c.rows++
	return c.Memory.Note(ctx, name, h)
}

func newOffice(t *testing.T, entries ...customers.Entry) *office {
	o := &office{t: t, now: kit.Noon.Add(time.Hour)}
	log := slog.New(slog.NewJSONHandler(&o.log, nil))
	o.Handler = &enroll.Handler{
		Registry: &o.store, Alerts: o, Topic: "topic", Now: func() time.Time { return o.now }, Log: log,
		Meter: metric.Meter{Log: log, Stack: "CustomerAccess", Now: func() time.Time { return o.now }},
	}
	for _, e := range entries {
		if err := o.store.Add(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// Publish takes an alert.
func (o *office) Publish(_ context.Context, topic, subject, message string) error {
	if o.deaf != nil {
		return o.deaf
	}
	if topic != "topic" || len(subject) > 99 || strings.Contains(message, "arn:") {
		o.t.Errorf("alert to %s: %s\n%s", topic, subject, message)
	}
	o.alerts = append(o.alerts, subject)
	return nil
}

func batch(messages ...kit.Message) (in lambdaevents.SQSEvent) {
	for i, m := range messages {
		in.Records = append(in.Records, lambdaevents.SQSMessage{MessageId: fmt.Sprint(i), Body: string(m.Body())})
	}
	return in
}

// hears handles a batch and gives the messages that come again.
func (o *office) hears(messages ...kit.Message) (again []string) {
	o.t.Helper()
	out, err := o.Handle(o.t.Context(), batch(messages...))
	if err != nil {
		o.t.Fatal(err)
	}
	for _, f := range out.BatchItemFailures {
		again = append(again, f.ItemIdentifier)
	}
	return again
}

func (o *office) customer(name string) customers.Customer {
	o.t.Helper()
	c, err := o.store.Get(o.t.Context(), name)
	if err != nil {
		o.t.Fatal(err)
	}
	return c
}

// counts is how often a metric's name is in the log, with its number.
func (o *office) counts(name metric.Name, n int) bool {
	return strings.Contains(o.log.String(), fmt.Sprintf(`"%s":%d}`, name, n))
}

func TestAnInvitedAccountIsEnrolled(t *testing.T) {
	o := newOffice(t, kit.Invited("acme", kit.Acme))
	granted := kit.Event(events.TypeAccessGranted, kit.Noon.Add(time.Minute), kit.Acme, "migration")
	if again := o.hears(granted); again != nil {
		t.Errorf("comes again: %v", again)
	}
	c := o.customer("acme")
	if c.State != customers.StatePending || c.Proposed == nil || c.Proposed.RoleARN != kit.Role(kit.Acme, "migration") || c.RoleARN != "" {
		t.Errorf("%+v", c)
	}
	o.hears(granted, kit.Event(events.TypeExternalIDRotated, kit.Noon.Add(2*time.Minute), kit.Acme, "migration"))
	if len(o.alerts) != 1 || o.alerts[0] != "[Countersign] customer acme waits to be accepted" {
		t.Errorf("told: %q", o.alerts)
	}
}

// The promise: whatever accounts say that nobody invited, the table holds nothing of it and isn't asked. The list of invited
// accounts is read by the clock, not by the events.
func TestAHundredThousandUninvitedEvents(t *testing.T) {
	o := newOffice(t, kit.Invited("acme", kit.Acme))
	const flood, size, each = 100_000, 100, 40 * time.Millisecond // a function's time for a batch
	began := o.now
	var landed time.Duration
	for sent := 0; sent < flood; sent += size {
		var messages []kit.Message
		for i := range size {
			account := fmt.Sprintf("%012d", 900_000_000_000+(sent+i)%7_919)
			m := kit.Event(events.TypeExternalIDRotated, o.now, account, "migration")
			if i%3 == 0 { // it claims to be the invited one
				m = kit.Event(events.TypeExternalIDRotated, o.now, kit.Acme, "migration")
				m.Sender = account
			}
			messages = append(messages, m)
		}
		if sent == flood/2 {
			messages[size/2] = kit.Event(events.TypeAccessGranted, o.now, kit.Acme, "migration")
		}
		o.now = o.now.Add(each)
		if again := o.hears(messages...); again != nil {
			t.Fatalf("come again: %v", again)
		}
		if landed == 0 && o.customer("acme").State == customers.StatePending {
			landed = o.now.Sub(began)
		}
	}
	took := o.now.Sub(began)
	if most := int(took/enroll.Fresh) + 1; o.store.guests > most {
		t.Errorf("the list was read %d times in %s, at most %d", o.store.guests, took, most)
	}
	if o.store.rows != 2+0 { // of the invited one: read, written
		t.Errorf("%d calls of rows", o.store.rows)
	}
	if all, _ := o.store.All(t.Context()); len(all) != 1 || len(o.alerts) != 1 {
		t.Errorf("%d rows, %d alerts", len(all), len(o.alerts))
	}
	if landed == 0 || landed > time.Minute {
		t.Errorf("the invited one landed after %s", landed)
	}
	if !o.counts(metric.EventsUninvited, 100) || !o.counts(metric.EventsUninvited, 99) {
		t.Error("not counted")
	}
	t.Logf("%d uninvited events in %s: %d reads of the list, %d of rows; the invited one landed after %s", flood-1, took, o.store.guests, o.store.rows, landed)
}

func TestAnInvitationIsKnownWithinTheListsAge(t *testing.T) {
	o := newOffice(t)
	granted := func() kit.Message { return kit.Event(events.TypeAccessGranted, o.now, kit.Acme, "migration") }
	o.hears(granted())
	if err := o.store.Add(t.Context(), kit.Invited("acme", kit.Acme)); err != nil {
		t.Fatal(err)
	}
	o.now = o.now.Add(enroll.Fresh + time.Second)
	o.hears(granted())
	if c := o.customer("acme"); c.State != customers.StatePending {
		t.Errorf("%+v", c)
	}
}

func TestABatchWritesARowOnce(t *testing.T) {
	o := newOffice(t, kit.Accepted(t, "acme", kit.Acme, "migration"), kit.Accepted(t, "globex", "555566667777", "migration"))
	at := func(s int) time.Time { return kit.Noon.Add(2*time.Minute + time.Duration(s)*time.Second) }
	o.hears(
		kit.Event(events.TypeExternalIDRotated, at(3), kit.Acme, "migration"),
		kit.Event(events.TypeExternalIDRotated, at(1), kit.Acme, "migration"),
		kit.Event(events.TypeAccessRevoked, at(2), kit.Acme, "migration"),
		kit.Event(events.TypeGrantReported, at(1), "555566667777", "migration"))
	if o.store.rows != 4 {
		t.Errorf("%d calls for two customers", o.store.rows)
	}
	if c := o.customer("acme"); c.State != customers.StateRevoked || !c.Rotated.Equal(at(3)) {
		t.Errorf("%+v", c)
	}
	o.store.rows = 0
	o.hears(kit.Event(events.TypeExternalIDRotated, at(3), kit.Acme, "migration"))
	if o.store.rows != 1 {
		t.Errorf("a repeat costs %d calls", o.store.rows)
	}
}

func TestAChangedBindingRings(t *testing.T) {
	o := newOffice(t, kit.Accepted(t, "acme", kit.Acme, "migration"))
	for i := range 5 { // an account that says something else each time rings once
		o.hears(kit.Event(events.TypeExternalIDRotated, o.now.Add(time.Duration(i)*time.Second), kit.Acme, "migration").
			With("roleArn", kit.Role(kit.Acme, fmt.Sprint("evil", i))))
	}
	c := o.customer("acme")
	if c.RoleARN != kit.Role(kit.Acme, "migration") || c.State != customers.StateAccepted || c.Proposed == nil {
		t.Errorf("%+v", c)
	}
	if len(o.alerts) != 1 || o.alerts[0] != "[Countersign] customer acme speaks of another role" || !o.counts(metric.BindingsProposed, 1) {
		t.Errorf("told: %q", o.alerts)
	}
}

func TestWhatIsRefusedIsCounted(t *testing.T) {
	o := newOffice(t, kit.Accepted(t, "acme", kit.Acme, "migration"))
	before := o.customer("acme")
	o.hears(
		kit.Event(events.TypeAccessRevoked, o.now.Add(time.Hour), kit.Acme, "migration"), // the future
		kit.Event(events.TypeAccessRevoked, kit.Noon.Add(-time.Hour), kit.Acme, "migration"),
		kit.Event(events.TypeAccessRevoked, o.now, kit.Acme, "migration").With("roleArn", kit.Role("555566667777", "migration")))
	if after := o.customer("acme"); after.State != before.State || !after.Reported.IsZero() {
		t.Errorf("%+v", after)
	}
	if !o.counts(metric.EventsRefused, 3) {
		t.Errorf("not counted: %s", o.log.String())
	}
}

// Whatever fails comes again, and what a person has to know is told before the row says that it was.
func TestWhatFailsComesAgain(t *testing.T) {
	o := newOffice(t, kit.Invited("acme", kit.Acme), kit.Accepted(t, "globex", "555566667777", "migration"))
	granted := kit.Event(events.TypeAccessGranted, o.now, kit.Acme, "migration")
	reported := kit.Event(events.TypeGrantReported, o.now, "555566667777", "migration")

	o.store.broken = errors.New("throttled")
	if again := o.hears(granted, reported); len(again) != 2 {
		t.Errorf("come again: %v", again)
	}
	o.store.broken = nil
	o.deaf = errors.New("throttled")
	if again := o.hears(granted, reported); len(again) != 1 || again[0] != "0" {
		t.Errorf("come again: %v", again)
	}
	if c := o.customer("acme"); c.State != customers.StateInvited {
		t.Errorf("noted, and nobody was told: %+v", c)
	}
	o.deaf = nil
	if again := o.hears(granted); again != nil || len(o.alerts) != 1 {
		t.Errorf("come again: %v, told: %q", again, o.alerts)
	}
}

func TestOfARemovedCustomerNothingIsKept(t *testing.T) {
	o := newOffice(t, kit.Invited("acme", kit.Acme))
	o.hears(kit.Event(events.TypeAccessGranted, o.now, "555566667777", "migration")) // reads the list
	e, _, _ := o.store.Memory.Load(t.Context(), "acme")
	if err := o.store.Remove(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if again := o.hears(kit.Event(events.TypeAccessGranted, o.now, kit.Acme, "migration")); again != nil {
		t.Errorf("come again: %v", again)
	}
	if all, _ := o.store.All(t.Context()); len(all) != 0 || len(o.alerts) != 0 {
		t.Errorf("%+v %q", all, o.alerts)
	}
}

// No foreign text reaches the log but as a value of JSON.
func TestForeignTextStaysInItsField(t *testing.T) {
	o := newOffice(t, kit.Accepted(t, "acme", kit.Acme, "migration"))
	o.hears(kit.Event(events.TypeAccessRevoked, o.now, kit.Acme, "migration").With("roleArn", "x\n{\"level\":\"INFO\"}\x1b[2J"))
	for line := range strings.Lines(o.log.String()) {
		if !strings.HasPrefix(line, `{"time"`) || strings.Contains(line, "\x1b") {
			t.Errorf("%q", line)
		}
	}
}
