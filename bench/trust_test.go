package main

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

// The benchmarks are for profiles; make bench judges.
func benchmark(b *testing.B, call func() error) {
	b.ReportAllocs()
	for b.Loop() {
		if err := call(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEvaluate(b *testing.B) {
	call, err := evaluate()
	if err != nil {
		b.Fatal(err)
	}
	benchmark(b, call)
}

func BenchmarkParseApplyPrint(b *testing.B) { benchmark(b, parseApplyPrint) }
func BenchmarkStructRoundTrip(b *testing.B) { benchmark(b, structRoundTrip) }

func TestTheMeasuredPolicyHasTwoKilobytes(t *testing.T) {
	d, err := trust.Parse(policy)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(policy); n < 2000 || n > 2500 || d.Size() > trust.DefaultQuota {
		t.Errorf("%d bytes, %d characters", n, d.Size())
	}
}

func TestTheEngineIsJudgedByMedians(t *testing.T) {
	const fast, slow = 3 * time.Microsecond, 21 * time.Microsecond
	for name, c := range map[string]struct {
		e    engine
		want string // empty: within the limits
	}{
		"one slow run":    {engine{evaluate: []time.Duration{fast, slow, fast}, ratio: []float64{3, 9, 3}}, ""},
		"slow evaluation": {engine{evaluate: []time.Duration{slow, slow, fast}, ratio: []float64{3, 3, 3}}, "evaluating takes 21µs"},
		"slow edits":      {engine{evaluate: []time.Duration{fast}, ratio: []float64{3, 4.1, 4.2}}, "4.10 times"},
	} {
		err := c.e.judge()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestMeasureEngineRunsThemInTurn(t *testing.T) {
	e, err := measureEngine(2)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.evaluate) != 2 || len(e.ours) != 2 || len(e.theirs) != 2 || len(e.ratio) != 2 {
		t.Errorf("%+v, want two figures of each", e)
	}
	if out := e.table(); !strings.Contains(out, "evaluate") || !strings.Contains(out, "ratio") {
		t.Errorf("the table is %s", out)
	}
}
