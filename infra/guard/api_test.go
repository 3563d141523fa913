package guard

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/infra/infratest"
	"github.com/countersign/countersign/internal/grant"
)

const everything = "AdministratorAccess"

// caller is one who calls the API, with what its own account lets it do.
type caller struct {
	reader
	calls string // which of the requests get through, by comma
}

var callers = []caller{
	{reader{"an operator", "arn:aws:iam::444455556666:user/ops", everything, ""}, "confirm, other's confirm, rotate, revoke, list"},
	{reader{"an administrator who is no operator", "arn:aws:iam::444455556666:role/Admin", everything, ""}, ""},
	// IAM can't tell the grants of one path from another: whose grant it is the functions see.
	{reader{"its own session", "arn:aws:sts::444455556666:assumed-role/ServiceProvider-s3full/confirm-8c1e5f0a-6b7c-4d8e-9f10-213243546576", "grant s3full", "s3full"},
		"confirm, other's confirm, rotate"},
	{reader{"a session that may do nothing but confirm", "arn:aws:sts::444455556666:assumed-role/ServiceProvider-power/jdoe", "grant power", "power"}, "confirm, other's confirm"},
	{reader{"a session that may ask for nothing", "arn:aws:sts::444455556666:assumed-role/ServiceProvider-admin/jdoe", "grant admin", "admin"}, ""},
	{reader{"its own session, revoked", "arn:aws:sts::444455556666:assumed-role/ServiceProvider-s3full/jdoe", "revoked s3full", "s3full"}, ""},
	{reader{"its provider without a session", "arn:aws:iam::111122223333:role/Engineers-jdoe", everything, ""}, ""},
	{reader{"its provider, with a grant's tag", "arn:aws:iam::111122223333:role/Engineers-jdoe", everything, "s3full"}, ""},
	{reader{"a third account", "arn:aws:iam::999900001111:role/Engineers-eve", everything, ""}, ""},
}

// Who gets through to functions/confirm and to the rest of the API, by its own policy, the callers' policies of the template and
// an IAM simulator that this project did not write.
func TestWhoMayConfirm(t *testing.T) {
	src := strings.Replace(grants, "[PowerUserAccess]", "[PowerUserAccess], providerMay: [confirm]", 1)
	src = strings.Replace(src, "name: admin, permissions: [AdministratorAccess]", "name: admin, permissions: [AdministratorAccess], providerMay: [], whenUnconfirmed: cut", 1)
	tmpl := infratest.Synth(t, infratest.Access(t, "operators: [\"arn:aws:iam::444455556666:user/ops\"]\n"+src, nil))[0]
	rest := tmpl.OfType(t, "AWS::ApiGateway::RestApi")[0]
	api := "arn:aws:execute-api:eu-west-1:444455556666:" + tmpl.Text(map[string]any{"Ref": rest.ID})
	policyOfAPI := strings.ReplaceAll(tmpl.Text(rest.Properties["Policy"]), `"execute-api:/`, `"`+api+`/`) // as API Gateway reads it
	paths := map[string]string{
		"confirm": "POST/grants/s3full/confirm", "other's confirm": "POST/grants/sharer/confirm", "rotate": "POST/grants/s3full/rotate",
		"revoke": "POST/grants/s3full/revoke", "list": "GET/grants",
	}
	var requests []request
	identities := map[string][]policy{}
	for _, c := range callers {
		identities[c.name] = c.mayDo(t, tmpl)
		for what, path := range paths {
			q := request{ID: c.name + ", " + what, Principal: c.principal, Action: "execute-api:Invoke", Resource: api + "/v1/" + path, ResourcePolicy: json.RawMessage(policyOfAPI),
				Context: map[string]string{"aws:PrincipalArn": whole(c.reader), "aws:PrincipalAccount": strings.Split(c.principal, ":")[4], "aws:PrincipalIsAWSService": "false"}}
			if c.tag != "" {
				q.Context["aws:PrincipalTag/"+grant.TagGrant] = c.tag
			}
			requests = append(requests, q)
		}
	}
	results := simulate(t, identities, requests).Results
	for _, c := range callers {
		wanted := map[string]bool{}
		for what := range strings.SplitSeq(c.calls, ", ") {
			if paths[what] == "" && c.calls != "" {
				t.Fatalf("%s is said to call %q", c.name, what)
			}
			wanted[what] = true
		}
		for what := range paths {
			if got := results[c.name][c.name+", "+what]; (got == "Allowed") != wanted[what] {
				t.Errorf("%s, %s: %s", c.name, what, got)
			}
		}
	}
}

// mayDo are a caller's policies: of a granted role all that it has, AWS's of the same name included.
func (c caller) mayDo(t *testing.T, tmpl *infratest.Template) []policy {
	t.Helper()
	kind, name, _ := strings.Cut(c.identity, " ")
	switch kind {
	case "grant":
		return identity(t, tmpl, grant.Name(name), true)
	case "revoked":
		return append(identity(t, tmpl, grant.Name(name), true), policy{grant.RevocationPolicy, json.RawMessage(grant.DenyRevocation)})
	}
	doc, err := os.ReadFile(filepath.Join("testdata", c.identity+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return []policy{{c.identity, doc}}
}
