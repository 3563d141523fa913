package simtest_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/countersign/countersign/internal/simtest"
)

var runs = flag.Uint64("runs", 40, "how many runs TestNoRunBreaksAPromise makes")

// TestNoRunBreaksAPromise makes one run after the other, from seed 1 on, and stops at the first violation. Which promise is
// broken, and in which run, is the name of what fails: make sim-mutants asks for both.
func TestNoRunBreaksAPromise(t *testing.T) {
	shop := simtest.NewShop()
	for seed := uint64(1); seed <= *runs; seed++ {
		if v := shop.Run(seed, simtest.Options{}).Violation; v != nil {
			t.Run(fmt.Sprintf("%s in run %d of %d", v.Invariant, seed, *runs), func(t *testing.T) { t.Error(v) })
			return
		}
	}
}
