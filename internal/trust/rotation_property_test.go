package trust_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tailscale/hujson"
	"pgregory.net/rapid"

	"github.com/countersign/countersign/internal/trust"
)

// untidy writes a document with white space wherever JSON takes it, and the vendor's ID in escapes now and then.
func untidy(t *rapid.T, src []byte) []byte {
	v, err := hujson.Parse(src)
	if err != nil {
		t.Fatal(err)
	}
	space := rapid.Custom(func(t *rapid.T) hujson.Extra {
		return hujson.Extra(rapid.SampledFrom([]string{"", "", "", " ", "  ", "\n", "\n\t ", "\r\n", "\t"}).Draw(t, "space"))
	})
	var walk func(v *hujson.Value, last bool)
	walk = func(v *hujson.Value, last bool) {
		v.BeforeExtra, v.AfterExtra = space.Draw(t, "before"), nil
		if !last {
			v.AfterExtra = space.Draw(t, "after") // behind the last one it would make a trailing comma
		}
		switch w := v.Value.(type) {
		case *hujson.Object:
			for i := range w.Members {
				walk(&w.Members[i].Name, false)
				walk(&w.Members[i].Value, i == len(w.Members)-1)
			}
			w.AfterExtra = space.Draw(t, "end")
		case *hujson.Array:
			for i := range w.Elements {
				walk(&w.Elements[i], i == len(w.Elements)-1)
			}
			w.AfterExtra = space.Draw(t, "end")
		case hujson.Literal:
			if string(w) == `"`+vendorID+`"` && rapid.IntRange(0, 4).Draw(t, "escaped") == 0 {
				v.Value = hujson.Literal(escapedVendorID)
			}
		}
	}
	walk(&v, false)
	return v.Pack()
}

const escapedVendorID = `"north\u0077ind-0042"`

// TestARotationLeavesEveryByteThatIsNotOurs takes documents of any lay-out through a rotation. What is left differs in the
// ID alone; a lone statement may have become a list.
func TestARotationLeavesEveryByteThatIsNotOurs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := untidy(t, aRotatableDocument(t).Bytes())
		d, err := trust.Parse(src)
		if err != nil {
			t.Fatal(err)
		}
		after := d
		for _, p := range []trust.Plan{toOverlap, toPromote, toRetire} {
			next, _, err := trust.Apply(after, p)
			if err != nil {
				t.Skip("not one to rotate") // the other property counts these
			}
			sameForOthers(t, after, next)
			after = next
		}
		want := strings.NewReplacer(`"`+vendorID+`"`, `"`+vendorNext+`"`, escapedVendorID, `"`+vendorNext+`"`).Replace(string(src))
		got := string(after.Bytes())
		if got == want {
			return
		}
		statement := func(src string) (lone bool, text string) {
			v, err := hujson.Parse([]byte(src))
			if err != nil {
				t.Fatal(err)
			}
			s := v.Find("/Statement")
			if list, ok := s.Value.(*hujson.Array); ok {
				if len(list.Elements) != 1 {
					return false, src
				}
				s = &list.Elements[0]
			} else {
				lone = true
			}
			return lone, string(hujson.Value{Value: s.Value}.Pack())
		}
		lone, inside := statement(want)
		if _, now := statement(got); !lone || now != inside {
			t.Fatalf("other bytes:\n%q\nwant\n%q", got, want)
		}
	})
}

// sameForOthers holds a phase to: who comes with an ID that isn't the plan's, or none, gets the same answer.
func sameForOthers(t *rapid.T, before, after *trust.Document) {
	for r, id := range everyCall {
		if id == vendorID || id == vendorNext {
			continue
		}
		if was, now := before.Evaluate(r).Effect, after.Evaluate(r).Effect; was != now {
			t.Fatalf("%s with %q got %s before and gets %s now\n%s\n%s", r.Principal, id, was, now, before.Bytes(), after.Bytes())
		}
	}
}

// aPlanOfTheCast is a plan of a created role with IDs of the cast.
func aPlanOfTheCast(t *rapid.T) trust.Plan {
	p := rapid.SampledFrom([]trust.Plan{created(), overlap(), promoted()}).Draw(t, "phase")
	p.Principals = rapid.SliceOfNDistinct(rapid.SampledFrom(accounts), 1, 2, rapid.ID).Draw(t, "principals")
	p.SourceIdentity = rapid.Bool().Draw(t, "source identity")
	p.Conditions = rapid.SampledFrom([]trust.Conditions{nil, created().Conditions, {"Bool": {"aws:MultiFactorAuthPresent": {"true"}}}}).Draw(t, "conditions")
	p.Expires = rapid.SampledFrom([]time.Time{{}, noon.Add(time.Hour), deadline.AddDate(0, 0, 7)}).Draw(t, "expires")
	if p.Previous.ID != "" {
		p.Previous.Until = rapid.SampledFrom([]time.Time{{}, noon.Add(time.Minute), deadline, deadline.AddDate(0, 0, 9)}).Draw(t, "until")
	}
	p.Gate = rapid.SampledFrom([]trust.Gate{trust.Keep, trust.Keep, trust.Keep, trust.Close, trust.Open}).Draw(t, "gate")
	return p
}

