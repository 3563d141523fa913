package access_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/customers"
)

const roster = `version: 1
engineers: teams
principals: [role/Engineers-*]
registrars: ["arn:aws:iam::111122223333:role/Registrar"]
alerts: [ops@example.com]
teams:
  - name: blue
    principals: [role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Blue_*]
  - name: red
customers:
  - {name: acme, account: "444455556666", prefix: acme, grant: migration, teams: [blue],
     role: "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration",
     secret: "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-Ab3dEf"}
  - {name: invited, account: "555566667777", prefix: pinvited}
  - {name: old, account: "666677778888", kind: static, role: "arn:aws:iam::666677778888:role/Vendor",
     secret: "arn:aws:secretsmanager:eu-west-1:111122223333:secret:static/old-Ab3dEf"}
  - {name: open, account: "777788889999", kind: none, role: "arn:aws:iam::777788889999:role/Vendor"}
`

func TestCustomersYAMLIsRead(t *testing.T) {
	got, err := access.ParseRoster("customers.yaml", []byte(roster))
	if err != nil {
		t.Fatal(err)
	}
	want := &access.Roster{
		File: "customers.yaml", Engineers: access.EngineersByTeam, Principals: []string{"role/Engineers-*"}, Registrars: []string{"role/Registrar"},
		Alerts: []string{"ops@example.com"},
		Teams:  []access.Team{{Name: "blue", Principals: []string{"role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Blue_*"}}, {Name: "red"}},
		Members: []access.Member{
			{Name: "acme", Account: "444455556666", Prefix: "acme", Grant: "migration", Kind: customers.KindCountersign, Teams: []string{"blue"},
				Role: "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration", Secret: "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-Ab3dEf"},
			{Name: "invited", Account: "555566667777", Prefix: "pinvited", Kind: customers.KindCountersign},
			{Name: "old", Account: "666677778888", Kind: customers.KindStatic, Role: "arn:aws:iam::666677778888:role/Vendor", Secret: "arn:aws:secretsmanager:eu-west-1:111122223333:secret:static/old-Ab3dEf"},
			{Name: "open", Account: "777788889999", Kind: customers.KindNone, Role: "arn:aws:iam::777788889999:role/Vendor"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestProblemsOfCustomersYAML(t *testing.T) {
	acme := strings.Index(roster, "  - {name: invited")
	for _, tc := range []struct{ name, src, want string }{
		{"empty", "", "the file is empty"},
		{"another form", strings.Replace(roster, "engineers: teams", "engineers: everybody", 1), `engineers is teams, customers or tags: "everybody"`},
		{"a principal of somebody else", strings.Replace(roster, "role/Engineers-*", `"*"`, 1), "a principal is role/… or user/… of your own account"},
		{"an unknown team", strings.Replace(roster, "teams: [blue]", "teams: [green]", 1), `customer acme: there is no team "green" above`},
		{"a number", strings.Replace(roster, `account: "555566667777"`, "account: 555566667777", 1), "YAML reads a number"},
		{"a short account", strings.Replace(roster, `account: "555566667777"`, `account: "5555"`, 1), "12 digits"},
		{"a role of another account", strings.Replace(roster, "arn:aws:iam::444455556666:role/countersign", "arn:aws:iam::555566667777:role/countersign", 1), "the role is in account 555566667777, not in 444455556666"},
		{"a secret of another account", strings.Replace(roster, "eu-west-1:444455556666", "eu-west-1:555566667777", 1), "the secret is in account 555566667777"},
		{"static without its secret", strings.Replace(roster, "kind: none", "kind: static", 1), "is not a secret's full ARN"},
		{"a secret without an external ID", strings.Replace(roster, "kind: static", "kind: none", 1), "kind none has no secret"},
		{"the same name", roster + roster[acme:], "name invited is customer invited's already"},
		{"the same role", roster + `  - {name: again, account: "777788889999", kind: none, role: "arn:aws:iam::777788889999:role/Vendor"}`, "customer open's already"},
		{"a prefix twice", roster + `  - {name: again, account: "888899990000", prefix: acme}`, "prefix acme goes with 444455556666, not with 888899990000"},
		{"two prefixes", roster + `  - {name: again, account: "444455556666", prefix: other, grant: audit}`, "account 444455556666 goes with acme, not with other"},
		{"no instance", "version: 1\nidentityCenter: here\n", "not the ARN of an Identity Center instance"},
		{"a name that is a flag", roster + `  - {name: -rf, account: "888899990000", prefix: pppp}`, "not starting with a hyphen"},
		{"tags that anybody may set", "version: 1\nengineers: tags\n", "session tags must come from an identity provider"},
		{"no SAML provider", "version: 1\nsamlProvider: corp\n", "not the ARN of a SAML provider"},
		{"no group", "version: 1\nteams: [{name: blue, group: blue}]\n", "not a group's id in Identity Center"},
		{"an external ID", roster + `  - {name: x, account: "888899990000", externalId: abcdef}`, `a customer has no key "externalId"`},
	} {
		_, err := access.ParseRoster("customers.yaml", []byte(tc.src))
		problems, ok := errors.AsType[*access.Problems](err)
		if !ok || len(problems.Errors) == 0 || !strings.Contains(problems.Errors[0].Message+" "+problems.Errors[0].Why, tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
		if strings.Contains(err.Error(), "abcdef") && tc.name == "an external ID" {
			t.Errorf("%s is shown: %v", tc.name, err)
		}
	}
}
