package difftest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

// pair is a trust policy and a call to judge by it.
type pair struct {
	document string
	encoded  bool // the document comes URL-encoded, as GetRole returns it
	request  trust.Request
	context  map[string]any // the request as the simulator wants it: with the keys that Principal and At imply
}

// caller is who calls, with the keys that AWS derives from it written out by hand.
type caller struct {
	arn, principalARN, account string
}

var callers = []caller{
	{"arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:root", "111122223333"},
	{"arn:aws:iam::111122223333:user/jdoe", "arn:aws:iam::111122223333:user/jdoe", "111122223333"},
	{"arn:aws:iam::111122223333:user/team/ada", "arn:aws:iam::111122223333:user/team/ada", "111122223333"},
	{"arn:aws:iam::111122223333:role/Engineers", "arn:aws:iam::111122223333:role/Engineers", "111122223333"},
	{"arn:aws:sts::111122223333:assumed-role/Engineers/jdoe", "arn:aws:iam::111122223333:role/Engineers", "111122223333"},
	{"arn:aws:sts::111122223333:assumed-role/Engineers/ada", "arn:aws:iam::111122223333:role/Engineers", "111122223333"},
	{"arn:aws:sts::111122223333:assumed-role/Deploy/ci", "arn:aws:iam::111122223333:role/Deploy", "111122223333"},
	{"arn:aws:sts::999988887777:assumed-role/Engineers/jdoe", "arn:aws:iam::999988887777:role/Engineers", "999988887777"},
	{"arn:aws:iam::999988887777:role/Somebody", "arn:aws:iam::999988887777:role/Somebody", "999988887777"},
	{"arn:aws:iam::444455556666:user/local", "arn:aws:iam::444455556666:user/local", "444455556666"},
	{"arn:aws:sts::444455556666:assumed-role/Ops/night", "arn:aws:iam::444455556666:role/Ops", "444455556666"},
	{"lambda.amazonaws.com", "", ""},
	{"ec2.amazonaws.com", "", ""},
}

// kind is what the values of a condition key are.
type kind int

const (
	text kind = iota
	arn
	numeric
	date
	boolean
	address
	binary
	list // several strings
)

// key is a condition key, the values that requests have under it, and further ones that only policies name.
type key struct {
	name   string
	kind   kind
	values []string
	more   []string
	only   string // the one action that has the key; empty means both
}

var noon = time.Date(2026, 2, 4, 12, 0, 0, 0, time.UTC)

