package trust_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/trust"
)

// An adopted role may be entered by SAML and web identity, too, which Evaluate doesn't answer.
func TestTheClosingDenyNamesEveryWayIn(t *testing.T) {
	const want = `"Principal":"*","Action":["sts:AssumeRole","sts:AssumeRoleWithSAML","sts:AssumeRoleWithWebIdentity"]}`
	for name, p := range map[string]trust.Plan{"created": {Gate: trust.Close}, "adopted": toRevoke} {
		d := apply(t, parse(t, statements(vendor(us, "StringEquals", vendorID))), p)
		if !strings.Contains(string(d.Bytes()), want) {
			t.Errorf("%s: no %s in\n%s", name, want, d.Bytes())
		}
	}
}

// IAM refuses a document that shows a deleted principal; so a created role is refused with the reason before the write.
func TestADeletedPrincipalStopsEveryEdit(t *testing.T) {
	const gone = `{"Sid":"Old","Effect":"Allow","Principal":{"AWS":"AROAEXAMPLEROLEID0001"},"Action":"sts:AssumeRole"}`
	steady := string(apply(t, parse(t, trust.BornDocument), created()).Bytes())
	d := parse(t, strings.Replace(steady, `"Statement":[`, `"Statement":[`+gone+`,`, 1))
	after, _, err := trust.Apply(d, overlap())
	refusal, ok := errors.AsType[*trust.Refusal](err)
	if after != nil || !ok || refusal.Statement != "statement 1 (Old)" || !strings.Contains(refusal.Reason, "deleted principal") {
		t.Errorf("got %v, want a refusal that names the deleted principal", err)
	}
	if _, diff := applyDiff(t, d, created()); !diff.Empty() {
		t.Errorf("nothing has to change, and the difference says %q", diff.Lines)
	}
}
