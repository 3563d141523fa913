// Package guard checks CountersignGuard with an IAM simulator that this project did not write.
package guard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/infra/infratest"
	"github.com/countersign/countersign/internal/grant"
)

const grants = `
version: 1
providers:
  - name: hestio
    account: "111122223333"
    grants:
      - {name: s3full, permissions: [AmazonS3FullAccess]}
      - {name: power, permissions: [PowerUserAccess]}
      - {name: admin, permissions: [AdministratorAccess]}
      - {name: sharer, permissions: [AdministratorAccess], mayShareResources: true, mayAssumeRoles: ["arn:aws:iam::444455556666:role/Deploy"]}
`

// modules is where make puts the simulator.
const modules = "../../.tools/iam-simulate"

type policy struct {
	Name   string          `json:"name"`
	Policy json.RawMessage `json:"policy"`
}

type request struct {
	ID             string            `json:"id"`
	Principal      string            `json:"principal"`
	Action         string            `json:"action"`
	Resource       string            `json:"resource"`
	Context        map[string]string `json:"context"`
	ResourcePolicy any               `json:"resourcePolicy,omitempty"`
	Account        string            `json:"account,omitempty"` // of the resource; empty: the template's
}

type answers struct {
	Results map[string]map[string]string `json:"results"`
	Sharing map[string][]string          `json:"sharing"`
}

// simulate asks the simulator.
func simulate(t *testing.T, identities map[string][]policy, requests []request) answers {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("node is missing: install Node.js 20 or later, from https://nodejs.org")
	}
	if _, err := os.Stat(filepath.Join(modules, "node_modules/@cloud-copilot/iam-simulate")); err != nil {
		t.Fatalf("@cloud-copilot/iam-simulate is missing: make test-infra installs it into .tools (%v)", err)
	}
	folder, err := filepath.Abs(modules)
	if err != nil {
		t.Fatal(err)
	}
	questions, err := json.Marshal(map[string]any{"account": "444455556666", "identities": identities, "requests": requests})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "simulate.mjs", folder)
	cmd.Stdin = bytes.NewReader(questions)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("simulating: %v: %s", err, stderr.Bytes())
	}
	var a answers
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatalf("reading the simulator's answers: %v", err)
	}
	for identity, results := range a.Results {
		for id, result := range results {
			if strings.HasPrefix(result, "error") {
				t.Errorf("%s: %s is no request that IAM knows: %s", identity, id, result)
			}
		}
	}
	return a
}

// identity gives the policies of a granted role from the template: what AWS manages from testdata, the rest as it was
// synthesised. Without guard it is what the role would be without Countersign.
func identity(t *testing.T, tmpl *infratest.Template, name grant.Name, guarded bool) []policy {
	t.Helper()
	role := tmpl.One(t, "AWS::IAM::Role", "RoleName", name.DefaultRole())
	var out []policy
	for _, arn := range role.Properties["ManagedPolicyArns"].([]any) {
		managed := filepath.Base(tmpl.Text(arn))
		if !strings.HasPrefix(tmpl.Text(arn), "arn:aws:iam::aws:policy/") {
			continue // the stack's own, for the pick-up
		}
		doc, err := os.ReadFile(filepath.Join("testdata", managed+".json"))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, policy{managed, doc})
	}
	if !guarded {
		return out
	}
	for _, p := range tmpl.OfType(t, "AWS::IAM::Policy") {
		if tmpl.Text(p.Properties["Roles"]) == `["`+name.DefaultRole()+`"]` {
			out = append(out, policy{p.Properties["PolicyName"].(string), json.RawMessage(tmpl.Text(p.Properties["PolicyDocument"]))})
		}
	}
	out = append(out, pickUp(t, tmpl))
	if len(out) < 4 {
		t.Fatalf("%s has %d policies", name, len(out))
	}
	return out
}

// pickUp is the stack's policy by which granted roles read their own grant's secret.
func pickUp(t *testing.T, tmpl *infratest.Template) policy {
	p := tmpl.One(t, "AWS::IAM::ManagedPolicy", "Description", grant.PickUpDescription)
	return policy{"PickUp", json.RawMessage(tmpl.Text(p.Properties["PolicyDocument"]))}
}

