// Package conformance says what Countersign's API answers, as a table of requests, each behind the one before: to the functions
// themselves, to the sandbox, to package providertest, and to what the tests of the command line take for it.
//
// It decides nothing and knows no implementation. What is behind a Target begins with one grant called migration, just opened under
// whenUnconfirmed: auto, that nobody has confirmed.
package conformance

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// As is who sends a request.
type As string

// Who there is.
const (
	Operator As = "an operator"
	Proof    As = "a session named after the current version"
	Session  As = "another session of the role"
	Provider As = "the provider's own principal"
	Stranger As = "somebody else"
	Unsigned As = "nobody"
)

// Target answers the API's requests.
type Target interface {
	// Version is the current one.
	Version() string
	// Send sends a request; path begins behind the stage.
	Send(t *testing.T, as As, method, path, body string) (status int, answer string)
}

// Case is a request and its answer.
type Case struct {
	Name   string
	As     As
	Method string
	Path   string
	Body   string // VERSION is the current one
	Status int
	Keys   string // of the answer's object, sorted
	Code   string // in it
	// Gateway says that API Gateway answers, and no function.
	Gateway bool
	// Fake is how the fake account of the command line's tests is told to be there; "": it has no such thing.
	Fake string
}

const (
	refused = "error next"
	gateway = "message"
	status  = "accepted account checkedAt confirmation grant lastRotated nextRotation provider providerAccount region roleArn rotateEvery secretArn state versionId"
	another = "rotate-00000000000000000000000000000000"
)

