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
	out.WriteString(`{"Version":` + quoted(s.policy.version))
	if s.policy.id != "" {
		out.WriteString(`,"Id":` + quoted(s.policy.id))
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
		out.WriteString(`"Sid":` + quoted(st.sid) + `,`)
	}
	out.WriteString(`"Effect":` + quoted(st.effect) + `,`)
	out.WriteString(negated("Principal", st.notPrinc))
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
			out.WriteString(quoted(kind) + ":")
			showList(out, reversed(values))
		}
		out.WriteByte('}')
	}
	out.WriteString("," + negated("Action", st.notAction))
	showList(out, reversed(st.actions))
	if len(st.conditions) > 0 {
		out.WriteString(`,"Condition":{`)
		for i, operator := range reversed(sortedKeys(st.conditions)) {
			comma(out, i)
			out.WriteString(quoted(operator) + ":{")
			keys := st.conditions[operator]
			for i, key := range reversed(sortedKeys(keys)) {
				comma(out, i)
				out.WriteString(quoted(key) + ":")
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

func negated(element string, not bool) string {
	if not {
		element = "Not" + element
	}
	return quoted(element) + ":"
}

func showList(out *bytes.Buffer, values []string) {
	if len(values) == 1 {
		out.WriteString(quoted(values[0]))
		return
	}
	out.WriteByte('[')
	for i, v := range values {
		comma(out, i)
		out.WriteString(quoted(v))
	}
	out.WriteByte(']')
}

// quoted is a JSON string, without the escapes that encoding/json adds for HTML.
func quoted(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return `"` + s + `"` // as almost all are
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil {
		return `""`
	}
	return string(bytes.TrimSpace(out.Bytes()))
}
