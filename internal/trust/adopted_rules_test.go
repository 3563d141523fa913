package trust_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

// statements makes a document of statements.
func statements(list ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(list, ",") + `]}`
}

// vendor is an Allow of accounts under an operator with IDs.
func vendor(accounts, operator, ids string) string {
	return `{"Effect":"Allow","Principal":{"AWS":[` + quoted(accounts) + `]},"Action":"sts:AssumeRole","Condition":{"` + operator +
		`":{"sts:ExternalId":[` + quoted(ids) + `]}}}`
}

func quoted(list string) string { return `"` + strings.ReplaceAll(list, " ", `","`) + `"` }

const (
	us      = "111122223333"
	other   = "444455556666"
	ourUser = "arn:aws:iam::111122223333:user/a"
)

func of(account string, p trust.Plan) trust.Plan { p.Principals = []string{account}; return p }

func TestWhichStatementsAreThePlans(t *testing.T) {
	for name, c := range map[string]struct {
		src     string
		plan    trust.Plan
		refused string
		edited  []int // numbers of the statements that accept the pending ID afterwards
	}{
		"one":                        {statements(vendor(us, "StringEquals", vendorID)), toOverlap, "", []int{1}},
		"the same ID of two vendors": {statements(vendor(us, "StringEquals", vendorID), vendor(other, "StringEquals", vendorID)), of(us, toOverlap), "", []int{1}},
		"all of them if none is named": {
			statements(vendor(us, "StringEquals", vendorID), vendor(other, "StringEquals", vendorID)), toOverlap, "", []int{1, 2},
		},
		"the account covers its principals": {statements(vendor("arn:aws:iam::111122223333:role/x", "StringEquals", vendorID)), of(us, toOverlap), "", []int{1}},
		"the plan names two accounts": {
			statements(vendor(us+" "+other, "StringEquals", vendorID)),
			trust.Plan{Role: trust.Adopted, Principals: []string{us, other}, Current: vendorID, Pending: vendorNext}, "", []int{1},
		},
		"a statement that lets in more than the plan": {
			statements(vendor(us+" "+other, "StringEquals", vendorID)), of(us, toOverlap), "more principals than the plan's", nil,
		},
		"a plan for one role of an account that is let in": {
			statements(vendor(us, "StringEquals", vendorID)), of("arn:aws:iam::111122223333:role/x", toOverlap), "more principals than the plan's", nil,
		},
		"nobody of the plan":              {statements(vendor(other, "StringEquals", vendorID)), of(us, toOverlap), "in no statement", nil},
		"another vendor's StringLike":     {statements(vendor(us, "StringEquals", vendorID), vendor(other, "StringLike", "*")), of(us, toOverlap), "", []int{1}},
		"our own account's StringLike":    {statements(vendor(us, "StringEquals", vendorID), vendor(us, "StringLike", "*")), toOverlap, "under StringLike", nil},
		"a StringLike that isn't met":     {statements(vendor(us, "StringEquals", vendorID), vendor(us, "StringLike", "org@*")), toOverlap, "", []int{1}},
		"a negated operator":              {statements(vendor(us, "StringEquals", vendorID), vendor(us, "StringNotEquals", "x1")), toOverlap, "under StringNotEquals", nil},
		"ForAnyValue":                     {statements(vendor(us, "ForAnyValue:StringEquals", vendorID)), toOverlap, "under ForAnyValue:StringEquals", nil},
		"case ignored":                    {statements(vendor(us, "StringEqualsIgnoreCase", strings.ToUpper(vendorID))), toOverlap, "under StringEqualsIgnoreCase", nil},
		"a placeholder as ID":             {statements(vendor(us, "StringEquals", vendorID), vendor(other, "StringEquals", "${ExternalId}")), toOverlap, "placeholder", nil},
		"a placeholder in a longer ID":    {statements(vendor(us, "StringEquals", vendorID), vendor(other, "StringEquals", "org@<your-name>")), of(us, toOverlap), "placeholder", nil},
		"another vendor's variable":       {statements(vendor(us, "StringEquals", vendorID), vendor(other, "StringEquals", "${aws:PrincipalTag/site}")), of(us, toOverlap), "", []int{1}},
		"our own account's variable":      {statements(vendor(us, "StringEquals", vendorID), vendor(us, "StringEquals", "${aws:PrincipalTag/site}")), of(us, toOverlap), "policy variable", nil},
		"a variable in the old version":   {strings.Replace(statements(vendor(us, "StringEquals", vendorID), vendor(other, "StringEquals", "${aws:PrincipalTag/site}")), "2012", "2008", 1), of(us, toOverlap), "placeholder", nil},
		"a placeholder as principal":      {statements(vendor(us, "StringEquals", vendorID), vendor("arn:aws:iam::<account>:root", "StringEquals", "x1")), of(us, toOverlap), "a principal in it is a placeholder", nil},
		"a placeholder as service":        {statements(vendor(us, "StringEquals", vendorID), `{"Effect":"Allow","Principal":{"Service":"ec2.${AWS::URLSuffix}"},"Action":"sts:AssumeRole"}`), of(us, toOverlap), "a principal in it is a placeholder", nil},
		"a placeholder in angle brackets": {statements(vendor(us, "StringEquals", vendorID+" <your-id>")), toOverlap, "placeholder", nil},
		"a deleted principal elsewhere":   {statements(vendor(us, "StringEquals", vendorID), vendor("AIDAEXAMPLEUSERID0001", "StringEquals", "x1")), toOverlap, "deleted principal", nil},
		"an element IAM wouldn't take":    {statements(vendor(us, "StringEquals", vendorID), `{"Effect":"Allow","Principal":"*","Action":"sts:TagSession","Resource":"*"}`), toOverlap, "doesn't have", nil},
		"a Deny of another vendor's ID":   {statements(vendor(us, "StringEquals", vendorID), strings.Replace(vendor(other, "StringEquals", vendorID), "Allow", "Deny", 1)), of(us, toOverlap), "", []int{1}},
		"a Deny of the next ID":           {statements(vendor(us, "StringEquals", vendorID), strings.Replace(vendor(us, "StringEquals", vendorNext), "Allow", "Deny", 1)), toOverlap, "a Deny names", nil},
		"the wrong case of the ID":        {statements(vendor(us, "StringEquals", strings.ToUpper(vendorID))), toOverlap, "in no statement", nil},
		"promotion before the overlap":    {statements(vendor(us, "StringEquals", vendorID)), toPromote, "in no statement", nil},
		"promotion of an ID that is over": {statements(vendor(us, "StringEquals", vendorNext)), toPromote, "previous ID", nil},
		"an overlap that stands already":  {statements(vendor(us, "StringEquals", vendorID+" "+vendorNext)), toOverlap, "", []int{1}},
		"a date that can't be read":       {statements(strings.Replace(vendor(us, "StringEquals", vendorID), `"Condition":{`, `"Condition":{"DateLessThan":{"aws:CurrentTime":"soon"},`, 1)), toOverlap, "date limit", nil},
		"a date limit that never holds":   {statements(strings.Replace(vendor(us, "StringEquals", vendorID), `"Condition":{`, `"Condition":{"DateLessThan":{"aws:CurrentTime":[]},`, 1)), toOverlap, "date limit", nil},
		"everybody in the plan":           {statements(vendor(us, "StringEquals", vendorID)), of("*", toOverlap), "neither an account", nil},
		"a plan without external ID":      {statements(vendor(us, "StringEquals", vendorID)), trust.Plan{Role: trust.Adopted, NoExternalID: true}, "nothing to rotate", nil},
		"a plan without ID":               {statements(vendor(us, "StringEquals", vendorID)), trust.Plan{Role: trust.Adopted}, "no current", nil},
		"two equal IDs":                   {statements(vendor(us, "StringEquals", vendorID)), adopted(func(p *trust.Plan) { p.Pending = vendorID }), "are the same", nil},
		"an ID outside AWS's set":         {statements(vendor(us, "StringEquals", "a b")), adopted(func(p *trust.Plan) { p.Current, p.Pending = "a b", vendorNext }), "2 to 1,224", nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := parse(t, c.src)
			if c.refused != "" {
				refused(t, d, c.plan, c.refused)
				return
			}
			after := apply(t, d, c.plan)
			var got []int
			for i, s := range strings.Split(string(after.Bytes()), `{"Effect"`)[1:] {
				if strings.Contains(s, vendorNext) {
					got = append(got, i+1)
				}
			}
			if !slices.Equal(got, c.edited) {
				t.Errorf("edited %v, want %v:\n%s", got, c.edited, after.Bytes())
			}
			if err := trust.Check(d, after, c.plan, noon); err != nil {
				t.Errorf("Check: %v", err)
			}
		})
	}
}

