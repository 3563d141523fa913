package simtest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// Line is one step of a run's story.
type Line struct {
	Step    int
	At      time.Time
	Who     string // the process: ann#1
	As      string // whose call it is: revoke
	What    string // the call
	Outcome string // "" where it worked
	Then    string // what the trust policy says afterwards, where it changed
}

// String is the line as it is printed.
func (l Line) String() string {
	out := fmt.Sprintf("%5d  %s  %-18s %-10s %s", l.Step, l.At.Format("02 15:04:05"), l.Who, l.As, l.What)
	if l.Outcome != "" {
		out += "  -- " + l.Outcome
	}
	if l.Then != "" {
		out += "\n" + strings.Repeat(" ", 27) + "=> " + l.Then
	}
	return out
}

// Story tells a run: who did what in which order, at which virtual time, and what came of it.
func Story(seed uint64, o Options) string {
	var out strings.Builder
	fmt.Fprintf(&out, "seed %d", seed)
	for _, name := range slices.Sorted(maps.Keys(o.Without)) {
		fmt.Fprintf(&out, ", without %s", name)
	}
	fmt.Fprintf(&out, ", %d calls calmed\n", len(o.Calm))
	o.Tell = func(l Line) { fmt.Fprintln(&out, l) }
	if v := NewShop().Run(seed, o).Violation; v != nil {
		fmt.Fprintln(&out, v)
	}
	return out.String()
}

// words are the calls as a story tells them.
var words = map[string]string{
	"GetRole": "reads the trust policy", "UpdateAssumeRolePolicy": "writes the trust policy", "GetRolePolicy": "reads the Deny",
	"PutRolePolicy": "writes the Deny", "TagRole": "tags the role", "GetParameter": "reads the plan", "PutParameter": "writes the plan",
	"DescribeSecret": "reads labels and tags", "GetSecretValue": "reads an external ID", "PutSecretValue": "stores an external ID",
	"UpdateSecretVersionStage": "moves a label", "TagResource": "tags the secret", "RotateSecret": "starts a rotation",
	"ListSecretVersionIds": "lists versions", "PutEvents": "announces", "SendMessage": "puts on a queue:", "SendRawEmail": "sends mail",
	"ChangeMessageVisibility": "leaves to wait on a queue", "DeleteMessage": "ends a message", "FilterLogEvents": "reads the trail", "POST": "calls the webhook",
	"AssumeRole": "enters", "Invoke": "was called:",
}

// told is what of a call's resource a story tells: the kind of the event, the step.
func told(c sim.Call) string {
	switch c.Action {
	case "PutEvents", "Invoke", "SendMessage":
		return c.Resource
	}
	return ""
}

// tell puts a call into words.
func (w *watch) tell(s sim.Seen) {
	l := Line{Step: w.Steps, At: w.Now(), As: s.Actor, What: strings.TrimSpace(cmp.Or(words[s.Action], "calls "+s.Service+":"+s.Action) + " " + told(s.Call))}
	if i := slices.IndexFunc(w.turns, func(t *turn) bool { return t.process == s.Process }); i >= 0 {
		l.Who = w.turns[i].name
	} else if s.Process != nil {
		l.Who = s.Process.Name
	}
	var said []string
	if s.Fault != sim.None {
		said = append(said, s.Fault.String())
	}
	if s.Delay > 0 {
		said = append(said, "late by "+s.Delay.String())
	}
	if s.Replica > 0 {
		said = append(said, fmt.Sprintf("replica %d", s.Replica))
	}
	if s.Fault == sim.None && s.Answer != nil {
		said = append(said, s.Answer.Error())
	}
	l.Outcome = strings.Join(said, ", ")
	if s.Done && (s.Action == "UpdateAssumeRolePolicy" || s.Action == "PutRolePolicy") {
		l.Then = w.accepts()
	}
	if s.Done && (s.Action == "UpdateSecretVersionStage" || s.Action == "PutSecretValue" || s.Action == "RotateSecret") {
		l.Then = w.labelled()
	}
	w.Tell(l)
}

// accepts is what the trust policy and the Deny say, in a line; external IDs as fingerprints.
func (w *watch) accepts() string {
	doc := w.IAM.Shown(w.plan.RoleName(), 0)
	if doc == nil {
		return "a trust policy that can't be read"
	}
	var said []string
	if doc.Born() {
		said = append(said, "born")
	}
	if doc.Closed() {
		said = append(said, "closed")
	}
	for _, a := range doc.Accepted() {
		line := trust.Fingerprint(a.ID)
		if until, ok := doc.Deadline(a.ID); ok && !until.IsZero() {
			line += " until " + until.Format("02 15:04:05")
		}
		said = append(said, line)
	}
	if w.denies(0) {
		said = append(said, "Deny stands")
	}
	return strings.Join(said, ", ")
}

func (w *watch) labelled() string {
	s := w.Secrets.Labels(w.plan.SecretARN)
	for i := range s {
		s[i] = strings.TrimPrefix(s[i], "AWS")
	}
	return strings.Join(s, ", ")
}
