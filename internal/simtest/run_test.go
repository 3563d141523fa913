package simtest_test

import (
	"testing"

	"github.com/countersign/countersign/internal/simtest"
)

func TestTheSameSeedDoesTheSame(t *testing.T) {
	for seed := uint64(1); seed < 8; seed++ {
		if one, other := simtest.Story(seed, simtest.Options{}), simtest.Story(seed, simtest.Options{}); one != other {
			t.Errorf("seed %d: two stories", seed)
		}
	}
}

func TestRuns(t *testing.T) {
	for _, v := range simtest.Batch(1, 40, 0, 2).Violations {
		t.Error(v)
	}
}
