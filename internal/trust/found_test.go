package trust_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/trust"
)

// found is a trust policy as encoding/json reads it, apart from the package under test.
type found struct {
	src        string
	lone       bool // one statement, without a list around it
	statements []foundStatement
}

// foundStatement is one statement and its bytes.
type foundStatement struct {
	raw        string
	effect     string
	principals map[string][]string // by kind: AWS, Service, Federated
	actions    []string
	conditions map[string]map[string][]string
}

func readFound(t testing.TB, src []byte) found {
	t.Helper()
	var doc struct{ Statement json.RawMessage }
	err := json.Unmarshal(src, &doc)
	f := found{src: string(src), lone: strings.HasPrefix(string(doc.Statement), "{")}
	list := []json.RawMessage{doc.Statement}
	if err == nil && !f.lone {
		err = json.Unmarshal(doc.Statement, &list)
	}
	for _, raw := range list {
		var s struct {
			Effect            string
			Principal, Action any
			Condition         map[string]map[string]any
		}
		if err == nil {
			err = json.Unmarshal(raw, &s)
		}
		one := foundStatement{raw: string(raw), effect: s.Effect, actions: plainTexts(s.Action), principals: map[string][]string{}, conditions: map[string]map[string][]string{}}
		switch p := s.Principal.(type) {
		case string:
			one.principals["AWS"] = []string{p}
		case map[string]any:
			for kind, v := range p {
				one.principals[kind] = plainTexts(v)
			}
		}
		for op, keys := range s.Condition {
			one.conditions[op] = map[string][]string{}
			for key, v := range keys {
				one.conditions[op][key] = plainTexts(v)
			}
		}
		f.statements = append(f.statements, one)
	}
	if err != nil {
		t.Fatalf("not read by encoding/json: %v", err)
	}
	return f
}

// plainTexts is a scalar or a list of them as texts, without what is neither.
func plainTexts(v any) (list []string) {
	switch v := v.(type) {
	case string:
		list = append(list, v)
	case bool, float64:
		list = append(list, fmt.Sprint(v))
	case []any:
		for _, one := range v {
			list = append(list, plainTexts(one)...)
		}
	}
	return list
}

// ids are the external IDs that a statement names under any operator.
func (s foundStatement) ids() (list []string) {
	for _, op := range slices.Sorted(maps.Keys(s.conditions)) {
		for key, values := range s.conditions[op] {
			if strings.EqualFold(key, "sts:ExternalId") {
				list = append(list, values...)
			}
		}
	}
	return list
}

// admits says whether a statement lets AWS principals assume the role.
func (s foundStatement) admits() bool {
	return s.effect == "Allow" && len(s.principals["AWS"]) > 0 && slices.Contains(s.actions, trust.ActionAssumeRole)
}

// plan is an overlap's plan for the document's own ID, an invented one where it has none, and its own AWS principals
// (everybody is no principal of a plan).
func (f found) plan() trust.Plan {
	p := trust.Plan{Role: trust.Adopted, Current: idOld, Pending: idNew}
	for _, s := range f.statements {
		if ids := s.ids(); len(ids) > 0 && p.Current == idOld && isExternalID.MatchString(fits(ids[0])) {
			p.Current = fits(ids[0])
		}
		if s.admits() {
			named := slices.DeleteFunc(slices.Clone(s.principals["AWS"]), func(raw string) bool { return raw == "*" })
			p.Principals = append(p.Principals, named...)
		}
	}
	return p
}

var isExternalID = regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`)

// fits is a text that a pattern fits.
func fits(pattern string) string { return strings.NewReplacer("*", "x", "?", "x").Replace(pattern) }

// calls are calls by whom a statement names, without an external ID, that meet its other conditions.
func (s foundStatement) calls(kind, session string) (list []trust.Request) {
	for _, raw := range s.principals[kind] {
		r := trust.Request{Principal: raw, At: noon, Context: s.context(session)}
		if kind == "AWS" {
			r.Principal = caller(raw, first(r.Context["aws:PrincipalArn"]))
		}
		list = append(list, r)
	}
	return list
}

var principalARN = regexp.MustCompile(`^arn:(aws[a-z-]*):(?:iam|sts)::(\d{12}):(root$|role/(?:.*/)?(.*)$|user/|assumed-role/)`)

// caller is somebody whom an AWS principal names; known is the caller's ARN where a condition asks for one.
func caller(principal, known string) string {
	m := principalARN.FindStringSubmatch(principal)
	switch {
	case known != "":
		return known
	case principal == "*":
		return stranger
	case m == nil:
		return "arn:aws:iam::" + principal + ":user/visitor"
	case m[3] == "root":
		return "arn:" + m[1] + ":iam::" + m[2] + ":user/visitor"
	case m[4] != "":
		return "arn:" + m[1] + ":sts::" + m[2] + ":assumed-role/" + m[4] + "/visitor"
	}
	return principal
}

// context meets the conditions of a statement, those on the external ID and on the time aside.
func (s foundStatement) context(session string) map[string][]string {
	c := map[string][]string{"sts:RoleSessionName": {session}, "aws:username": {session}}
	for _, op := range slices.Sorted(maps.Keys(s.conditions)) {
		for key, values := range s.conditions[op] {
			plain := strings.ToLower(key)
			negated := strings.Contains(op, "Not") || op == "Null" && slices.Contains(values, "true")
			if negated || plain == "sts:externalid" || plain == "aws:currenttime" || plain == "sts:rolesessionname" || len(c[key]) > 0 || len(values) == 0 {
				continue
			}
			v := strings.ReplaceAll(values[0], "${aws:username}", session)
			switch {
			case strings.Contains(op, "Like"), strings.Contains(op, "Arn"):
				v = fits(v)
			case strings.Contains(op, "IpAddress"):
				v, _, _ = strings.Cut(v, "/")
			}
			c[key] = []string{v}
		}
	}
	return c
}
