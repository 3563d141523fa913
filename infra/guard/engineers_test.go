package guard

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/infra"
	"github.com/countersign/countersign/infra/infratest"
)

// twoCustomers is a customers.yaml with a customer for each of two teams.
const twoCustomers = `
principals: [role/Engineers]
teams: [{name: blue}, {name: red}]
customers:
  - {name: acme, account: "100000000001", prefix: acmeco, grant: migration, teams: [blue], role: "arn:aws:iam::100000000001:role/countersign/ServiceProvider-migration",
     secret: "arn:aws:secretsmanager:eu-west-1:100000000001:secret:countersign/migration-Ab3dEf"}
  - {name: umbrella, account: "100000000002", prefix: umbrella, grant: backup, teams: [red], role: "arn:aws:iam::100000000002:role/countersign/ServiceProvider-backup",
     secret: "arn:aws:secretsmanager:eu-west-1:100000000002:secret:countersign/backup-Ab3dEf"}
`

// asks are what an engineer of acme's tries. The customers' own policies let the provider's account do all of it.
var asks = []struct {
	what, action, resource, id string
	may                        bool
}{
	{"enters acme with an external ID", "sts:AssumeRole", "arn:aws:iam::100000000001:role/countersign/ServiceProvider-migration", "an-id", true},
	{"says who it is there", "sts:SetSourceIdentity", "arn:aws:iam::100000000001:role/countersign/ServiceProvider-migration", "", true},
	{"reads acme's secret", "secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-west-1:100000000001:secret:countersign/migration-Ab3dEf", "", true},
	{"finds customers", "dynamodb:Query", "arn:aws:dynamodb:eu-west-1:444455556666:table/countersign-customers", "", true},

	{"enters acme without one", "sts:AssumeRole", "arn:aws:iam::100000000001:role/countersign/ServiceProvider-migration", "", false},
	{"enters umbrella", "sts:AssumeRole", "arn:aws:iam::100000000002:role/countersign/ServiceProvider-backup", "an-id", false},
	{"says who it is at umbrella", "sts:SetSourceIdentity", "arn:aws:iam::100000000002:role/countersign/ServiceProvider-backup", "", false},
	{"enters a role of acme's that is none of Countersign's", "sts:AssumeRole", "arn:aws:iam::100000000001:role/Administrator", "an-id", false},
	{"enters one of a name that begins alike", "sts:AssumeRole", "arn:aws:iam::100000000001:role/countersigned/Administrator", "an-id", false},
	{"tags its session", "sts:TagSession", "arn:aws:iam::100000000001:role/countersign/ServiceProvider-migration", "", false},
	{"reads umbrella's secret", "secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-west-1:100000000002:secret:countersign/backup-Ab3dEf", "", false},
	{"reads another secret of acme's", "secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-west-1:100000000001:secret:database-Ab3dEf", "", false},
	{"accepts a customer", "dynamodb:PutItem", "arn:aws:dynamodb:eu-west-1:444455556666:table/countersign-customers", "", false},
	{"forgets one", "dynamodb:DeleteItem", "arn:aws:dynamodb:eu-west-1:444455556666:table/countersign-customers", "", false},
}

// Each form of engineers' roles enters exactly its customers, only with an external ID: by the policies of the template and an IAM
// simulator that this project did not write. By tags nobody enters anybody whom no tag names.
func TestWhoEntersWhichCustomer(t *testing.T) {
	const acme = "aws:PrincipalTag/CountersignEngineer"
	for _, form := range []struct {
		name, head, role string
		tags             map[string]string
		nothing          bool // neither enters nor reads
	}{
		{name: "a role a team", head: "engineers: teams", role: infra.Engineer + "-blue"},
		{name: "a role a customer", head: "engineers: customers", role: infra.OfOne + "-acme"},
		{name: "tags", head: tagged, role: infra.Engineer, tags: map[string]string{acme + "1": "100000000001"}},
		{name: "the last tag", head: tagged, role: infra.Engineer, tags: map[string]string{acme + "1": "100000000009", acme + "20": "100000000001"}},
		{name: "another tag", head: tagged, role: infra.Engineer, tags: map[string]string{acme + "1": "100000000009", acme + "21": "100000000001"}, nothing: true},
		{name: "no tags", head: tagged, role: infra.Engineer, nothing: true},
		{name: "a tag of no account", head: tagged, role: infra.Engineer, tags: map[string]string{acme + "1": "none", acme + "2": "*"}, nothing: true},
	} {
		t.Run(form.name, func(t *testing.T) {
			tmpl, _ := infratest.SynthProvider(t, infratest.Roster(t, "version: 1\n"+form.head+twoCustomers))
			var requests []request
			for _, ask := range asks {
				account := strings.Split(ask.resource, ":")[4]
				q := request{
					ID: ask.what, Principal: "arn:aws:sts::444455556666:assumed-role/" + form.role + "/jdoe", Action: ask.action, Resource: ask.resource, Account: account,
					Context: map[string]string{"aws:PrincipalArn": "arn:aws:iam::444455556666:role/" + form.role, "aws:PrincipalAccount": "444455556666", "aws:ResourceAccount": account},
				}
				maps.Copy(q.Context, form.tags)
				if ask.id != "" {
					q.Context["sts:ExternalId"] = ask.id
				}
				if account != "444455556666" {
					q.ResourcePolicy = json.RawMessage(letsIn(ask.action, ask.resource))
				}
				requests = append(requests, q)
			}
			results := simulate(t, map[string][]policy{"engineer": mayOf(t, tmpl, form.role)}, requests).Results["engineer"]
			for _, ask := range asks {
				may := ask.may && (!form.nothing || strings.HasPrefix(ask.action, "dynamodb:"))
				if got := results[ask.what]; (got == "Allowed") != may {
					t.Errorf("%s: %s", ask.what, got)
				}
			}
		})
	}
}

const tagged = "engineers: tags\nsamlProvider: arn:aws:iam::444455556666:saml-provider/corp"

// letsIn is a customer's policy that leaves everything to the provider's account.
func letsIn(action, resource string) string {
	on := `"Resource":"` + resource + `",`
	if strings.HasPrefix(action, "sts:") {
		on = "" // a trust policy
	}
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"},%s"Action":%q}}`, on, action)
}

// mayOf are the policies of an engineers' role.
func mayOf(t *testing.T, tmpl *infratest.Template, role string) (out []policy) {
	t.Helper()
	id := tmpl.One(t, "AWS::IAM::Role", "RoleName", role).ID
	for _, p := range tmpl.OfType(t, "AWS::IAM::ManagedPolicy") {
		roles, _ := p.Properties["Roles"].([]any)
		if slices.ContainsFunc(roles, func(r any) bool { return fmt.Sprint(r) == fmt.Sprint(map[string]any{"Ref": id}) }) {
			out = append(out, policy{p.ID, json.RawMessage(tmpl.Text(p.Properties["PolicyDocument"]))})
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no policy", role)
	}
	return out
}
