package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// result is what go test said.
type result struct {
	tests  int      // that ran
	failed []string // tests, without those that only hold a failed one, in the order in which they failed
	broken bool     // it was not built, or stopped before a test ran
	ok     bool     // no package failed
	output string   // of what failed
	took   time.Duration
}

func (r result) passed() bool   { return r.ok && r.tests > 0 && !r.broken }
func (r result) timedOut() bool { return strings.Contains(r.output, "panic: test timed out after ") }

// summary is the result in a few words.
func (r result) summary() string {
	switch n := len(r.failed); {
	case r.broken:
		return "does not build"
	case n > 1:
		return fmt.Sprintf("%s and %d more", r.failed[0], n-1)
	case n == 1:
		return r.failed[0]
	case r.ok:
		return fmt.Sprintf("%d tests pass", r.tests)
	}
	return "the package fails, no test of it"
}

// event is a line of go test -json.
type event struct {
	Action, Package, Test, Output string
}

// readResult reads the output of go test -json.
func readResult(r io.Reader) (result, error) {
	out := result{ok: true}
	said := map[event]*strings.Builder{} // by package and test
	var failed []event
	for dec := json.NewDecoder(r); ; {
		var e event
		if err := dec.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return out, fmt.Errorf("reading go test -json: %w", err)
		}
		who := event{Package: e.Package, Test: e.Test}
		if said[who] == nil {
			said[who] = &strings.Builder{}
		}
		switch said[who].WriteString(e.Output); e.Action {
		case "run":
			out.tests++
		case "build-fail":
			out.broken, out.ok = true, false
			failed = append(failed, who)
		case "fail":
			out.ok = false
			failed = append(failed, who)
			if e.Test != "" && !slices.ContainsFunc(out.failed, func(sub string) bool { return strings.HasPrefix(sub, e.Test+"/") }) {
				out.failed = append(out.failed, e.Test)
			}
		}
	}
	if out.tests == 0 && !out.ok {
		out.broken = true
	}
	for _, who := range failed {
		out.output += said[who].String()
	}
	return out, nil
}

// verdict is what became of a mutant.
type verdict string

const (
	wasKilled     verdict = "killed"
	survived      verdict = "SURVIVED"
	killedByOther verdict = "killed, but not by"
	tooSlow       verdict = "ran out of time"
	notBuilt      verdict = "does not build"
	notApplied    verdict = "does not apply"
)

// judgement is a mutant with its verdict.
type judgement struct {
	mutant  mutant
	verdict verdict
	result  result
	detail  string // what was expected, or why it doesn't apply
}

// judge says what became of a mutant on which the tests gave a result. A run out of time kills only where that is
// expected: it could be the machine's fault.
func judge(m mutant, r result) judgement {
	j := judgement{mutant: m, result: r, verdict: wasKilled}
	switch {
	case r.broken:
		j.verdict = notBuilt
	case r.ok:
		j.verdict = survived
	case r.timedOut() && len(m.expect) == 0:
		j.verdict = tooSlow
	}
	if j.verdict != wasKilled {
		return j
	}
	for _, re := range m.expect {
		if !re.MatchString(r.output) {
			j.verdict, j.detail = killedByOther, re.String()
		}
	}
	return j
}

// String is the judgement in one line.
func (j judgement) String() string {
	line := fmt.Sprintf("%-8s  %s", j.verdict, j.mutant.name)
	switch j.verdict {
	case killedByOther:
		return fmt.Sprintf("killed    %s: but not by %s; by %s, %.1f s", j.mutant.name, j.detail, j.result.summary(), j.result.took.Seconds())
	case notApplied:
		return line + ": " + j.detail
	case wasKilled:
		line += ": by " + j.result.summary()
	}
	return fmt.Sprintf("%s, %.1f s", line, j.result.took.Seconds())
}
