package infra_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/sandbox"
)

// The sandbox gives its roles what the template gives: it can't import this package. It has no KMS.
func TestTheSandboxesPickUpIsTheTemplates(t *testing.T) {
	tmpl := rich(t)
	p := tmpl.One(t, "AWS::IAM::ManagedPolicy", "Description", "Countersign: a provider's session reads its own grant's external ID")
	theirs := asJSON(t, sandbox.PickUp("eu-west-1", "444455556666")).(map[string]any)["Statement"].([]any)
	ours := asJSON(t, tmpl.Text(p.Properties["PolicyDocument"])).(map[string]any)["Statement"].([]any)
	kept := []any{}
	for _, s := range ours {
		if s.(map[string]any)["Sid"] != "Key" {
			kept = append(kept, s)
		}
	}
	if diff := cmp.Diff(kept, theirs); diff != "" {
		t.Errorf("internal/sandbox/policies.go differs (-template +sandbox):\n%s", diff)
	}
	if len(kept) != len(ours)-1 {
		t.Error("the template has no statement Key")
	}
}

// Only a grant that is picked up in session has the policy.
func TestWhoPicksUpInSession(t *testing.T) {
	_, after := change(t, "sourceIdentity: true", "pickUp: [account]")
	for role, want := range map[string]bool{"ServiceProvider-migration": false, "VendorAudit": true, "ServiceProvider-console": false} {
		arns, _ := json.Marshal(after.Resolve(roleOf(t, after, role).Properties["ManagedPolicyArns"]))
		if got := strings.Contains(string(arns), "PickUp"); got != want {
			t.Errorf("%s: %s", role, arns)
		}
	}
}
