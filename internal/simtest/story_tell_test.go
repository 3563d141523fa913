package simtest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cockroachdb/datadriven"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
	"github.com/countersign/countersign/internal/trust"
)

// answers says what came of something.
func (s *story) answers(format string, err error, args ...any) {
	var refused *simtest.Refused
	switch {
	case err == nil:
		s.say(format, args...)
	case errors.As(err, &refused):
		s.say("refused: %s", strings.ReplaceAll(refused.Problem.Error, "\n", "; "))
		if refused.Next != "" {
			s.say("  what to try: %s", refused.Next)
		}
	case errors.Is(err, sim.ErrCrashed):
		s.say("no answer: the function crashed")
	default:
		s.say("failed: %s", err)
	}
}

// whoEnters tries everybody with everything: the provider and a stranger with every ID that there ever was, with none and
// with a wrong one, as STS would answer now. What a session may do then is told too.
func (s *story) whoEnters(*datadriven.TestData) {
	s.asked++
	var in []string
	s.quietly(func() {
		role, err := s.IAM.Role(s.ctx, s.plan.RoleName())
		s.must(err)
		doc, _ := trust.Parse(role.Trust)
		for _, who := range slices.Sorted(maps.Keys(people)) {
			with := s.tries(who, doc)
			if len(with) > 0 {
				in = append(in, fmt.Sprintf("the %s enters with %s", who, strings.Join(with, ", ")))
			}
		}
	})
	if len(in) == 0 {
		in = []string{"nobody enters"}
	}
	s.say("%s", strings.Join(in, "\n"))
}

// tries lists with what somebody enters.
func (s *story) tries(who string, doc *trust.Document) (in []string) {
	type try struct{ name, id string }
	tries := []try{{"no ID at all", ""}, {"a wrong ID", "a-wrong-id"}, {"its own ID", vendorsID}}
	for i, id := range s.ids {
		tries = append(tries, try{fmt.Sprintf("id%d", i+1), id.value})
	}
	for _, t := range tries {
		session, err := s.Enter(s.ctx, people[who], s.plan.Grant, t.id)
		if err != nil {
			continue
		}
		name := t.name
		if doc != nil && t.id != "" {
			if until, ok := doc.Deadline(t.id); ok && !until.IsZero() {
				name += " until " + s.day(until)
			}
		}
		if !session.Allowed("s3:ListBucket", "arn:aws:s3:::data", 0) {
			name += " (but may do nothing)"
		}
		in = append(in, name)
	}
	if len(in) == len(tries) {
		return []string{"any ID or none"}
	}
	return in
}

// shows is the API's answer in a few words.
func (s *story) shows(d *datadriven.TestData) {
	var status api.Status
	if err := s.ask(d, "", nil, &status); err != nil {
		s.answers("", err)
		return
	}
	state := string(status.State)
	if state == "" {
		state = "unknown"
	}
	if status.RevokeID != "" {
		state += " by " + status.RevokeID
	}
	if status.State == api.Closed && status.RevokeID == "" {
		state += ", by hand"
	}
	if len(status.Missing) > 0 {
		state += ", not in place yet: " + strings.Join(status.Missing, ", ")
	}
	if status.RestoreTo != "" {
		state += ", being restored"
	}
	var ids []string
	for _, id := range status.Accepted {
		text := id.Fingerprint
		if !id.Until.IsZero() {
			text += " until " + s.day(id.Until)
		}
		ids = append(ids, text)
	}
	if len(ids) > 0 {
		state += "; accepts " + strings.Join(ids, ", ")
	}
	if status.DeadBefore.After(s.Now()) {
		state += "; sessions from before " + s.day(status.DeadBefore) + " are dead"
	}
	s.say("%s: %s", status.Grant, state)
	for _, drift := range status.Drift {
		s.say("  drift: %s", drift)
	}
	if status.Fault != "" {
		s.say("  not everything could be read")
	}
}

// hears tells the events since the last time. A repeat, which consumers drop by its id, is told as one.
func (s *story) hears(*datadriven.TestData) {
	all := s.Bus(simtest.BusName).Events()
	for i, e := range all[s.heard:] {
		again := ""
		for _, before := range all[:s.heard+i] {
			if before.Metadata.ID == e.Metadata.ID {
				again = " (again)"
			}
		}
		s.say("%s  %s%s%s", s.day(e.Metadata.Time), e.Data.Type(), again, s.saying(e.Data))
	}
	if s.heard == len(all) {
		s.say("nothing")
	}
	s.heard = len(all)
}

// saying is what matters of an event.
func (s *story) saying(data events.Data) string {
	switch e := data.(type) {
	case *events.AccessGranted:
		return ": " + s.version(e.VersionID)
	case *events.ExternalIDRotated:
		if e.PreviousUntil.IsZero() {
			return ": " + s.version(e.VersionID) + ", the one before is over"
		}
		return ": " + s.version(e.VersionID) + ", the one before until " + s.day(e.PreviousUntil)
	case *events.PreviousRetired:
		return ": " + s.version(e.VersionID)
	case *events.AccessRevoked:
		return ": " + s.revocation(e.RevokeID) + " by " + e.By[strings.LastIndexByte(e.By, '/')+1:]
	case *events.AccessRestored:
		return ": " + s.version(e.VersionID) + ", undoing " + s.revocation(e.RevokeID) + "; enter from " + s.day(e.ValidFrom)
	case *events.OperationRequested:
		return ": " + e.Operation + " by " + e.By[strings.LastIndexByte(e.By, '/')+1:]
	case *events.RotationFailed:
		return ": " + e.Reason
	case *events.TrustDriftDetected:
		text := map[bool]string{true: " and mended", false: ", a person has to look"}[e.Mended]
		return text + ":\n  " + strings.Join(e.Findings, "\n  ")
	}
	return ""
}

// lists is `calls actor=revoke`: what AWS calls somebody has made so far.
func (s *story) lists(d *datadriven.TestData) {
	for _, c := range s.Calls(option(d, "actor")) {
		s.say("%s:%s", c.Service, c.Action)
	}
}

// failedRuns says which functions failed since the last time.
func (s *story) failedRuns() string {
	failed := map[string]int{}
	all := s.Invocations()
	for _, run := range all[s.ran:] {
		if run.Err != nil {
			failed[run.Function]++
		}
	}
	s.ran = len(all)
	var out string
	for _, function := range slices.Sorted(maps.Keys(failed)) {
		out += fmt.Sprintf("; %s failed %d×", function, failed[function])
	}
	return out
}

// fits holds an event to the schema that we publish of its type.
func (s *story) fits(e events.Envelope) {
	src, err := events.Schema(e.DetailType)
	s.must(err)
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(src))
	s.must(err)
	c := jsonschema.NewCompiler()
	s.must(c.AddResource("urn:schema", schema))
	compiled, err := c.Compile("urn:schema")
	s.must(err)
	body, err := json.Marshal(e)
	s.must(err)
	event, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	s.must(err)
	if err := compiled.Validate(event); err != nil {
		s.t.Errorf("%s doesn't fit its schema: %v", e.DetailType, err)
	}
}
