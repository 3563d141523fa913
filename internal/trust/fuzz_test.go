package trust_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/trust"
)

// seeds are the documents under testdata/policies. An empty set fails: a fuzzer without seeds finds nothing.
func seeds(f *testing.F) (list []string) {
	files, err := filepath.Glob("testdata/policies/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		list = append(list, string(src))
	}
	own, err := filepath.Glob("testdata/fuzz/" + f.Name() + "/*")
	if err != nil || len(own) == 0 {
		f.Fatalf("no seeds of its own: %v", err)
	}
	return list
}

func FuzzParse(f *testing.F) {
	for _, s := range append(seeds(f), trust.BornDocument, `{"Statement":[{"Sid":"a","sid":"b",}]} // no`) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := trust.Parse(src)
		if err != nil {
			if !errors.Is(err, trust.ErrRefused) || d != nil {
				t.Fatalf("not a refusal: %v", err)
			}
			return
		}
		again, err := trust.Parse(d.Bytes())
		if err != nil || !again.Equal(d) || string(again.Bytes()) != string(d.Bytes()) {
			t.Fatalf("not the same a second time: %v", err)
		}
		if n := d.Size(); n > len(d.Bytes()) || n <= 0 {
			t.Fatalf("size %d of %d bytes", n, len(d.Bytes()))
		}
		if !json.Valid(d.Bytes()) {
			t.Fatalf("what Parse took isn't JSON: %q", d.Bytes())
		}
		d.Born()
		d.Closed()
		d.Accepted()
		trust.Audit(d, trust.AuditOptions{Account: us})
	})
}

func FuzzApply(f *testing.F) {
	for i, s := range seeds(f) {
		f.Add(s, "northwind-0042", "northwind-next", "111122223333", uint8(i))
	}
	f.Fuzz(func(t *testing.T, src, current, next, principal string, which uint8) {
		d, err := trust.Parse([]byte(src))
		if err != nil {
			return
		}
		p := trust.Plan{Role: trust.RoleKind(which & 1), Gate: trust.Gate(which >> 1 % 3), Current: current}
		switch which >> 3 % 4 {
		case 1:
			p.Pending = next
		case 2:
			p.Current, p.Previous = next, trust.Previous{ID: current, Until: deadline}
		case 3:
			p.Current, p.Retired = next, []string{current}
		}
		if principal != "" {
			p.Principals = []string{principal}
		}
		after, diff, err := trust.Apply(d, p)
		if err != nil {
			if !errors.Is(err, trust.ErrRefused) || after != nil {
				t.Fatalf("not a refusal: %v", err)
			}
			if len(current) > 3 && strings.Contains(withoutPrints(err.Error()), current) && !strings.Contains(reasons, current) {
				t.Fatalf("%v tells an ID", err)
			}
			return
		}
		if diff.Empty() && string(after.Bytes()) != string(d.Bytes()) {
			t.Fatal("no difference, but other bytes")
		}
		if _, err := trust.Parse(after.Bytes()); err != nil {
			t.Fatalf("what Apply wrote is refused: %v\n%s", err, after.Bytes())
		}
		again, second, err := trust.Apply(after, p)
		if err != nil || !second.Empty() || string(again.Bytes()) != string(after.Bytes()) {
			t.Fatalf("twice is not once: %v, %v\n%s", second.Lines, err, after.Bytes())
		}
		if p.Role == trust.Adopted && !strings.Contains(string(d.Bytes()), "Countersign") && !strings.Contains(src, `\u`) {
			if err := trust.Check(d, after, p, noon); err != nil {
				t.Fatalf("Check refuses what Apply wrote: %v\n%s\n%s", err, d.Bytes(), after.Bytes())
			}
		}
		trust.Compare(d, after)
		if p.Gate == trust.Close && !after.Closed() || p.Gate == trust.Keep && d.Closed() && !after.Closed() {
			t.Fatal("open")
		}
	})
}

// withoutPrints is a text without fingerprints, whose digits could make an ID together with what follows.
func withoutPrints(text string) string { return fingerprint.ReplaceAllString(text, "#") }

var fingerprint = regexp.MustCompile(`#[0-9a-f]{6}`)

// reasons are the fixed words of refusals, in which a very unlucky ID can occur.
const reasons = "refused: a principal of the plan is neither an account nor the ARN of a principal"

func FuzzEvaluate(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s, "arn:aws:sts::111122223333:assumed-role/Collector/nightly", "northwind-0042", "aws:PrincipalOrgID", "o-example1234")
	}
	f.Fuzz(func(t *testing.T, src, principal, id, key, value string) {
		d, err := trust.Parse([]byte(src))
		if err != nil {
			return
		}
		r := call(principal, id, noon)
		r.Context[key] = []string{value}
		v := d.Evaluate(r)
		if v.Effect != trust.Allow && v.Effect != trust.Deny && v.Effect != trust.Unknown || len(v.Why) == 0 {
			t.Fatalf("verdict %v", v)
		}
		if why := withoutPrints(strings.Join(v.Why, "\n")); len(id) > 7 && strings.Contains(why, id) || strings.ContainsAny(why, "\x1b\u009b") {
			t.Fatalf("the reasons tell the ID, or what a terminal obeys: %q", v.Why)
		}
		if again := d.Evaluate(r); again.Effect != v.Effect {
			t.Fatalf("%s, then %s", v.Effect, again.Effect)
		}
		closed, _, err := trust.Apply(d, trust.Plan{Role: trust.Adopted, Gate: trust.Close, Quota: 1 << 20})
		if err != nil {
			t.Fatalf("closing: %v", err)
		}
		if v := closed.Evaluate(r); v.Effect == trust.Allow {
			t.Fatalf("closed, but %s", v.Effect)
		}
	})
}
