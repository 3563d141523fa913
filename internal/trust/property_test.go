package trust_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/countersign/countersign/internal/trust"
)

var (
	accounts = []string{us, other, "777788889999"}
	someIDs  = []string{vendorID, vendorNext, "foreign-1", "foreign-2"}
	callers  = []string{
		ourUser, "arn:aws:iam::444455556666:user/b", "arn:aws:sts::444455556666:assumed-role/R/s", "arn:aws:iam::777788889999:role/R", stranger,
	}
)

// anyCondition, anyPrincipal and anyStatement draw what occurs in trust policies, and some that doesn't.
func anyStatement(t *rapid.T, ids []string) map[string]any {
	s := map[string]any{
		"Effect": rapid.SampledFrom([]string{"Allow", "Allow", "Allow", "Deny"}).Draw(t, "effect"),
		"Action": rapid.SampledFrom([]any{"sts:AssumeRole", []string{"sts:AssumeRole"}, []string{"sts:AssumeRole", "sts:TagSession"}, "sts:TagSession", "sts:*"}).Draw(t, "action"),
	}
	principal := rapid.SampledFrom([]string{"AWS", "AWS", "AWS", "AWS", "Service", "*", "Not"}).Draw(t, "principal")
	named := rapid.SliceOfNDistinct(rapid.SampledFrom(append([]string{"arn:aws:iam::444455556666:role/x/R", callers[0]}, accounts...)), 1, 3, rapid.ID).Draw(t, "named")
	switch principal {
	case "AWS":
		s["Principal"] = map[string]any{"AWS": oneOrList(t, named)}
	case "Service":
		s["Principal"] = map[string]any{"Service": "ec2.amazonaws.com"}
	case "*":
		s["Principal"] = "*"
	case "Not":
		s["NotPrincipal"] = map[string]any{"AWS": named}
	}
	conditions := map[string]any{}
	if rapid.IntRange(0, 5).Draw(t, "with an ID") > 0 {
		op := rapid.SampledFrom([]string{"StringEquals", "StringEquals", "StringEquals", "StringEquals", "StringLike", "StringNotEquals", "StringEqualsIfExists"}).Draw(t, "operator")
		key := rapid.SampledFrom([]string{"sts:ExternalId", "sts:externalid"}).Draw(t, "key")
		conditions[op] = map[string]any{key: oneOrList(t, rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 1, 3, rapid.ID).Draw(t, "ids"))}
	}
	if rapid.IntRange(0, 3).Draw(t, "dated") == 0 {
		conditions["DateLessThan"] = map[string]any{"aws:CurrentTime": rapid.SampledFrom([]string{"2026-02-04T18:00:00Z", "2027-01-01T00:00:00Z", "soon"}).Draw(t, "date")}
	}
	if rapid.IntRange(0, 4).Draw(t, "mfa") == 0 {
		conditions["Bool"] = map[string]any{"aws:MultiFactorAuthPresent": rapid.SampledFrom([]any{true, "true"}).Draw(t, "bool")}
	}
	if len(conditions) > 0 {
		s["Condition"] = conditions
	}
	if sid := rapid.SampledFrom([]string{"", "", "Vendor", "CountersignClosed", "CountersignPrevious"}).Draw(t, "sid"); sid != "" {
		s["Sid"] = sid
	}
	return s
}

func oneOrList(t *rapid.T, list []string) any {
	if len(list) == 1 && rapid.Bool().Draw(t, "scalar") {
		return list[0]
	}
	return list
}

func anyDocument(t *rapid.T, ids []string) *trust.Document {
	return written(t, rapid.SliceOfN(rapid.Custom(func(t *rapid.T) map[string]any { return anyStatement(t, ids) }), 1, 4).Draw(t, "statements"))
}

