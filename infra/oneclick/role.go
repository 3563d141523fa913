package oneclick

import (
	"slices"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

// createsRole is the condition that the stack makes the granted role.
const createsRole = "CreatesRole"

// logicalSample is how the sample's grant stands in logical ids.
func logicalSample() string { return access.Logical(grant.Name(named()["GrantName"].sample)) }

// grantedRoleID is the logical id of the granted role: the only role that has a name.
func grantedRoleID(t map[string]any) string {
	for id, r := range resources(t) {
		if r["Type"] == "AWS::IAM::Role" && properties(r)["RoleName"] != nil {
			return id
		}
	}
	panic("the template has no granted role")
}

func grantedRole(t map[string]any) map[string]any { return resources(t)[grantedRoleID(t)] }

// allowForeignRole makes the granted role conditional: where it is made elsewhere it is named. It is bound all the same, for
// guard, revocation and end are resources of their own. They go with the stack and the role doesn't, so Custom::Grant is
// told, and Custom::Layout, which lets no role change hands.
func allowForeignRole(t map[string]any) {
	id := grantedRoleID(t)
	role := resources(t)[id]
	role["Condition"] = createsRole
	name := map[string]any{"Fn::Sub": grant.DefaultRolePrefix + "${GrantName}"}
	arn := map[string]any{"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role" + properties(role)["Path"].(string) + grant.DefaultRolePrefix + "${GrantName}"}
	for _, r := range resources(t) {
		switch stays := either(createsRole, noValue(), "true"); r["Type"] {
		case "Custom::Grant":
			properties(r)["RoleStays"] = stays
		case "Custom::Layout":
			properties(r)["Grants"].([]any)[0].(map[string]any)["RoleStays"] = stays
		}
	}
	for _, section := range []string{"Resources", "Outputs"} {
		parts := t[section].(map[string]any)
		for part := range parts {
			parts[part] = orNamed(parts[part], id, name, arn)
		}
	}
}

// orNamed lets references to the role fall back on its name and ARN.
func orNamed(v any, id string, name, arn any) any {
	switch v := v.(type) {
	case map[string]any:
		switch of, isAttribute := v["Fn::GetAtt"].([]any); {
		case len(v) == 1 && v["Ref"] == id:
			return either(createsRole, v, name)
		case len(v) == 1 && isAttribute && of[0] == id && of[1] == "Arn":
			return either(createsRole, v, arn)
		}
		for key := range v {
			v[key] = orNamed(v[key], id, name, arn)
		}
	case []any:
		for i := range v {
			v[i] = orNamed(v[i], id, name, arn)
		}
	}
	return v
}

// waitForWhatThereIs turns dependencies on what may not be there, which CloudFormation doesn't take, into references. Only
// Custom::Grant has any: it names them in its digest, which may hold anything.
func waitForWhatThereIs(t map[string]any) {
	all := resources(t)
	for id, r := range all {
		on, _ := r["DependsOn"].([]any)
		for _, dependency := range slices.Clone(on) {
			condition := all[dependency.(string)]["Condition"]
			if condition == nil || condition == r["Condition"] {
				continue
			}
			if r["Type"] != "Custom::Grant" {
				panic(id + " waits for " + dependency.(string) + ", which may not be there")
			}
			r["DependsOn"] = slices.DeleteFunc(r["DependsOn"].([]any), func(d any) bool { return d == dependency })
			parts := properties(r)["Digest"].(map[string]any)["Fn::Join"].([]any)
			parts[1] = append(parts[1].([]any), either(condition.(string), ref(dependency.(string)), ""))
		}
	}
}
