// Package screen is a terminal with a program on it: what a person sees, and what they type. Tests and recordings of sessions
// look at programs through it. It runs on Linux, and decides nothing.
package screen

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// Open makes a pseudo-terminal: what a person sees and types, and what a program has as its streams.
func Open() (person, program *os.File, err error) {
	if person, err = os.OpenFile("/dev/ptmx", os.O_RDWR, 0); err != nil {
		return nil, nil, err
	}
	var number, unlocked uint32
	for request, value := range map[uintptr]*uint32{syscall.TIOCGPTN: &number, syscall.TIOCSPTLCK: &unlocked} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, person.Fd(), request, uintptr(unsafe.Pointer(value))); errno != 0 {
			_ = person.Close()
			return nil, nil, errno
		}
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		_ = person.Close()
		return nil, nil, err
	}
	return person, program, nil
}

// Screen is a terminal with a program on it.
type Screen struct {
	cmd             *exec.Cmd
	person, program *os.File
	from            int // what Expect has not looked at yet

	mu  sync.Mutex
	raw strings.Builder
}

// Start starts a program, which has a terminal of its own and this environment alone.
func Start(dir string, env []string, name string, args ...string) (*Screen, error) {
	person, program, err := Open()
	if err != nil {
		return nil, err
	}
	s := &Screen{cmd: exec.Command(name, args...), person: person, program: program}
	s.cmd.Dir, s.cmd.Env = dir, env
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = program, program, program
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		s.Close()
		return nil, err
	}
	go s.read()
	return s, nil
}

func (s *Screen) read() {
	buf := make([]byte, 4096)
	for {
		n, err := s.person.Read(buf)
		s.mu.Lock()
		s.raw.Write(buf[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Close ends the program and takes the terminal away.
func (s *Screen) Close() {
	if s.cmd.Process != nil {
		_ = s.cmd.Process.Kill()
	}
	_, _ = s.person.Close(), s.program.Close()
}

// Type types.
func (s *Screen) Type(text string) error {
	_, err := s.person.WriteString(text)
	return err
}

// Raw is all that was written so far, with what steers the terminal.
func (s *Screen) Raw() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raw.String()
}

var steering = regexp.MustCompile(`\x1b\[[0-9;?]*[a-zA-Z]|\x1b[\]P][^\x07\x1b]*(\x07|\x1b\\)|\x1b[=>()][0B]?|\r`)

// Text is all that was written so far, as words.
func (s *Screen) Text() string { return steering.ReplaceAllString(s.Raw(), "") }

// Expect waits until a text stands on the screen behind what was expected before, and gives what stands between.
func (s *Screen) Expect(text string, within time.Duration) (before string, err error) {
	for end := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		plain := s.Text()
		rest := plain[min(s.from, len(plain)):]
		if at := strings.Index(rest, text); at >= 0 {
			s.from += at + len(text)
			return rest[:at], nil
		}
		if time.Now().After(end) {
			return rest, fmt.Errorf("%q isn't on the screen after %s:\n%s\n%q", text, within, plain, s.Raw())
		}
	}
}

// Ends waits for the program's end, and gives its exit code.
func (s *Screen) Ends() int {
	_ = s.cmd.Wait()
	return s.cmd.ProcessState.ExitCode()
}
