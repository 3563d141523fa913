package simtest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Progress is how far a Batch has come.
type Progress struct {
	Runs, Steps, Violations atomic.Uint64
	// Found is told of each violation at once, by one worker or another. It may be nil.
	Found func(*Violation)
}

// Batch runs seeds one after the other, from first on, in workers goroutines: runs of them, or, with runs zero, as many as
// begin within limit. It stops at many violations, and early, with what it has, when the context ends. so may be nil.
func Batch(ctx context.Context, first, runs uint64, limit time.Duration, workers int, so *Progress) *Report {
	if so == nil {
		so = &Progress{}
	}
	const enough = 50 // violations
	began := time.Now()
	all := &Report{First: first}
	var next atomic.Uint64
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range max(workers, 1) {
		wg.Go(func() {
			shop, mine := NewShop(), &Report{}
			over := func() bool {
				return runs == 0 && time.Since(began) > limit || so.Violations.Load() >= enough || ctx.Err() != nil
			}
			for !over() {
				n := next.Add(1) - 1
				if runs > 0 && n >= runs {
					break
				}
				result := shop.Run(first+n, Options{})
				mine.take(result)
				so.Runs.Add(1)
				so.Steps.Add(uint64(result.Steps))
				if result.Violation != nil {
					so.Violations.Add(1)
					if so.Found != nil {
						so.Found(result.Violation)
					}
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all.merge(mine)
		})
	}
	wg.Wait()
	all.Took = time.Since(began)
	return all
}