var keys = []key{
	{name: "sts:ExternalId", values: []string{"hestio-a", "hestio-b", "HESTIO-A", "a*b", "x?y", "$", "été", "7"},
		more: []string{"hestio-*", "hestio-?", "*", "", "a${*}b", "x${?}y", "${$}", "${sts:RoleSessionName}", "?", "*-a", "h*o-*a"}, only: trust.ActionAssumeRole},
	{name: "sts:RoleSessionName", only: trust.ActionAssumeRole, values: []string{"jdoe", "ada", "confirm-1", "JDOE", "hestio-a"},
		more: []string{"confirm-*", "j?oe", "*", "${aws:username}", "${aws:PrincipalTag/team}-*", "${aws:PrincipalTag/team, 'jdoe'}", "j${aws:PrincipalTag/x}"}},
	{name: "sts:SourceIdentity", values: []string{"jdoe", "ada", "JDoe"},
		more: []string{"${aws:username}", "${sts:RoleSessionName}", "${aws:SourceIdentity, 'ada'}", "*", "j*"}},
	{name: "aws:PrincipalOrgID", values: []string{"o-aaaaaaaaaa", "o-bbbbbbbbbb"}, more: []string{"o-*", "O-AAAAAAAAAA", "${aws:PrincipalOrgID}"}},
	{name: "aws:PrincipalTag/team", values: []string{"jdoe", "blue", "Blue"}, more: []string{"b*", "?lue", "${aws:username}", ""}},
	{name: "aws:PrincipalTag/x", values: []string{"doe", "*", "1"}, more: []string{"${*}", "d${aws:PrincipalTag/none, 'o'}e"}},
	{name: "aws:PrincipalTag/key", kind: binary, values: []string{"Qmlu", "QmlubQ=="}, more: []string{"QmlubA=="}},
	{name: "aws:username", values: []string{"jdoe", "ada"}, more: []string{"j*", "JDOE"}},
	{name: "aws:PrincipalAccount", kind: text, values: []string{"111122223333", "999988887777", "444455556666"}, more: []string{"1111*", "${aws:PrincipalAccount}"}},
	{name: "aws:PrincipalArn", kind: arn, values: []string{"arn:aws:iam::111122223333:role/Engineers", "arn:aws:iam::111122223333:user/jdoe", "arn:aws:iam::999988887777:role/Engineers"},
		more: []string{"arn:aws:iam::111122223333:*", "arn:aws:iam::*:role/*", "arn:aws:iam::111122223333:role/Eng?neers", "arn:*:iam::*:user/*",
			"arn:aws:iam::${aws:PrincipalAccount}:role/*", "arn:aws:iam::111122223333:user/${aws:username}", "arn:aws:sts::111122223333:assumed-role/Engineers/*", "*"}},
	{name: "aws:CurrentTime", kind: date, more: []string{"2026-02-04", "2026-02-04T12:00:00Z", "2026-02-04T11:59:59Z", "2026-02-04T12:00:01Z", "2026-02-04T13:00:00+01:00",
		"2026-02-04T12:00Z", "2026-02-04T12:00:00.000Z", "1770206400", "1770206401", "2025-12-31T23:59:59Z", "2027-01-01T00:00:00Z"}},
	{name: "aws:EpochTime", kind: numeric, more: []string{"1770206400", "1770206399", "1770206401", "0", "1770206400.0", "1.5"}},
	{name: "aws:MultiFactorAuthAge", kind: numeric, values: []string{"10", "3600", "0"}, more: []string{"10.0", "11", "3600", "+10", "-1", "010"}},
	{name: "aws:MultiFactorAuthPresent", kind: boolean, values: []string{"true", "false"}, more: []string{"True", "FALSE"}},
	{name: "aws:SourceIp", kind: address, values: []string{"203.0.113.9", "198.51.100.7", "2001:db8::1"},
		more: []string{"203.0.113.0/24", "198.51.100.7/32", "0.0.0.0/0", "2001:db8::/32", "2001:DB8:0::1", "::/0", "203.0.113.200/24"}},
	{name: "aws:TagKeys", kind: list, values: []string{"team", "cost", "Team"}, more: []string{"te*", "?ost", "*"}, only: trust.ActionAssumeRole},
	{name: "aws:PrincipalOrgPaths", kind: list, values: []string{"o-a/r-b/ou-c/", "o-a/r-b/ou-d/"}, more: []string{"o-a/*", "o-a/r-b/ou-?/"}},
}

var operators = map[kind][]string{
	text: {"StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"},
	arn:  {"ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "StringEquals", "StringLike", "StringNotLike"},
	numeric: {"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan",
		"NumericGreaterThanEquals"},
	date:    {"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"},
	boolean: {"Bool"},
	address: {"IpAddress", "NotIpAddress"},
	binary:  {"BinaryEquals"},
	list:    {"StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase"},
}

var actions = []string{"sts:AssumeRole", "sts:AssumeRole", "sts:AssumeRole", "sts:assumerole", "sts:*", "sts:Assume*", "sts:AssumeRol?", "*",
	"sts:SetSourceIdentity", "STS:SetSource*", "sts:TagSession", "sts:AssumeRoleWithSAML", "s3:*", "sts:AssumeRole*", "sts:?etSourceIdentity"}

// generator makes pairs. The same seed makes the same pairs.
type generator struct{ *rand.Rand }

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g generator, from []T) T { return from[g.IntN(len(from))] }

