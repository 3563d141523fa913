package simtest

import (
	"sync"
	"sync/atomic"
	"time"
)

// Batch runs seeds one after the other, from first on, in workers goroutines: runs of them, or, with runs zero, as many as
// begin within limit. It stops at many violations.
func Batch(first, runs uint64, limit time.Duration, workers int) *Report {
	const enough = 50 // violations
	began := time.Now()
	all := &Report{First: first}
	var next, found atomic.Uint64
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range max(workers, 1) {
		wg.Go(func() {
			shop, mine := NewShop(), &Report{}
			for {
				n := next.Add(1) - 1
				if runs > 0 && n >= runs || runs == 0 && time.Since(began) > limit || found.Load() >= enough {
					break
				}
				result := shop.Run(first+n, Options{})
				mine.take(result)
				if result.Violation != nil {
					found.Add(1)
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
