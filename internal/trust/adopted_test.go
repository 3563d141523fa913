package trust_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

// The integration that the documents under testdata/policies hold, and the ID that follows it.
const (
	vendorID   = "northwind-0042"
	vendorNext = "northwind-qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"
)

// policies says of each document under testdata/policies who gets in with the ID, and without, and why it isn't edited
// ("" where it is).
var policies = map[string]struct {
	caller        string
	with, without trust.Effect
	refused       string
}{
	"plain-scalar":                 {"arn:aws:iam::111122223333:user/a", yes, no, ""},
	"lone-object":                  {"arn:aws:iam::111122223333:user/a", yes, no, ""},
	"list-of-three":                {"arn:aws:iam::111122223333:user/loader", yes, no, ""},
	"list-one-line":                {"arn:aws:iam::111122223333:user/a", yes, no, ""},
	"list-of-one":                  {"arn:aws:iam::111122223333:user/a", yes, no, ""},
	"key-in-lower-case":            {"arn:aws:sts::111122223333:assumed-role/Collector/a", yes, no, ""},
	"unicode-escape":               {"arn:aws:iam::111122223333:user/a", yes, no, ""},
	"old-version":                  {"arn:aws:iam::111122223333:user/a", yes, no, ""},
	"no-version":                   {"arn:aws:iam::111122223333:user/a", yes, no, ""},
	"two-statements":               {"arn:aws:iam::444455556666:user/a", yes, no, ""},
	"tag-session-beside":           {"arn:aws:iam::111122223333:user/a", yes, no, ""},
	"service-in-its-own-statement": {"arn:aws:iam::111122223333:user/a", yes, no, ""},
	"dated":                        {"arn:aws:iam::111122223333:user/a", yes, no, ""},
	"session-principal":            {"arn:aws:sts::111122223333:assumed-role/Collector/nightly", yes, no, ""},
	"url-encoded":                  {"arn:aws:iam::111122223333:user/a", yes, no, ""},
	"closed":                       {"arn:aws:iam::111122223333:user/a", no, no, ""},
	"allow-everybody":              {stranger, yes, no, "everybody who knows"},
	"allow-everybody-aws":          {stranger, yes, no, "everybody who knows"},
	"string-like":                  {"arn:aws:iam::111122223333:user/a", yes, no, "under StringLike"},
	"if-exists":                    {"arn:aws:iam::111122223333:user/a", yes, yes, "under StringEqualsIfExists"},
	"deny-others":                  {"arn:aws:iam::111122223333:user/a", yes, no, "a Deny names the external ID"},
	"service-beside":               {"arn:aws:iam::111122223333:user/a", yes, no, "services or identity providers"},
	"deleted-principal":            {"arn:aws:iam::111122223333:user/a", yes, no, "deleted principal"},
	"not-principal":                {"arn:aws:iam::111122223333:user/a", yes, no, "NotPrincipal"},
	"unknown-operator":             {"arn:aws:iam::111122223333:user/a", open, no, "operator that is not understood"},
	"placeholder":                  {"arn:aws:iam::111122223333:user/a", open, no, "placeholder stands where a principal"},
	"federated":                    {"arn:aws:iam::111122223333:user/a", no, no, "in no statement"},
	"no-id":                        {"arn:aws:iam::111122223333:user/a", yes, yes, "in no statement"},
}

func adopted(change func(*trust.Plan)) trust.Plan {
	p := trust.Plan{Role: trust.Adopted, Current: vendorID}
	change(&p)
	return p
}

// The plans of one rotation and of a revocation.
var (
	toOverlap = adopted(func(p *trust.Plan) { p.Pending = vendorNext })
	toPromote = adopted(func(p *trust.Plan) {
		p.Current, p.Previous = vendorNext, trust.Previous{ID: vendorID, Until: deadline}
	})
	toRetire = adopted(func(p *trust.Plan) { p.Current, p.Retired = vendorNext, []string{vendorID} })
	toRevoke = trust.Plan{Role: trust.Adopted, Gate: trust.Close}
)

// vendorCall is a call that meets the conditions beside the ID in these documents.
func vendorCall(caller, id string, at time.Time) trust.Request {
	r := call(caller, id, at)
	r.Context["aws:MultiFactorAuthPresent"] = []string{"true"}
	r.Context["aws:PrincipalOrgID"] = []string{"o-example1234"}
	return r
}