// questions reads a table of requests; own stands for OWN in it. who is the first column where there is one.
func questions(t *testing.T, file string, tmpl *infratest.Template, columns int, own grant.Name) (requests []request, who []grant.Name) {
	t.Helper()
	const otherKey = "arn:aws:kms:eu-west-1:444455556666:key/99999999-8888-7777-6666-555555555555"
	src, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	key := tmpl.Text(map[string]any{"Fn::GetAtt": []any{tmpl.OfType(t, "AWS::KMS::Key")[0].ID, "Arn"}})
	api := tmpl.Text(map[string]any{"Ref": tmpl.OfType(t, "AWS::ApiGateway::RestApi")[0].ID})
	for line := range strings.Lines(string(src)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		name := own
		if columns == 3 {
			name, fields = grant.Name(fields[0]), fields[1:]
			who = append(who, name)
		}
		for i := range fields {
			fields[i] = strings.NewReplacer("OTHERKEY", otherKey, "KEY", key, "API", api, "OWN", string(name)).Replace(fields[i])
		}
		r := request{
			ID: strings.Join(fields, " "), Action: fields[0], Resource: fields[1], Context: map[string]string{"aws:PrincipalTag/countersign:grant": string(name)},
			Principal: "arn:aws:sts::444455556666:assumed-role/" + name.DefaultRole() + "/jdoe",
		}
		for _, pair := range fields[2:] {
			k, v, _ := strings.Cut(pair, "=")
			r.Context[k] = v
		}
		// Keys and roles let nobody in by identity policies alone: here they do, so that the guard has to refuse.
		switch service, _, _ := strings.Cut(r.Action, ":"); {
		case service == "kms":
			r.ResourcePolicy = open("kms:*", map[string]any{"Resource": "*"})
		case r.Action == "sts:AssumeRole":
			r.ResourcePolicy = open("sts:AssumeRole", nil)
		}
		requests = append(requests, r)
	}
	return requests, who
}

func open(action string, more map[string]any) map[string]any {
	s := map[string]any{"Effect": "Allow", "Principal": map[string]any{"AWS": "arn:aws:iam::444455556666:root"}, "Action": action}
	for k, v := range more {
		s[k] = v
	}
	return map[string]any{"Version": "2012-10-17", "Statement": []any{s}}
}

func template(t *testing.T) *infratest.Template {
	return infratest.Synth(t, infratest.Access(t, grants, nil))[0]
}

func TestAGrantedRoleReachesNoneOfItWhateverItsPermissions(t *testing.T) {
	tmpl := template(t)
	for _, name := range []grant.Name{"s3full", "power", "admin"} {
		requests, _ := questions(t, "denied.txt", tmpl, 2, name)
		if len(requests) < 60 {
			t.Fatalf("only %d requests", len(requests))
		}
		results := simulate(t, map[string][]policy{
			"guarded": identity(t, tmpl, name, true), "unguarded": identity(t, tmpl, name, false),
		}, requests).Results
		reached, saved := 0, 0
		for _, r := range requests {
			guarded, unguarded := results["guarded"][r.ID], results["unguarded"][r.ID]
			if guarded == "Allowed" {
				reached++
				t.Errorf("%s may %s", name, r.ID)
			}
			if unguarded == "Allowed" {
				saved++
				if guarded != "ExplicitlyDenied" {
					t.Errorf("%s: %s is %s, not explicitly denied", name, r.ID, guarded)
				}
			} else if name == "admin" {
				t.Errorf("an administrator may not %s anyway: the request proves nothing", r.ID)
			}
		}
		t.Logf("%s: %d requests, %d allowed; the guard alone stopped %d", name, len(requests), reached, saved)
	}
}

func TestTheGuardLeavesWhatWasGranted(t *testing.T) {
	tmpl := template(t)
	requests, who := questions(t, "allowed.txt", tmpl, 3, "")
	if len(requests) < 15 {
		t.Fatalf("only %d requests", len(requests))
	}
	identities := map[string][]policy{}
	for _, name := range who {
		identities[string(name)] = identity(t, tmpl, name, true)
	}
	results := simulate(t, identities, requests).Results
	for i, r := range requests {
		if got := results[string(who[i])][r.ID]; got != "Allowed" {
			t.Errorf("%s: %s is %s", who[i], r.ID, got)
		}
	}
}

func TestExceptionsInWords(t *testing.T) {
	tmpl := template(t)
	role := func(arn string) request {
		return request{ID: arn, Action: "sts:AssumeRole", Resource: arn, ResourcePolicy: open("sts:AssumeRole", nil)}
	}
	requests := []request{
		role("arn:aws:iam::444455556666:role/Deploy"),
		role("arn:aws:iam::444455556666:role/Admin"),
		role("arn:aws:iam::444455556666:role/cdk-hnb659fds-deploy-role-444455556666-eu-west-1"),
		{ID: "share", Action: "s3:PutBucketPolicy", Resource: "arn:aws:s3:::customer-data"},
		{ID: "share CDK's", Action: "s3:PutBucketPolicy", Resource: "arn:aws:s3:::cdk-hnb659fds-assets-444455556666-eu-west-1"},
		{ID: "pass", Action: "iam:PassRole", Resource: "arn:aws:iam::444455556666:role/Deploy"},
	}
	for i := range requests {
		requests[i].Principal = "arn:aws:sts::444455556666:assumed-role/ServiceProvider-sharer/jdoe"
	}
	results := simulate(t, map[string][]policy{"sharer": identity(t, tmpl, "sharer", true)}, requests).Results["sharer"]
	for id, want := range map[string]string{
		"arn:aws:iam::444455556666:role/Deploy":                                           "Allowed",
		"arn:aws:iam::444455556666:role/Admin":                                            "ExplicitlyDenied",
		"arn:aws:iam::444455556666:role/cdk-hnb659fds-deploy-role-444455556666-eu-west-1": "ExplicitlyDenied",
		"share": "Allowed", "share CDK's": "ExplicitlyDenied", "pass": "ExplicitlyDenied",
	} {
		if results[id] != want {
			t.Errorf("%s is %s, want %s", id, results[id], want)
		}
	}
}

