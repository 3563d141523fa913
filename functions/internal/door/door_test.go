package door_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign/countersign/functions/internal/door"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
)

var roles = grant.Roles{"migration": "ServiceProvider-migration"}

const account = "444455556666"

func status(err error) int {
	if refusal := (*door.Refusal)(nil); errors.As(err, &refusal) {
		return refusal.Status
	}
	return 0
}

func TestCallers(t *testing.T) {
	for _, c := range []struct {
		arn, account string
		status       int
	}{
		{"arn:aws:iam::444455556666:user/ann", account, 0},
		{"arn:aws:iam::444455556666:root", account, 0},
		{"arn:aws:sts::444455556666:assumed-role/Admin/ann", account, 0},
		{"arn:aws:sts::444455556666:assumed-role/ServiceProvider-migration/jdoe", account, 403},
		{"arn:aws:sts::444455556666:assumed-role/SERVICEPROVIDER-MIGRATION/jdoe", account, 403},
		{"arn:aws:iam::111122223333:user/ann", "111122223333", 403},
		{"arn:aws:iam::111122223333:user/ann", account, 403},
		{"arn:aws:iam::444455556666:user/ann", "111122223333", 403},
		{"arn:aws:iam::444455556666:user/ann", "", 403},
		{"", account, 403},
		{"ann", account, 403},
	} {
		var r door.Request
		r.RequestContext.Identity.UserArn, r.RequestContext.Identity.AccountID = c.arn, c.account
		if caller, err := door.Caller(r, account, roles); status(err) != c.status || err == nil && caller != c.arn {
			t.Errorf("%s of %s: %v", c.arn, c.account, err)
		}
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		path   string
		name   grant.Name
		verb   string
		status int
	}{
		{"/grants", "", "", 0},
		{"/grants/", "", "", 0},
		{"/grants/migration", "migration", "", 0},
		{"/grants/migration/revoke", "migration", "revoke", 0},
		{"/prod/grants/migration/revoke", "migration", "revoke", 0},
		{"/grants/other", "", "", 404},
		{"/grants/Migration", "", "", 400},
		{"/grants/..", "", "", 400},
		{"/grants/migration/revoke/now", "", "", 404},
		{"/", "", "", 404},
		{"", "", "", 404},
	} {
		method, name, verb, err := door.Target(door.Request{HTTPMethod: "POST", Path: c.path}, roles)
		if status(err) != c.status || name != c.name || verb != c.verb || err == nil && method != "POST" {
			t.Errorf("%s: %s %q %q %v", c.path, method, name, verb, err)
		}
	}
}

func TestBodies(t *testing.T) {
	for _, c := range []struct {
		body   string
		base64 bool
		want   string
		status int
	}{
		{"", false, "", 0},
		{"  ", false, "", 0},
		{`{"reason":"x"}`, false, "x", 0},
		{base64.StdEncoding.EncodeToString([]byte(`{"reason":"x"}`)), true, "x", 0},
		{`{"reason":"x"}`, true, "", 400},
		{`{"reason":1}`, false, "", 400},
		{`{"reason":"x","other":1}`, false, "", 400},
		{`{"reason":"x"}{}`, false, "", 400},
		{`[]`, false, "", 400},
		{`{"reason":"` + strings.Repeat("x", 5000) + `"}`, false, "", 400},
	} {
		var got api.RevokeRequest
		err := door.Body(door.Request{Body: c.body, IsBase64Encoded: c.base64}, &got)
		if status(err) != c.status || err == nil && got.Reason != c.want {
			t.Errorf("%.40s: %+v %v", c.body, got, err)
		}
	}
	for reason, ok := range map[string]bool{
		"": true, "project ended": true, "Vertrag beendet – grün": true, strings.Repeat("ü", 200): true, strings.Repeat("ü", 201): false,
		"a\nb": false, "a\x00": false, "\xff": false, "turned\u202earound": false,
	} {
		if err := door.Reason(reason); (err == nil) != ok {
			t.Errorf("%.20q: %v", reason, err)
		}
	}
}

func TestAnswersAreJSONAndNotCached(t *testing.T) {
	r := door.Failed(errors.New("no"))
	if r.StatusCode != http.StatusInternalServerError || !strings.Contains(r.Body, `"next"`) || r.Headers["Cache-Control"] != "no-store" {
		t.Errorf("%+v", r)
	}
	if r = door.Failed(door.Refuse(409, "wait", "busy")); r.StatusCode != 409 || r.Body != `{"error":"busy","next":"wait"}` {
		t.Errorf("%+v", r)
	}
}
