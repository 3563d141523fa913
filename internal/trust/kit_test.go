package trust_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

// The cast of these tests.
const (
	provider = "arn:aws:iam::111122223333:root"
	engineer = "arn:aws:sts::111122223333:assumed-role/Engineers-jdoe/jdoe"
	stranger = "arn:aws:iam::999988887777:role/Somebody"

	idOld   = "hestio-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	idNew   = "hestio-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	idNext  = "hestio-cccccccccccccccccccccccccccccccc"
	idWrong = "hestio-dddddddddddddddddddddddddddddddd"
)

var (
	noon     = time.Date(2026, 2, 4, 12, 0, 0, 0, time.UTC)
	deadline = noon.Add(24 * time.Hour)
)

func parse(t testing.TB, src string) *trust.Document {
	t.Helper()
	d, err := trust.Parse([]byte(src))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return d
}

func apply(t testing.TB, d *trust.Document, p trust.Plan) *trust.Document {
	t.Helper()
	after, _ := applyDiff(t, d, p)
	return after
}

// applyDiff applies a plan and holds the result to what is true of every Apply.
func applyDiff(t testing.TB, d *trust.Document, p trust.Plan) (*trust.Document, trust.Diff) {
	t.Helper()
	after, diff, err := trust.Apply(d, p)
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	if diff.Empty() != after.Equal(d) {
		t.Errorf("the difference %v doesn't say whether the documents are equal", diff.Lines)
	}
	again, second, err := trust.Apply(after, p)
	if err != nil || !second.Empty() || string(again.Bytes()) != string(after.Bytes()) {
		t.Errorf("a second time: %v, %v", second.Lines, err)
	}
	if _, err := trust.Parse(after.Bytes()); err != nil {
		t.Errorf("what Apply wrote is refused: %v", err)
	}
	for _, line := range append(diff.Lines, diff.Drift...) {
		for _, id := range []string{idOld, idNew, idNext, idWrong} {
			if strings.Contains(line, id) {
				t.Errorf("the difference tells an ID: %s", line)
			}
		}
	}
	return after, diff
}

func call(principal, id string, at time.Time) trust.Request {
	r := trust.Request{Principal: principal, At: at, Context: map[string][]string{"sts:RoleSessionName": {"jdoe"}}}
	if id != "" {
		r.Context["sts:ExternalId"] = []string{id}
	}
	return r
}

func allow(t testing.TB, d *trust.Document, r trust.Request) { t.Helper(); want(t, d, r, trust.Allow) }
func deny(t testing.TB, d *trust.Document, r trust.Request)  { t.Helper(); want(t, d, r, trust.Deny) }

func want(t testing.TB, d *trust.Document, r trust.Request, effect trust.Effect) {
	t.Helper()
	if v := d.Evaluate(r); v.Effect != effect {
		t.Errorf("%s, external ID %s: %s, want %s\n  %s", r.Principal, trust.Fingerprint(first(r.Context["sts:ExternalId"])), v.Effect, effect,
			strings.Join(v.Why, "\n  "))
	}
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// created is a plan of a created role in its steady phase.
func created() trust.Plan {
	return trust.Plan{
		Principals: []string{provider},
		Conditions: trust.Conditions{"ArnLike": {"aws:PrincipalArn": {"arn:aws:iam::111122223333:role/Engineers-*"}}},
		Current:    idOld,
	}
}

func overlap() trust.Plan { p := created(); p.Pending = idNew; return p }

func promoted() trust.Plan {
	p := created()
	p.Current, p.Previous = idNew, trust.Previous{ID: idOld, Until: deadline}
	return p
}
