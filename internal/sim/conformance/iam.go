package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/grant"
)

const (
	guide = "IAM user guide, "
	api   = "IAM API reference, "
)

func trustCases() []Case {
	cases := []Case{
		{"a trust policy reads back with the same meaning", api + "GetRole", func(t testing.TB, a Account) {
			written := `{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:root"]},
				"Action":["sts:AssumeRole"],"Condition":{"StringEquals":{"sts:ExternalId":["one","two"]}}},
				{"Effect":"Deny","Principal":"*","Action":"sts:TagSession"}]}`
			name := a.newRole(t, Closed)
			must(t, "writing", a.Roles.SetTrust(t.Context(), name, []byte(written)))
			a.Settle()
			role, err := a.Roles.Role(t.Context(), name)
			must(t, "reading", err)
			if got, want := meaning(t, role.Trust), meaning(t, []byte(written)); got != want {
				t.Errorf("read back\n%s\nwant\n%s", got, want)
			}
			if !strings.HasSuffix(role.ARN, ":role/countersign/"+name) {
				t.Errorf("ARN %s does not end with path and name", role.ARN)
			}
		}},
		{"an account id reads back as the ARN of its root", guide + "AWS JSON policy elements: Principal", func(t testing.TB, a Account) {
			name := a.newRole(t, strings.Replace(Closed, `"*"`, `{"AWS":"111122223333"}`, 1))
			role, err := a.Roles.Role(t.Context(), name)
			must(t, "reading", err)
			if !strings.Contains(string(role.Trust), `"arn:aws:iam::111122223333:root"`) {
				t.Errorf("read back %s", role.Trust)
			}
		}},
		{"the quota of a trust policy is 2,048 characters", guide + "IAM and AWS STS quotas", func(t testing.TB, a Account) {
			name := a.newRole(t, Closed)
			want(t, "writing 2,048 characters", a.Roles.SetTrust(t.Context(), name, []byte(padded(2048))), nil)
			want(t, "writing 2,049 characters", a.Roles.SetTrust(t.Context(), name, []byte(padded(2049))), grant.ErrQuota)
		}},
		{"a deleted principal reads back as its unique id and can't be written again", guide + "AWS JSON policy elements: Principal", func(t testing.TB, a Account) {
			p := a.NewPrincipal(t)
			name := a.newRole(t, strings.Replace(Closed, `"*"`, `{"AWS":"`+p.ARN+`"}`, 1))
			p.Remove()
			a.Settle()
			shown := trustOf(t, a, name)
			if strings.Contains(shown, p.ARN) || !strings.Contains(shown, `"AROA`) {
				t.Errorf("read back %s, want a unique id in place of %s", shown, p.ARN)
			}
			want(t, "writing it back", a.Roles.SetTrust(t.Context(), name, []byte(shown)), grant.ErrMalformed)
		}},
		{"a principal of the same name that is made later is another one", guide + "AWS JSON policy elements: Principal", func(t testing.TB, a Account) {
			p := a.NewPrincipal(t)
			name := a.newRole(t, strings.Replace(Closed, `"*"`, `{"AWS":"`+p.ARN+`"}`, 1))
			p.Remove()
			p.Remake()
			a.Settle()
			if shown := trustOf(t, a, name); strings.Contains(shown, p.ARN) {
				t.Errorf("the trust policy names the new one: %s", shown)
			}
		}},
		{"an ARN in a condition is not converted", guide + "AWS JSON policy elements: Principal", func(t testing.TB, a Account) {
			p := a.NewPrincipal(t)
			name := a.newRole(t, strings.Replace(Closed, `"sts:AssumeRole"}`, `"sts:AssumeRole","Condition":{"ArnEquals":{"aws:PrincipalArn":"`+p.ARN+`"}}}`, 1))
			p.Remove()
			a.Settle()
			if shown := trustOf(t, a, name); !strings.Contains(shown, p.ARN) {
				t.Errorf("read back %s, want the ARN %s", shown, p.ARN)
			}
		}},
		{"a list of one reads back as a scalar", "AWS Config, AWS::IAM::Role", func(t testing.TB, a Account) {
			name := a.newRole(t, strings.Replace(Closed, `"sts:AssumeRole"`, `["sts:AssumeRole"]`, 1))
			a.Settle()
			if shown := trustOf(t, a, name); strings.Contains(shown, `["sts:AssumeRole"]`) {
				t.Errorf("read back %s", shown)
			}
		}},
		{"a statement may stand without a list", guide + "Grammar of the IAM JSON policy language", func(t testing.TB, a Account) {
			name := a.newRole(t, Closed)
			must(t, "writing", a.Roles.SetTrust(t.Context(), name, []byte(`{"Version":"2012-10-17","Statement":{"Sid":"Alone","Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}}`)))
			a.Settle()
			if shown := trustOf(t, a, name); !strings.Contains(shown, `"Alone"`) {
				t.Errorf("read back %s", shown)
			}
		}},
		{"a policy has characters up to U+00FF only", api + "UpdateAssumeRolePolicy: PolicyDocument", func(t testing.TB, a Account) {
			name := a.newRole(t, Closed)
			with := func(s string) error {
				return a.Roles.SetTrust(t.Context(), name, []byte(strings.Replace(Closed, `"sts:AssumeRole"}`, `"sts:AssumeRole","Condition":{"StringEquals":{"sts:RoleSessionName":"`+s+`"}}}`, 1)))
			}
			want(t, "with ü", with("ü"), nil)
			if with("\u0142") == nil {
				t.Error("a character beyond U+00FF was taken")
			}
		}},
		{"a service-linked role can't be changed", api + "UpdateAssumeRolePolicy: UnmodifiableEntity", func(t testing.TB, a Account) {
			name := a.NewLinkedRole(t)
			want(t, "UpdateAssumeRolePolicy", a.Roles.SetTrust(t.Context(), name, []byte(Closed)), grant.ErrUnmodifiable)
			want(t, "PutRolePolicy", a.Inline.PutInlinePolicy(t.Context(), name, "Some", []byte(grant.OpenRevocation)), grant.ErrUnmodifiable)
		}},
		{"nobody finds a role that is not there", api + "GetRole", func(t testing.TB, a Account) {
			_, err := a.Roles.Role(t.Context(), "NoSuchRole")
			want(t, "GetRole", err, grant.ErrNotFound)
			wantCode(t, "GetRole", err, "NoSuchEntity")
			want(t, "UpdateAssumeRolePolicy", a.Roles.SetTrust(t.Context(), "NoSuchRole", []byte(Closed)), grant.ErrNotFound)
			want(t, "TagRole", a.Roles.TagRole(t.Context(), "NoSuchRole", map[string]string{"a": "b"}), grant.ErrNotFound)
		}},
		{"a tag leaves the others alone", api + "TagRole", func(t testing.TB, a Account) {
			name := a.newRole(t, Closed)
			must(t, "tagging", a.Roles.TagRole(t.Context(), name, map[string]string{"countersign:a": "1", "countersign:b": "2"}))
			must(t, "tagging", a.Roles.TagRole(t.Context(), name, map[string]string{"countersign:b": "3"}))
			a.Settle()
			role, err := a.Roles.Role(t.Context(), name)
			must(t, "reading", err)
			if role.Tags["countersign:a"] != "1" || role.Tags["countersign:b"] != "3" {
				t.Errorf("tags %v", role.Tags)
			}
		}},
		{"a role's tags have bounds", api + "TagRole", func(t testing.TB, a Account) {
			name := a.newRole(t, Closed)
			many := map[string]string{}
			for i := range 51 {
				many[fmt.Sprint("k", i)] = "v"
			}
			for what, tags := range map[string]map[string]string{
				"a key that begins with aws:": {"aws:reserved": "x"}, "a key of 129 characters": {strings.Repeat("k", 129): "v"},
				"a value of 257 characters": {"k": strings.Repeat("v", 257)}, "a value with a line break": {"k": "a\nb"}, "51 tags": many,
			} {
				if a.Roles.TagRole(t.Context(), name, tags) == nil {
					t.Errorf("%s was taken", what)
				}
			}
		}},
	}
	return append(cases, malformedTrust()...)
}

