package infra_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/infra/infratest"
)

// revision is the hash in the logical ids of the functions' policies, which change with the grants.
var revision = regexp.MustCompile(`(Plans|Roles|Secrets|Topics|Signers)[0-9a-f]{8}[0-9A-F]{8}`)

// partsOf gives the resources of a grant, the revisions of the functions' policies left out.
func partsOf(t *testing.T, tmpl *infratest.Template, logical string) map[string]string {
	out := map[string]string{}
	for id, r := range tmpl.Resources {
		if strings.HasPrefix(id, "ServiceProviderAccess"+logical) {
			out[id] = mention(r.Properties) + revision.ReplaceAllString(mention(r.DependsOn), "$1")
		}
	}
	if len(out) < 5 {
		t.Fatalf("grant %s has %d resources", logical, len(out))
	}
	return out
}

// change synthesises Rich as it is and as edited.
func change(t *testing.T, old, new string) (before, after *infratest.Template) {
	t.Helper()
	edited := strings.Replace(infratest.Rich, old, new, 1)
	if edited == infratest.Rich {
		t.Fatalf("%q is not in the example", old)
	}
	return rich(t), infratest.Synth(t, infratest.Access(t, edited, infratest.UploadPolicy))[0]
}

func TestAddingAGrantChangesNoOther(t *testing.T) {
	const grant = "      - {name: newcomer, permissions: [AmazonS3FullAccess], role: {name: Newcomer, path: /vendors/}, expires: \"2098-01-01T00:00:00Z\"}\n"
	before, after := change(t, "  - name: legacy\n", "  - name: another\n    account: \"333344445555\"\n    grants:\n"+grant+"  - name: legacy\n")
	for _, name := range []string{"Migration", "Audit", "Console"} {
		if diff := cmp.Diff(partsOf(t, before, name), partsOf(t, after, name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	partsOf(t, after, "Newcomer")
}

func TestAChangedGrantIsLookedAtAgainAndNothingReopens(t *testing.T) {
	for name, edit := range map[string][2]string{
		"permissions": {"AmazonS3FullAccess", "AmazonS3ReadOnlyAccess"},
		"boundary":    {"ProviderBoundary", "OtherBoundary"},
		"principals":  {"Engineers-*", "Admins-*"},
		"session":     {"maxSession: 2h", "maxSession: 3h"},
		"end":         {"2099-12-31", "2098-12-31"},
		"schedule":    {"rotateEvery: daily", "rotateEvery: weekly"},
		"guard":       {"mayAssumeRoles: [arn:aws:iam::444455556666:role/Deploy]", "mayShareResources: true"},
		"pick-up":     {"sourceIdentity: true", "pickUp: [account]"},
		"notify":      {"ops@example.com", "on-call@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := change(t, edit[0], edit[1])
			digest := func(tmpl *infratest.Template, grant string) any {
				return tmpl.One(t, "Custom::Grant", "Grant", grant).Properties["Digest"]
			}
			if digest(before, "migration") == digest(after, "migration") {
				t.Error("reconcile would not see the change")
			}
			if digest(before, "console") != digest(after, "console") {
				t.Error("reconcile would look at another grant too")
			}
			old, _ := inline(t, before, "ServiceProvider-migration", "CountersignRevocation")
			now, _ := inline(t, after, "ServiceProvider-migration", "CountersignRevocation")
			if diff := cmp.Diff(old, now); diff != "" {
				t.Errorf("the deploy would overwrite a revoked grant's Deny: %s", diff)
			}
			oldRole, newRole := roleOf(t, before, "ServiceProvider-migration"), roleOf(t, after, "ServiceProvider-migration")
			if diff := cmp.Diff(oldRole.Properties["AssumeRolePolicyDocument"], newRole.Properties["AssumeRolePolicyDocument"]); diff != "" {
				t.Errorf("the deploy would overwrite the trust policy: %s", diff)
			}
		})
	}
}

// A role of another name is made beside the old one, which keeps its guard until it is deleted.
func TestARenamedRoleLeavesTheOldOneBound(t *testing.T) {
	before, after := change(t, "role: {name: VendorAudit, path: /}", "role: {name: VendorAudit2, path: /}")
	old := roleOf(t, before, "VendorAudit")
	guard, _ := inline(t, before, "VendorAudit", "CountersignGuard")
	for _, id := range []string{old.ID, guard.ID} {
		if _, stays := after.Resources[id]; stays {
			t.Errorf("%s would be changed in place", id)
		}
	}
}

// While a grant is removed its Custom::Grant still needs the permission to close it. So the functions' policies are new
// resources whenever the grants change: CloudFormation deletes the old ones last.
func TestTheFunctionsKeepTheirPermissionsUntilARemovedGrantHasClosed(t *testing.T) {
	before, after := change(t, "      - name: audit", "      - name: review")
	removed := before.One(t, "Custom::Grant", "Grant", "audit")
	policies := 0
	for _, id := range removed.DependsOn {
		if before.Resources[id].Type != "AWS::IAM::ManagedPolicy" {
			continue
		}
		policies++
		if _, kept := after.Resources[id]; kept && strings.Contains(mention(before.Resources[id].Properties), "udit") {
			t.Errorf("%s would lose the removed grant before it has closed", id)
		}
	}
	if policies < 5 {
		t.Errorf("Custom::Grant waits for %d policies of the functions", policies)
	}
}

// Everything is written for the partition that it is deployed to. What names one is what the customer wrote: here the
// boundary, a role, a topic, a webhook's secret, the policy file and the provider's bus.
func TestNoPartitionIsWrittenDown(t *testing.T) {
	raw := string(infratest.Synth(t, infratest.Access(t, infratest.Many(1, 1, infratest.Plain), nil))[0].Raw)
	if at := strings.Index(raw, "arn:aws"); at >= 0 {
		t.Errorf("the template names a partition: %s", raw[max(0, at-100):at+100])
	}
	written := regexp.MustCompile(`arn:aws:[^"\\]+`).FindAllString(string(rich(t).Raw), -1)
	got := map[string]bool{}
	for _, arn := range written {
		got[arn] = true
	}
	want := map[string]bool{
		"arn:aws:iam::444455556666:policy/ProviderBoundary":                true,
		"arn:aws:iam::444455556666:role/Deploy":                            true,
		"arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook-AbCdEf": true,
		"arn:aws:sns:eu-west-1:444455556666:ops-alerts":                    true,
		"arn:aws:s3:::uploads/*":                                           true,
		"arn:aws:events:eu-central-1:111122223333:event-bus/countersign":   true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
