package demo

import (
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/trust"
)

func TestReasonsAreShortened(t *testing.T) {
	const (
		others  = "statement 2 (CountersignCurrent): names other principals"
		otherID = "statement 1 (CountersignCurrent): condition StringEquals sts:ExternalId fails: the request has #111111, the policy names #222222"
		noID    = "statement 1 (CountersignCurrent): condition StringEquals sts:ExternalId fails: the request has nothing, the policy names #222222"
		over    = "statement 2 (CountersignPrevious): condition DateLessThan aws:CurrentTime fails: the request has 2026-02-05T10:00:00Z, the policy names 2026-02-05T09:38:48Z"
		who     = "statement 1 (CountersignCurrent): condition ArnLike aws:PrincipalArn fails: the request has arn:aws:iam::111122223333:role/Max, the policy names arn:aws:iam::111122223333:role/Engineers-*"
		name    = "statement 2 (CountersignPrevious): condition StringNotLike sts:RoleSessionName fails: the request has confirm-1, the policy names confirm-*"
		denied  = "statement 1 (CountersignBorn): denies it"
	)
	for _, tt := range []struct {
		want string
		why  []string
	}{
		{"CountersignBorn denies it", []string{denied, others, "denied: a Deny stands above every Allow"}},
		{"only before 5 Feb 09:38:48", []string{otherID, over}},
		{"only role/Engineers-*", []string{who}},
		{"not as confirm-*", []string{otherID, name}},
		{"needs #222222", []string{noID, others}},
		{"names other principals", []string{others}},
		{"no statement allows it", []string{"denied: no statement allows it"}},
	} {
		got := strings.ReplaceAll(short(trust.Verdict{Effect: trust.Deny, Why: tt.why}), noBreak, " ")
		if got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
