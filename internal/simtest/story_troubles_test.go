package simtest_test

import (
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/countersign/countersign/internal/sim"
)

// trouble is something that goes wrong, or happens, at a call.
type trouble struct {
	text  string
	who   []string // actors or services
	at    string   // action; empty: any
	fault sim.Fault
	left  int       // how often; used where until is zero
	until time.Time // how long
	lines string    // commands that somebody gives at that moment
	hits  int
}

// regional are the services that are gone with their Region. IAM and STS are elsewhere.
var regional = []string{"secretsmanager", "ssm", "sqs", "events", "lambda", "ses", "sns"}

var faults = map[string]sim.Fault{"fail": sim.Fail, "lose": sim.Lose, "throttle": sim.Throttle, "crash": sim.CrashBefore}

// trouble reads `fail WHO at=ACTION for=2h`; without for= it happens once, or times=N.
func (s *story) trouble(d *datadriven.TestData) {
	x := &trouble{text: d.Pos + ": " + d.Cmd, fault: faults[d.Cmd], left: 1}
	if d.Cmd == "when" {
		if x.lines = d.Input; x.lines == "" {
			d.Fatalf(s.t, "when begins a block: what is done then stands on the lines beneath")
		}
	}
	x.who = []string{word(d, 0)}
	if x.who[0] == "region" {
		x.who = regional
	}
	x.at = option(d, "at")
	if d.HasArg("times") {
		d.ScanArgs(s.t, "times", &x.left)
	}
	if d.HasArg("for") {
		x.until = s.Now().Add(span(s, d, option(d, "for")))
	}
	if d.HasArg("after") && x.fault == sim.CrashBefore {
		x.fault = sim.CrashAfter
	}
	s.troubles = append(s.troubles, x)
}

func (x *trouble) meets(c sim.Call, now time.Time) bool {
	if x.until.IsZero() && x.left == 0 || !x.until.IsZero() && !now.Before(x.until) {
		return false
	}
	return (slices.Contains(x.who, c.Service) || slices.Contains(x.who, c.Actor)) && (x.at == "" || x.at == c.Action)
}

// decide is what becomes of a call.
func (s *story) decide(c sim.Call) (out sim.Outcome) {
	if s.stale && c.Service == "iam" && strings.HasPrefix(c.Action, "Get") {
		out.Replica = 1
	}
	for _, x := range s.troubles {
		if !x.meets(c, s.Now()) {
			continue
		}
		x.left--
		x.hits++
		if x.lines == "" {
			out.Fault = x.fault
			return out
		}
		s.say("as %s comes to %s:", c.Actor, c.Action)
		s.runLines(&datadriven.TestData{Pos: x.text}, x.lines)
	}
	return out
}

// down says whether the Region is.
func (s *story) down() bool {
	return slices.ContainsFunc(s.troubles, func(x *trouble) bool {
		return len(x.who) > 1 && x.meets(sim.Call{Service: "lambda"}, s.Now())
	})
}

// quietly does something that no trouble meets and nobody would do: looking into the world.
func (s *story) quietly(act func()) {
	schedule := s.Schedule
	s.Schedule = nil
	defer func() { s.Schedule = schedule }()
	act()
}

// word is the argument without a value at a place, "" where there is none.
func word(d *datadriven.TestData, n int) string {
	for _, arg := range d.CmdArgs {
		if len(arg.Vals) == 0 {
			if n == 0 {
				return arg.Key
			}
			n--
		}
	}
	return ""
}

// option is an argument's value, "" where it isn't given.
func option(d *datadriven.TestData, key string) string {
	for _, arg := range d.CmdArgs {
		if arg.Key == key {
			return strings.Join(arg.Vals, ", ")
		}
	}
	return ""
}

// span reads a duration, in days too.
func span(s *story, d *datadriven.TestData, text string) time.Duration {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		return 24 * span(s, d, days+"h")
	}
	out, err := time.ParseDuration(text)
	if err != nil {
		d.Fatalf(s.t, "%v", err)
	}
	return out
}