func TestPhasesNeverLiftADeny(t *testing.T) {
	src, err := os.ReadFile("testdata/policies/closed.json")
	if err != nil {
		t.Fatal(err)
	}
	d := parse(t, string(src))
	for _, p := range []trust.Plan{toOverlap, toPromote, toRetire} {
		d = apply(t, d, p)
		if !d.Closed() {
			t.Errorf("%s lifted the Deny", p)
		}
		for _, id := range []string{"", vendorID, vendorNext} {
			deny(t, d, vendorCall(ourUser, id, noon))
		}
	}
	born := statements(vendor(us, "StringEquals", vendorID), `{"Sid":"CountersignBorn","Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}`)
	deny(t, apply(t, parse(t, born), toOverlap), vendorCall(ourUser, vendorID, noon))
}

func TestATamperedDenyIsMended(t *testing.T) {
	const never = `{"Sid":"CountersignClosed","Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Condition":{"DateLessThan":{"aws:CurrentTime":"1970-01-01T00:00:00Z"}}}`
	d := parse(t, statements(vendor(us, "StringEquals", vendorID), never))
	if d.Closed() {
		t.Error("a Deny that never matches closes nothing")
	}
	after, diff := applyDiff(t, d, toOverlap)
	if !after.Closed() || len(diff.Drift) != 1 {
		t.Errorf("closed %t, drift %q", after.Closed(), diff.Drift)
	}
	if after := apply(t, d, toRevoke); !after.Closed() {
		t.Error("closing left the Deny that never matches")
	}
}