func TestEveryPolicyUnderTestdata(t *testing.T) {
	files, err := filepath.Glob("testdata/policies/*.json")
	if err != nil || len(files) != len(policies) {
		t.Fatalf("%d documents and %d expectations, %v", len(files), len(policies), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			c, ok := policies[name]
			if !ok {
				t.Fatal("no expectation")
			}
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			d := parse(t, string(src))
			want(t, d, vendorCall(c.caller, vendorID, noon), c.with)
			want(t, d, vendorCall(c.caller, "", noon), c.without)
			want(t, apply(t, d, toRevoke), vendorCall(c.caller, vendorID, noon), no)
			if c.refused != "" {
				refused(t, d, toOverlap, c.refused)
				return
			}
			if strings.Contains(string(src), trust.SidClosed) {
				return // the phases under a Deny are TestPhasesNeverLiftADeny's
			}
			rotate(t, d, c.caller)
		})
	}
}

// refused holds a refusal to what is true of every one.
func refused(t *testing.T, d *trust.Document, p trust.Plan, reason string) {
	t.Helper()
	after, diff, err := trust.Apply(d, p)
	refusal, ok := errors.AsType[*trust.Refusal](err)
	if after != nil || !diff.Empty() || !ok || !strings.Contains(refusal.Reason, reason) {
		t.Errorf("got %v, %v; want a refusal that says %q", diff.Lines, err, reason)
		return
	}
	for _, id := range []string{vendorID, vendorNext} {
		if strings.Contains(err.Error(), id) {
			t.Errorf("%v tells an ID", err)
		}
	}
}

// rotate takes a document through a rotation and compares what isn't ours byte for byte.
func rotate(t *testing.T, d *trust.Document, caller string) {
	t.Helper()
	start := d
	step := func(p trust.Plan) {
		t.Helper()
		after := apply(t, d, p)
		if err := trust.Check(d, after, p, noon); err != nil {
			t.Errorf("Check: %v", err)
		}
		d = after
	}
	step(toOverlap)
	allow(t, d, vendorCall(caller, vendorID, noon))
	allow(t, d, vendorCall(caller, vendorNext, noon))
	deny(t, d, vendorCall(caller, "", noon))
	step(toPromote)
	allow(t, d, vendorCall(caller, vendorNext, noon))
	allow(t, d, vendorCall(caller, vendorID, noon))
	deny(t, d, vendorCall(caller, vendorID, deadline))
	confirm := vendorCall(caller, vendorID, noon)
	confirm.Context["sts:RoleSessionName"] = []string{"confirm-0123456789abcdef0123456789abcdef"}
	deny(t, d, confirm)
	step(toRetire)
	allow(t, d, vendorCall(caller, vendorNext, noon))
	deny(t, d, vendorCall(caller, vendorID, noon))
	step(toRevoke)
	deny(t, d, vendorCall(caller, vendorNext, noon))
	step(adopted(func(p *trust.Plan) { p.Current, p.Gate = vendorNext, trust.Open }))
	allow(t, d, vendorCall(caller, vendorNext, noon))

	src := string(start.Bytes())
	src = strings.NewReplacer(vendorID, vendorNext, `northwind\u002d0042`, vendorNext).Replace(src)
	got := string(d.Bytes())
	if _, lone := strings.CutPrefix(string(start.Bytes()), `{"Version":"2012-10-17","Statement":{`); lone {
		src = strings.Replace(strings.Replace(src, `"Statement":{`, `"Statement":[{`, 1), "}}}}", "}}}]}", 1)
	}
	if got != src {
		t.Errorf("bytes that aren't ours changed:\n%s\nwant\n%s", got, src)
	}
}

