package guard

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

const (
	currentID  = "hestio-current0000000000000000000000000"
	previousID = "hestio-previous000000000000000000000000"
	theirs     = "arn:aws:iam::111122223333:root"
)

// overlapping are the trust policies that Countersign writes while two IDs are accepted: of a role of its own and of one that it
// has adopted, where the previous ID ends by a date and where it stays until somebody confirms.
func overlapping(t *testing.T) map[string]*trust.Document {
	t.Helper()
	foreign := `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"` + theirs + `"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":["` + previousID + `"]}}},
		{"Effect":"Allow","Principal":{"AWS":"` + theirs + `"},"Action":["sts:AssumeRole","sts:TagSession"],"Condition":{"StringEquals":{"sts:ExternalId":"` + previousID + `"},"StringNotLike":{"sts:RoleSessionName":"root*"}}}]}`
	apply := func(kind trust.RoleKind, from string, p trust.Plan) *trust.Document {
		doc, err := trust.Parse([]byte(from))
		if err != nil {
			t.Fatal(err)
		}
		p.Role, p.Principals = kind, []string{theirs}
		if doc, _, err = trust.Apply(doc, p); err != nil {
			t.Fatal(err)
		}
		return doc
	}
	out := map[string]*trust.Document{}
	for until, previous := range map[string]trust.Previous{
		"ends by a date": {ID: previousID, Until: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)}, "stays until somebody confirms": {ID: previousID},
	} {
		promoted := trust.Plan{Current: currentID, Previous: previous}
		out["created, "+until] = apply(trust.Created, trust.BornDocument, promoted)
		opened := apply(trust.Adopted, foreign, trust.Plan{Current: previousID, Pending: currentID})
		out["adopted, "+until] = apply(trust.Adopted, string(opened.Bytes()), promoted)
	}
	return out
}

// In the overlap both IDs enter, and only the current one opens a session that confirms: by the trust policy as Countersign writes
// it and an IAM simulator that this project did not write.
func TestThePreviousIDOpensNoSessionThatConfirms(t *testing.T) {
	const version = "confirm-8c1e5f0a-6b7c-4d8e-9f10-213243546576"
	identities := map[string][]policy{"engineer": {{"may", json.RawMessage(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}}`)}}}
	var requests []request
	want := map[string]bool{}
	for kind, doc := range overlapping(t) {
		for _, c := range []struct {
			name, id, session string
			enters            bool
		}{
			{"the current ID", currentID, "app", true}, {"the current ID, confirming", currentID, version, true},
			{"the previous ID", previousID, "app", true}, {"the previous ID, confirming", previousID, version, false},
			{"the previous ID, confirming nothing", previousID, "confirm-", false}, {"the previous ID, nearly confirming", previousID, "confirm", true},
			{"no ID, confirming", "", version, false}, {"another ID, confirming", "hestio-other", version, false},
		} {
			r := request{
				ID: kind + ": " + c.name, Principal: "arn:aws:iam::111122223333:role/Engineers-jdoe", Action: "sts:AssumeRole",
				Resource: "arn:aws:iam::444455556666:role/countersign/ServiceProvider-s3full", ResourcePolicy: json.RawMessage(doc.Bytes()),
				Context: map[string]string{"sts:RoleSessionName": c.session, "aws:CurrentTime": "2026-02-04T12:00:00Z"},
			}
			if c.id != "" {
				r.Context["sts:ExternalId"] = c.id
			}
			requests = append(requests, r)
			want[r.ID] = c.enters
		}
	}
	results := simulate(t, identities, requests).Results["engineer"]
	for name, enters := range want {
		if got := results[name]; (got == "Allowed") != enters {
			t.Errorf("%s: %s", name, got)
		}
	}
	if len(want) != 32 {
		t.Errorf("%d calls, want 8 on each of four trust policies", len(want))
	}
}