// aRotatableDocument has one or two plain statements with the vendor's ID, somewhere among others that don't hold it.
func aRotatableDocument(t *rapid.T) *trust.Document {
	foreign := []string{"foreign-1", "foreign-2"}
	list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) map[string]any {
		s := anyStatement(t, foreign)
		delete(s, "Sid")
		return s
	}), 0, 3).Draw(t, "others")
	for range rapid.IntRange(1, 2).Draw(t, "plain ones") {
		ids := append([]string{vendorID}, rapid.SliceOfNDistinct(rapid.SampledFrom(foreign), 0, 2, rapid.ID).Draw(t, "beside")...)
		key := rapid.SampledFrom([]string{"sts:ExternalId", "sts:externalid"}).Draw(t, "key")
		conditions := map[string]any{"StringEquals": map[string]any{key: oneOrList(t, rapid.Permutation(ids).Draw(t, "ids"))}}
		if rapid.Bool().Draw(t, "mfa") {
			conditions["Bool"] = map[string]any{"aws:MultiFactorAuthPresent": "true"}
		}
		plain := map[string]any{
			"Effect": "Allow", "Action": rapid.SampledFrom([]any{"sts:AssumeRole", []string{"sts:AssumeRole", "sts:TagSession"}}).Draw(t, "action"),
			"Principal": map[string]any{"AWS": oneOrList(t, rapid.SliceOfNDistinct(rapid.SampledFrom(accounts), 1, 2, rapid.ID).Draw(t, "named"))},
			"Condition": conditions,
		}
		list = slices.Insert(list, rapid.IntRange(0, len(list)).Draw(t, "place"), plain)
	}
	return written(t, list)
}

// written is the document of some statements; a lone one may stand without its list.
func written(t *rapid.T, statements []map[string]any) *trust.Document {
	var list any = statements
	if len(statements) == 1 && rapid.Bool().Draw(t, "lone") {
		list = statements[0]
	}
	src, err := json.MarshalIndent(map[string]any{"Version": "2012-10-17", "Statement": list}, "", rapid.SampledFrom([]string{"", " ", "\t"}).Draw(t, "indent"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := trust.Parse(src)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func anyPlan(t *rapid.T) trust.Plan {
	p := rapid.SampledFrom([]trust.Plan{toOverlap, toPromote, toRetire, toRevoke,
		{Role: trust.Adopted, Current: vendorID, Gate: trust.Open}, {Role: trust.Adopted, Current: vendorNext}}).Draw(t, "plan")
	if rapid.Bool().Draw(t, "with principals") {
		p.Principals = rapid.SliceOfNDistinct(rapid.SampledFrom(accounts), 1, 2, rapid.ID).Draw(t, "principals")
	}
	if rapid.IntRange(0, 3).Draw(t, "created") == 0 {
		p.Role, p.Principals = trust.Created, accounts[:1]
	}
	return p
}

// everyCall are all calls of the cast.
func everyCall(yield func(r trust.Request, id string) bool) {
	for _, at := range []time.Time{noon, deadline} {
		for _, caller := range callers {
			for _, id := range append([]string{"", idWrong}, someIDs...) {
				for _, mfa := range []string{"true", "false"} {
					r := call(caller, id, at)
					r.Context["aws:MultiFactorAuthPresent"] = []string{mfa}
					if !yield(r, id) {
						return
					}
				}
			}
		}
	}
}

func TestPropertiesOfApply(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, p := anyDocument(t, someIDs), anyPlan(t)
		after, diff, err := trust.Apply(d, p)
		if err != nil {
			for _, id := range someIDs {
				if strings.Contains(err.Error(), id) {
					t.Fatalf("%v tells an ID", err)
				}
			}
			return
		}
		for _, id := range someIDs {
			if strings.Contains(fmt.Sprint(diff), id) {
				t.Fatalf("%v tells an ID", diff)
			}
		}
		again, second, err := trust.Apply(after, p)
		if err != nil || !second.Empty() || string(again.Bytes()) != string(after.Bytes()) {
			t.Fatalf("twice is not once: %v, %v\n%s", second.Lines, err, after.Bytes())
		}
		back, err := trust.Parse(after.Bytes())
		if err != nil || !back.Equal(after) {
			t.Fatalf("not read back: %v", err)
		}
		if after.Size() > trust.DefaultQuota {
			t.Fatalf("over quota: %d", after.Size())
		}
		if p.Gate == trust.Close && !after.Closed() || p.Gate == trust.Open && after.Closed() {
			t.Fatalf("gate %d, closed %t", p.Gate, after.Closed())
		}
		if p.Gate == trust.Keep && d.Closed() && !after.Closed() {
			t.Fatal("a Deny was lifted")
		}
		untouched := p.Role == trust.Adopted && p.Gate == trust.Keep && !strings.Contains(string(d.Bytes()), "Countersign")
		if untouched {
			if err := trust.Check(d, after, p, noon); err != nil {
				t.Fatalf("Check refuses what Apply writes: %v\n%s\n%s", err, d.Bytes(), after.Bytes())
			}
		}
		for r, id := range everyCall {
			caller := r.Principal
			before, now := d.Evaluate(r).Effect, after.Evaluate(r).Effect
			ours := slices.Contains([]string{p.Current, p.Pending, p.Previous.ID}, id) && id != ""
			switch {
			case after.Closed() && now != trust.Deny:
				t.Fatalf("closed, but %s with %q: %s", caller, id, now)
			case now == trust.Allow && before != trust.Allow && p.Gate != trust.Open && !ours:
				t.Fatalf("%s with %q gets in\n%s\n%s", caller, id, d.Bytes(), after.Bytes())
			case now == trust.Allow && before != trust.Allow && p.Gate != trust.Open && len(p.Principals) > 0 && !slices.ContainsFunc(p.Principals, func(a string) bool { return strings.Contains(caller, a) }):
				t.Fatalf("%s, whom the plan doesn't name, gets in with %q\n%s\n%s", caller, id, d.Bytes(), after.Bytes())
			case untouched && !slices.Contains([]string{vendorID, vendorNext}, id) && now != before:
				t.Fatalf("%s with %q got %s before and gets %s now\n%s\n%s", caller, id, before, now, d.Bytes(), after.Bytes())
			}
		}
	})
}

func TestARotationLeavesWhatIsNotOurs(t *testing.T) {
	drawn, rotated := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		d := aRotatableDocument(t)
		if rapid.IntRange(0, 3).Draw(t, "of any form") == 0 {
			d = anyDocument(t, []string{vendorID, "foreign-1", "foreign-2"})
		}
		if strings.Contains(string(d.Bytes()), "Countersign") {
			return
		}
		drawn++
		after := d
		for i, p := range []trust.Plan{toOverlap, toPromote, toRetire} {
			next, _, err := trust.Apply(after, p)
			if err != nil && i == 0 {
				return
			}
			if err != nil {
				t.Fatalf("an overlap was opened that can't be ended: %v\n%s", err, after.Bytes())
			}
			if err := trust.Check(after, next, p, noon); err != nil {
				t.Fatalf("phase %d: %v\n%s\n%s", i, err, after.Bytes(), next.Bytes())
			}
			after = next
		}
		rotated++
		want, err := trust.Parse([]byte(strings.ReplaceAll(string(d.Bytes()), vendorID, vendorNext)))
		if err != nil {
			t.Fatal(err)
		}
		if !after.Equal(want) {
			t.Fatalf("another meaning:\n%s\nwant\n%s", after.Bytes(), want.Bytes())
		}
		if strings.Contains(string(d.Bytes()), `"Statement": [`) && string(after.Bytes()) != string(want.Bytes()) {
			t.Fatalf("other bytes:\n%s\nwant\n%s", after.Bytes(), want.Bytes())
		}
	})
	if rotated < drawn/3 {
		t.Errorf("%d of %d documents were rotated: too few to say anything", rotated, drawn)
	}
}

func TestReadBackOfIAMIsNoChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom([]trust.Plan{created(), overlap(), promoted()}).Draw(t, "plan")
		p.SourceIdentity = rapid.Bool().Draw(t, "source identity")
		p.Gate = rapid.SampledFrom([]trust.Gate{trust.Keep, trust.Close, trust.Open}).Draw(t, "gate")
		p.Principals = rapid.SliceOfNDistinct(rapid.SampledFrom(accounts), 1, 2, rapid.ID).Draw(t, "principals")
		born, err := trust.Parse([]byte(trust.BornDocument))
		if err != nil {
			t.Fatal(err)
		}
		d, _, err := trust.Apply(born, p)
		if err != nil {
			t.Fatal(err)
		}
		read, err := trust.Parse(readBack(t, d.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		after, diff, err := trust.Apply(read, p)
		if err != nil || !diff.Empty() || len(diff.Drift) > 0 || after != read || !read.Equal(d) {
			t.Fatalf("%v, %v\n%s\n%s", diff, err, d.Bytes(), read.Bytes())
		}
	})
}

// readBack does to a document what IAM does: another order of keys and values, lists of one as scalars, root ARNs.
func readBack(t *rapid.T, src []byte) []byte {
	var v map[string]any
	if err := json.Unmarshal(src, &v); err != nil {
		t.Fatal(err)
	}
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for k := range v {
				v[k] = walk(v[k])
			}
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
			v = rapid.Permutation(v).Draw(t, "order")
			if len(v) == 1 {
				return v[0]
			}
			return v
		case string:
			if slices.Contains(accounts, v) {
				return "arn:aws:iam::" + v + ":root"
			}
		}
		return v
	}
	out, err := json.Marshal(walk(v))
	if err != nil {
		t.Fatal(err)
	}
	return out
}