func TestRetireNeverLeavesAnEmptyList(t *testing.T) {
	d := parse(t, statements(vendor(us, "StringEquals", vendorNext), vendor(us, "StringEquals", vendorID), vendor(us, "StringEquals", vendorID+" other-1")))
	after := apply(t, d, toRetire)
	deny(t, after, vendorCall(ourUser, vendorID, noon))
	deny(t, after, vendorCall(ourUser, "", noon))
	allow(t, after, vendorCall(ourUser, vendorNext, noon))
	allow(t, after, vendorCall(ourUser, "other-1", noon))
	if n := strings.Count(string(after.Bytes()), vendorNext); n != 3 {
		t.Errorf("the current ID stands %d times:\n%s", n, after.Bytes())
	}
	if again, diff := applyDiff(t, after, toRetire); !diff.Empty() || again != after {
		t.Error("retiring what is gone should change nothing")
	}
}

func TestRetireLeavesAnotherVendorsSameID(t *testing.T) {
	d := parse(t, statements(vendor(us, "StringEquals", vendorNext+" "+vendorID), vendor(other, "StringEquals", vendorID)))
	after := apply(t, d, of(us, toRetire))
	deny(t, after, vendorCall(ourUser, vendorID, noon))
	allow(t, after, vendorCall("arn:aws:iam::444455556666:user/a", vendorID, noon))
	deny(t, apply(t, d, toRetire), vendorCall("arn:aws:iam::444455556666:user/a", vendorID, noon))
}

