package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// patience is how long a process may take to its first request.
const patience = 30 * time.Second

// process is what is started: a program and the whole of its environment.
type process struct {
	path string
	args []string
	env  []string
}

// sample is one start, or the medians of many.
type sample struct {
	start time.Duration // from just before the process is made to its first GET …/next
	peak  int64         // resident memory at its highest until then, bytes
}

// environment is what Lambda and the stack give to every function. Nothing in it is reached: no function calls AWS
// before its first event.
func environment() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "LANG=en_US.UTF-8", "TZ=:UTC",
		"AWS_REGION=eu-central-1", "AWS_DEFAULT_REGION=eu-central-1", "AWS_EXECUTION_ENV=AWS_Lambda_provided.al2023",
		"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=example", "AWS_SESSION_TOKEN=example",
		"AWS_LAMBDA_FUNCTION_NAME=countersign-bench", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/countersign-bench", "AWS_LAMBDA_LOG_STREAM_NAME=bench", "_HANDLER=bootstrap",
		"COUNTERSIGN_GRANTS=migration", "COUNTERSIGN_ACCOUNT=444455556666", "COUNTERSIGN_BUS=countersign",
		"COUNTERSIGN_QUEUE=https://sqs.eu-central-1.amazonaws.com/444455556666/countersign-check",
		"COUNTERSIGN_DELIVERIES=https://sqs.eu-central-1.amazonaws.com/444455556666/countersign-notify",
		"COUNTERSIGN_TABLE=countersign-customers", "COUNTERSIGN_TOPIC=arn:aws:sns:eu-central-1:444455556666:countersign-customers",
		"COUNTERSIGN_DEAD=https://sqs.eu-central-1.amazonaws.com/444455556666/countersign-notify-dead",
		"COUNTERSIGN_STACK=arn:aws:cloudformation:eu-central-1:444455556666:stack/bench/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9", "COUNTERSIGN_SETTLE=15s",
		"COUNTERSIGN_STACK_VERSION=bench", "COUNTERSIGN_MAIL_FROM=countersign@example.com",
	}
}

// compare starts both processes in turn, once unmeasured to warm the disk's cache, then runs times, and gives the medians.
func compare(ctx context.Context, a, b process, runs int) (sample, sample, error) {
	samples := map[*process][]sample{}
	for i := range runs + 1 {
		for _, p := range []*process{&a, &b} {
			s, err := start(ctx, *p)
			if err != nil {
				return sample{}, sample{}, err
			}
			if i > 0 {
				samples[p] = append(samples[p], s)
			}
		}
	}
	return medians(samples[&a]), medians(samples[&b]), nil
}

// start runs a process against a runtime API of its own until it asks for an event, and ends it there.
func start(ctx context.Context, p process) (sample, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return sample{}, err
	}
	asked, done := make(chan time.Time, 1), make(chan struct{})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/runtime/invocation/next") {
			select {
			case asked <- time.Now():
			default:
			}
			<-done // the process waits for its first event, as Lambda lets it
			return
		}
		w.WriteHeader(http.StatusAccepted) // a failed init is reported here
	})}
	go func() { _ = server.Serve(listener) }()
	defer func() { close(done); _ = server.Close() }()

	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, p.path, p.args...)
	cmd.Env = append(slices.Clone(p.env), "AWS_LAMBDA_RUNTIME_API="+listener.Addr().String())
	cmd.Stdout, cmd.Stderr = &said, &said
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return sample{}, err
	}
	var failed error
	ended := make(chan struct{})
	go func() { failed = cmd.Wait(); close(ended) }()
	select {
	case at := <-asked:
		peak, err := peakMemory(cmd.Process.Pid)
		_ = cmd.Process.Kill()
		<-ended
		return sample{at.Sub(began), peak}, err
	case <-ended:
		return sample{}, fmt.Errorf("%s ended before its first request (%v): %s", filepath.Base(p.path), failed, tail(said.Bytes()))
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		<-ended
		return sample{}, fmt.Errorf("%s did not ask for an event within %s: %s", filepath.Base(p.path), patience, tail(said.Bytes()))
	}
}

// tail is the end of what a process said, which tells why it ended.
func tail(said []byte) []byte { return said[max(0, len(said)-1000):] }

// peakMemory is VmHWM of a living process. A child's rusage would not do: Linux lets it start at its parent's peak.
func peakMemory(pid int) (int64, error) {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, err
	}
	return parsePeak(string(status))
}

func parsePeak(status string) (int64, error) {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no VmHWM in /proc/…/status")
}

// medians takes each figure's median by itself.
func medians(samples []sample) sample {
	starts, peaks := make([]time.Duration, len(samples)), make([]int64, len(samples))
	for i, s := range samples {
		starts[i], peaks[i] = s.start, s.peak
	}
	return sample{median(starts), median(peaks)}
}

func median[T time.Duration | int64 | float64](values []T) T {
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
