//go:build !windows

package main

import (
	"os"
	"os/exec"
	"syscall"
)

const defaultShell = "/bin/sh"

// handedOn are the signals that a child gets from us. What a terminal sends reaches it by itself.
func handedOn(terminal bool) []os.Signal {
	signals := []os.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2}
	if !terminal {
		signals = append(signals, syscall.SIGINT, syscall.SIGQUIT)
	}
	return signals
}

// codeOf is the exit code as a shell gives it: 128 and the signal's number for a program that a signal ended.
func codeOf(e *exec.ExitError) int {
	if status, ok := e.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return e.ExitCode()
}