// some picks one to three.
func (g generator) some(from func() string) []string {
	n := 1 + g.IntN(6)/3*g.IntN(3)
	out := make([]string, n)
	for i := range out {
		out[i] = from()
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// scalar writes a list of one as a string, mostly.
func (g generator) scalar(values []string) any {
	if len(values) == 1 && g.chance(70) {
		return values[0]
	}
	return values
}

func (g generator) pair() pair {
	who := pick(g, callers)
	p := pair{request: trust.Request{Principal: who.arn, Action: trust.ActionAssumeRole, Context: map[string][]string{}}, context: map[string]any{}}
	if g.chance(20) {
		p.request.Action = trust.ActionSetSourceIdentity
	}
	if who.account != "" {
		p.context["aws:PrincipalArn"], p.context["aws:PrincipalAccount"] = who.principalARN, who.account
	}
	if g.chance(85) {
		p.request.At = noon
		p.context["aws:CurrentTime"], p.context["aws:EpochTime"] = "2026-02-04T12:00:00Z", "1770206400"
	}
	for _, k := range keys {
		if strings.HasPrefix(k.name, "aws:Principal") && who.account == "" || k.only != "" && k.only != p.request.Action || len(k.values) == 0 || g.chance(35) {
			continue
		}
		if _, implied := p.context[k.name]; implied {
			continue
		}
		values := []string{pick(g, k.values)}
		if k.kind == list {
			values = g.some(func() string { return pick(g, k.values) })
			p.context[k.name] = values
		} else {
			p.context[k.name] = values[0]
		}
		p.request.Context[k.name] = values
	}
	p.document, p.encoded = g.document(p), g.chance(5)
	return p
}

func (g generator) document(p pair) string {
	statements := make([]any, 1+g.IntN(3))
	for i := range statements {
		statements[i] = g.statement(p, i)
	}
	doc := map[string]any{"Version": "2012-10-17", "Statement": statements}
	if len(statements) == 1 && g.chance(50) {
		doc["Statement"] = statements[0]
	}
	switch {
	case g.chance(10):
		doc["Version"] = "2008-10-17"
	case g.chance(5):
		delete(doc, "Version")
	}
	out, err := json.Marshal(doc)
	if err == nil && g.chance(10) {
		out, err = json.MarshalIndent(doc, "", "\t")
	}
	if err != nil {
		panic(err) // strings and lists of them only
	}
	if g.chance(10) {
		out = g.escape(out)
	}
	return string(out)
}

// escape writes some letters of a document's strings as \u and four digits.
func (g generator) escape(src []byte) []byte {
	var out []byte
	inside := false
	for i, b := range src {
		if b == '"' && src[i-1] != '\\' {
			inside = !inside
		}
		letter := b >= 'A' && b <= 'Z' || b >= 'g' && b <= 'z' && b != 'n' && b != 'r' && b != 't' && b != 'u' // no part of an escape
		if inside && letter && g.chance(10) {
			out = fmt.Appendf(out, `\u%04x`, b)
			continue
		}
		out = append(out, b)
	}
	return out
}

func (g generator) statement(p pair, i int) map[string]any {
	s := map[string]any{"Effect": "Allow"}
	if g.chance(25) {
		s["Effect"] = "Deny"
	}
	if g.chance(50) {
		s["Sid"] = fmt.Sprintf("S%d", i)
	}
	action := "Action"
	if g.chance(10) {
		action = "NotAction"
	}
	s[action] = g.scalar(g.some(func() string { return pick(g, actions) }))
	if g.chance(10) {
		s["NotPrincipal"] = g.principals(p)
	} else {
		s["Principal"] = g.principals(p)
	}
	if conditions := g.conditions(p); len(conditions) > 0 {
		s["Condition"] = conditions
	}
	return s
}

// principals is a Principal or NotPrincipal element: every second time with the caller among them, under one of its names.
func (g generator) principals(p pair) any {
	if g.chance(15) {
		return "*"
	}
	element := map[string][]string{}
	switch {
	case !strings.HasPrefix(p.request.Principal, "arn:"):
		element["Service"] = g.some(func() string {
			return pick(g, []string{"lambda.amazonaws.com", "ec2.amazonaws.com", "states.amazonaws.com"})
		})
	case g.chance(50):
		account := p.context["aws:PrincipalAccount"].(string)
		element["AWS"] = []string{pick(g, []string{p.request.Principal, p.context["aws:PrincipalArn"].(string), account, "arn:aws:iam::" + account + ":root"})}
	}
	if len(element) == 0 || g.chance(30) {
		element["AWS"] = append(element["AWS"], g.some(g.principal)...)
	}
	if g.chance(8) {
		element["Service"] = append(element["Service"], "events.amazonaws.com")
	}
	if g.chance(4) {
		element["AWS"] = append(element["AWS"], pick(g, []string{"AIDAEXAMPLEUSERID0001", "AROAEXAMPLEROLEID0001"}))
	}
	if g.chance(8) {
		element["Federated"] = []string{pick(g, []string{"cognito-identity.amazonaws.com", "arn:aws:iam::111122223333:saml-provider/Idp"})}
	}
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(element)) {
		slices.Sort(element[name])
		out[name] = g.scalar(slices.Compact(element[name]))
	}
	return out
}

func (g generator) principal() string {
	c := pick(g, callers[:11])
	return pick(g, []string{c.arn, c.arn, c.principalARN, c.account, "arn:aws:iam::" + c.account + ":root", "*",
		"arn:aws:iam::" + c.account + ":role/path/Engineers", "arn:aws-cn:iam::" + c.account + ":role/Engineers"})
}

func (g generator) conditions(p pair) map[string]map[string]any {
	out := map[string]map[string]any{}
	for range g.IntN(4) {
		k := pick(g, keys)
		operator := g.operator(k)
		name := k.name
		switch {
		case g.chance(10):
			name = strings.ToLower(name)
		case g.chance(5):
			name = strings.ToUpper(name)
		}
		if out[operator] == nil {
			out[operator] = map[string]any{}
		}
		if slices.ContainsFunc(slices.Collect(maps.Keys(out[operator])), func(o string) bool { return strings.EqualFold(o, name) }) {
			continue
		}
		if operator == "Null" {
			out[operator][name] = g.scalar(g.some(func() string { return pick(g, []string{"true", "false"}) }))
			continue
		}
		out[operator][name] = g.scalar(g.some(func() string { return g.value(p, k, operator) }))
		if one, ok := out[operator][name].(string); ok && g.chance(30) {
			out[operator][name] = bare(one, operator)
		}
	}
	return out
}

// bare is a boolean or a number without its quotation marks.
func bare(value, operator string) any {
	switch {
	case strings.Contains(operator, "Bool") && (value == "true" || value == "false"):
		return value == "true"
	case strings.Contains(operator, "Numeric") && json.Valid([]byte(value)):
		return json.Number(value)
	}
	return value
}

func (g generator) operator(k key) string {
	if g.chance(10) {
		return "Null"
	}
	operator := pick(g, operators[k.kind])
	if k.name == "aws:EpochTime" && g.chance(30) {
		operator = pick(g, operators[date])
	}
	if g.chance(25) {
		operator += "IfExists"
	}
	if k.kind == list || g.chance(10) {
		operator = pick(g, []string{"ForAnyValue:", "ForAllValues:"}) + operator
	}
	return operator
}

// value is one value of a condition: often what the request has.
func (g generator) value(p pair, k key, operator string) string {
	if have, ok := p.context[k.name].(string); ok && g.chance(40) {
		return have
	}
	if k.name == "aws:EpochTime" && strings.Contains(operator, "Date") && g.chance(50) {
		return pick(g, []string{"2026-02-04T12:00:00Z", "2026-02-04", "2027-01-01T00:00:00Z"})
	}
	return pick(g, slices.Concat(k.values, k.more))
}