// common are the services whose every action of AWS's access level "Permissions management" the guard denies.
var common = []string{
	"acm-pca", "backup", "codeartifact", "codebuild", "dynamodb", "ec2", "ecr", "ecr-public", "elasticfilesystem", "events", "iam",
	"kms", "lakeformation", "lambda", "logs", "redshift", "s3", "s3express", "s3tables", "s3vectors", "secretsmanager", "ses", "sns",
	"sqs", "ssm",
}

// left are those that it leaves, with why.
var left = map[string]string{
	"acm-pca:Delete*": "closes", "ec2:Cancel*": "closes", "ec2:DeleteNetworkInterfacePermission": "closes", "ec2:Enable*BlockPublicAccess": "closes",
	"ec2:Reset*": "closes", "kms:Re*Grant": "closes", "lakeformation:*RevokePermissions": "closes", "redshift:Deauthorize*": "closes",
	"redshift:Reject*": "closes", "redshift:Revoke*": "closes", "s3express:DeleteAccessPointScope": "closes",

	"ec2:*Appliance*": "networks", "ec2:*PlacementGroup": "networks", "ec2:*CoipPool*": "networks", "ec2:*LocalGateway*": "networks", "ec2:*OdbNetwork*": "networks",
	"redshift:CreateClusterUser": "a database's own users", "redshift:JoinGroup": "a database's own users",
	"redshift:CreateSnapshotCopyGrant": "for the same account", "redshift:ModifyClusterIamRoles": "needs iam:PassRole",

	"backup:ListIndexedRecoveryPointsForSearch": "reads", "backup:SearchRecoveryPoint": "reads", "secretsmanager:ValidateResourcePolicy": "reads",
	"dynamodb:UpdateAbacStatus": "lets tags decide, which it may set anyway",
	"kms:CreateGrant":           "denied but for AWS's own use, see KeyGrants",
	"lambda:*Replication":       "Lambda@Edge's own", "s3:BypassGovernanceRetention": "deletes", "s3:ObjectOwnerOverrideToBucketOwner": "asked of a replication's role",
	"ses:AllowVendedLogDeliveryForResource": "logs", "ses:ApplyTrackingConfigurationOverrides": "tracks mail", "ses:ReplicateEmailIdentityDkimSigningKey": "to the same account",
}

func TestEveryWayOfSharingThatAWSNames(t *testing.T) {
	tmpl := template(t)
	requests := []request{}
	sharing := simulate(t, map[string][]policy{}, requests).Sharing
	var patterns []string
	for _, p := range identity(t, tmpl, "admin", true) {
		if p.Name != grant.GuardPolicy {
			continue
		}
		for _, s := range tmpl.Policy(t, p.Policy).Statement {
			if s.Effect == "Deny" && len(s.Condition) == 0 && slices.Equal(s.Resource, []string{"*"}) {
				patterns = append(patterns, s.Action...)
			}
		}
	}
	checked, used := 0, map[string]bool{}
	for _, service := range common {
		if len(sharing[service]) == 0 {
			t.Errorf("AWS names no such action of %s", service)
		}
		for _, name := range sharing[service] {
			action := service + ":" + name
			checked++
			if slices.ContainsFunc(patterns, func(p string) bool { return matches(p, action) }) {
				continue
			}
			excused := false
			for p := range left {
				if matches(p, action) {
					excused, used[p] = true, true
				}
			}
			if !excused {
				t.Errorf("%s is not denied", action)
			}
		}
	}
	for p := range left {
		if !used[p] {
			t.Errorf("%s is listed as left, and nothing is", p)
		}
	}
	t.Logf("%d actions of %d services", checked, len(common))
}

// matches is IAM's pattern matching of actions, for patterns with stars.
func matches(pattern, action string) bool {
	ok, err := filepath.Match(strings.ToLower(pattern), strings.ToLower(action))
	if err != nil {
		panic(fmt.Sprintf("pattern %q: %v", pattern, err))
	}
	return ok
}
