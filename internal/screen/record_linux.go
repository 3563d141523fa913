package screen

import (
	"fmt"
	"strings"
	"time"
)

// patience is how long one command of a session may take.
const patience = time.Minute

// Record types a session's lines into bash, in a folder and with an environment, and gives what stands on the screen, with a line
// between commands.
func Record(s Session, dir string, env []string) (string, error) {
	lines := s.Typed()
	if len(lines) == 0 {
		return "", fmt.Errorf("nothing is typed in it: a command stands behind %q", "$ ")
	}
	sc, err := Start(dir, append(env, "PS1=$ ", "HISTFILE=/dev/null", "TERM=xterm", "LANG=C.UTF-8"), "bash", "--norc", "--noprofile", "-i")
	if err != nil {
		return "", err
	}
	defer sc.Close()
	at := 0 // what stood there when the last line was typed
	for _, line := range lines {
		if at, err = sc.prompts(at); err != nil {
			return "", err
		}
		if err := sc.Type(line + "\n"); err != nil {
			return "", err
		}
	}
	end, err := sc.prompts(at)
	if err != nil {
		return "", err
	}
	text := sc.Text()[:end]
	text = text[strings.Index(text, "$ "):strings.LastIndexByte(text, '\n')]
	var out strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "$ ") && out.Len() > 0 {
			out.WriteString("\n")
		}
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return out.String(), nil
}

// prompts waits until the screen ends with a prompt or a question that stood there not before, and gives how much stands there.
func (s *Screen) prompts(before int) (int, error) {
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		text := s.Text()
		if len(text) > before && prompted.MatchString(text) && (before == 0 || strings.Contains(text[before:], "\n") || strings.HasSuffix(text, "[y/N] ")) {
			return len(text), nil
		}
		if time.Now().After(end) {
			return 0, fmt.Errorf("no prompt after %s:\n%s", patience, text)
		}
	}
}
