package functions_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/functions/reconcile"
	"github.com/countersign/countersign/internal/grant"
)

// reports is the day's round: what it says of the grant.
func (w *world) reports() (said []events.GrantReported, err error) {
	w.t.Helper()
	before := len(w.Bus("countersign").Events())
	err = w.Invoke(w.ctx, "reconcile", func(ctx context.Context) error {
		_, err := w.Reconciler.Handle(ctx, json.RawMessage(`{"reconcile":"`+reconcile.Report+`"}`))
		return err
	})
	for _, e := range w.Bus("countersign").Events()[before:] {
		if d, is := e.Data.(*events.GrantReported); is {
			said = append(said, *d)
		}
	}
	return said, err
}

// Once a day each grant that somebody could ever enter is reported, with one event, as the look left it.
func TestWhatIsReportedOfAGrant(t *testing.T) {
	end := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	expiring := func(p *grant.Plan) { p.Expires = end }
	for name, c := range map[string]struct {
		deploy func(t *testing.T) *world
		live   func(w *world)
		want   func(w *world) []events.GrantReported
	}{
		"open": {want: func(w *world) []events.GrantReported {
			version, _ := w.labelled(grant.StageCurrent)
			return []events.GrantReported{{Where: w.plan.Where(), State: "open", VersionID: version, ConfirmURL: w.plan.ConfirmURL}}
		}},
		"with an end": {deploy: func(t *testing.T) *world { return opened(t, expiring) }, want: func(w *world) []events.GrantReported {
			version, _ := w.labelled(grant.StageCurrent)
			return []events.GrantReported{{Where: w.plan.Where(), State: "open", VersionID: version, Expires: end, ConfirmURL: w.plan.ConfirmURL}}
		}},
		"revoked": {live: func(w *world) { w.revoked() }, want: func(w *world) []events.GrantReported {
			version, _ := w.labelled(grant.StageCurrent)
			return []events.GrantReported{{Where: w.plan.Where(), State: "closed", VersionID: version, ConfirmURL: w.plan.ConfirmURL}}
		}},
		"without an external ID": {deploy: deployedWithoutID, want: func(w *world) []events.GrantReported {
			return []events.GrantReported{{Where: w.plan.Where(), State: "open", ConfirmURL: w.plan.ConfirmURL}}
		}},
		"not born": {deploy: func(t *testing.T) *world { return deployed(t) }, want: func(*world) []events.GrantReported { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			if c.deploy == nil {
				c.deploy = func(t *testing.T) *world { return opened(t) }
			}
			w := c.deploy(t)
			if c.live != nil {
				c.live(w)
			}
			said, err := w.reports()
			w.must(err)
			if diff := cmp.Diff(c.want(w), said); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The hourly look reports nothing. A round that is tried again on the same day says the same event, the next day's another one.
func TestAReportIsOneEventADay(t *testing.T) {
	w := opened(t)
	w.must(w.round())
	ids := map[string]int{}
	for range 2 {
		for range 2 {
			_, err := w.reports()
			w.must(err)
		}
		w.Sleep(w.ctx, day)
	}
	for _, e := range w.Bus("countersign").Events() {
		if e.Data.Type() == events.TypeGrantReported {
			ids[e.Metadata.ID]++
		}
	}
	if len(ids) != 2 {
		t.Errorf("two days have the events %v", ids)
	}
	for id, times := range ids {
		if times != 2 {
			t.Errorf("%s was said %d times", id, times)
		}
	}
}

// A report that the bus doesn't take fails the round, so that it is tried again; the grants were looked after all the same.
func TestAReportThatTheBusDoesNotTakeIsTriedAgain(t *testing.T) {
	w := opened(t)
	w.busDown()
	if said, err := w.reports(); err == nil || len(said) != 0 {
		t.Errorf("said %v, %v", said, err)
	}
	w.Schedule = nil
	if said, err := w.reports(); err != nil || len(said) != 1 {
		t.Errorf("said %v, %v", said, err)
	}
}