func TestATamperedPreviousIsReplaced(t *testing.T) {
	good := apply(t, apply(t, parse(t, statements(vendor(us, "StringEquals", vendorID))), toOverlap), toPromote)
	src := string(good.Bytes())
	i := strings.Index(src, "CountersignPrevious")
	for name, bad := range map[string]string{
		"a further principal": src[:i] + strings.Replace(src[i:], `["111122223333"]`, `["111122223333","999988887777"]`, 1),
		"no session names":    strings.Replace(src, `,"StringNotLike":{"sts:RoleSessionName":"confirm-*"}`, ``, 1),
	} {
		after, diff := applyDiff(t, parse(t, bad), toPromote)
		if !after.Equal(good) {
			t.Errorf("%s: %s", name, after.Bytes())
		}
		if len(diff.Drift) != 1 {
			t.Errorf("%s: drift %q", name, diff.Drift)
		}
	}
	refused(t, parse(t, src[:i]+strings.Replace(src[i:], "Allow", "Deny", 1)), toPromote, "a Deny under a Sid")
	longer := strings.Replace(src, "2026-02-05T12:00:00Z", "2099-01-01T00:00:00Z", 1)
	if after := apply(t, parse(t, longer), toPromote); !after.Equal(good) {
		t.Errorf("a deadline that somebody moved stays: %s", after.Bytes())
	}
}

func TestAHalfDonePromotionIsFinished(t *testing.T) {
	overlap := apply(t, parse(t, statements(vendor(us, "StringEquals", vendorID), vendor(other, "StringEquals", vendorID))), toOverlap)
	done := apply(t, overlap, toPromote)
	// Somebody put the ID back into one of the two statements.
	half := strings.Replace(string(done.Bytes()), `["`+vendorNext+`"]`, `["`+vendorID+`","`+vendorNext+`"]`, 1)
	if after := apply(t, parse(t, half), toPromote); !after.Equal(done) {
		t.Errorf("%s\nwant\n%s", after.Bytes(), done.Bytes())
	}
}

func TestAPlanWithoutPreviousEndsIt(t *testing.T) {
	d := apply(t, apply(t, parse(t, statements(vendor(us, "StringEquals", vendorID))), toOverlap), toPromote)
	after := apply(t, d, adopted(func(p *trust.Plan) { p.Current = vendorNext }))
	deny(t, after, vendorCall(ourUser, vendorID, noon))
	allow(t, after, vendorCall(ourUser, vendorNext, noon))
}

func TestTwoIntegrationsRotateSideBySide(t *testing.T) {
	theirs := func(change func(*trust.Plan)) trust.Plan {
		p := trust.Plan{Role: trust.Adopted, Current: "warehouse-1", Pending: "warehouse-2"}
		change(&p)
		return p
	}
	d := parse(t, statements(vendor(us, "StringEquals", vendorID), vendor(other, "StringEquals", "warehouse-1")))
	d = apply(t, apply(t, d, toOverlap), toPromote)
	promoteTheirs := theirs(func(p *trust.Plan) {
		p.Current, p.Pending, p.Previous = "warehouse-2", "", trust.Previous{ID: "warehouse-1", Until: deadline.Add(time.Hour)}
	})
	d = apply(t, apply(t, d, theirs(func(*trust.Plan) {})), promoteTheirs)
	for id, end := range map[string]time.Time{vendorID: deadline, "warehouse-1": deadline.Add(time.Hour)} {
		if until, ok := d.Deadline(id); !ok || !until.Equal(end) {
			t.Errorf("%s: deadline %s, want %s\n%s", id, until, end, d.Bytes())
		}
	}
	d = apply(t, d, toRetire)
	if _, ok := d.Deadline(vendorID); ok || !d.Holds("warehouse-1") {
		t.Errorf("retiring one touched the other: %s", d.Bytes())
	}
}

// Two providers got the same ID: while theirs ends, no phase of ours ends it for them.
func TestTwoIntegrationsWithOneIDRotateSideBySide(t *testing.T) {
	theirs := func(id string, at time.Time) trust.Request {
		return vendorCall("arn:aws:iam::"+other+":user/a", id, at)
	}
	later := deadline.Add(time.Hour)
	d := parse(t, statements(vendor(us, "StringEquals", vendorID), vendor(other, "StringEquals", vendorID)))
	for _, p := range []trust.Plan{
		of(other, trust.Plan{Role: trust.Adopted, Current: vendorID, Pending: "warehouse-2"}),
		of(other, trust.Plan{Role: trust.Adopted, Current: "warehouse-2", Previous: trust.Previous{ID: vendorID, Until: later}}),
		of(us, toOverlap), of(us, toPromote), of(us, toRetire),
	} {
		d = apply(t, d, p)
		allow(t, d, theirs(vendorID, deadline))
	}
	deny(t, d, theirs(vendorID, later))
	allow(t, d, theirs("warehouse-2", later))
	deny(t, d, vendorCall(ourUser, vendorID, noon))
}

