package infra

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"

	"github.com/countersign/countersign/internal/grant"
)

func TestLogicalNames(t *testing.T) {
	for name, want := range map[grant.Name]string{
		"migration": "Migration", "my-grant": "MyGrant", "a-1": "AX1", "a1": "A1", "a--b": "AXB", "a-": "AX", "a-x": "AXx", "x": "X", "1a": "1a",
	} {
		if got := logical(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestNoTwoGrantsShareALogicalName(t *testing.T) {
	name := rapid.StringMatching(`[ax1][ax1-]{0,5}`)
	alphanumeric := regexp.MustCompile(`^[A-Za-z0-9]+$`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := name.Draw(t, "a"), name.Draw(t, "b")
		if !alphanumeric.MatchString(logical(grant.Name(a))) {
			t.Fatalf("%s: %s is not alphanumeric", a, logical(grant.Name(a)))
		}
		if a != b && logical(grant.Name(a)) == logical(grant.Name(b)) {
			t.Fatalf("%s and %s are both %s", a, b, logical(grant.Name(a)))
		}
	})
}
