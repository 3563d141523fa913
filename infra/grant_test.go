package infra_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/infra/infratest"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// synthesised keeps the template of Rich, which most tests read.
var synthesised struct {
	sync.Once
	*infratest.Template
}

func rich(t *testing.T) *infratest.Template {
	synthesised.Do(func() { synthesised.Template = richAnew(t) })
	return synthesised.Template
}

func richAnew(t *testing.T) *infratest.Template {
	return infratest.Synth(t, infratest.Access(t, infratest.Rich, infratest.UploadPolicy))[0]
}

func roleOf(t *testing.T, tmpl *infratest.Template, name string) infratest.Resource {
	return tmpl.One(t, "AWS::IAM::Role", "RoleName", name)
}

// inline gives the inline policy of that name of the role, as a resource.
func inline(t *testing.T, tmpl *infratest.Template, role, policy string) (infratest.Resource, bool) {
	for _, r := range tmpl.OfType(t, "AWS::IAM::Policy") {
		if r.Properties["PolicyName"] == policy && tmpl.Text(r.Properties["Roles"]) == `["`+role+`"]` {
			return r, true
		}
	}
	return infratest.Resource{}, false
}

func asJSON(t *testing.T, src string) any {
	var v any
	if err := json.Unmarshal([]byte(src), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestARoleIsBornClosed(t *testing.T) {
	tmpl := rich(t)
	for _, role := range []string{"ServiceProvider-migration", "VendorAudit", "ServiceProvider-console"} {
		got := roleOf(t, tmpl, role).Properties["AssumeRolePolicyDocument"]
		if diff := cmp.Diff(asJSON(t, trust.BornDocument), got); diff != "" {
			t.Errorf("%s: %s", role, diff)
		}
	}
}

// The body of CountersignRevocation in the template is frozen: CloudFormation writes a policy when its template changes,
// and that write would replace the Deny of every revoked grant. So a changed byte here reopens revoked grants, and so
// would a changed logical id, which makes CloudFormation create the policy anew.
func TestChangingThisReopensRevokedGrants(t *testing.T) {
	const body = `{"Version":"2012-10-17","Statement":[{"Sid":"CountersignOpen","Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"1970-01-01T00:00:00Z"}}}]}`
	tmpl := rich(t)
	for role, id := range map[string]string{
		"ServiceProvider-migration": "ServiceProviderAccessMigrationRoleRevocationB62679EA",
		"ServiceProvider-console":   "ServiceProviderAccessConsoleRoleRevocationD7E9250E",
	} {
		policy, ok := inline(t, tmpl, role, "CountersignRevocation")
		if !ok {
			t.Fatalf("%s has no CountersignRevocation", role)
		}
		if policy.ID != id {
			t.Errorf("%s: logical id %s, want %s", role, policy.ID, id)
		}
		if diff := cmp.Diff(asJSON(t, body), policy.Properties["PolicyDocument"]); diff != "" {
			t.Errorf("%s: %s", role, diff)
		}
	}
}

// The secret's value in the template is a constant: a changed SecretString makes CloudFormation write a version, current
// at once and outside any rotation, and the provider would read that instead of its external ID.
func TestChangingThisOverwritesExternalIDs(t *testing.T) {
	for _, secret := range rich(t).OfType(t, "AWS::SecretsManager::Secret") {
		if got := secret.Properties["SecretString"]; got != `{"countersign":"born"}` {
			t.Errorf("%s: SecretString %v", secret.ID, got)
		}
		if _, generated := secret.Properties["GenerateSecretString"]; generated {
			t.Errorf("%s generates a value", secret.ID)
		}
	}
}

func TestWhatARoleIs(t *testing.T) {
	tmpl := rich(t)
	role := roleOf(t, tmpl, "ServiceProvider-migration").Properties
	for property, want := range map[string]string{
		"Path": "/countersign/", "MaxSessionDuration": "7200",
		"PermissionsBoundary": "arn:aws:iam::444455556666:policy/ProviderBoundary",
		"ManagedPolicyArns":   `["arn:aws:iam::aws:policy/AmazonS3FullAccess","arn:aws:iam::444455556666:policy/ServiceProviderAccessPickUp8EC1DEDE"]`,
		"Tags": `[{"Key":"countersign:confirm","Value":"https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/v1/grants/migration/confirm"},` +
			`{"Key":"countersign:grant","Value":"migration"},` +
			`{"Key":"countersign:secret","Value":"arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-AbCdEf"}]`,
	} {
		if got := tmpl.Text(role[property]); got != want {
			t.Errorf("%s: %s, want %s", property, got, want)
		}
	}
	if audit := roleOf(t, tmpl, "VendorAudit").Properties; audit["Path"] != "/" {
		t.Errorf("VendorAudit has path %v", audit["Path"])
	}
	file := tmpl.One(t, "AWS::IAM::ManagedPolicy", "Description", "Countersign: ./upload.json of grant migration")
	if diff := cmp.Diff(asJSON(t, infratest.UploadPolicy["upload.json"]), file.Properties["PolicyDocument"]); diff != "" {
		t.Error(diff)
	}
}

func TestAGrantsEndIsADenyOfItsOwn(t *testing.T) {
	tmpl := rich(t)
	expiry, ok := inline(t, tmpl, "ServiceProvider-migration", "CountersignExpiry")
	if !ok {
		t.Fatal("migration has an end and no CountersignExpiry")
	}
	want := `{"Version":"2012-10-17","Statement":[{"Sid":"CountersignExpired","Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2099-12-31T23:59:59Z"}}}]}`
	if diff := cmp.Diff(asJSON(t, want), expiry.Properties["PolicyDocument"]); diff != "" {
		t.Error(diff)
	}
	if _, ok := inline(t, tmpl, "VendorAudit", "CountersignExpiry"); ok {
		t.Error("audit has no end and a CountersignExpiry")
	}
}

func TestAPlanReadsBackAsItWasMeant(t *testing.T) {
	tmpl := rich(t)
	for _, name := range []grant.Name{"migration", "audit", "console"} {
		parameter := tmpl.One(t, "AWS::SSM::Parameter", "Name", name.Parameter())
		plan, err := grant.ParsePlan([]byte(tmpl.Text(parameter.Properties["Value"])), name)
		if err != nil {
			t.Error(err)
			continue
		}
		role := map[grant.Name]string{"migration": "role/countersign/ServiceProvider-migration", "audit": "role/VendorAudit", "console": "role/countersign/ServiceProvider-console"}[name]
		if want := "arn:aws:iam::444455556666:" + role; plan.RoleARN != want {
			t.Errorf("%s: role %s, want %s", name, plan.RoleARN, want)
		}
		if name == "console" {
			continue
		}
		if want := "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/" + string(name) + "-AbCdEf"; plan.SecretARN != want {
			t.Errorf("%s: secret %s, want %s", name, plan.SecretARN, want)
		}
		if !strings.HasPrefix(plan.KeyARN, "arn:aws:kms:eu-west-1:444455556666:key/") {
			t.Errorf("%s: key %s", name, plan.KeyARN)
		}
	}
}

func TestSchedules(t *testing.T) {
	tmpl := rich(t)
	rules := map[string]string{}
	for _, s := range tmpl.OfType(t, "AWS::SecretsManager::RotationSchedule") {
		if s.Properties["RotateImmediatelyOnUpdate"] != false {
			t.Errorf("%s rotates when it is edited", s.ID)
		}
		rules[tmpl.Text(s.Properties["SecretId"])] = tmpl.Text(s.Properties["RotationRules"])
	}
	const secret = "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/"
	want := map[string]string{
		secret + "migration-AbCdEf": `{"Duration":"1h","ScheduleExpression":"cron(0 11 * * ? *)"}`,
		secret + "audit-AbCdEf":     "null", // on demand: the function is attached, nothing is scheduled
	}
	if diff := cmp.Diff(want, rules); diff != "" {
		t.Error(diff)
	}
}

func TestAGrantWithoutExternalIDHasNoSecret(t *testing.T) {
	for _, id := range rich(t).IDs() {
		if strings.Contains(id, "ConsoleSecret") || strings.Contains(id, "ConsoleSchedule") {
			t.Errorf("console has %s", id)
		}
	}
}

// before says that CloudFormation makes a before b, and so deletes b before a.
func before(tmpl *infratest.Template, a, b string) bool {
	seen := map[string]bool{}
	var reaches func(id string) bool
	reaches = func(id string) bool {
		if id == a {
			return true
		}
		if seen[id] {
			return false
		}
		seen[id] = true
		r := tmpl.Resources[id]
		next := slices.Clone(r.DependsOn)
		for other := range tmpl.Resources {
			if strings.Contains(mention(r.Properties), `"`+other+`"`) {
				next = append(next, other)
			}
		}
		return slices.ContainsFunc(next, reaches)
	}
	return a != b && reaches(b)
}

func mention(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func TestTheOrderOfADelete(t *testing.T) {
	tmpl := rich(t)
	role := roleOf(t, tmpl, "ServiceProvider-migration").ID
	revocation, _ := inline(t, tmpl, "ServiceProvider-migration", "CountersignRevocation")
	guard, _ := inline(t, tmpl, "ServiceProvider-migration", "CountersignGuard")
	expiry, _ := inline(t, tmpl, "ServiceProvider-migration", "CountersignExpiry")
	file := tmpl.One(t, "AWS::IAM::ManagedPolicy", "Description", "Countersign: ./upload.json of grant migration").ID
	custom := tmpl.One(t, "Custom::Grant", "Grant", "migration").ID
	layout := tmpl.OfType(t, "Custom::Layout")[0].ID

	for _, order := range [][]string{ // each is deleted before the next
		{custom, file, guard.ID, revocation.ID, role, layout},
		{file, expiry.ID, revocation.ID},
	} {
		for i := range order[1:] {
			if !before(tmpl, order[i+1], order[i]) {
				t.Errorf("%s may be deleted before %s", order[i+1], order[i])
			}
		}
	}
}

func TestAGrantStartsWhenEverythingItNeedsStands(t *testing.T) {
	tmpl := rich(t)
	custom := tmpl.One(t, "Custom::Grant", "Grant", "migration").ID
	var needed []string
	for _, resourceType := range []string{
		"AWS::KMS::Key", "AWS::IAM::Role", "AWS::SecretsManager::Secret", "AWS::SecretsManager::ResourcePolicy",
		"AWS::SecretsManager::RotationSchedule", "AWS::SSM::Parameter", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "Custom::Layout",
	} {
		for _, r := range tmpl.OfType(t, resourceType) {
			needed = append(needed, r.ID)
		}
	}
	needed = append(needed, tmpl.One(t, "AWS::Lambda::Permission", "Principal", "secretsmanager.amazonaws.com").ID,
		tmpl.One(t, "AWS::Events::Rule", "Name", "countersign-forward-hestio").ID) // or the provider's bus misses its first event
	ours := func(id string) bool { // not those of other grants or of functions that take no part
		for _, other := range []string{"Audit", "Console", "AccessRevoke", "AccessOperate", "AccessConfirm", "AccessNotify"} {
			if strings.Contains(id, other) {
				return false
			}
		}
		return true
	}
	checked := 0
	for _, id := range needed {
		if !ours(id) {
			continue
		}
		checked++
		if !before(tmpl, id, custom) {
			t.Errorf("the grant may start before %s", id)
		}
	}
	if checked < 15 {
		t.Errorf("only %d resources were checked", checked)
	}
}

func TestEveryGrantWaitsForTheLayout(t *testing.T) {
	tmpl := rich(t)
	layout := tmpl.OfType(t, "Custom::Layout")[0]
	if got := tmpl.Text(layout.Properties["Shards"]) + " " + tmpl.Text(layout.Properties["ReshardedFrom"]); got != "1 0" {
		t.Errorf("layout %s", got)
	}
	want := `[{"Name":"audit","Role":"/VendorAudit","Secret":"true"},` +
		`{"Name":"console","Role":"/countersign/ServiceProvider-console","Secret":"false"},` +
		`{"Name":"migration","Role":"/countersign/ServiceProvider-migration","Secret":"true"}]`
	if got := tmpl.Text(layout.Properties["Grants"]); got != want {
		t.Errorf("grants %s", got)
	}
	for _, f := range tmpl.OfType(t, "AWS::Lambda::Function") {
		if !before(tmpl, f.ID, layout.ID) {
			t.Errorf("a plan may be written before function %s can read it", f.ID)
		}
	}
	for _, id := range tmpl.IDs() {
		if strings.Contains(id, "AccessMigration") && !before(tmpl, layout.ID, id) {
			t.Errorf("%s may be touched before the layout is accepted", id)
		}
	}
}