// TestALaterPlanWinsOverAnEarlierOne: whatever was asked before, the document is the last plan's. Only a Deny stays until
// a plan opens it.
func TestALaterPlanWinsOverAnEarlierOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		born, err := trust.Parse([]byte(trust.BornDocument))
		if err != nil {
			t.Fatal(err)
		}
		d, closed := born, false
		for _, p := range rapid.SliceOfN(rapid.Custom(aPlanOfTheCast), 2, 5).Draw(t, "plans") {
			if d, _, err = trust.Apply(d, p); err != nil {
				t.Fatal(err)
			}
			closed = p.Gate == trust.Close || closed && p.Gate == trust.Keep
			if closed {
				p.Gate = trust.Close
			}
			want, _, err := trust.Apply(born, p)
			if err != nil {
				t.Fatal(err)
			}
			if !d.Equal(want) || d.Closed() != closed {
				t.Fatalf("got\n%s\nwant\n%s", d.Bytes(), want.Bytes())
			}
		}
	})
}

// TestALaterDeadlineWins is the same for an adopted role: of several promotions the last one's deadline counts, whether it
// is earlier or later, and the statement's own date if that is earlier still.
func TestALaterDeadlineWins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, _, err := trust.Apply(aRotatableDocument(t), toOverlap)
		if err != nil {
			t.Skip("not one to rotate")
		}
		var once *trust.Document
		for _, until := range rapid.SliceOfN(rapid.SampledFrom([]time.Time{{}, noon, deadline, deadline.AddDate(1, 0, 0)}), 1, 4).Draw(t, "deadlines") {
			p := toPromote
			p.Previous.Until = until
			next, _, err := trust.Apply(d, p)
			if err != nil {
				t.Fatal(err)
			}
			if once == nil {
				once = d
			}
			want, _, err := trust.Apply(once, p)
			if err != nil {
				t.Fatal(err)
			}
			if d = next; !d.Equal(want) {
				t.Fatalf("until %s:\n%s\nwant\n%s", until, d.Bytes(), want.Bytes())
			}
		}
	})
}

// TestARotationThatStartsFits: a quota of exactly what Largest says lets a rotation through, and a revocation in each of its
// phases; with one character less it doesn't start.
func TestARotationThatStartsFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start, phases, shut := aRotatableDocument(t), []trust.Plan{toOverlap, toPromote, toRetire}, toRevoke
		if rapid.Bool().Draw(t, "created") {
			p := aPlanOfTheCast(t)
			p.Gate, p.Current, p.Pending, p.Previous = trust.Keep, idOld, idNew, trust.Previous{}
			promoted, steady := p, p
			promoted.Current, promoted.Pending, promoted.Previous = idNew, "", trust.Previous{ID: idOld, Until: deadline}
			steady.Current, steady.Pending = idNew, ""
			phases, shut = []trust.Plan{p, promoted, steady}, steady
			shut.Gate = trust.Close
			born, err := trust.Parse([]byte(trust.BornDocument))
			if err != nil {
				t.Fatal(err)
			}
			start = born
		}
		need, err := trust.Largest(start, phases[0])
		if err != nil {
			t.Skip("not one to rotate")
		}
		short := phases[0]
		short.Quota = need - 1
		if _, _, err := trust.Apply(start, short); !errors.Is(err, trust.ErrRefused) {
			t.Fatalf("%d characters are needed, and with one less it starts: %v", need, err)
		}
		d, largest := start, 0
		for _, p := range phases {
			p.Quota, shut.Quota = need, need
			if d, _, err = trust.Apply(d, p); err != nil {
				t.Fatalf("with a quota of %d: %v", need, err)
			}
			closed, _, err := trust.Apply(d, shut)
			if err != nil {
				t.Fatalf("with a quota of %d it can't be closed: %v", need, err)
			}
			largest = max(largest, d.Size())
			if p.Role == trust.Adopted {
				largest = max(largest, closed.Size()) // on a created role the Deny takes the Allows' place
			}
		}
		if largest != need {
			t.Fatalf("the largest phase has %d characters, and Largest says %d", largest, need)
		}
	})
}

// others are fifty callers outside every plan of these tests.
func others(t *rapid.T) (list []string) {
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "others"), 0))
	forms := []string{
		"arn:aws:iam::%s:root", "arn:aws:iam::%s:user/jdoe", "arn:aws:iam::%s:role/Engineers-jdoe", "arn:aws:sts::%s:assumed-role/Engineers-jdoe/jdoe",
		"arn:aws-cn:iam::%s:role/R", "arn:aws:sts::%s:federated-user/jdoe",
	}
	for len(list) < 50 {
		account := fmt.Sprintf("%012d", random.Int64N(1e12))
		if !slices.Contains(accounts, account) {
			list = append(list, fmt.Sprintf(forms[random.IntN(len(forms))], account))
		}
	}
	return list
}
