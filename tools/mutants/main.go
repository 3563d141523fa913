// Command mutants asks whether the tests would notice: it plants known bugs, one at a time, and runs the tests on each.
//
//	go run ./tools/mutants -dir internal/trust/testdata/mutants -min 90 -- ./internal/trust -failfast
//
// A mutant is a patch in the folder: a unified diff whose first line says in words, behind "# ", which bug it is. Lines
// "# expect: REGEXP" say what must be found in the output of the tests that fail: a test's name, or what it prints. What
// stands behind "--" goes to go test, which sees the patched files through -overlay: nothing in the tree is touched, and
// nothing is left behind.
//
// It fails if the tests fail without a mutant, if one survives, is killed by something else than it says, no longer
// applies or doesn't build, and if there are fewer than -min.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "", "folder of the patches")
	flag.IntVar(&o.min, "min", 1, "fail if there are fewer patches")
	flag.IntVar(&o.parallel, "parallel", 1, "how many mutants at a time")
	flag.DurationVar(&o.timeout, "timeout", time.Minute, "for the tests of one mutant")
	flag.StringVar(&o.only, "only", "", "run only patches whose name matches this regexp")
	flag.BoolVar(&o.verbose, "v", false, "print what the tests print on each mutant")
	flag.Parse()
	o.tests = flag.Args()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		stop()
		os.Exit(1)
	}
}

// options are the flags and what stands behind them.
type options struct {
	dir, only     string
	min, parallel int
	timeout       time.Duration
	verbose       bool
	tests         []string // arguments of go test
}

// errNotAllKilled is the answer if the tests or the mutants are not what they should be; what is wrong was printed.
var errNotAllKilled = errors.New("not every mutant was killed as it should be")

func run(ctx context.Context, o options, out io.Writer) error {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if o.dir == "" || len(o.tests) == 0 || o.parallel < 1 {
		return errors.New("usage: mutants -dir FOLDER [-min N] [-parallel N] -- PACKAGE [flags of go test]")
	}
	list, err := readFolder(o.dir)
	if err != nil {
		return err
	}
	if len(list) < o.min {
		return fmt.Errorf("%d patches in %s, and there must be at least %d", len(list), o.dir, o.min)
	}
	list = slices.DeleteFunc(list, func(m mutant) bool { return !only.MatchString(m.name) })

	temp, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	t := tester{temp: temp, timeout: o.timeout, args: o.tests}
	start := time.Now()
	control, err := t.test(ctx, "control", nil)
	if err != nil {
		return err
	}
	if o.verbose || !control.passed() {
		say(out, "%s", control.output)
	}
	if !control.passed() {
		return fmt.Errorf("the tests fail without a mutant, or there are none: %s", control.summary())
	}
	say(out, "%-8s  %d tests pass without a mutant, %.1f s\n", "control", control.tests, control.took.Seconds())
	return report(ctx, o, t.all(ctx, list, o.parallel), start, out)
}

// say prints; a report that nobody reads any more stops nothing.
func say(out io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }

// report prints each verdict as soon as it and those before it are known.
func report(ctx context.Context, o options, judged []<-chan judgement, start time.Time, out io.Writer) error {
	killed := 0
	var bad []judgement
	for _, c := range judged {
		j := <-c
		if ctx.Err() != nil {
			continue // wait until everything has stopped
		}
		if o.verbose {
			say(out, "%s", j.result.output)
		}
		say(out, "%s\n", j)
		if j.verdict == wasKilled {
			killed++
		} else {
			bad = append(bad, j)
		}
	}
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	say(out, "%d of %d mutants killed, %.0f s\n", killed, len(judged), time.Since(start).Seconds())
	if len(bad) == 0 {
		return nil
	}
	say(out, "\n")
	for _, j := range bad {
		say(out, "%s\n    %s\n", j, j.mutant.bug)
	}
	return errNotAllKilled
}
