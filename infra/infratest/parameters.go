package infratest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Parameter is a parameter of a template.
type Parameter struct {
	Type, AllowedPattern string
	Default              *string
	AllowedValues        []string
}

// Rule is what CloudFormation checks of parameters before it makes anything.
type Rule struct {
	RuleCondition any
	Assertions    []struct {
		Assert            any
		AssertDescription string
	}
}

// With is the template with these values for its parameters, and the defaults for the others: what has a condition that
// doesn't hold is gone. The error is the one of CloudFormation's that comes before anything is made.
func (t *Template) With(values map[string]string) (*Template, error) {
	out := *t
	out.Values = map[string]any{}
	for name := range values {
		if _, ok := t.Parameters[name]; !ok {
			return nil, fmt.Errorf("the template has no parameter %s", name)
		}
	}
	for name, p := range t.Parameters {
		value, given := values[name]
		if !given {
			if p.Default == nil {
				return nil, fmt.Errorf("parameter %s has no value", name)
			}
			value = *p.Default
		}
		items := []string{value}
		if p.Type == "CommaDelimitedList" {
			items = strings.Split(value, ",")
		}
		for _, item := range items {
			if p.AllowedPattern != "" && !regexp.MustCompile(`^(?:`+p.AllowedPattern+`)$`).MatchString(item) {
				return nil, fmt.Errorf("parameter %s: %q does not match", name, item)
			}
			if len(p.AllowedValues) > 0 && !slices.Contains(p.AllowedValues, item) {
				return nil, fmt.Errorf("parameter %s: %q is not allowed", name, item)
			}
		}
		out.Values[name] = value
		if p.Type == "CommaDelimitedList" {
			out.Values[name] = anys(items)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Rules)) {
		rule := t.Rules[name]
		if rule.RuleCondition != nil && !out.judge(rule.RuleCondition) {
			continue
		}
		for _, a := range rule.Assertions {
			if !out.judge(a.Assert) {
				return nil, fmt.Errorf("rule %s: %s", name, a.AssertDescription)
			}
		}
	}
	out.Resources = maps.Clone(t.Resources)
	maps.DeleteFunc(out.Resources, func(_ string, r Resource) bool { return r.Condition != "" && !out.Holds(r.Condition) })
	out.Outputs = maps.Clone(t.Outputs)
	maps.DeleteFunc(out.Outputs, func(_ string, o Output) bool { return o.Condition != "" && !out.Holds(o.Condition) })
	return &out, nil
}

// Holds says whether a condition of the template holds.
func (t *Template) Holds(condition string) bool {
	c, ok := t.Conditions[condition]
	if !ok {
		panic("the template has no condition " + condition)
	}
	return t.judge(c)
}

// judge evaluates the functions of conditions and rules.
func (t *Template) judge(v any) bool {
	for name, arg := range v.(map[string]any) {
		if name == "Condition" {
			return t.Holds(arg.(string))
		}
		list := arg.([]any)
		switch name {
		case "Fn::Equals":
			return fmt.Sprint(t.Resolve(list[0])) == fmt.Sprint(t.Resolve(list[1]))
		case "Fn::Not":
			return !t.judge(list[0])
		case "Fn::And":
			return !slices.ContainsFunc(list, func(v any) bool { return !t.judge(v) })
		case "Fn::Or":
			return slices.ContainsFunc(list, t.judge)
		case "Fn::Contains":
			return slices.Contains(t.Resolve(list[0]).([]any), t.Resolve(list[1]))
		}
	}
	panic(fmt.Sprintf("no condition: %v", v))
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