// Cases are the table.
var Cases = []Case{
	{"no signature", Unsigned, "POST", "/grants/migration/confirm", `{}`, 403, gateway, "", true, ""},
	{"from another account", Stranger, "GET", "/grants", ``, 403, gateway, "", true, ""},
	{"from the provider's own account", Provider, "POST", "/grants/migration/confirm", `{"versionId":"VERSION"}`, 403, gateway, "", true, ""},
	{"a session looks", Session, "GET", "/grants/migration", ``, 403, gateway, "", true, ""},
	{"a session revokes", Session, "POST", "/grants/migration/revoke", `{}`, 403, gateway, "", true, ""},
	{"a session confirms another grant", Proof, "POST", "/grants/nightly/confirm", `{"versionId":"VERSION"}`, 403, gateway, "", true, ""},
	{"a path with a way up", Proof, "POST", "/grants/nightly/../migration/confirm", `{"versionId":"VERSION"}`, 403, gateway, "", true, ""},
	{"a path with an escape", Proof, "POST", "/grants/migration%2Fconfirm", `{"versionId":"VERSION"}`, 403, gateway, "", true, ""},
	{"a path that isn't there", Operator, "POST", "/grants/migration/open", `{}`, 403, gateway, "", true, ""},
	{"a method that isn't there", Operator, "GET", "/grants/migration/confirm", ``, 403, gateway, "", true, ""},

	{"an operator looks", Operator, "GET", "/grants/migration", ``, 200, status, "", false, ""},
	{"a grant that isn't there", Operator, "POST", "/grants/nowhere/confirm", `{"versionId":"VERSION"}`, 404, refused, "", false, "api=ok"},
	{"a session of another name confirms", Session, "POST", "/grants/migration/confirm", `{"versionId":"VERSION"}`, 403, refused, "", false, ""},
	{"a session confirms another version", Proof, "POST", "/grants/migration/confirm", `{"versionId":"` + another + `"}`, 403, refused, "", false, ""},
	{"no version", Proof, "POST", "/grants/migration/confirm", `{}`, 403, refused, "", false, ""},
	{"no body", Proof, "POST", "/grants/migration/confirm", ``, 403, refused, "", false, ""},
	{"no JSON", Proof, "POST", "/grants/migration/confirm", `confirm`, 400, refused, "", false, ""},
	{"a field more", Proof, "POST", "/grants/migration/confirm", `{"versionId":"VERSION","grant":"nightly"}`, 400, refused, "", false, ""},
	{"two bodies", Proof, "POST", "/grants/migration/confirm", `{"versionId":"VERSION"}{}`, 400, refused, "", false, ""},
	{"no duration", Proof, "POST", "/grants/migration/confirm", `{"versionId":"VERSION","retireIn":"soon"}`, 400, refused, "", false, ""},
	{"a negative duration", Proof, "POST", "/grants/migration/confirm", `{"versionId":"VERSION","retireIn":"-1s"}`, 400, refused, "", false, ""},
	{"an operator confirms another version", Operator, "POST", "/grants/migration/confirm", `{"versionId":"` + another + `","retireIn":"15m"}`, 409, "code " + refused, "not-current", false, "api=ok"},
	{"the provider confirms", Proof, "POST", "/grants/migration/confirm", `{"versionId":"VERSION","retireIn":"15m"}`, 202, "grant retireAt versionId", "", false, ""},
	{"and again", Proof, "POST", "/grants/migration/confirm", `{"versionId":"VERSION","retireIn":"0s"}`, 409, "code error next until", "confirmed", false, ""},

	{"the provider asks within the hour", Session, "POST", "/grants/migration/rotate", `{"reason":"left"}`, 429, "error next until", "", false, ""},
	{"the provider wants a cut", Session, "POST", "/grants/migration/rotate", `{"leaked":true}`, 403, refused, "", false, ""},
	{"an operator rotates", Operator, "POST", "/grants/migration/rotate", `{"reason":"yearly","leaked":false}`, 202, "grant versionId", "", false, "api=ok"},
	{"and again, while the one before is kept", Operator, "POST", "/grants/migration/rotate", `{"reason":"","leaked":false}`, 409, refused, "", false, "api=kept"},
	{"an operator confirms", Operator, "POST", "/grants/migration/confirm", `{"versionId":"VERSION","retireIn":"15m","reason":"seen"}`, 202, "grant retireAt versionId", "", false, "api=ok"},
	{"and again by hand", Operator, "POST", "/grants/migration/confirm", `{"versionId":"VERSION","retireIn":"15m"}`, 409, "code error next until", "confirmed", false, "api=ok"},
	{"a rotation until the one before ends", Operator, "POST", "/grants/migration/rotate", `{"reason":"","leaked":false}`, 409, "error next until", "", false, "api=overlap"},
	{"what leaked is cut at once", Operator, "POST", "/grants/migration/rotate", `{"reason":"INC-812","leaked":true}`, 202, "grant versionId", "", false, "api=ok"},
	{"revoked", Operator, "POST", "/grants/migration/revoke", `{"reason":"INC-812"}`, 202, "done grant revokeId", "", false, "api=ok"},
	{"a rotation of a revoked grant", Operator, "POST", "/grants/migration/rotate", `{"reason":"","leaked":false}`, 409, refused, "", false, "api=ok"},
	{"a confirmation of a revoked grant", Operator, "POST", "/grants/migration/confirm", `{"versionId":"VERSION","retireIn":"15m"}`, 409, refused, "", false, "api=ok"},
	{"another revocation is undone", Operator, "POST", "/grants/migration/restore", `{"reason":"","revokeId":"rv-20200101T000000Z-00000000"}`, 409, refused, "", false, "api=ok"},
}

// Run sends what of the table choose chooses, in its order; it is asked before each request.
func Run(t *testing.T, target Target, choose func(Case) bool) {
	t.Helper()
	sent := 0
	for _, c := range Cases {
		if !choose(c) {
			continue
		}
		sent++
		got, answer := target.Send(t, c.As, c.Method, c.Path, strings.ReplaceAll(c.Body, "VERSION", target.Version()))
		var object map[string]any
		if err := json.Unmarshal([]byte(answer), &object); err != nil {
			t.Errorf("%s: %d %s", c.Name, got, answer)
			continue
		}
		if code, _ := object["code"].(string); got != c.Status || strings.Join(slices.Sorted(maps.Keys(object)), " ") != c.Keys || code != c.Code {
			t.Errorf("%s: %d %s\nwant %d with %s, code %q", c.Name, got, answer, c.Status, c.Keys, c.Code)
		}
		for _, text := range []string{"error", "next", "message"} {
			if said, there := object[text]; there && said == "" {
				t.Errorf("%s: an empty %s", c.Name, text)
			}
		}
	}
	if sent < 10 {
		t.Errorf("%d requests were sent: this proves little", sent)
	}
}
