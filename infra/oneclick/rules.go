package oneclick

import (
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

// partitions are AWS's, as ARNs name them.
var partitions = []string{"aws", "aws-cn", "aws-us-gov"}

// rules are what CloudFormation checks before it makes anything: what the parameters' own patterns can't say.
func (r Release) rules() map[string]any {
	out := r.publishedRegion()
	out["AdministratorLike"] = rule(not(equals(ref("AdministratorAccessFor"), ref("ProviderAccount"))), administratorLike()...)
	for _, pair := range Together {
		first, second := named()[pair[0]].Name, named()[pair[1]].Name
		out[first+"And"+second] = rule(nil, assertion{bothOrNeither(equals(ref(first), ""), equals(ref(second), "")),
			first + " and " + second + " belong together: give both or neither."})
	}
	for every, fit := range Overlaps() {
		out["Overlap"+access.Logical(grant.Name(every))] = rule(equals(ref("RotateEvery"), string(every)), assertion{contains(anys(fit), ref("Overlap")),
			fmt.Sprintf("With a new external ID %s the previous one must end sooner: Overlap is one of %s.", often(every), strings.Join(fit, ", "))})
	}
	return out
}

// publishedRegion refuses Regions without the archives.
func (r Release) publishedRegion() map[string]any {
	return map[string]any{"PublishedRegion": rule(nil, assertion{contains(anys(r.Regions), ref("AWS::Region")),
		"Countersign " + r.Version + " is published in " + strings.Join(r.Regions, ", ") + ": choose one of these Regions."})}
}

// Overlaps are the values of Overlap that fit a schedule, where not all do.
func Overlaps() map[access.Every][]string {
	out := map[access.Every][]string{}
	for _, every := range schedules {
		when := scheduleOf(every)
		var fit []string
		for _, o := range overlaps {
			if d, err := time.ParseDuration(o); err == nil && d < when.Interval-when.Window {
				fit = append(fit, o)
			}
		}
		if !when.IsZero() && len(fit) < len(overlaps) {
			out[every] = fit
		}
	}
	return out
}

// administratorLike refuses policies after which a revocation would be about the only limit.
func administratorLike() (out []assertion) {
	for _, arn := range AdministratorLike() {
		out = append(out, assertion{not(contains(ref("Permissions"), arn)),
			arn[strings.LastIndexByte(arn, '/')+1:] + " lets the provider do nearly everything here. If that is meant, repeat its account in AdministratorAccessFor."})
	}
	return out
}

// AdministratorLike are the ARNs of the policies that AdministratorAccessFor is asked for.
func AdministratorLike() (out []string) {
	for _, policy := range access.Powerful() {
		for _, partition := range partitions {
			out = append(out, "arn:"+partition+":iam::aws:policy/"+policy)
		}
	}
	return out
}

// scheduleOf is a schedule as the sample's grant has it. Which hour and day that is follows from a hash of the name, which
// CloudFormation can't work out: here all have the same.
func scheduleOf(every access.Every) access.Schedule {
	g := access.Grant{Name: grant.Name(named()["GrantName"].sample), RotateEvery: every}
	return g.Schedule()
}

func often(every access.Every) string {
	if strings.HasSuffix(string(every), "h") {
		return "every " + string(every)
	}
	return string(every)
}

type assertion struct {
	holds any
	says  string
}

// rule asserts something, under a condition or without one.
func rule(when any, assertions ...assertion) map[string]any {
	var list []any
	for _, a := range assertions {
		list = append(list, map[string]any{"Assert": a.holds, "AssertDescription": a.says})
	}
	out := map[string]any{"Assertions": list}
	if when != nil {
		out["RuleCondition"] = when
	}
	return out
}

func ref(name string) any { return map[string]any{"Ref": name} }
func not(v any) any       { return map[string]any{"Fn::Not": []any{v}} }
func equals(a, b any) any { return map[string]any{"Fn::Equals": []any{a, b}} }
func bothOrNeither(a, b any) any {
	return map[string]any{"Fn::Or": []any{map[string]any{"Fn::And": []any{a, b}}, map[string]any{"Fn::And": []any{not(a), not(b)}}}}
}
func contains(list any, item any) any { return map[string]any{"Fn::Contains": []any{list, item}} }

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
