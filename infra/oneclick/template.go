package oneclick

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/grant"
)

// Fixed are parameters that a provider answers for its customers, by name: ProviderName and ProviderAccount at least.
type Fixed map[string]string

// Check says what is wrong with a value.
func (f Fixed) Check() error {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		p, known := named()[name]
		switch {
		case !known || p.List || p.condition != "":
			return fmt.Errorf("%s is no parameter that can be fixed", name)
		case !regexp.MustCompile(p.Pattern).MatchString(f[name]):
			return fmt.Errorf("%s must be %s, and is %.40q", p.Label, p.Says, f[name])
		}
	}
	return nil
}

// Template is the template of a release.
type Template struct{ src []byte }

// Make synthesises the template of a release. Like every construct it panics where it can't.
func Make(r Release) Template { return Template{[]byte(text(r.from(r.synthesise())))} }

// JSON is the template as CloudFormation takes it, with the parameters that are fixed gone.
func (t Template) JSON(fixed Fixed) []byte {
	doc := parse(t.src)
	for _, name := range slices.Sorted(maps.Keys(fixed)) {
		fix(doc, name, fixed[name])
	}
	return []byte(text(doc) + "\n")
}

// from makes the template of what was synthesised.
func (r Release) from(v variants) map[string]any {
	var h holes
	h.open(v.whole)
	for _, less := range v.without {
		h.open(less)
	}
	t := v.merge()
	conditions := h.close(t)
	listPermissions(t)
	schedule(t)
	t = fill(t).(map[string]any)
	describeVersions(t)
	followParameters(t)
	nameOutputs(t)
	allowForeignRole(t)
	waitForWhatThereIs(t)
	waitForVersions(t)

	for _, p := range optional() {
		conditions[p.condition] = p.set()
	}
	conditions[createsRole] = equals(ref("CreateRole"), "true")
	t["Conditions"] = conditions
	t["Parameters"], t["Metadata"] = parameters(), console()
	t["Rules"] = r.rules()
	t["Mappings"] = map[string]any{"Schedules": expressions()}
	t["AWSTemplateFormatVersion"] = "2010-09-09"
	return t
}

// parameters are the template's section.
func parameters() map[string]any {
	out := map[string]any{}
	for _, p := range Parameters() {
		section := map[string]any{"Type": "String", "Description": p.Description}
		switch {
		case p.List && !p.inText():
			section["Type"] = "CommaDelimitedList"
		case p.Number:
			section["Type"], section["MinValue"], section["MaxValue"] = "Number", p.Least, p.Most
		}
		if !p.Required {
			section["Default"] = p.Default
		}
		if p.Pattern != "" {
			section["AllowedPattern"], section["ConstraintDescription"] = p.allowed(), "must be "+p.Says
		}
		if len(p.Allowed) > 0 {
			section["AllowedValues"] = anys(p.Allowed)
		}
		out[p.Name] = section
	}
	return out
}

// console is how CloudFormation's console groups and names the parameters.
func console() map[string]any {
	labels := map[string]any{}
	var list []any
	for _, group := range groups {
		var names []any
		for _, p := range Parameters() {
			if p.Group == group {
				names = append(names, p.Name)
				labels[p.Name] = map[string]any{"default": p.Label}
			}
		}
		list = append(list, map[string]any{"Label": map[string]any{"default": group}, "Parameters": names})
	}
	return map[string]any{"AWS::CloudFormation::Interface": map[string]any{"ParameterGroups": list, "ParameterLabels": labels}}
}

// listPermissions makes one list of the permissions and what every role gets besides.
func listPermissions(t map[string]any) {
	props := properties(grantedRole(t))
	parts := []any{named()["Permissions"].joined(",")}
	for _, arn := range props["ManagedPolicyArns"].([]any) {
		if arn != named()["Permissions"].sample {
			parts = append(parts, arn)
		}
	}
	props["ManagedPolicyArns"] = map[string]any{"Fn::Split": []any{",", map[string]any{"Fn::Join": []any{",", parts}}}}
}

