// Command sim runs Countersign's functions beside each other on the embedded AWS, seed by seed, and says what came of it. A
// seed that breaks a promise is shrunk and told as a story. The same seed of the same commit does the same again.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/countersign/countersign/internal/simtest"
)

func main() {
	var (
		seed    = flag.Uint64("seed", 0, "the first seed; 0: one from the clock, which is printed")
		runs    = flag.Uint64("runs", 0, "how many runs; 0: as many as fit into -for")
		limit   = flag.Duration("for", time.Minute, "how long, where -runs is 0")
		workers = flag.Int("workers", runtime.GOMAXPROCS(0), "goroutines")
		all     = flag.Bool("exhaustive", false, "every order of the pairs, with a crash at every point, and nothing else; -for each pair")
		whole   = flag.Bool("whole", false, "tell the run of -seed as it is, not shrunk")
	)
	flag.Parse()
	debug.SetGCPercent(800) // little of a run lives on
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano()) % 1e12
	}
	if *all {
		os.Exit(exhaustive(*limit))
	}
	if *whole {
		fmt.Println(simtest.Story(*seed, simtest.Options{}))
		return
	}
	report := simtest.Batch(*seed, *runs, *limit, *workers)
	report.Print(os.Stdout)
	failed := len(report.Violations) > 0
	for i, v := range report.Violations {
		fmt.Println(v)
		if i == 0 {
			least, _ := simtest.NewShop().Shrink(v.Seed)
			fmt.Println(simtest.Story(v.Seed, least))
		}
	}
	if report.Runs >= 1000 {
		for _, complaint := range report.Complaints() {
			fmt.Println(complaint)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// exhaustive explores every pair and says whether all of it was clean and complete.
func exhaustive(limit time.Duration) (status int) {
	for _, pair := range simtest.Pairs {
		began := time.Now()
		e := simtest.Explore(pair, limit)
		fmt.Printf("%-26s %8d states %8d steps %6d ends  %s\n", e.Pair, e.States, e.Steps, e.Ends, time.Since(began).Round(time.Second))
		switch {
		case e.Violation != nil:
			fmt.Println(e.Violation)
			for _, line := range e.Story {
				fmt.Println(line)
			}
			status = 1
		case !e.Complete:
			fmt.Println("not complete")
			status = 1
		}
	}
	return status
}
