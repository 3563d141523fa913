package simtest_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/simtest"
)

var (
	firstSeed = flag.Uint64("seed", 1, "first seed")
	manyRuns  = flag.Int("runs", 50, "runs")
	story     = flag.Bool("story", false, "tell the story of the first violation")
)

func TestRuns(t *testing.T) {
	shop := simtest.NewShop()
	var all simtest.Coverage
	began := time.Now()
	for seed := *firstSeed; seed < *firstSeed+uint64(*manyRuns); seed++ {
		r := shop.Run(seed, simtest.Options{})
		all.Add(r.Coverage)
		if r.Violation != nil {
			t.Errorf("%v", r.Violation)
			if *story {
				shop.Run(seed, simtest.Options{Tell: func(l simtest.Line) { fmt.Println(l) }})
				return
			}
		}
	}
	t.Logf("%d steps in %s: %.0f a second; %+v", all.Steps, time.Since(began), float64(all.Steps)/time.Since(began).Seconds(), all)
}
