package simtest_test

import (
	"runtime/debug"
	"testing"

	"github.com/countersign/countersign/internal/simtest"
)

// BenchmarkRuns: one operation is one run; see the steps a second of make sim.
func BenchmarkRuns(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	shop, seed, steps := simtest.NewShop(), uint64(0), 0
	for b.Loop() {
		seed++
		steps += shop.Run(seed, simtest.Options{}).Steps
	}
	b.ReportMetric(float64(steps)/b.Elapsed().Seconds(), "steps/s")
}
