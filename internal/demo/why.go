package demo

import (
	"errors"
	"regexp"
	"strings"

	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// failing is a condition that isn't met, as trust explains it.
var failing = regexp.MustCompile(`^condition \S+ (\S+) fails: the request has (.*), the policy names (.*)$`)

// sid is in the name that trust gives a statement.
var sid = regexp.MustCompile(`^statement \d+ \((\w+)\)$`)

// short is why a trust policy refuses: of all that its statements say the part that decided. It says nothing that the
// explanation doesn't.
func short(v trust.Verdict) string {
	if v.Effect == trust.Allow {
		return "allowed"
	}
	why, rank := "no statement allows it", 0
	better := func(r int, text string) {
		if r > rank {
			why, rank = text, r
		}
	}
	for _, line := range v.Why {
		statement, reason, _ := strings.Cut(line, ": ")
		if m := sid.FindStringSubmatch(statement); m != nil {
			statement = m[1]
		}
		switch m := failing.FindStringSubmatch(reason); {
		case reason == "denies it":
			better(5, statement+" denies it")
		case m != nil && strings.EqualFold(m[1], "aws:CurrentTime"):
			better(4, "only before "+instant(m[3]))
		case m != nil && strings.EqualFold(m[1], "aws:PrincipalArn"):
			better(3, "only "+m[3][strings.LastIndexByte(m[3], ':')+1:])
		case m != nil && strings.EqualFold(m[1], "sts:RoleSessionName"):
			better(3, "not as "+m[3])
		case m != nil && strings.EqualFold(m[1], "sts:ExternalId"):
			better(2, "needs "+m[3])
		case reason == "names other principals":
			better(1, reason)
		}
	}
	return why
}

// shortRefusal is why a session's call is refused.
func shortRefusal(err error) string {
	var e *sim.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	if _, policy, ok := strings.Cut(e.Message, "an explicit deny in the inline policy "); ok {
		return policy + " denies it"
	}
	if strings.HasSuffix(e.Message, "no identity-based policy that allows it") {
		return "no policy allows it"
	}
	return e.Code
}