// schedule looks the schedule up by its name.
func schedule(t map[string]any) {
	for _, r := range resources(t) {
		if r["Type"] != "AWS::SecretsManager::RotationSchedule" {
			continue
		}
		rules := properties(r)["RotationRules"].(map[string]any)["Fn::If"].([]any)[1].(map[string]any)
		rules["ScheduleExpression"] = map[string]any{"Fn::FindInMap": []any{"Schedules", ref("RotateEvery"), "Expression"}}
	}
}

func expressions() map[string]any {
	out := map[string]any{}
	for _, every := range schedules {
		expression := scheduleOf(every).Expression
		if expression == "" {
			expression = "none" // never looked up
		}
		out[string(every)] = map[string]any{"Expression": expression}
	}
	return out
}

// followParameters has reconcile look at the grant in each deploy that changes a parameter.
func followParameters(t map[string]any) {
	for _, r := range resources(t) {
		if r["Type"] != "Custom::Grant" {
			continue
		}
		parts := []any{properties(r)["Digest"]}
		for _, p := range Parameters() {
			value := p.value()
			if p.List {
				value = p.joined(",")
			}
			parts = append(parts, value)
		}
		properties(r)["Digest"] = map[string]any{"Fn::Join": []any{"|", parts}}
	}
}

// described are the outputs whose description names the grant.
var described = map[string]string{"RoleArn": "role that the provider enters", "Revoke": "takes the access away at once, live sessions included"}

// nameOutputs takes the sample's name off the outputs, and adds what whoever makes the role has to know.
func nameOutputs(t map[string]any) {
	outputs := t["Outputs"].(map[string]any)
	sample := logicalSample()
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		if short, ok := strings.CutSuffix(name, sample); ok {
			outputs[short] = outputs[name]
			outputs[short].(map[string]any)["Description"] = described[short] // takes no parameter
			delete(outputs, name)
		}
	}
	tags := map[string]any{}
	for _, tag := range properties(grantedRole(t))["Tags"].([]any) {
		tags[tag.(map[string]any)["Key"].(string)] = tag.(map[string]any)["Value"]
	}
	for name, output := range map[string]map[string]any{
		"SecretArn":       {"Description": "secret of the external ID: the role's tag " + grant.TagSecret, "Value": tags[grant.TagSecret]},
		"ConfirmUrl":      {"Description": "where the provider confirms: the role's tag " + grant.TagConfirm, "Value": tags[grant.TagConfirm]},
		"PickUpPolicyArn": {"Description": "policy by which sessions of the role read its external ID", "Value": ref(pickUp(t))},
	} {
		outputs[name] = output
	}
}

// pickUp is the logical id of the policy by which sessions read their external ID.
func pickUp(t map[string]any) string {
	for id, r := range resources(t) {
		if properties(r)["Description"] == grant.PickUpDescription {
			return id
		}
	}
	panic("the template has no policy for picking up external IDs")
}

// fix puts a value in the place of a parameter.
func fix(t map[string]any, name, value string) {
	if err := (Fixed{name: value}).Check(); err != nil {
		panic(err)
	}
	for key, part := range t {
		t[key] = fixed(part, name, value)
	}
	delete(t["Parameters"].(map[string]any), name)
	about := t["Metadata"].(map[string]any)["AWS::CloudFormation::Interface"].(map[string]any)
	delete(about["ParameterLabels"].(map[string]any), name)
	for _, group := range about["ParameterGroups"].([]any) {
		g := group.(map[string]any)
		g["Parameters"] = slices.DeleteFunc(g["Parameters"].([]any), func(v any) bool { return v == name })
	}
}

func fixed(v any, name, value string) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 1 && v["Ref"] == name {
			return value
		}
		out := make(map[string]any, len(v))
		for key := range v {
			out[key] = fixed(v[key], name, value)
		}
		if text, ok := out["Fn::Sub"].(string); ok && len(out) == 1 {
			text = strings.ReplaceAll(text, "${"+name+"}", value)
			if !strings.Contains(text, "${") {
				return text
			}
			return map[string]any{"Fn::Sub": text}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = fixed(v[i], name, value)
		}
		return out
	}
	return v
}

// text is a value as JSON. CloudFormation reads < and & as they are.
func text(v any) string {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Errorf("writing the one-click template: %w", err)) // of JSON's types only
	}
	return strings.TrimSuffix(out.String(), "\n")
}
