package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// said is the output of go test -json from lines "action test output".
func said(lines ...string) string {
	var out strings.Builder
	for _, line := range lines {
		part := append(strings.SplitN(line, " ", 3), "", "")
		fmt.Fprintf(&out, `{"Action":%q,"Package":"p","Test":%q,"Output":%q}`+"\n", part[0], strings.TrimPrefix(part[1], "-"), part[2])
	}
	return out.String()
}

func TestVerdicts(t *testing.T) {
	passes := []string{"run TestA", "output TestA --- PASS: TestA", "pass TestA", "pass"}
	fails := []string{"run TestA", "run TestA/one", "output TestA/one closed wins: no", "fail TestA/one", "fail TestA", "run TestB", "fail TestB", "fail"}
	for name, c := range map[string]struct {
		lines   []string
		expect  string
		verdict verdict
		failed  []string
	}{
		"every test passes":               {passes, "", survived, nil},
		"every test passes, one expected": {passes, "TestA", survived, nil},
		"tests fail":                      {fails, "", wasKilled, []string{"TestA/one", "TestB"}},
		"by what it should":               {fails, "^closed wins", wasKilled, []string{"TestA/one", "TestB"}},
		"by something else":               {fails, "open wins", killedByOther, []string{"TestA/one", "TestB"}},
		"what passed says what it should": {append([]string{"run TestC", "output TestC TestC", "pass TestC"}, fails...), "TestC", killedByOther, []string{"TestA/one", "TestB"}},
		"it doesn't build":                {[]string{"build-output - no such name", "build-fail", "fail"}, "", notBuilt, nil},
		"one package doesn't build":       {append([]string{"build-fail"}, fails...), "", notBuilt, []string{"TestA/one", "TestB"}},
		"it stops before a test":          {[]string{"output - panic: init", "fail"}, "", notBuilt, nil},
		"it stops in a test":              {[]string{"run TestA", "output TestA panic: nil", "fail TestA", "fail"}, "", wasKilled, []string{"TestA"}},
		"it stops behind the tests":       {[]string{"run TestA", "pass TestA", "output - exit", "fail"}, "", wasKilled, nil},
		"it runs out of time":             {[]string{"run TestA", "output TestA panic: test timed out after 1m0s", "fail TestA", "fail"}, "", tooSlow, []string{"TestA"}},
		"it runs out of time, as it must": {[]string{"run TestA", "output TestA panic: test timed out after 1m0s", "fail TestA", "fail"}, "timed out", wasKilled, []string{"TestA"}},
	} {
		r, err := readResult(strings.NewReader(said(c.lines...)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		m := mutant{name: "m"}
		if c.expect != "" {
			m.expect = append(m.expect, regexp.MustCompile(c.expect))
		}
		if j := judge(m, r); j.verdict != c.verdict || !slices.Equal(r.failed, c.failed) {
			t.Errorf("%s: %s by %q, want %s by %q", name, j.verdict, r.failed, c.verdict, c.failed)
		}
	}
}

func TestOnlyTestsThatRanCount(t *testing.T) {
	for name, lines := range map[string][]string{
		"no test": {"output - testing: warning: no tests to run", "pass"}, "no package": nil, "a failure": {"run TestA", "fail TestA", "fail"},
	} {
		if r, err := readResult(strings.NewReader(said(lines...))); err != nil || r.passed() {
			t.Errorf("%s: counts as passed, %v", name, err)
		}
	}
	if _, err := readResult(strings.NewReader("go: no such tool\n")); err == nil {
		t.Error("what isn't JSON was taken for a result")
	}
}