func TestTheQuotaOfAnAdoptedRole(t *testing.T) {
	d := parse(t, statements(vendor(us, "StringEquals", vendorID)))
	need, err := trust.Largest(d, toOverlap)
	if err != nil {
		t.Fatal(err)
	}
	promoted := apply(t, apply(t, d, toOverlap), toPromote)
	if closed := apply(t, promoted, toRevoke); need != closed.Size() {
		t.Errorf("the largest phase has %d characters, closed after promotion %d", need, closed.Size())
	}
	fits, short := toOverlap, toOverlap
	fits.Quota, short.Quota = need, need-1
	apply(t, d, fits)
	refused(t, d, short, fmt.Sprintf("takes %d characters and the quota is %d: save 1,", need, need-1))

	retire := toRetire
	retire.Quota = promoted.Size()
	apply(t, promoted, retire) // there is no room for the Deny, but this makes some
	shut := toRevoke
	shut.Quota = promoted.Size()
	refused(t, promoted, shut, "save")
}

func TestClosingADocumentThatCantBeEdited(t *testing.T) {
	for name, c := range policies {
		if c.refused == "" {
			continue
		}
		src, err := os.ReadFile("testdata/policies/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		d := apply(t, parse(t, string(src)), toRevoke)
		if deny(t, d, vendorCall(c.caller, vendorID, noon)); !d.Closed() {
			t.Errorf("%s isn't closed", name)
		}
		back, err := d, error(nil)
		if back, _, err = trust.Apply(d, adopted(func(p *trust.Plan) { p.Gate = trust.Open })); err == nil {
			t.Errorf("%s: opened as %s", name, back.Bytes())
		}
	}
}

func TestAReasonNeverTellsAnID(t *testing.T) {
	// The ID stands where it doesn't belong: as a Sid, in a principal, as an operator.
	const id = "Zw8JkQm2Yv5RtX1LpN4sBc7HdF3gA6Ke"
	for _, s := range []string{
		`{"Sid":"` + id + `","Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"` + id + `"}}}`,
		`{"Effect":"Allow","Principal":{"AWS":"` + id + `"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"` + id + `"}}}`,
		`{"Effect":"Allow","Principal":{"AWS":"` + us + `"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"` + id + `"},"` + id + `":{"a":"b"}}}`,
		`{"Effect":"Allow","Principal":{"AWS":"` + us + `"},"Action":"sts:AssumeRole","Condition":{"StringLike":{"sts:ExternalId":"` + id + `"}}}`,
	} {
		_, _, err := trust.Apply(parse(t, statements(s)), trust.Plan{Role: trust.Adopted, Current: id, Pending: vendorNext})
		if !errors.Is(err, trust.ErrRefused) || strings.Contains(err.Error(), id) {
			t.Errorf("%v", err)
		}
		_, diff, err := trust.Apply(parse(t, statements(s)), created())
		if err != nil || strings.Contains(fmt.Sprint(diff), id) {
			t.Errorf("%v, %v", diff, err)
		}
	}
}

func TestHoldsAndAccepted(t *testing.T) {
	end := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	dated := strings.Replace(vendor(other, "StringEquals", "b2 c3"), `"Condition":{`, `"Condition":{"DateLessThan":{"aws:CurrentTime":"2026-03-01T00:00:00Z"},`, 1)
	d := parse(t, statements(vendor(us, "StringEquals", "a1 b2"), dated, vendor(us, "StringLike", "e5"), strings.Replace(vendor(us, "StringEquals", "f6"), "Allow", "Deny", 1)))
	want := []trust.Accepted{{ID: "a1"}, {ID: "b2"}, {ID: "c3", Until: end}}
	if got := d.Accepted(); !slices.Equal(got, want) {
		t.Errorf("accepted %v, want %v", got, want)
	}
	for id, holds := range map[string]bool{"a1": true, "b2": true, "c3": true, "e5": false, "f6": false, "A1": false, "": false} {
		if d.Holds(id) != holds {
			t.Errorf("holds %q: %t", id, !holds)
		}
	}
}
