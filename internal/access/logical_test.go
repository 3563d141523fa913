package access_test

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

func TestNoTwoGrantsShareALogicalName(t *testing.T) {
	name := rapid.StringMatching(`[ax1][ax1-]{0,5}`)
	alphanumeric := regexp.MustCompile(`^[A-Za-z0-9]+$`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := name.Draw(t, "a"), name.Draw(t, "b")
		if !alphanumeric.MatchString(access.Logical(grant.Name(a))) {
			t.Fatalf("%s: %s is not alphanumeric", a, access.Logical(grant.Name(a)))
		}
		if a != b && access.Logical(grant.Name(a)) == access.Logical(grant.Name(b)) {
			t.Fatalf("%s and %s are both %s", a, b, access.Logical(grant.Name(a)))
		}
	})
}
