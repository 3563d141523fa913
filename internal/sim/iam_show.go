package sim

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// shown is a trust policy as GetRole returns it, URL-decoded: lists of one as scalars, lists in another order than they were
// written, conditions by name, accounts as their root's ARN, deleted principals as unique ids. The order is made as strange
// as AWS's documentation lets it be, so that nothing can lean on it.
func (m *IAM) shown(s *stored) []byte {
	if s.shown != nil && !m.deleted(s) {
		return s.shown
	}
	var out bytes.Buffer
	out.Grow(len(s.policy.source) + 100)
	out.WriteString(`{"Version":`)
	quote(&out, s.policy.version)
	if s.policy.id != "" {
		out.WriteString(`,"Id":`)
		quote(&out, s.policy.id)
	}
	out.WriteString(`,"Statement":[`)
	for i, st := range s.policy.statements {
		if i > 0 {
			out.WriteByte(',')
		}
		m.showStatement(&out, s, st)
	}
	out.WriteString(`]}`)
	if !m.deleted(s) {
		s.shown = out.Bytes()
	}
	return out.Bytes()
}

func (m *IAM) showStatement(out *bytes.Buffer, s *stored, st statement) {
	out.WriteByte('{')
	if st.sid != "" {
		out.WriteString(`"Sid":`)
		quote(out, st.sid)
		out.WriteByte(',')
	}
	out.WriteString(`"Effect":`)
	quote(out, st.effect)
	out.WriteByte(',')
	showElement(out, "Principal", st.notPrinc)
	if _, star := st.principals["*"]; star {
		out.WriteString(`"*"`)
	} else {
		out.WriteByte('{')
		for i, kind := range sortedKeys(st.principals) {
			values := st.principals[kind]
			if kind == "AWS" {
				values = slices.Clone(values)
				for i, arn := range values {
					values[i] = m.principal(s, arn)
				}
				slices.Sort(values)
				values = slices.Compact(values)
			}
			comma(out, i)
			showName(out, kind)
			showList(out, reversed(values))
		}
		out.WriteByte('}')
	}
	out.WriteByte(',')
	showElement(out, "Action", st.notAction)
	showList(out, reversed(st.actions))
	if len(st.conditions) > 0 {
		out.WriteString(`,"Condition":{`)
		for i, operator := range reversed(sortedKeys(st.conditions)) {
			comma(out, i)
			showName(out, operator)
			out.WriteByte('{')
			keys := st.conditions[operator]
			for i, key := range reversed(sortedKeys(keys)) {
				comma(out, i)
				showName(out, key)
				showList(out, reversed(keys[key]))
			}
			out.WriteByte('}')
		}
		out.WriteByte('}')
	}
	out.WriteByte('}')
}

func comma(out *bytes.Buffer, i int) {
	if i > 0 {
		out.WriteByte(',')
	}
}

func showElement(out *bytes.Buffer, element string, not bool) {
	if not {
		element = "Not" + element
	}
	showName(out, element)
}

// showName writes a member's name and the colon.
func showName(out *bytes.Buffer, name string) {
	quote(out, name)
	out.WriteByte(':')
}

func showList(out *bytes.Buffer, values []string) {
	if len(values) == 1 {
		quote(out, values[0])
		return
	}
	out.WriteByte('[')
	for i, v := range values {
		comma(out, i)
		quote(out, v)
	}
	out.WriteByte(']')
}

// quote writes a JSON string, without the escapes that encoding/json adds for HTML.
func quote(out *bytes.Buffer, s string) {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) { // as almost all are
		out.WriteByte('"')
		out.WriteString(s)
		out.WriteByte('"')
		return
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s)           // a string always encodes
	out.Truncate(out.Len() - 1) // the line feed
}