func TestOverlapAddsBesideTheCurrentID(t *testing.T) {
	for name, want := range map[string]string{
		"plain-scalar":  `"sts:ExternalId": ["northwind-0042", "` + vendorNext + `"] }`,
		"list-of-one":   `"sts:ExternalId":["northwind-0042","` + vendorNext + `"]}`,
		"list-one-line": `"sts:ExternalId": [ "northwind-0042" ,"` + "\x00" + `" , "warehouse-us" ]`,
		"list-of-three": "\"warehouse-eu\",\n                        \"northwind-0042\",\n                        \"" + vendorNext + "\",\n                        \"warehouse-us\"\n",
	} {
		src, err := os.ReadFile("testdata/policies/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		want = strings.ReplaceAll(want, `,"`+"\x00"+`"`, `, "`+vendorNext+`"`)
		if got := apply(t, parse(t, string(src)), toOverlap).Bytes(); !bytes.Contains(got, []byte(want)) {
			t.Errorf("%s: %s\nhas no %s", name, got, want)
		}
	}
}

func TestPromoteCopiesEachStatement(t *testing.T) {
	src, err := os.ReadFile("testdata/policies/two-statements.json")
	if err != nil {
		t.Fatal(err)
	}
	d := apply(t, apply(t, parse(t, string(src)), toOverlap), toPromote)
	for _, want := range []string{
		`"Sid": "CountersignPrevious",
      "Effect": "Allow",
      "Principal": { "AWS": "arn:aws:iam::111122223333:role/Readers" },
      "Action": "sts:AssumeRole",
      "Condition": { "StringEquals": { "sts:ExternalId": "northwind-0042" }, "DateLessThan": {"aws:CurrentTime":"2026-02-05T12:00:00Z"}, "StringNotLike": {"sts:RoleSessionName":"confirm-*"} }`,
		`"Sid": "CountersignPrevious2",
      "Effect": "Allow",
      "Principal": { "AWS": [ "arn:aws:iam::111122223333:role/Writers", "444455556666" ] },
      "Action": [ "sts:AssumeRole", "sts:TagSession" ],
      "Condition": {
        "Bool": { "aws:MultiFactorAuthPresent": "true" },
        "StringEquals": { "sts:ExternalId": "northwind-0042" },
        "DateLessThan": {"aws:CurrentTime":"2026-02-05T12:00:00Z"},
        "StringNotLike": {"sts:RoleSessionName":"confirm-*"}`,
		`"StringEquals": { "sts:ExternalId": [ "` + vendorNext + `", "southwind-0007" ] }`,
	} {
		if !bytes.Contains(d.Bytes(), []byte(want)) {
			t.Errorf("no %s in\n%s", want, d.Bytes())
		}
	}
	// Another vendor's ID in the same list goes on as it was, and not through the copy.
	writer := vendorCall("arn:aws:iam::444455556666:user/a", "southwind-0007", deadline.AddDate(1, 0, 0))
	allow(t, d, writer)
	allow(t, parse(t, string(src)), writer)
}

func TestAnEarlierDateStands(t *testing.T) {
	src, err := os.ReadFile("testdata/policies/dated.json")
	if err != nil {
		t.Fatal(err)
	}
	pilotEnds := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for until, want := range map[time.Time]time.Time{
		deadline:                   deadline,
		pilotEnds.AddDate(1, 0, 0): pilotEnds,
		{}:                         pilotEnds,
	} {
		p := toPromote
		p.Previous.Until = until
		d := apply(t, apply(t, parse(t, string(src)), toOverlap), p)
		if got, ok := d.Deadline(vendorID); !ok || !got.Equal(want) {
			t.Errorf("promoted until %s: deadline %s, want %s", until, got, want)
		}
		if !bytes.Contains(d.Bytes(), []byte(`["root*", "confirm-*"]`)) {
			t.Errorf("the session names excluded before are not any more: %s", d.Bytes())
		}
		deny(t, d, vendorCall("arn:aws:iam::111122223333:user/a", vendorNext, pilotEnds))
	}
}

func TestALaterPlanWins(t *testing.T) {
	src, err := os.ReadFile("testdata/policies/two-statements.json")
	if err != nil {
		t.Fatal(err)
	}
	d := apply(t, apply(t, parse(t, string(src)), toOverlap), toPromote)
	for _, until := range []time.Time{deadline.Add(-time.Hour), deadline.AddDate(0, 1, 0), {}, deadline} {
		p := toPromote
		p.Previous.Until = until
		var diff trust.Diff
		if d, diff = applyDiff(t, d, p); len(diff.Drift) > 0 {
			t.Errorf("a moved deadline is no drift: %q", diff.Drift)
		}
		if got, ok := d.Deadline(vendorID); !ok || !got.Equal(until) {
			t.Errorf("deadline %s, want %s", got, until)
		}
	}
}
