package trust

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tailscale/hujson"
)

// own says whether a Sid is one of Countersign's on a created role.
func own(sid string) bool {
	switch sid {
	case SidBorn, SidClosed, SidCurrent, SidSourceIdentity:
		return true
	}
	return isPrevious(sid)
}

// block is a statement that Countersign wants, as JSON.
type block struct {
	sid string
	src []byte
}

// closedBlock is the Deny of a closed role. It names every way to assume a role, because an adopted role may have others
// than sts:AssumeRole.
func closedBlock() block {
	return block{SidClosed, []byte(`{"Sid":"CountersignClosed","Effect":"Deny","Principal":"*",` +
		`"Action":["sts:AssumeRole","sts:AssumeRoleWithSAML","sts:AssumeRoleWithWebIdentity"]}`)}
}

// oneOrMany is IAM's shorter form of a list.
func oneOrMany(list []string) any {
	if len(list) == 1 {
		return list[0]
	}
	return list
}

// writeJSON writes a value in one line and without HTML's escapes. Maps come out in the order of their keys.
func writeJSON(v any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil // strings, lists and maps of them always encode
	}
	return bytes.TrimRight(out.Bytes(), "\n")
}

// allowBlock is an Allow of the plan for its principals.
func allowBlock(p Plan, sid, action string, more Conditions) block {
	all := map[string]map[string]any{}
	for _, conditions := range []Conditions{p.Conditions, more} {
		for op, keys := range conditions {
			if all[op] == nil {
				all[op] = map[string]any{}
			}
			for key, values := range keys {
				all[op][key] = oneOrMany(values)
			}
		}
	}
	s := struct {
		Sid       string
		Effect    string
		Principal map[string]any
		Action    string
		Condition map[string]map[string]any `json:",omitempty"`
	}{sid, "Allow", map[string]any{"AWS": oneOrMany(p.Principals)}, action, all}
	return block{sid, writeJSON(s)}
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// until is a condition that ends at a date, none where it is zero.
func until(end time.Time) Conditions {
	if end.IsZero() {
		return Conditions{}
	}
	return Conditions{"DateLessThan": {"aws:CurrentTime": {formatDate(end)}}}
}

// wanted is what a plan wants of a created role, without the Deny of a closed one.
func wanted(p Plan) []block {
	var list []block
	if p.NoExternalID {
		list = append(list, allowBlock(p, SidCurrent, ActionAssumeRole, until(p.Expires)))
	} else {
		ids := []string{p.Current}
		if p.Pending != "" {
			ids = append(ids, p.Pending)
		}
		now := until(p.Expires)
		now["StringEquals"] = map[string][]string{"sts:ExternalId": ids}
		list = append(list, allowBlock(p, SidCurrent, ActionAssumeRole, now))
		if p.Previous.ID != "" {
			// One date only: two values of DateLessThan would be OR-ed.
			then := until(earlier(p.Previous.Until, p.Expires))
			then["StringEquals"] = map[string][]string{"sts:ExternalId": {p.Previous.ID}}
			then["StringNotLike"] = map[string][]string{"sts:RoleSessionName": {ConfirmSessions}}
			list = append(list, allowBlock(p, SidPrevious, ActionAssumeRole, then))
		}
	}
	if p.SourceIdentity {
		list = append(list, allowBlock(p, SidSourceIdentity, ActionSetSourceIdentity, until(p.Expires)))
	}
	return list
}

// checkCreated refuses a plan that a created role can't follow.
func checkCreated(p Plan) error {
	if len(p.Principals) == 0 {
		return refuse("", "the plan names no principal")
	}
	for _, raw := range p.Principals {
		switch readPrincipal(raw).kind {
		case principalAccount, principalUser, principalRole, principalSession, principalFederated:
		case principalEveryone:
			return refuse("", `the plan's principal is "*", which is everybody`)
		default:
			return refuse("", "a principal of the plan is neither an account nor the ARN of a principal: %.100q", raw)
		}
	}
	for op, keys := range p.Conditions {
		if !readOperator(op).known {
			return refuse("", "the plan has an unknown condition operator %.40q", op)
		}
		for key, values := range keys {
			lower := strings.ToLower(key)
			switch {
			case checkCharacters([]byte(key+strings.Join(values, ""))) != nil:
				return refuse("", "the plan's condition %s has a character that IAM refuses: it takes U+0020 to U+00FF", op)
			case len(values) == 0:
				return refuse("", "the plan's condition %s %s has no values", op, key)
			case lower == keyExternalID, lower == keyRoleSessionName && op == "StringNotLike", lower == keyCurrentTime && op == "DateLessThan":
				return refuse("", "the plan's condition %s %s is Countersign's own", op, key)
			}
		}
	}
	if p.NoExternalID {
		if p.Current != "" || p.Pending != "" || p.Previous.ID != "" {
			return refuse("", "the plan has external IDs although they are switched off")
		}
		return nil
	}
	if p.Current == "" {
		return refuse("", "the plan has no current external ID")
	}
	return nil
}

// applyCreated puts the plan's statements in place of Countersign's own and leaves all others.
func applyCreated(d *Document, p Plan, want []block) (*Document, []string, error) {
	if err := d.checkOwnDenies(Created); err != nil {
		return nil, nil, err
	}
	e := d.draft()
	var drift []string
	seen := map[string]bool{}
	foreign := false
	for i, n := 0, 0; n < len(d.policy.statements); n++ {
		s := &d.policy.statements[n]
		at := slices.IndexFunc(want, func(b block) bool { return b.sid == s.sid })
		switch {
		case !own(s.sid):
			foreign = true
			drift = append(drift, s.name()+" is not Countersign's: "+s.describe()+"; left alone")
			i++
		case at < 0 || seen[s.sid]:
			note, err := surplus(s, p, seen[s.sid])
			if err != nil {
				return nil, nil, err
			}
			if note != "" {
				drift = append(drift, note)
			}
			e.drop(i)
		default:
			seen[s.sid] = true
			v, w, err := readBlock(want[at])
			if err != nil {
				return nil, nil, err
			}
			if s.meaning != w.meaning {
				drift = append(drift, mended(s, w, p)...)
				e.replace(i, v)
			}
			i++
		}
	}
	for _, b := range want {
		if seen[b.sid] {
			continue
		}
		v, _, err := readBlock(b)
		if err != nil {
			return nil, nil, err
		}
		e.add(v)
	}
	if d.policy.version != "2012-10-17" {
		drift = append(drift, "Version is not 2012-10-17")
		if !foreign {
			e.setVersion()
		}
	}
	if len(d.policy.extra) > 0 {
		drift = append(drift, "the document has elements beside Version and Statement; left alone")
	}
	after, err := e.document()
	return after, drift, err
}

// checkOwnDenies refuses a Deny under a Sid of Countersign's Allows: to take it away could let in whom it keeps out, and to
// leave it would give two statements one Sid. On a created role without foreign Allows nobody else can come in.
func (d *Document) checkOwnDenies(kind RoleKind) error {
	alone := kind == Created && !slices.ContainsFunc(d.policy.statements, func(s statement) bool { return !own(s.sid) && s.effect != "Deny" })
	for i := range d.policy.statements {
		s := &d.policy.statements[i]
		ours := isPrevious(s.sid) || kind == Created && own(s.sid) && s.sid != SidBorn && s.sid != SidClosed
		if ours && s.effect == "Deny" && !alone {
			return refuse(s.name(), "it is a Deny under a Sid that Countersign gives its Allows: rename it or take it out")
		}
	}
	return nil
}

func readBlock(b block) (v hujson.ValueTrimmed, s *statement, err error) {
	if v, err = parseValue(b.src); err != nil {
		return nil, nil, err
	}
	s = &statement{}
	return v, s, s.read(b.src, v.(*hujson.Object))
}

// phase is what a statement of ours has in common with itself in another phase of a plan.
const phase = withoutDate | withoutID

// surplus says why a statement of ours that the plan doesn't want is drift; most are simply over.
func surplus(s *statement, p Plan, again bool) (string, error) {
	switch {
	case again:
		return s.name() + " stands there a second time; removed", nil
	case s.sid != SidPrevious && isPrevious(s.sid):
		return s.name() + " is not a statement of a created role; removed", nil
	case s.sid == SidBorn || s.sid == SidClosed:
		if s.deniesEverybody() {
			return "", nil
		}
	case s.sid == SidPrevious && p.NoExternalID, len(p.Principals) == 0: // the plan doesn't say what it was like
		return "", nil
	default:
		p.SourceIdentity, p.Previous.ID = true, p.Current
		for _, b := range wanted(p) {
			if b.sid != s.sid {
				continue
			}
			if _, w, err := readBlock(b); err != nil || s.canonical(phase) == w.canonical(phase) && len(ids(s)) <= 1 {
				return "", err
			}
		}
	}
	return s.name() + " was not as Countersign writes it: " + s.describe() + "; removed", nil
}

// mended says what of a statement of ours was neither as the plan asks nor as another phase of it would.
func mended(s, want *statement, p Plan) []string {
	var drift []string
	limited := func(s *statement) bool { t, ok := s.limit(); return ok && !t.IsZero() }
	lost := limited(want) && !limited(s) && (s.sid != SidPrevious || !p.Previous.Endless)
	if s.canonical(phase) != want.canonical(phase) || lost {
		drift = append(drift, s.name()+" was not as the plan asks: "+s.describe()+"; mended")
	}
	known := append([]string{p.Current, p.Pending, p.Previous.ID}, p.Retired...)
	// A lone ID of CountersignPrevious may be of an earlier rotation.
	if c := s.plainID(); c != nil && (s.sid == SidCurrent || len(c.values) > 1) {
		for _, id := range c.values {
			if !slices.Contains(known, id) {
				drift = append(drift, s.name()+" accepted "+Fingerprint(id)+", which the plan doesn't know; removed")
			}
		}
	}
	return drift
}
