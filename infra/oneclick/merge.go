package oneclick

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// merge puts conditions where the whole template and those without something differ. It panics where a difference can't be
// said in a condition: then the construct has changed in a way that needs a decision.
func (v variants) merge() map[string]any {
	out := maps.Clone(v.whole)
	for _, section := range []string{"Resources", "Outputs"} {
		parts := map[string]any{}
		for id, part := range v.whole[section].(map[string]any) {
			parts[id] = v.mergePart(section, id, part.(map[string]any))
		}
		out[section] = parts
		for condition, less := range v.without {
			for id := range less[section].(map[string]any) {
				if parts[id] == nil {
					panic(fmt.Sprintf("%s %s stands in the template only without %s", section, id, condition))
				}
			}
		}
	}
	return out
}

// mergePart merges a resource or an output. One that is missing somewhere is conditional as a whole.
func (v variants) mergePart(section, id string, whole map[string]any) map[string]any {
	others := others{}
	missing := ""
	for condition, less := range v.without {
		part, ok := less[section].(map[string]any)[id].(map[string]any)
		switch {
		case ok:
			part = maps.Clone(part)
			part["DependsOn"] = whole["DependsOn"] // on what has a condition that doesn't hold means nothing
			if whole["DependsOn"] == nil {
				delete(part, "DependsOn")
			}
			others[condition] = part
		case missing != "":
			panic(fmt.Sprintf("%s depends on both %s and %s", id, missing, condition))
		default:
			missing = condition
		}
	}
	out := maps.Clone(mergeValue(id, whole, others).(map[string]any))
	if missing != "" {
		out["Condition"] = missing
	}
	return out
}

// others are a value's counterparts, by the condition that does not hold there.
type others map[string]any

// differing are those that aren't the same, in a fixed order.
func (o others) differing(value any) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(o)), func(c string) bool { return reflect.DeepEqual(value, o[c]) })
}

// mergeValue merges a value with its counterparts.
func mergeValue(path string, whole any, less others) any {
	differing := less.differing(whole)
	if len(differing) == 0 {
		return whole
	}
	switch whole := whole.(type) {
	case map[string]any:
		if objects, ok := all[map[string]any](less, differing); ok && !isFunction(whole) {
			return mergeObject(path, whole, objects)
		}
	case []any:
		if lists, ok := all[[]any](less, differing); ok {
			if merged, ok := mergeList(path, whole, lists); ok {
				return merged
			}
		}
	}
	if len(differing) > 1 {
		panic(fmt.Sprintf("%s depends on %s at once", path, strings.Join(differing, " and ")))
	}
	return either(differing[0], whole, less[differing[0]])
}

func mergeObject(path string, whole map[string]any, less map[string]map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range whole {
		present := others{}
		var absent []string
		for condition, object := range less {
			if other, ok := object[key]; ok {
				present[condition] = other
			} else {
				absent = append(absent, condition)
			}
		}
		merged := mergeValue(path+"."+key, value, present)
		for _, condition := range slices.Sorted(slices.Values(absent)) {
			merged = either(condition, merged, noValue())
		}
		out[key] = merged
	}
	for condition, object := range less {
		for key := range object {
			if _, ok := whole[key]; !ok {
				panic(fmt.Sprintf("%s.%s is there only without %s", path, key, condition))
			}
		}
	}
	return out
}

// mergeList merges lists of which the others leave elements out. It can't where they hold something else.
func mergeList(path string, whole []any, less map[string][]any) ([]any, bool) {
	counterparts := make([]others, len(whole))
	for i := range counterparts {
		counterparts[i] = others{}
	}
	absent := make([][]string, len(whole))
	for condition, list := range less {
		next := 0
		for i, element := range whole {
			if next < len(list) && (len(list) == len(whole) || same(element, list[next])) {
				counterparts[i][condition] = list[next]
				next++
			} else {
				absent[i] = append(absent[i], condition)
			}
		}
		if next < len(list) {
			return nil, false
		}
	}
	out := make([]any, len(whole))
	for i, element := range whole {
		out[i] = mergeValue(fmt.Sprintf("%s[%d]", path, i), element, counterparts[i])
		for _, condition := range slices.Sorted(slices.Values(absent[i])) {
			out[i] = either(condition, out[i], noValue())
		}
	}
	return out, true
}

// same says whether two elements of lists are the same thing, if perhaps not equal.
func same(a, b any) bool {
	x, ok := a.(map[string]any)
	y, also := b.(map[string]any)
	if ok && also {
		for _, key := range []string{"Sid", "PolicyName", "Key", "Id", "channel"} {
			if x[key] != nil && y[key] != nil {
				return reflect.DeepEqual(x[key], y[key])
			}
		}
	}
	return reflect.DeepEqual(a, b)
}

// all gives the counterparts if they are of one kind, those that don't differ included.
func all[T any](less others, differing []string) (map[string]T, bool) {
	out := map[string]T{}
	for _, condition := range differing {
		value, ok := less[condition].(T)
		if !ok {
			return nil, false
		}
		out[condition] = value
	}
	return out, true
}

// isFunction says whether an object is one of CloudFormation's functions.
func isFunction(object map[string]any) bool {
	for key := range object {
		return len(object) == 1 && (key == "Ref" || strings.HasPrefix(key, "Fn::"))
	}
	return false
}

func either(condition string, yes, no any) any {
	return map[string]any{"Fn::If": []any{condition, yes, no}}
}

func noValue() any { return map[string]any{"Ref": "AWS::NoValue"} }
