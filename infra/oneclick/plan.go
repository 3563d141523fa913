package oneclick

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// The plan is JSON in a string, and CloudFormation has no conditions within strings. So while templates are merged the plan
// stands as what it says, under this key in the place of the string; then it is written as a join of texts.
const planKey = "Plan"

// hole is the place of one of CloudFormation's functions within the plan's texts.
var hole = regexp.MustCompile(`«(\d+)»`)

// holes are the functions that stood in plans.
type holes struct{ values []any }

// open reads the plan of a template, in place. Where its text isn't the parameter's value it gets the parameter's sample.
func (h *holes) open(template map[string]any) {
	props := properties(planOf(template))
	var text strings.Builder
	for _, part := range props["Value"].(map[string]any)["Fn::Join"].([]any)[1].([]any) {
		if s, ok := part.(string); ok {
			text.WriteString(s)
		} else {
			fmt.Fprintf(&text, "«%d»", h.number(part))
		}
	}
	plan := parse([]byte(text.String()))
	for key, sample := range planSamples {
		plan[key] = sample
	}
	props["Value"] = map[string]any{planKey: plan}
}

// planSamples are samples that the plan has in words of its own.
var planSamples = map[string]string{
	"overlap": named()["Overlap"].sample, "rotateEvery": "«RotateEvery»", "whenUnconfirmed": "«WhenUnconfirmed»",
}

func (h *holes) number(value any) int {
	for i, known := range h.values {
		if fmt.Sprint(known) == fmt.Sprint(value) {
			return i
		}
	}
	h.values = append(h.values, value)
	return len(h.values) - 1
}

// close writes the merged plan as CloudFormation takes it, and gives the conditions that its commas need.
func (h *holes) close(template map[string]any) (conditions map[string]any) {
	props := properties(planOf(template))
	w := &planWriter{holes: h, conditions: map[string]any{}}
	props["Value"] = map[string]any{"Fn::Join": []any{"", w.value(props["Value"].(map[string]any)[planKey])}}
	return w.conditions
}

func planOf(template map[string]any) map[string]any {
	for _, r := range resources(template) {
		if r["Type"] == "AWS::SSM::Parameter" {
			return r
		}
	}
	panic("the template has no plan")
}

type planWriter struct {
	*holes
	conditions map[string]any
}

// value writes a value of the plan as parts of a join.
func (w *planWriter) value(v any) []any {
	switch v := v.(type) {
	case map[string]any:
		var members []element
		for _, key := range slices.Sorted(maps.Keys(v)) {
			condition, member := w.unless(v[key])
			members = append(members, element{condition, append([]any{quoted(key) + ":"}, w.value(member)...)})
		}
		return w.list("{", members, "}")
	case []any:
		var items []element
		for _, item := range v {
			condition, item := w.unless(item)
			items = append(items, element{condition, w.value(item)})
		}
		return w.list("[", items, "]")
	case string:
		return w.text(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it came from JSON
	}
	return []any{string(b)}
}

// text writes a string of the plan: with its holes filled, and with the parameters that have no sample.
func (w *planWriter) text(s string) []any {
	for _, p := range sampled() {
		if p.List && p.sample == s {
			return []any{`"`, p.joined(`","`), `"`}
		}
	}
	if name, ok := strings.CutPrefix(s, "«"); ok && !hole.MatchString(s) {
		return []any{`"`, map[string]any{"Ref": strings.TrimSuffix(name, "»")}, `"`}
	}
	var out []any
	text := quoted(s)
	for {
		at := hole.FindStringSubmatchIndex(text)
		if at == nil {
			return append(out, text)
		}
		var n int
		_, _ = fmt.Sscan(text[at[2]:at[3]], &n)
		out = append(out, text[:at[0]], w.values[n])
		text = text[at[1]:]
	}
}

// element is a member of an object or an item of a list, and the condition under which it is there; "": always.
type element struct {
	condition string
	parts     []any
}

// list writes elements with their commas. One that may be missing brings its comma, if something stands before it.
func (w *planWriter) list(open string, elements []element, end string) []any {
	slices.SortStableFunc(elements, func(a, b element) int { // what is always there first: then no comma depends on anything
		return cmp.Compare(min(len(a.condition), 1), min(len(b.condition), 1))
	})
	out := []any{open}
	var before []string // the conditions of all that may stand before; nil: nothing does
	always := false
	for _, e := range elements {
		parts := e.parts
		switch {
		case always:
			parts = append([]any{","}, parts...)
		case len(before) > 0:
			parts = append([]any{either(w.any(before), ",", "")}, parts...)
		}
		if e.condition == "" {
			out = append(out, parts...)
			always = true
			continue
		}
		out = append(out, either(e.condition, map[string]any{"Fn::Join": []any{"", parts}}, ""))
		before = append(before, e.condition)
	}
	return append(out, end)
}

// any is the condition that one of these holds.
func (w *planWriter) any(conditions []string) string {
	if len(conditions) == 1 {
		return conditions[0]
	}
	var list []any
	for _, c := range conditions {
		list = append(list, map[string]any{"Condition": c})
	}
	name := strings.Join(slices.Sorted(slices.Values(conditions)), "Or")
	w.conditions[name] = map[string]any{"Fn::Or": list}
	return name
}

// unless takes a merged value apart: the condition under which it is there, and what it is then. Of what would be empty
// otherwise it is that any of its parts is there: functions tell a plan without conditions from one with none.
func (w *planWriter) unless(v any) (condition string, value any) {
	var parts []any
	switch v := v.(type) {
	case map[string]any:
		if list, ok := v["Fn::If"].([]any); ok && fmt.Sprint(list[2]) == fmt.Sprint(noValue()) {
			return list[0].(string), list[1]
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, v[key])
		}
	case []any:
		parts = v
	}
	var conditions []string
	for _, part := range parts {
		condition, _ := w.unless(part)
		if condition == "" {
			return "", v
		}
		conditions = append(conditions, condition)
	}
	if len(conditions) == 0 {
		return "", v
	}
	return w.any(conditions), v
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings can be written
	}
	return string(b)
}
