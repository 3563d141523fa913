package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
)

// exitInterrupted is what shells say of a program that Ctrl-C ended; exitNotFound of one that isn't there.
const (
	exitInterrupted = 130
	exitNotFound    = 127
)

// childExit is the exit code of a program that ran for us, and says itself what there is to say.
type childExit int

func (e childExit) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// child runs a program on our own terminal, hands signals on, and ends as it ends.
func (c *cli) child(path string, args, env []string) error {
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, c.stdin, c.stdout, c.stderr
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, handedOn(isTerminal(c.stdin))...)
	defer signal.Stop(signals)
	switch err := cmd.Start(); {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return fail(exitNotFound, "", "%.100q is no program here", path)
	case err != nil:
		return fail(exitNotFound-1, "", "running %.100q: %w", path, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s) // it may have ended
		case err := <-ended:
			failed := (*exec.ExitError)(nil)
			switch {
			case errors.As(err, &failed):
				return childExit(codeOf(failed))
			case err != nil:
				return fmt.Errorf("running %s: %w", path, err)
			}
			return nil
		}
	}
}
