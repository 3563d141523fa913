package guard

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/infra/infratest"
)

// reader is one who asks for the value of the secret of grant "s3full", with what its own account lets it do.
type reader struct {
	name, principal string
	identity        string // a managed policy of testdata; a granted role's own policies where it begins with "grant "; a function's where with "function "
	tag             string // of the principal: the grant that it is the role of
}

var readers = []reader{
	{"an operator", "arn:aws:iam::444455556666:user/ops", "AdministratorAccess", ""},
	{"an administrator who is no operator", "arn:aws:iam::444455556666:role/Admin", "AdministratorAccess", ""},
	{"its own role", "arn:aws:sts::444455556666:assumed-role/ServiceProvider-s3full/jdoe", "grant s3full", "s3full"},
	{"another grant's role", "arn:aws:sts::444455556666:assumed-role/ServiceProvider-power/jdoe", "grant power", "power"},
	{"another grant's role, administrator", "arn:aws:sts::444455556666:assumed-role/ServiceProvider-admin/jdoe", "AdministratorAccess", "admin"},
	{"an administrator's role that took a grant's tag", "arn:aws:iam::444455556666:role/Imposter", "AdministratorAccess", "admin"},
	{"its provider", "arn:aws:iam::111122223333:role/Engineers-jdoe", "AdministratorAccess", ""},
	{"its provider, another principal", "arn:aws:iam::111122223333:user/intern", "AdministratorAccess", ""},
	{"a third account", "arn:aws:iam::999900001111:role/Engineers-eve", "AdministratorAccess", ""},
	{"rotate", "arn:aws:iam::444455556666:role/countersign-rotate", "function rotate", ""},
	{"reconcile", "arn:aws:iam::444455556666:role/countersign-reconcile", "function reconcile", ""},
	{"revoke", "arn:aws:iam::444455556666:role/countersign-revoke", "AdministratorAccess", ""},
	{"operate", "arn:aws:iam::444455556666:role/countersign-operate", "AdministratorAccess", ""},
	{"notify", "arn:aws:iam::444455556666:role/countersign-notify", "AdministratorAccess", ""},
}

