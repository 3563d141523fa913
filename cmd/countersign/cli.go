package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"charm.land/fang/v2"
	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/foreign"
)

// The exit codes, as --help documents them.
const (
	exitDone     = 0
	exitFailed   = 1
	exitInput    = 2
	exitRefused  = 3
	exitDenied   = 4
	exitNotSeen  = 5
	exitCodeHelp = `Exit codes: 0 done, 1 failed, 2 bad input, 3 refused, 4 denied by AWS,
5 accepted but not yet visible.`
)

// cli is what every command needs of the world outside.
type cli struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(string) string
	now            func() time.Time
	wait           func(context.Context, time.Duration) error

	lent atomic.Bool // the terminal is another program's: nothing is asked

	json bool // --json: results and errors as JSON
}

// exitError is an error with the exit code that it ends the program with.
type exitError struct {
	code int
	err  error
	next string // what to try, as a sentence; may be empty
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// fail makes an exitError from a code, what to try next, and a message.
func fail(code int, next, format string, args ...any) error {
	return &exitError{code: code, next: next, err: fmt.Errorf(format, args...)}
}

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env func(string) string) int {
	c := &cli{stdin: stdin, stdout: stdout, stderr: stderr, env: env, now: time.Now, wait: wait}
	return c.run(ctx, args)
}

func (c *cli) run(ctx context.Context, args []string) int {
	root := newRootCommand(c)
	root.SetArgs(args)
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	var failed error
	catchErrors(root, &failed)
	if err := fang.Execute(ctx, root, fang.WithVersion(buildOf().Version), fang.WithErrorHandler(func(io.Writer, fang.Styles, error) {})); err != nil {
		// Only cobra's own errors come this way: unknown commands and flags, wrong arguments.
		failed = &exitError{code: exitInput, err: err, next: "countersign --help lists the commands and their flags."}
		c.json = c.json || hasJSONFlag(args)
	}
	return c.report(failed)
}

// catchErrors keeps the commands' errors from fang, which would ask the terminal for its colours before printing them.
func catchErrors(cmd *cobra.Command, failed *error) {
	if inner := cmd.RunE; inner != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*failed = inner(cmd, args)
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		catchErrors(sub, failed)
	}
}

// hasJSONFlag looks for --json where the flags could not be parsed.
func hasJSONFlag(args []string) bool {
	for _, a := range args {
		if a == "--" {
			return false
		}
		if a == "--json" || a == "--json=true" {
			return true
		}
	}
	return false
}

// report prints an error to stderr and gives the exit code.
func (c *cli) report(err error) int {
	if err == nil {
		return exitDone
	}
	if ended, ok := errors.AsType[childExit](err); ok {
		return int(ended) // it has said what there was to say
	}
	code, next := exitFailed, ""
	if e, ok := errors.AsType[*exitError](err); ok {
		code, next = e.code, e.next
	}
	if c.json {
		_ = writeJSON(c.stderr, struct {
			Error string `json:"error"`
			Next  string `json:"next,omitempty"`
			Exit  int    `json:"exit"`
		}{err.Error(), next, code})
		return code
	}
	c.complain(strings.TrimSuffix(err.Error(), "\n"))
	if next != "" {
		c.complain(next)
	}
	return code
}

// complain writes a line of an error, on a terminal broken between words. Lines that are laid out already stay.
func (c *cli) complain(line string) {
	if isTerminal(c.stderr) && !strings.Contains(line, "\n") {
		b := block{}
		b.wrapFlat(line)
		c.tell("%s", b.String())
		return
	}
	c.tell("%s\n", line)
}

// tell writes to stderr. Nobody can be told if that fails.
func (c *cli) tell(format string, args ...any) { _, _ = fmt.Fprintf(c.stderr, format, args...) }

func writeJSON(w io.Writer, v any) error {
	var doc bytes.Buffer
	enc := json.NewEncoder(&doc)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(foreign.JSON(doc.Bytes()))
	return err
}

// isTerminal says whether a stream of this program is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(term.File)
	return ok && term.IsTerminal(f.Fd())
}

// wait sleeps for d or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
