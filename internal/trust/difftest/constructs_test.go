package difftest

import (
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/trust"
)

// construct is something that a trust policy or a call can have.
type construct struct {
	name string
	in   func(p pair, document string) bool // document is p's without escapes, in one line
}

// constructs are all that the comparison is about.
var constructs = append([]construct{
	{"a statement in a list", has(`"Statement":[`)},
	{"a lone statement", has(`"Statement":{`)},
	{"Version 2012-10-17", has(`"Version":"2012-10-17"`)},
	{"Version 2008-10-17", has(`"Version":"2008-10-17"`)},
	{"no Version", hasNot(`"Version"`)},
	{"Allow", has(`"Effect":"Allow"`)},
	{"Deny", has(`"Effect":"Deny"`)},
	{"Principal *", has(`"Principal":"*"`)},
	{"Principal AWS *", has(`"AWS":"*"`)},
	{"NotPrincipal", has(`"NotPrincipal"`)},
	{"an account of 12 digits", has(`"111122223333"`)},
	{"an account's root", has(`:root"`)},
	{"a user as principal", has(`"arn:aws:iam::111122223333:user/jdoe"`)},
	{"a role with a path as principal", has(`:role/path/Engineers"`)},
	{"a session as principal", has(`:assumed-role/Engineers/jdoe"`)},
	{"a deleted user as principal", has(`"AIDA`)},
	{"a deleted role as principal", has(`"AROA`)},
	{"another partition", has(`"arn:aws-cn:`)},
	{"a service as principal", has(`"Service":`)},
	{"an identity provider as principal", has(`"Federated":`)},
	{"an action as scalar", has(`"Action":"`)},
	{"actions as list", has(`"Action":[`)},
	{"NotAction", has(`"NotAction"`)},
	{"a wildcard in an action", has(`"sts:Assume*"`)},
	{"an action in another case", has(`"sts:assumerole"`)},
	{"a key in lower case", has(`"sts:externalid"`)},
	{"a key in upper case", has(`"STS:EXTERNALID"`)},
	{"a value as scalar", has(`"sts:ExternalId":"`)},
	{"values as list", has(`"sts:ExternalId":[`)},
	{"a boolean without quotation marks", has(`"aws:MultiFactorAuthPresent":true`)},
	{"a number without quotation marks", has(`"aws:MultiFactorAuthAge":10`)},
	{"a policy variable", has("${aws:username}")},
	{"a policy variable with a default", has(", 'jdoe'}")},
	{"a wildcard taken literally", has("${*}")},
	{"a question mark taken literally", has("${?}")},
	{"a dollar taken literally", has("${$}")},
	{"an empty value", has(`:""`)},
	{"letters outside ASCII", has("été")},
	{"escapes", func(p pair, _ string) bool { return strings.Contains(p.document, `\u00`) }},
	{"white space", func(p pair, _ string) bool { return strings.Contains(p.document, "\n\t") }},
	{"URL-encoded", func(p pair, _ string) bool { return p.encoded }},
	{"sts:AssumeRole", func(p pair, _ string) bool { return p.request.Action == trust.ActionAssumeRole }},
	{"sts:SetSourceIdentity", func(p pair, _ string) bool { return p.request.Action == trust.ActionSetSourceIdentity }},
	{"a call without a date", func(p pair, _ string) bool { return p.request.At.IsZero() }},
	{"a session calls", calls(":assumed-role/")},
	{"a role calls", calls(":role/")},
	{"a user calls", calls(":user/")},
	{"a root user calls", calls(":root")},
	{"a service calls", calls(".amazonaws.com")},
}, named()...)

// named are every operator, with and without IfExists and set operators, and every condition key.
func named() (list []construct) {
	add := func(name string) { list = append(list, construct{name, has(`"` + name + `":`)}) }
	seen := map[string]bool{}
	for _, names := range operators {
		for _, name := range names {
			if seen[name] {
				continue
			}
			seen[name] = true
			for _, ifExists := range []string{"", "IfExists"} {
				add(name + ifExists)
				add("ForAnyValue:" + name + ifExists)
				add("ForAllValues:" + name + ifExists)
			}
		}
	}
	add("Null")
	for _, k := range keys {
		add(k.name)
		if len(k.values) > 0 {
			list = append(list, construct{k.name + " in a call", func(p pair, _ string) bool { return p.context[k.name] != nil }})
		}
	}
	return list
}

func has(text string) func(pair, string) bool {
	return func(_ pair, document string) bool { return strings.Contains(document, text) }
}

func hasNot(text string) func(pair, string) bool {
	return func(_ pair, document string) bool { return !strings.Contains(document, text) }
}

func calls(part string) func(pair, string) bool {
	return func(p pair, _ string) bool { return strings.Contains(p.request.Principal, part) }
}

// tally counts in how many compared pairs each construct was.
type tally map[string]int

func (n tally) add(p pair) {
	document := p.document
	if strings.ContainsAny(document, "\\\n") {
		document = plain(document)
	}
	for _, c := range constructs {
		if c.in(p, document) {
			n[c.name]++
		}
	}
}

// check fails for every construct that no compared pair had.
func (n tally) check(t *testing.T) {
	t.Helper()
	rarest := constructs[0].name
	for _, c := range constructs {
		if n[c.name] == 0 {
			t.Errorf("no pair has %s", c.name)
		}
		if n[c.name] < n[rarest] {
			rarest = c.name
		}
	}
	t.Logf("%d constructs, the rarest in %d pairs: %s", len(constructs), n[rarest], rarest)
}