// Who reads a secret, by the policies of the template and an IAM simulator that this project did not write. Where somebody is
// refused, that is so although its own policies allow everything.
func TestWhoReadsASecret(t *testing.T) {
	const restored = "restored"
	for _, c := range []struct {
		name, operators, pickUp, state string
		read                           string // names of readers, by comma
	}{
		{"as deployed", "", "", "", "an operator, an administrator who is no operator, its own role, its provider, rotate, reconcile"},
		{"with operators", "user/ops", "", "", "an operator, its own role, its provider, rotate, reconcile"},
		{"revoked", "user/ops", "", "revoked", "an operator, its own role, rotate, reconcile"}, // the Deny on the role refuses it
		{"restored", "user/ops", "", restored, "an operator, its own role, its provider, rotate, reconcile"},
		{"picked up in session only", "user/ops", ", pickUp: [session]", "", "an operator, its own role, rotate, reconcile"},
		{"picked up in session only, without operators", "", ", pickUp: [session]", "", "an operator, an administrator who is no operator, its own role, rotate, reconcile"},
		{"picked up by account only", "user/ops", ", pickUp: [account]", "", "an operator, its provider, rotate, reconcile"},
		{"picked up by account only, without operators", "", ", pickUp: [account]", "", "an operator, an administrator who is no operator, its provider, rotate, reconcile"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := strings.Replace(grants, "permissions: [AmazonS3FullAccess]", "permissions: [AmazonS3FullAccess]"+c.pickUp, 1)
			src = strings.Replace(src, "    grants:", "    principals: [role/Engineers-*]\n    grants:", 1)
			if c.operators != "" {
				src = "operators: [\"arn:aws:iam::444455556666:" + c.operators + "\"]\n" + src
			}
			tmpl := infratest.Synth(t, infratest.Access(t, src, nil))[0]
			secret := "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/s3full-AbCdEf"
			names := map[string]string{} // of the functions' roles, which CloudFormation names
			for _, r := range readers {
				if f, isFunction := strings.CutPrefix(r.principal, "arn:aws:iam::444455556666:role/countersign-"); isFunction {
					names[functionRole(t, tmpl, f)] = r.principal
				}
			}
			policyOf := tmpl.One(t, "AWS::SecretsManager::ResourcePolicy", "SecretId", secret).Properties["ResourcePolicy"]
			doc := tmpl.Text(policyOf)
			for from, to := range names {
				doc = strings.ReplaceAll(doc, from, to)
			}
			context := map[string]string{"aws:ResourceTag/countersign:grant": "s3full", "aws:PrincipalIsAWSService": "false"}
			if c.state != "" {
				context["aws:ResourceTag/countersign:revoked"] = "r2"
				context["aws:ResourceTag/countersign:restored"] = "r1"
			}
			if c.state == restored {
				context["aws:ResourceTag/countersign:restored"] = "r2"
			}
			wanted := map[string]bool{}
			for name := range strings.SplitSeq(c.read, ", ") {
				wanted[name] = true
			}
			known := 0
			var requests []request
			identities := map[string][]policy{}
			for _, r := range readers {
				q := request{ID: r.name, Principal: r.principal, Action: "secretsmanager:GetSecretValue", Resource: secret, Context: map[string]string{}, ResourcePolicy: json.RawMessage(doc)}
				for k, v := range context {
					q.Context[k] = v
				}
				if r.tag != "" {
					q.Context["aws:PrincipalTag/countersign:grant"] = r.tag
				}
				q.Context["aws:PrincipalArn"], q.Context["aws:PrincipalAccount"] = whole(r), strings.Split(r.principal, ":")[4]
				requests, identities[r.name] = append(requests, q), r.policies(t, tmpl)
				if wanted[r.name] {
					known++
				}
			}
			results := simulate(t, identities, requests).Results
			for _, r := range readers {
				if got := results[r.name][r.name]; (got == "Allowed") != wanted[r.name] {
					t.Errorf("%s: %s", r.name, got)
				}
			}
			if known != len(wanted) {
				t.Errorf("of %q only %d are readers", c.read, known)
			}
		})
	}
}

// whole is aws:PrincipalArn: of a session its role's, path included.
func whole(r reader) string {
	if rest, session := strings.CutPrefix(r.principal, "arn:aws:sts::444455556666:assumed-role/"); session {
		name, _, _ := strings.Cut(rest, "/")
		return "arn:aws:iam::444455556666:role/countersign/" + name
	}
	return r.principal
}

func functionRole(t *testing.T, tmpl *infratest.Template, name string) string {
	return tmpl.Text(map[string]any{"Fn::GetAtt": []any{tmpl.One(t, "AWS::IAM::Role", "Description", "Countersign: functions/"+name).ID, "Arn"}})
}

func (r reader) policies(t *testing.T, tmpl *infratest.Template) []policy {
	kind, name, _ := strings.Cut(r.identity, " ")
	switch kind {
	case "grant":
		// The guard's and the pick-up's alone: what AWS manages has nothing to do with secrets.
		out := []policy{pickUp(t, tmpl)}
		for _, p := range tmpl.OfType(t, "AWS::IAM::Policy") {
			if tmpl.Text(p.Properties["Roles"]) == `["ServiceProvider-`+name+`"]` {
				out = append(out, policy{p.Properties["PolicyName"].(string), json.RawMessage(tmpl.Text(p.Properties["PolicyDocument"]))})
			}
		}
		return out
	case "function":
		id := tmpl.One(t, "AWS::IAM::Role", "Description", "Countersign: functions/"+name).ID
		var out []policy
		for i, p := range tmpl.OfType(t, "AWS::IAM::ManagedPolicy") {
			if roles, _ := json.Marshal(p.Properties["Roles"]); strings.Contains(string(roles), `"`+id+`"`) {
				out = append(out, policy{fmt.Sprint("p", i), json.RawMessage(tmpl.Text(p.Properties["PolicyDocument"]))})
			}
		}
		return out
	}
	doc, err := os.ReadFile(filepath.Join("testdata", r.identity+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return []policy{{r.identity, doc}}
}