func malformedTrust() []Case {
	const reference = guide + "IAM JSON policy element reference"
	statement := func(body string) string { return `{"Version":"2012-10-17","Statement":[` + body + `]}` }
	var cases []Case
	for name, document := range map[string]string{
		"that is no JSON":                     `{"Version":`,
		"with an unknown Version":             `{"Version":"2020-01-01","Statement":[{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}]}`,
		"without a statement":                 statement(``),
		"with an unknown element":             statement(`{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Until":"tomorrow"}`),
		"with an unknown effect":              statement(`{"Effect":"Perhaps","Principal":"*","Action":"sts:AssumeRole"}`),
		"with NotPrincipal":                   statement(`{"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}`),
		"without a principal":                 statement(`{"Effect":"Deny","Action":"sts:AssumeRole"}`),
		"with a resource":                     statement(`{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}`),
		"without an action":                   statement(`{"Effect":"Deny","Principal":"*"}`),
		"with another service's action":       statement(`{"Effect":"Deny","Principal":"*","Action":"s3:GetObject"}`),
		"with a hyphen in a Sid":              statement(`{"Sid":"not-so","Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}`),
		"with two equal Sids":                 statement(`{"Sid":"A","Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"},{"Sid":"A","Effect":"Deny","Principal":"*","Action":"sts:TagSession"}`),
		"with an unknown condition operator":  statement(`{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringResembles":{"sts:ExternalId":"x"}}}`),
		"with a principal that never existed": statement(`{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::111122223333:role/never-existed"},"Action":"sts:AssumeRole"}`),
		"with a raw unique id":                statement(`{"Effect":"Deny","Principal":{"AWS":"AROAEXAMPLEEXAMPLE234"},"Action":"sts:AssumeRole"}`),
	} {
		cases = append(cases, Case{"a trust policy " + name + " is malformed", reference, func(t testing.TB, a Account) {
			role := a.newRole(t, Closed)
			before, err := a.Roles.Role(t.Context(), role)
			must(t, "reading", err)
			err = a.Roles.SetTrust(t.Context(), role, []byte(document))
			want(t, "UpdateAssumeRolePolicy", err, grant.ErrMalformed)
			wantCode(t, "UpdateAssumeRolePolicy", err, "MalformedPolicyDocument")
			a.Settle()
			after, err := a.Roles.Role(t.Context(), role)
			must(t, "reading", err)
			if meaning(t, before.Trust) != meaning(t, after.Trust) {
				t.Errorf("the refused write changed the policy to %s", after.Trust)
			}
		}})
	}
	slices.SortFunc(cases, func(a, b Case) int { return strings.Compare(a.Name, b.Name) })
	return cases
}

