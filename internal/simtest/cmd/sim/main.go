// Command sim runs Countersign's functions beside each other on the embedded AWS, seed by seed, and says what came of it. A
// seed that breaks a promise is shrunk and told as a story. The same seed of the same commit does the same again.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/debug"
	"sync/atomic"
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
		only    = flag.String("pair", "", "with -exhaustive: only the pairs whose name matches this regexp")
		whole   = flag.Bool("whole", false, "tell the run of -seed as it is, not shrunk")
	)
	flag.Parse()
	debug.SetGCPercent(800) // little of a run lives on
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano()) % 1e12
	}
	if *all {
		pattern, err := regexp.Compile(*only)
		if err != nil {
			fmt.Fprintf(os.Stderr, "sim: -pair: %v\n", err)
			os.Exit(2)
		}
		os.Exit(exhaustive(pattern, *limit, *workers))
	}
	if *whole {
		fmt.Println(simtest.Story(*seed, simtest.Options{}))
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	so := &simtest.Progress{Found: func(v *simtest.Violation) { fmt.Fprintln(os.Stderr, v) }}
	go now(func() string {
		return fmt.Sprintf("%d runs, %d steps, %d violations", so.Runs.Load(), so.Steps.Load(), so.Violations.Load())
	})
	report := simtest.Batch(ctx, *seed, *runs, *limit, *workers, so)
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

// now says every now and then how far something has come.
func now(far func() string) {
	for began := time.Now(); ; {
		time.Sleep(10 * time.Second)
		fmt.Fprintf(os.Stderr, "%s  %s\n", time.Since(began).Round(time.Second), far())
	}
}

// exhaustive explores pairs, several at a time, and says whether all of it was clean and complete.
func exhaustive(only *regexp.Regexp, limit time.Duration, workers int) (status int) {
	slots, done, under := make(chan struct{}, workers), make(chan simtest.Exploration), 0
	for _, pair := range simtest.Pairs {
		if !only.MatchString(pair.Name) {
			continue
		}
		under++
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			so := &atomic.Uint64{}
			go now(func() string { return fmt.Sprintf("%s: %d states", pair.Name, so.Load()) })
			done <- simtest.Explore(pair, limit, so)
		}()
	}
	if under == 0 {
		fmt.Fprintf(os.Stderr, "sim: no pair matches %s\n", only)
		return 2
	}
	for ; under > 0; under-- {
		e := <-done
		fmt.Printf("%-26s %8d states %8d steps %6d ends  %s\n", e.Pair, e.States, e.Steps, e.Ends, e.Took.Round(time.Second))
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
