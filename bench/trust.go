package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

// The limits.
const (
	maxEvaluate = 20 * time.Microsecond
	maxRatio    = 4.0 // parse + apply + print / a round trip through structs
)

// policy is a trust policy of 2 KB: a vendor's statement among others.
//
//go:embed policy.json
var policy []byte

const (
	vendorID   = "northwind-0042" // in the first statement
	vendorNext = "northwind-qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"
)

// overlap is the phase of a rotation that adds an ID. The quota is the document's and more.
var overlap = trust.Plan{Role: trust.Adopted, Current: vendorID, Pending: vendorNext, Quota: 4096}

var errOtherResult = errors.New("what is measured doesn't do what it should")

// evaluate judges one call by a parsed document.
func evaluate() (func() error, error) {
	d, err := trust.Parse(policy)
	if err != nil {
		return nil, err
	}
	call := trust.Request{
		Principal: "arn:aws:iam::111122223333:user/a", At: time.Date(2026, 2, 4, 12, 0, 0, 0, time.UTC),
		Context: map[string][]string{"sts:ExternalId": {vendorID}, "sts:RoleSessionName": {"a"}},
	}
	return func() error {
		if d.Evaluate(call).Effect != trust.Allow {
			return errOtherResult
		}
		return nil
	}, nil
}

// parseApplyPrint adds an ID as Countersign does: on the syntax tree, every other byte kept, every later phase built too.
func parseApplyPrint() error {
	d, err := trust.Parse(policy)
	if err != nil {
		return err
	}
	after, _, err := trust.Apply(d, overlap)
	if err != nil {
		return err
	}
	if len(after.Bytes()) <= len(policy) {
		return errOtherResult
	}
	return nil
}

// structRoundTrip is what that is measured against: the same ID added through encoding/json and structs.
func structRoundTrip() error {
	type statement struct {
		Sid       string `json:",omitempty"`
		Effect    string
		Principal map[string]any
		Action    any
		Condition map[string]map[string]any `json:",omitempty"`
	}
	var v struct {
		Version   string
		Statement []statement
	}
	if err := json.Unmarshal(policy, &v); err != nil {
		return err
	}
	ids := v.Statement[0].Condition["StringEquals"]
	ids["sts:ExternalId"] = append(ids["sts:ExternalId"].([]any), vendorNext)
	out, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if !strings.Contains(string(out), vendorNext) {
		return errOtherResult
	}
	return nil
}

// engine is what is known of the trust policy engine: one figure a run.
type engine struct {
	evaluate, ours, theirs []time.Duration
	ratio                  []float64 // of one run's ours and theirs
}

// measureEngine times the three, once unmeasured, then runs times.
func measureEngine(runs int) (e engine, err error) {
	judge, err := evaluate()
	if err != nil {
		return e, err
	}
	for i := range runs + 1 {
		took, err := inTurn(judge, parseApplyPrint, structRoundTrip)
		if err != nil {
			return e, err
		}
		if i > 0 {
			e.evaluate, e.ours, e.theirs = append(e.evaluate, took[0]), append(e.ours, took[1]), append(e.theirs, took[2])
			e.ratio = append(e.ratio, float64(took[1])/float64(took[2]))
		}
	}
	return e, nil
}

// inTurn is how long each call takes: short rounds of all of them, so that whatever else the machine does slows all alike.
func inTurn(calls ...func() error) ([]time.Duration, error) {
	const rounds, times = 20, 50
	took := make([]time.Duration, len(calls))
	for range rounds {
		for i, call := range calls {
			began := time.Now()
			for range times {
				if err := call(); err != nil {
					return nil, err
				}
			}
			took[i] += time.Since(began)
		}
	}
	for i := range took {
		took[i] /= rounds * times
	}
	return took, nil
}

// table is what a person reads.
func (e engine) table() string {
	var out strings.Builder
	fmt.Fprintf(&out, "\nA trust policy of %d bytes, %d runs, the three in turn.\n\n", len(policy), len(e.ratio))
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(name string, cells ...any) {
		_, _ = fmt.Fprintf(w, "%s\t%v\t%v\t%v\t%s\t\n", append([]any{name}, cells...)...)
	}
	µs := func(d time.Duration) string { return fmt.Sprintf("%.1f µs", d.Seconds()*1e6) }
	times := func(name, limit string, list []time.Duration) {
		line(name, µs(slices.Min(list)), µs(median(list)), µs(slices.Max(list)), limit)
	}
	line("", "min", "median", "max", "limit")
	times("evaluate", µs(maxEvaluate), e.evaluate)
	times("parse, apply, print", "", e.ours)
	times("struct round trip", "", e.theirs)
	x := func(r float64) string { return fmt.Sprintf("%.1f x", r) }
	line("ratio", x(slices.Min(e.ratio)), x(median(e.ratio)), x(slices.Max(e.ratio)), x(maxRatio))
	_ = w.Flush()
	return out.String()
}

// judge names every limit that is missed, by the medians.
func (e engine) judge() error {
	var missed []error
	if m := median(e.evaluate); m > maxEvaluate {
		missed = append(missed, fmt.Errorf("evaluating takes %s, want at most %s: see go test -bench Evaluate -cpuprofile cpu ./bench", m, maxEvaluate))
	}
	if m := median(e.ratio); m > maxRatio {
		missed = append(missed, fmt.Errorf("parse, apply and print take %.2f times a struct round trip, want at most %.0f: see go test -bench ParseApplyPrint -cpuprofile cpu ./bench", m, maxRatio))
	}
	return errors.Join(missed...)
}
