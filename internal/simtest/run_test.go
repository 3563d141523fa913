package simtest_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/simtest"
)

func TestTheSameSeedDoesTheSame(t *testing.T) {
	for seed := uint64(1); seed < 30; seed++ {
		if one, other := simtest.Story(seed, simtest.Options{}), simtest.Story(seed, simtest.Options{}); one != other {
			t.Errorf("seed %d: two stories", seed)
		}
	}
}

// A worker makes many runs, and keeps what is dear to make. None of it may tell in a run.
func TestARunDoesTheSameBehindOthers(t *testing.T) {
	shop := simtest.NewShop()
	for seed := uint64(1); seed < 250; seed++ {
		behind, alone := shop.Run(seed, simtest.Options{}), simtest.NewShop().Run(seed, simtest.Options{})
		if diff := cmp.Diff(alone, behind); diff != "" {
			t.Fatalf("seed %d (-alone +behind others):\n%s", seed, diff)
		}
	}
}

func TestRuns(t *testing.T) {
	for _, v := range simtest.Batch(t.Context(), 1, 40, 0, 2, nil).Violations {
		t.Error(v)
	}
}

func TestEveryOrderWithACrashAtEveryPoint(t *testing.T) {
	for _, pair := range simtest.Pairs {
		t.Run(pair.Name, func(t *testing.T) {
			began := time.Now()
			e := simtest.Explore(pair, 6*time.Second, nil) // all of it: make sim-exhaustive
			t.Logf("%d states, %d steps, %d ends in %s", e.States, e.Steps, e.Ends, time.Since(began).Round(time.Millisecond))
			if e.Violation != nil {
				t.Errorf("%v", e.Violation)
			}
			if !e.Complete && e.States < 200 {
				t.Error("hardly begun")
			}
		})
	}
}
