package lab

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
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program in a process group of its own, so that stopping it stops what it started.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// stop asks the program to end, which lets it end what it started, and then ends the whole group.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(3 * time.Second):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// startEmulator starts the emulator on a free port. Another program may take the port in between: then it tries again.
func (l *Lab) startEmulator(ctx context.Context) error {
	var err error
	for range 3 {
		if err = l.tryEmulator(ctx); err == nil {
			return nil
		}
	}
	return err
}

func (l *Lab) tryEmulator(ctx context.Context) error {
	port, err := freePort()
	if err != nil {
		return fmt.Errorf("looking for a free port: %w", err)
	}
	out, err := os.Create(l.EmulatorLog())
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	l.Endpoint = "http://127.0.0.1:" + strconv.Itoa(port)
	cmd := exec.Command(filepath.Join(l.Root, ".tools/emulator/bin/python"), "-m", "emulator", "--with-parent")
	cmd.Dir = filepath.Join(l.Root, "e2e")
	cmd.Env = append(l.environment("test"),
		"GATEWAY_PORT="+strconv.Itoa(port), "MINISTACK_ACCOUNT_ID="+Customer, "MINISTACK_REGION="+Region,
		"PYTHONDONTWRITEBYTECODE=1", "TMPDIR="+l.Dir)
	cmd.Env = append(cmd.Env, l.settings...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the emulator: %w", err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.done) }()
	if err := l.ready(ctx, p); err != nil {
		p.stop()
		log, _ := os.ReadFile(l.EmulatorLog())
		return fmt.Errorf("%w; its log ends with:\n%s", err, log[max(0, len(log)-2000):])
	}
	l.emulator = p
	return nil
}

func (l *Lab) ready(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		if answer, err := http.Get(l.Endpoint + "/_ministack/ready"); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.done:
			return errors.New("the emulator ended while starting")
		case <-ctx.Done():
			return errors.New("the emulator did not answer within 30 s")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// environment is what programs of the lab get: nothing of the caller's AWS settings, the emulator's address, and key as
// the access key. HOME lies in the lab, because the CDK CLI caches which account a key belongs to.
func (l *Lab) environment(key string) []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "AWS_") && !strings.HasPrefix(kv, "HOME=") {
			env = append(env, kv)
		}
	}
	return append(env, "HOME="+l.Dir, "AWS_ENDPOINT_URL="+l.Endpoint, "AWS_ENDPOINT_URL_S3="+l.Endpoint,
		"AWS_REGION="+Region, "AWS_DEFAULT_REGION="+Region, "AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY=test",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
}

// run runs a program to its end, with its whole group stopped if ctx ends first.
func (l *Lab) run(ctx context.Context, env []string, name string, args ...string) (stdout, stderr []byte, err error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = l.Root, env
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 3 * time.Second
	err = cmd.Run()
	return out.Bytes(), talk.Bytes(), err
}
