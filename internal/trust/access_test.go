package trust_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

func TestCompareThroughARotation(t *testing.T) {
	const who = "arn:aws:iam::111122223333:role/Hestio"
	under := func(id string) string { return who + " under " + trust.Fingerprint(id) }
	d := parse(t, allows(auditRole, onID("StringEquals", idOld)))
	for _, step := range []struct {
		name                string
		plan                trust.Plan
		gains, loses, keeps []string
	}{
		{"overlap", trust.Plan{Current: idOld, Pending: idNew}, []string{under(idNew)}, nil, nil},
		{"promote", trust.Plan{Current: idNew, Previous: trust.Previous{ID: idOld, Until: deadline}}, nil, nil,
			[]string{under(idOld) + " if StringNotLike sts:RoleSessionName until 2026-02-05T12:00:00Z"}},
		{"the same again", trust.Plan{Current: idNew, Previous: trust.Previous{ID: idOld, Until: deadline}}, nil, nil, nil},
		{"an earlier end", trust.Plan{Current: idNew, Previous: trust.Previous{ID: idOld, Until: deadline.Add(-time.Hour)}}, nil, nil,
			[]string{"until 2026-02-05T11:00:00Z"}},
		{"revoke", trust.Plan{Gate: trust.Close}, nil, []string{under(idNew), under(idOld)}, nil},
		{"restore", trust.Plan{Current: idNew, Gate: trust.Open}, []string{under(idNew)}, nil, nil},
	} {
		step.plan.Role = trust.Adopted
		after, _, err := trust.Apply(d, step.plan)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		c := trust.Compare(d, after)
		for _, kind := range []struct {
			name string
			have []trust.Entry
			want []string
		}{{"gains", c.Gains, step.gains}, {"loses", c.Loses, step.loses}, {"keeps", c.Keeps, step.keeps}} {
			ok := len(kind.have) == len(kind.want)
			for _, w := range kind.want {
				ok = ok && slices.ContainsFunc(kind.have, func(e trust.Entry) bool { return strings.Contains(e.String(), w) })
			}
			if !ok {
				t.Errorf("%s: %s %v, want %v", step.name, kind.name, kind.have, kind.want)
			}
		}
		d = after
	}
}
