// Package metric says what Countersign counts, under which names, and how a function writes that down.
//
// A metric is a line of a function's log in CloudWatch's embedded metric format: CloudWatch Logs makes the metric of it, no
// call is made, nothing is waited for and nothing can fail. Functions and template take the names from here. A metric holds
// a name, a number, the stack's name and at most a grant's: never an ID, nor anything that somebody else wrote.
package metric

import (
	"context"
	"log/slog"
	"time"
)

// Namespace is where CloudWatch keeps Countersign's metrics.
const Namespace = "Countersign"

// The dimensions of the metrics.
const (
	Stack = "Stack" // name of the CloudFormation stack: of every metric
	Grant = "Grant" // name of the grant: of ExternalIDAge alone
)

// Name is a metric's.
type Name string

// The metrics. All but RotationsOverdue and ExternalIDAge are written only when there is something to count: a metric costs
// nothing in an hour in which it isn't written.
const (
	RotationsOverdue Name = "RotationsOverdue" // grants whose schedule should have rotated them: by reconcile, at each round of all grants
	// RotationsUnconfirmed are grants whose previous external ID is accepted behind its overlap, until the provider confirms: by
	// reconcile, at each round of all grants.
	RotationsUnconfirmed Name = "RotationsUnconfirmed"
	StepsFailed          Name = "StepsFailed"      // steps of rotations that a person has to look at: by rotate; by reconcile of one that is stuck
	TrustDrifts          Name = "TrustDrifts"      // looks at a grant that found something beside its plan: by reconcile
	LabelsBackwards      Name = "LabelsBackwards"  // looks at, and rotations of, a secret whose labels run backwards in time
	RevokeErrors         Name = "RevokeErrors"     // revocations and restores that were not done, or not wholly: by revoke
	MailsUndelivered     Name = "MailsUndelivered" // mails that SES took and that did not arrive, or were called spam: by notify
	ExternalIDAge        Name = "ExternalIDAge"    // of the current external ID in seconds, for each grant: by reconcile
)

// The metrics of a provider's stack, all by enroll.
const (
	EventsUninvited  Name = "EventsUninvited"  // events of accounts that nobody invited: dropped before the table
	EventsRefused    Name = "EventsRefused"    // events of invited accounts that can't be believed: another account's parts, a future date
	BindingsProposed Name = "BindingsProposed" // customers whose account now speaks of another role or secret than was accepted
)

// ProviderNames are all metrics of a provider's stack.
var ProviderNames = []Name{EventsUninvited, EventsRefused, BindingsProposed}

// Names are all metrics of a customer's stack.
var Names = []Name{RotationsOverdue, RotationsUnconfirmed, StepsFailed, TrustDrifts, LabelsBackwards, RevokeErrors, MailsUndelivered, ExternalIDAge}

// MostAges is how many grants may be deployed for each to have a metric of its ID's age. A metric costs nearly as much as the
// secret: above this none is written.
const MostAges = 20

// Alarms is how many alarms a stack has. A test of package infra holds it.
const Alarms = 9

// The units, in CloudWatch's words.
const (
	count   = "Count"
	seconds = "Seconds"
)

// Meter writes metrics into a function's log. The zero Meter writes none.
type Meter struct {
	Log   *slog.Logger // a JSON handler on the function's standard output, without a group; nil: nowhere
	Stack string       // name of the CloudFormation stack
	Ages  bool         // whether ages are written, see MostAges
	Now   func() time.Time
}

// Add counts n more of something. Zero is a number, too: it says that somebody looked.
func (m Meter) Add(ctx context.Context, name Name, n int) {
	if m.off(ctx) {
		return
	}
	m.write(ctx, directive{name, count, []string{Stack}}, slog.Int(string(name), n))
}

// Age writes how old a grant's current external ID is.
func (m Meter) Age(ctx context.Context, grant string, age time.Duration) {
	if !m.Ages || m.off(ctx) {
		return
	}
	m.write(ctx, directive{ExternalIDAge, seconds, []string{Stack, Grant}}, slog.String(Grant, grant), slog.Int64(string(ExternalIDAge), int64(age/time.Second)))
}

// off is asked before anything is made: where nobody listens a metric costs nothing.
func (m Meter) off(ctx context.Context) bool {
	return m.Log == nil || !m.Log.Enabled(ctx, slog.LevelInfo)
}

// directive says which member of a line is a metric, and which are its dimensions.
type directive struct {
	name       Name
	unit       string
	dimensions []string
}

// metadata is the member _aws of a line, as
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html has it.
type metadata struct {
	Timestamp         int64 // milliseconds
	CloudWatchMetrics []metricDirective
}

type metricDirective struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []definition
}

type definition struct {
	Name Name
	Unit string
}

// write writes the line. What slog puts beside, time, level and message, CloudWatch leaves alone.
func (m Meter) write(ctx context.Context, d directive, values ...slog.Attr) {
	about := metadata{
		Timestamp: m.Now().UnixMilli(),
		CloudWatchMetrics: []metricDirective{{
			Namespace: Namespace, Dimensions: [][]string{d.dimensions}, Metrics: []definition{{d.name, d.unit}},
		}},
	}
	m.Log.LogAttrs(ctx, slog.LevelInfo, "metric", append([]slog.Attr{slog.Any("_aws", about), slog.String(Stack, m.Stack)}, values...)...)
}
