package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// tester runs go test on the tree in the working directory, seen through an overlay.
type tester struct {
	temp    string // everything it writes is in here, go's own temporary files included
	timeout time.Duration
	args    []string
}

// all judges mutants, n at a time, and gives for each a channel on which its judgement comes.
func (t tester) all(ctx context.Context, list []mutant, n int) (out []<-chan judgement) {
	back := make([]chan judgement, len(list))
	for i := range list {
		back[i] = make(chan judgement, 1)
		out = append(out, back[i])
	}
	next := make(chan int, len(list))
	for i := range list {
		next <- i
	}
	close(next)
	for range n {
		go func() {
			for i := range next {
				back[i] <- t.judge(ctx, list[i])
			}
		}()
	}
	return out
}

func (t tester) judge(ctx context.Context, m mutant) judgement {
	files, err := m.apply(os.ReadFile)
	if err != nil {
		return judgement{mutant: m, verdict: notApplied, detail: err.Error()}
	}
	r, err := t.test(ctx, m.name, files)
	if err != nil {
		return judgement{mutant: m, verdict: notBuilt, result: result{output: err.Error() + "\n"}}
	}
	return judge(m, r)
}

// test runs the tests with some files replaced.
func (t tester) test(ctx context.Context, name string, files map[string][]byte) (result, error) {
	overlay, err := t.overlay(name, files)
	if err != nil {
		return result{}, err
	}
	args := append([]string{"test", "-json", "-count=1", "-vet=off", "-timeout=" + t.timeout.String(), "-overlay=" + overlay}, t.args...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "GOTMPDIR="+t.temp)
	// A group of its own, so that an interruption ends the tests too and not only the go command.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	stdout, err := cmd.Output()
	if _, isExit := errors.AsType[*exec.ExitError](err); err != nil && !isExit || ctx.Err() != nil {
		return result{}, errors.Join(err, ctx.Err())
	}
	r, err := readResult(bytes.NewReader(stdout))
	if err != nil {
		return result{}, fmt.Errorf("%w\n%s", err, stderr.Bytes())
	}
	r.took = time.Since(start)
	r.output += stderr.String()
	r.broken = r.broken || r.tests == 0 && stderr.Len() > 0
	return r, nil
}

// overlay writes the files and the list of them that go reads.
func (t tester) overlay(name string, files map[string][]byte) (string, error) {
	dir := filepath.Join(t.temp, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	replace := map[string]string{}
	for path, src := range files {
		real, err := filepath.Abs(path)
		if err != nil {
			return "", err
		}
		replace[real] = filepath.Join(dir, fmt.Sprintf("%d-%s", len(replace), filepath.Base(path)))
		if err := os.WriteFile(replace[real], src, 0o600); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, list, 0o600)
}
