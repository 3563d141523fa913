package guard

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

// In the overlap both IDs enter, and only the current one opens a session that confirms: by the trust policy as Countersign writes
// it and an IAM simulator that this project did not write.
func TestThePreviousIDOpensNoSessionThatConfirms(t *testing.T) {
	const current, previous = "hestio-current0000000000000000000000000", "hestio-previous000000000000000000000000"
	born, err := trust.Parse([]byte(trust.BornDocument))
	if err != nil {
		t.Fatal(err)
	}
	doc, _, err := trust.Apply(born, trust.Plan{
		Principals: []string{"arn:aws:iam::111122223333:root"}, Current: current,
		Previous: trust.Previous{ID: previous, Until: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)},
	})
	if err != nil {
		t.Fatal(err)
	}
	const version = "confirm-8c1e5f0a-6b7c-4d8e-9f10-213243546576"
	identities := map[string][]policy{"engineer": {{"may", json.RawMessage(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}}`)}}}
	var requests []request
	want := map[string]bool{}
	for _, c := range []struct {
		name, id, session string
		enters            bool
	}{
		{"the current ID", current, "app", true}, {"the current ID, confirming", current, version, true},
		{"the previous ID", previous, "app", true}, {"the previous ID, confirming", previous, version, false},
		{"the previous ID, confirming nothing", previous, "confirm-", false}, {"the previous ID, nearly confirming", previous, "confirm", true},
		{"no ID, confirming", "", version, false}, {"another ID, confirming", "hestio-other", version, false},
	} {
		r := request{
			ID: c.name, Principal: "arn:aws:iam::111122223333:role/Engineers-jdoe", Action: "sts:AssumeRole",
			Resource: "arn:aws:iam::444455556666:role/countersign/ServiceProvider-s3full", ResourcePolicy: json.RawMessage(doc.Bytes()),
			Context: map[string]string{"sts:RoleSessionName": c.session, "aws:CurrentTime": "2026-02-04T12:00:00Z"},
		}
		if c.id != "" {
			r.Context["sts:ExternalId"] = c.id
		}
		requests = append(requests, r)
		want[c.name] = c.enters
	}
	results := simulate(t, identities, requests).Results["engineer"]
	for name, enters := range want {
		if got := results[name]; (got == "Allowed") != enters {
			t.Errorf("%s: %s", name, got)
		}
	}
}
