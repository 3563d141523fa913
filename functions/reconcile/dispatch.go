package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/cfn"
	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/metric"
)

// What the timers' payloads ask for, as {"reconcile":"all"}.
const (
	All    = "all"    // Timer
	Report = "report" // Report
)

// Handle takes the three kinds of payload that the function gets: CloudFormation's, the timers' and the queue's.
func (h *Handler) Handle(ctx context.Context, payload json.RawMessage) (any, error) {
	var kind struct {
		RequestType string            `json:"RequestType"`
		ResponseURL string            `json:"ResponseURL"`
		Reconcile   string            `json:"reconcile"`
		Records     []json.RawMessage `json:"Records"`
	}
	if err := json.Unmarshal(payload, &kind); err != nil {
		return nil, fmt.Errorf("reading payload: %w", err)
	}
	switch {
	case kind.RequestType != "" && kind.ResponseURL != "":
		var e cfn.Event
		if err := json.Unmarshal(payload, &e); err != nil {
			return nil, fmt.Errorf("reading CloudFormation's request: %w", err)
		}
		return cfn.LambdaWrap(h.CloudFormation)(ctx, e)
	case kind.Records != nil:
		var e lambdaevents.SQSEvent
		if err := json.Unmarshal(payload, &e); err != nil {
			return nil, fmt.Errorf("reading messages: %w", err)
		}
		return h.Queue(ctx, e)
	case kind.Reconcile == All:
		return nil, h.Timer(ctx)
	case kind.Reconcile == Report:
		return nil, h.Report(ctx)
	}
	return nil, errors.New(`unknown payload: neither CloudFormation's request nor messages nor {"reconcile":"all"} or "report"`)
}

// Timer looks at every grant. One that fails keeps no other from its turn. That it came to the last of them, and how many
// are overdue, is a metric: where that is missing somebody has to look why.
func (h *Handler) Timer(ctx context.Context) error { return h.round(ctx, nil) }

// Report is Timer that also says how each grant stands, an event a grant. Said again on the same day by the same version, the
// event has the same id.
func (h *Handler) Report(ctx context.Context) error { return h.round(ctx, h.report) }

func (h *Handler) round(ctx context.Context, then func(context.Context, found) error) error {
	var failed []error
	overdue, waiting := 0, 0
	protected := false // all grants are of one stack: it is asked once
	for _, name := range h.Grants.Names() {
		if !h.timeFor(ctx) {
			return errors.Join(append(failed, fmt.Errorf("no time left for %s and those behind it: %w", name, grant.ErrUnavailable))...)
		}
		found, err := h.one(ctx, name)
		if found.overdue {
			overdue++
		}
		if found.unconfirmed {
			waiting++
		}
		if err == nil && then != nil {
			err = then(ctx, found)
		}
		if found.keepsStack() && !protected {
			unprotected := h.protect(ctx, name)
			protected = unprotected == nil
			err = errors.Join(err, unprotected)
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	h.Meter.Add(ctx, metric.RotationsOverdue, overdue)
	if waiting > 0 {
		h.Meter.Add(ctx, metric.RotationsUnconfirmed, waiting)
	}
	return errors.Join(failed...)
}

// Queue looks at the grants that messages name. The answer lists the messages that shall come again: those that another try
// can help. Messages that can't be read, or name no grant of this stack, are dropped.
func (h *Handler) Queue(ctx context.Context, e lambdaevents.SQSEvent) (lambdaevents.SQSEventResponse, error) {
	out := lambdaevents.SQSEventResponse{BatchItemFailures: []lambdaevents.SQSBatchItemFailure{}}
	done := map[grant.Name]error{}
	for _, m := range e.Records {
		var check grant.Check
		err := json.Unmarshal([]byte(m.Body), &check)
		name := check.Grant
		if _, ours := h.Grants[name]; err != nil || !ours {
			h.Log.WarnContext(ctx, "message dropped", "message_id", m.MessageId)
			continue
		}
		if _, looked := done[name]; !looked {
			done[name] = grant.ErrUnavailable
			if h.timeFor(ctx) {
				found, err := h.one(ctx, name)
				if found.keepsStack() {
					err = errors.Join(err, h.protect(ctx, name))
				}
				done[name] = err
			}
		}
		if err := done[name]; err != nil && !needsPerson(err) {
			out.BatchItemFailures = append(out.BatchItemFailures, lambdaevents.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return out, nil
}

// report says how a grant stands. One that nobody ever entered isn't there yet.
func (h *Handler) report(ctx context.Context, g found) error {
	if g.state == Unborn {
		return nil
	}
	_, err := h.Outbox.Say(ctx, g.plan, h.Now().UTC().Format(time.DateOnly)+" "+h.Outbox.StackVersion, events.GrantReported{
		Where: g.plan.Where(), State: string(g.state), VersionID: g.secret.At(grant.StageCurrent), Expires: g.plan.Expires, ConfirmURL: g.plan.ConfirmURL,
	})
	return err
}

// found is what a look at a grant found beside what it mended.
type found struct {
	facts
	state                State
	overdue, unconfirmed bool
}

// one looks at a grant.
func (h *Handler) one(ctx context.Context, name grant.Name) (found, error) {
	state, f, err := h.bringAbout(ctx, name)
	out := found{f, state, overdue(state, f), unconfirmed(state, f)}
	made := f.current.created
	if !made.IsZero() && state != Unborn {
		h.Meter.Age(ctx, string(name), f.now.Sub(made))
	}
	if out.overdue && !made.IsZero() { // else the error below says it
		h.Log.WarnContext(ctx, "rotation overdue", "grant", string(name), "version_id", f.current.versionID, "made", made)
	}
	if out.unconfirmed {
		h.Log.WarnContext(ctx, "rotation unconfirmed", "grant", string(name), "version_id", f.current.versionID, "made", made)
	}
	if err != nil {
		h.Log.ErrorContext(ctx, "grant not reconciled", "grant", string(name), "reason", err.Error())
		return out, fmt.Errorf("reconciling %s: %w", name, err)
	}
	h.Log.InfoContext(ctx, "grant reconciled", "grant", string(name), "state", string(state))
	return out, nil
}

// timeFor says whether there is time for one more grant.
func (h *Handler) timeFor(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return !ok || h.Now().Add(gate.Margin+5*time.Second).Before(deadline)
}
