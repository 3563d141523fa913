package oneclick

import (
	"maps"
	"slices"
	"strings"
)

// triggers are the types of what calls a function.
var triggers = []string{
	"AWS::Lambda::Permission", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Alias", "AWS::ApiGateway::Method", "AWS::Events::Rule",
	"AWS::SecretsManager::RotationSchedule",
}

// waitForVersions has every trigger wait for every function's version: where one archive is not what was published, nothing
// calls any function, and the stack goes back.
func waitForVersions(t map[string]any) {
	var versions []any
	for _, id := range slices.Sorted(maps.Keys(resources(t))) {
		if resources(t)[id]["Type"] == "AWS::Lambda::Version" {
			versions = append(versions, id)
		}
	}
	for _, r := range resources(t) {
		if slices.Contains(triggers, r["Type"].(string)) {
			on, _ := r["DependsOn"].([]any)
			calls := text(properties(r))
			on = append(slices.Clone(on), slices.DeleteFunc(slices.Clone(versions), func(id any) bool {
				return strings.Contains(calls, `"`+id.(string)+`"`) // that is a dependency too
			})...)
			if len(on) > 0 {
				r["DependsOn"] = on
			}
		}
	}
}

// describeVersions makes a version follow the parameters of its function's configuration: with another description comes
// another version. CloudFormation makes one of each, and only if the configuration has changed.
func describeVersions(t map[string]any) {
	all := resources(t)
	for _, r := range all {
		if r["Type"] != "AWS::Lambda::Version" {
			continue
		}
		props := properties(r)
		function := properties(all[props["FunctionName"].(map[string]any)["Ref"].(string)])
		text := props["Description"].(string)
		for _, name := range slices.Sorted(maps.Keys(mentioned(function["Environment"]))) {
			if name != "GrantName" { // it never changes
				text += " ${" + name + "}"
			}
		}
		if text != props["Description"] {
			props["Description"] = map[string]any{"Fn::Sub": text}
		}
	}
}

// mentioned are the parameters that a value refers to.
func mentioned(v any) map[string]bool {
	out := map[string]bool{}
	src := text(v)
	for _, p := range Parameters() {
		if strings.Contains(src, `"Ref":"`+p.Name+`"`) || strings.Contains(src, "${"+p.Name+"}") {
			out[p.Name] = true
		}
	}
	return out
}
