package screen_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/screen"
)

func TestAProgramHasATerminal(t *testing.T) {
	s, err := screen.Start(t.TempDir(), []string{"PATH=/bin:/usr/bin"}, "sh", "-c", `test -t 0 && test -t 1 && printf '\033[1mname?\033[0m '; read x; echo "hello $x"; exit 7`)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Expect("name? ", 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := s.Type("ann\n"); err != nil {
		t.Fatal(err)
	}
	before, err := s.Expect("hello ann\n", 10*time.Second)
	if err != nil || before != "ann\n" {
		t.Errorf("%q %v", before, err)
	}
	if code := s.Ends(); code != 7 || !strings.Contains(s.Raw(), "\x1b[1m") || strings.Contains(s.Text(), "\x1b") {
		t.Errorf("ended with %d: %q", code, s.Raw())
	}
	if _, err := s.Expect("hello", 50*time.Millisecond); err == nil {
		t.Error("what was looked at is found again")
	}
}

func TestWhatCantStartIsAnError(t *testing.T) {
	if s, err := screen.Start(t.TempDir(), nil, "/no/such/program"); err == nil {
		s.Close()
		t.Error("no error")
	}
}