func inlineCases() []Case {
	put := func(a Account, ctx context.Context, role, document string) error {
		return a.Inline.PutInlinePolicy(ctx, role, "Some", []byte(document))
	}
	return []Case{
		{"an inline policy is written, replaced and read", api + "PutRolePolicy", func(t testing.TB, a Account) {
			name := a.newRole(t, Closed)
			_, err := a.Inline.InlinePolicy(t.Context(), name, "Some")
			want(t, "GetRolePolicy before", err, grant.ErrNotFound)
			for _, document := range []string{grant.OpenRevocation, grant.DenyRevocation} {
				must(t, "PutRolePolicy", put(a, t.Context(), name, document))
				a.Settle()
				got, err := a.Inline.InlinePolicy(t.Context(), name, "Some")
				must(t, "GetRolePolicy", err)
				if meaning(t, got) != meaning(t, []byte(document)) {
					t.Errorf("read back %s, want %s", got, document)
				}
			}
		}},
		{"the inline policies of a role hold 10,240 characters in all", guide + "IAM and AWS STS quotas", func(t testing.TB, a Account) {
			name := a.newRole(t, Closed)
			big := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:Get","Resource":"arn:aws:s3:::%s"}]}`, strings.Repeat("x", 6000))
			must(t, "PutRolePolicy", a.Inline.PutInlinePolicy(t.Context(), name, "First", []byte(big)))
			want(t, "the same again", a.Inline.PutInlinePolicy(t.Context(), name, "First", []byte(big)), nil)
			want(t, "a second one", a.Inline.PutInlinePolicy(t.Context(), name, "Second", []byte(big)), grant.ErrQuota)
		}},
		{"white space in an inline policy does not count", guide + "IAM and AWS STS quotas", func(t testing.TB, a Account) {
			name := a.newRole(t, Closed)
			spacious := strings.Replace(grant.OpenRevocation, ",", ","+strings.Repeat("\n        ", 2000), 1)
			want(t, "PutRolePolicy", put(a, t.Context(), name, spacious), nil)
		}},
		{"an inline policy names resources and no principal", guide + "IAM JSON policy element reference", func(t testing.TB, a Account) {
			name := a.newRole(t, Closed)
			want(t, "with a principal", put(a, t.Context(), name, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}`), grant.ErrMalformed)
			want(t, "without a resource", put(a, t.Context(), name, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*"}]}`), grant.ErrMalformed)
			want(t, "with an action of no service", put(a, t.Context(), name, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"everything","Resource":"*"}]}`), grant.ErrMalformed)
			want(t, "with a hyphen in the Sid", put(a, t.Context(), name, `{"Version":"2012-10-17","Statement":[{"Sid":"not-so","Effect":"Deny","Action":"*","Resource":"*"}]}`), grant.ErrMalformed)
			want(t, "with two equal Sids", put(a, t.Context(), name, `{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Deny","Action":"s3:*","Resource":"*"},{"Sid":"A","Effect":"Deny","Action":"ec2:*","Resource":"*"}]}`), grant.ErrMalformed)
		}},
		{"nobody writes policies of a role that is not there", api + "PutRolePolicy", func(t testing.TB, a Account) {
			want(t, "PutRolePolicy", put(a, t.Context(), "NoSuchRole", grant.OpenRevocation), grant.ErrNotFound)
			_, err := a.Inline.InlinePolicy(t.Context(), "NoSuchRole", "Some")
			want(t, "GetRolePolicy", err, grant.ErrNotFound)
		}},
	}
}

// trustOf reads a role's trust policy.
func trustOf(t testing.TB, a Account, roleName string) string {
	t.Helper()
	role, err := a.Roles.Role(t.Context(), roleName)
	must(t, "reading", err)
	return string(role.Trust)
}

// meaning is a policy without differences of writing: lists sorted, lists of one unwrapped, object keys in order.
func meaning(t testing.TB, document []byte) string {
	t.Helper()
	var tree any
	if err := json.Unmarshal(document, &tree); err != nil {
		t.Fatalf("the policy is no JSON: %v\n%s", err, document)
	}
	return canonical(tree)
}

func canonical(tree any) string {
	switch v := tree.(type) {
	case []any:
		out := make([]string, len(v))
		for i, one := range v {
			out[i] = canonical(one)
		}
		slices.Sort(out)
		if len(out) == 1 {
			return out[0]
		}
		return "[" + strings.Join(out, ",") + "]"
	case map[string]any:
		out := make([]string, 0, len(v))
		for key, one := range v {
			out = append(out, key+":"+canonical(one))
		}
		slices.Sort(out)
		return "{" + strings.Join(out, ",") + "}"
	}
	return fmt.Sprintf("%q", fmt.Sprint(tree))
}
