package main

import (
	"os"
	"os/exec"
)

const defaultShell = "powershell.exe"

// handedOn are none: Windows sends Ctrl-C to every program of a console.
func handedOn(bool) []os.Signal { return []os.Signal{os.Interrupt} }

func codeOf(e *exec.ExitError) int { return e.ExitCode() }
