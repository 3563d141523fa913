// Command bench measures Countersign's functions and holds them to their limits: the size of each binary, and how long
// and how much memory a process needs to come to its first request, next to an equivalent Python function with boto3. Then
// it measures the trust policy engine, next to the same edit through encoding/json and structs, and what a person waits for at the
// keyboard, next to a Python that imports boto3.
//
// Times differ from machine to machine and from minute to minute, so they are judged as ratios: both sides run in turn, on
// the same machine, and their medians are compared. It builds what it measures, needs no AWS account and calls no AWS service.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// The limits.
const (
	maxSize   = 12_000_000 // bytes of one bootstrap
	minFaster = 20.0       // Python's start / Go's start
	maxMemory = 1.0 / 3    // Go's peak memory / Python's
	minHelp   = 4.0        // Python's import of boto3 / the tool's --help
	minList   = 1.0        // the same / a list of 10,000 customers
)

func main() {
	runs := flag.Int("runs", 20, "starts of each side of each function")
	keyboard := flag.Bool("keyboard", false, "measure only what a person waits for at the keyboard")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *runs, *keyboard, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// row is what is known of one function.
type row struct {
	function     string
	size         map[string]int64 // architecture → bytes
	golang, boto sample           // medians
}

func (r row) faster() float64 { return r.boto.start.Seconds() / r.golang.start.Seconds() }
func (r row) memory() float64 { return float64(r.golang.peak) / float64(r.boto.peak) }

func run(ctx context.Context, runs int, keyboard bool, out io.Writer) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("peak memory is read from /proc: run it on Linux, not on %s", runtime.GOOS)
	}
	if runs < 1 {
		return errors.New("-runs must be at least 1")
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	names, err := functions(root)
	if err != nil {
		return err
	}
	python, err := pythonWithBoto(ctx, root)
	if err != nil {
		return err
	}
	strokes, err := measureTool(ctx, root, python, runs)
	if err != nil {
		return fmt.Errorf("measuring the command-line tool: %w", err)
	}
	if keyboard {
		_, err := io.WriteString(out, toolTable(strokes))
		return errors.Join(err, judgeTool(strokes))
	}
	var rows []row
	for _, name := range names {
		r := row{function: name, size: map[string]int64{}}
		for _, arch := range architectures() {
			if r.size[arch], err = build(ctx, root, name, arch); err != nil {
				return err
			}
		}
		clients, err := clientsOf(ctx, root, name)
		if err != nil {
			return err
		}
		ours := process{path: bootstrap(root, name, runtime.GOARCH), env: environment()}
		theirs := process{
			path: python, args: []string{filepath.Join(root, "bench", "python", "handler.py")},
			env: append(environment(), "CLIENTS="+clients),
		}
		if r.golang, r.boto, err = compare(ctx, ours, theirs, runs); err != nil {
			return fmt.Errorf("measuring %s: %w", name, err)
		}
		rows = append(rows, r)
	}
	edits, err := measureEngine(runs)
	if err != nil {
		return fmt.Errorf("measuring the trust policy engine: %w", err)
	}
	if _, err := io.WriteString(out, table(rows, runs)+edits.table()+toolTable(strokes)); err != nil {
		return err
	}
	return errors.Join(judge(rows), edits.judge(), judgeTool(strokes))
}

// table is what a person reads.
func table(rows []row, runs int) string {
	var lines strings.Builder
	line := func(cells ...string) { lines.WriteString(strings.Join(cells, "\t") + "\t\n") }
	line(slices.Concat([]string{"function"}, architectures(), []string{"Go", "Python", "faster", "Go", "Python", "memory"})...)
	for _, r := range rows {
		cells := []string{r.function}
		for _, arch := range architectures() {
			cells = append(cells, fmt.Sprintf("%.1f MB", float64(r.size[arch])/1e6))
		}
		line(append(cells,
			fmt.Sprintf("%.1f ms", milliseconds(r.golang.start)), fmt.Sprintf("%.0f ms", milliseconds(r.boto.start)), fmt.Sprintf("%.0f x", r.faster()),
			fmt.Sprintf("%.0f MiB", mebibytes(r.golang.peak)), fmt.Sprintf("%.0f MiB", mebibytes(r.boto.peak)), fmt.Sprintf("1/%.1f", 1/r.memory()))...)
	}
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = io.WriteString(w, lines.String())
	_ = w.Flush()
	return fmt.Sprintf("From process start to the first request for an event, median of %d, Go and Python in turn.\n\n%s\n"+
		"Limits: %.0f MB, at least %.0f times faster, at most a third of the memory.\n", runs, out.String(), maxSize/1e6, minFaster)
}

// judge names every limit that is missed.
func judge(rows []row) error {
	var missed []error
	for _, r := range rows {
		for _, arch := range architectures() {
			if size := r.size[arch]; size > maxSize {
				missed = append(missed, fmt.Errorf("%s for %s is %d bytes, more than %d: see what it links with go list -deps", r.function, arch, size, maxSize))
			}
		}
		if r.faster() < minFaster {
			missed = append(missed, fmt.Errorf("%s starts %.1f times faster than Python, want at least %.0f: see its init with GODEBUG=inittrace=1", r.function, r.faster(), minFaster))
		}
		if r.memory() > maxMemory {
			missed = append(missed, fmt.Errorf("%s needs %.2f of Python's memory, want at most a third", r.function, r.memory()))
		}
	}
	return errors.Join(missed...)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func mebibytes(bytes int64) float64        { return float64(bytes) / (1 << 20) }
