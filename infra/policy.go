package infra

import (
	"maps"
	"slices"
)

// statement is one statement of a policy document, as CloudFormation takes it. Its methods return changed copies, so that
// what a part may do can be read where it is said:
//
//	allow("ReadValues", "secretsmanager:GetSecretValue").on(secrets...)
type statement map[string]any

func allow(sid string, actions ...string) statement {
	return statement{"Sid": sid, "Effect": "Allow", "Action": oneOrMany(actions)}
}

func deny(sid string, actions ...string) statement {
	return statement{"Sid": sid, "Effect": "Deny", "Action": oneOrMany(actions)}
}

// denyAllBut denies every action that isn't named.
func denyAllBut(sid string, actions ...string) statement {
	return statement{"Sid": sid, "Effect": "Deny", "NotAction": oneOrMany(actions)}
}

// on names the resources.
func (s statement) on(resources ...string) statement { return s.with("Resource", oneOrMany(resources)) }

// notOn names the only resources that the statement isn't about.
func (s statement) notOn(resources ...string) statement {
	return s.with("NotResource", oneOrMany(resources))
}

// by names AWS principals: ARNs, or "*" for everybody.
func (s statement) by(principals ...string) statement {
	if slices.Equal(principals, []string{everybody}) {
		return s.with("Principal", everybody)
	}
	return s.with("Principal", map[string]any{"AWS": oneOrMany(principals)})
}

// byService names a service as the principal.
func (s statement) byService(service string) statement {
	return s.with("Principal", map[string]any{"Service": service})
}

// when adds a condition. Several values of one key are alternatives; several conditions must all hold.
func (s statement) when(operator, key string, values ...string) statement {
	conditions := map[string]any{}
	if old, ok := s["Condition"].(map[string]any); ok {
		maps.Copy(conditions, old)
	}
	keys := map[string]any{}
	if old, ok := conditions[operator].(map[string]any); ok {
		maps.Copy(keys, old)
	}
	keys[key] = oneOrMany(values)
	conditions[operator] = keys
	return s.with("Condition", conditions)
}

func (s statement) with(element string, value any) statement {
	out := maps.Clone(s)
	out[element] = value
	return out
}

const everybody = "*"

// document is a policy of these statements.
func document(statements ...statement) map[string]any {
	list := make([]any, 0, len(statements))
	for _, s := range statements {
		list = append(list, map[string]any(s))
	}
	return map[string]any{"Version": "2012-10-17", "Statement": list}
}

// oneOrMany writes a list of one as a scalar, as IAM does when it gives a policy back.
func oneOrMany(values []string) any {
	if len(values) == 1 {
		return ready(values[0])
	}
	out := make([]any, 0, len(values))
	for _, v := range values {
		out = append(out, ready(v))
	}
	return out
}
