package trust_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

func TestCheckAcceptsWhatApplyWrites(t *testing.T) {
	d := parse(t, trust.BornDocument)
	ended, noID, closed, reopened := promoted(), created(), promoted(), promoted()
	ended.Expires, ended.SourceIdentity = noon.Add(-time.Hour), true
	noID.Current, noID.NoExternalID = "", true
	closed.Gate, reopened.Gate = trust.Close, trust.Open
	tight := promoted()
	tight.Quota = apply(t, apply(t, d, overlap()), promoted()).Size()
	for _, p := range []trust.Plan{created(), overlap(), promoted(), ended, closed, promoted(), tight, reopened, noID, {Gate: trust.Close}, {Gate: trust.Close}} {
		after := apply(t, d, p)
		if err := trust.Check(d, after, p, noon); err != nil {
			t.Fatalf("%s: %v\n%s", p, err, after.Bytes())
		}
		d = after
	}
}

func TestCheckRefuses(t *testing.T) {
	born := parse(t, trust.BornDocument)
	steady := apply(t, born, created())
	withStatement := func(d *trust.Document, s string) *trust.Document {
		return parse(t, strings.Replace(string(d.Bytes()), `"Statement":[`, `"Statement":[`+s+`,`, 1))
	}
	closing := created()
	closing.Gate = trust.Close
	opening := created()
	opening.Gate = trust.Open
	closed := apply(t, steady, closing)
	late := promoted()
	late.Retired = []string{idNext}
	const stranger999 = `{"Effect":"Allow","Principal":{"AWS":"999988887777"},"Action":"sts:AssumeRole"}`
	adoptedDoc := parse(t, statements(vendor(us, "StringEquals", vendorID)))
	for name, c := range map[string]struct {
		before, after *trust.Document
		plan          trust.Plan
		want          string
	}{
		"a write that didn't arrive":        {steady, steady, overlap(), "not in the document as the plan asks"},
		"a document that is still born":     {born, born, created(), "CountersignBorn stands"},
		"somebody new":                      {steady, withStatement(steady, stranger999), created(), "neither the document before nor the plan"},
		"somebody new, perhaps":             {steady, withStatement(steady, `{"Effect":"Allow","Principal":{"AWS":"999988887777"},"Action":"sts:AssumeRole","Condition":{"Foo":{"a":"b"}}}`), created(), "may get in"},
		"an entry without ID":               {withStatement(steady, `{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}`), withStatement(steady, `{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}`), created(), "gets in with"},
		"a Deny that keeps the ID out":      {steady, withStatement(steady, `{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}`), created(), "should get in, and doesn't"},
		"a retired ID that gets in":         {withStatement(steady, vendor(us, "StringEquals", idNext)), withStatement(apply(t, steady, late), vendor(us, "StringEquals", idNext)), late, "that ID is over"},
		"closing without a Deny":            {steady, steady, closing, "doesn't deny everybody"},
		"opening that left the Deny":        {closed, closed, opening, "to be open"},
		"a Deny that was lifted on the way": {closed, steady, created(), "doesn't deny everybody"},
		"an adopted overlap without the ID": {adoptedDoc, adoptedDoc, toOverlap, "not the pending one"},
		"an adopted role without current":   {adoptedDoc, adoptedDoc, toPromote, "in no statement"},
		"a further principal, adopted":      {adoptedDoc, parse(t, statements(vendor(us+" 999988887777", "StringEquals", vendorID+" "+vendorNext))), of(us, toOverlap), "neither the document before nor the plan"},
		"an adopted retired ID":             {adoptedDoc, parse(t, statements(vendor(us, "StringEquals", vendorID+" "+vendorNext))), toRetire, "that ID is over"},
		"a plan that can't be followed":     {steady, steady, trust.Plan{Current: idOld}, "can't be followed"},
		"no document":                       {nil, steady, created(), "no document"},
		"a wildcard that takes any ID":      {adoptedDoc, parse(t, statements(vendor(us, "StringEquals", vendorID+" "+vendorNext), vendor(us, "StringLike", "*"))), toOverlap, "gets in"},
	} {
		t.Run(name, func(t *testing.T) {
			err := trust.Check(c.before, c.after, c.plan, noon)
			if !errors.Is(err, trust.ErrRefused) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want a refusal that says %q", err, c.want)
			}
			for _, id := range []string{idOld, idNew, idNext, vendorID, vendorNext} {
				if strings.Contains(err.Error(), id) {
					t.Errorf("%v tells an ID", err)
				}
			}
		})
	}
}

func TestCheckLeavesOldHolesToTheReport(t *testing.T) {
	// On an adopted role somebody lets in an account without an ID. That was so before; a rotation isn't to blame.
	hole := `{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}`
	d := parse(t, statements(hole, vendor(us, "StringEquals", vendorID)))
	for _, p := range []trust.Plan{toOverlap, toPromote, toRetire, toRevoke} {
		after := apply(t, d, p)
		if err := trust.Check(d, after, p, noon); err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		d = after
	}
}

func TestCheckAtTheDeadline(t *testing.T) {
	// The promotion didn't arrive: both IDs still get in without an end.
	d := parse(t, statements(vendor(us, "StringEquals", vendorID+" "+vendorNext)))
	if err := trust.Check(d, d, toPromote, deadline.Add(-time.Second)); err != nil {
		t.Errorf("a second before the deadline: %v", err)
	}
	if err := trust.Check(d, d, toPromote, deadline); !errors.Is(err, trust.ErrRefused) || !strings.Contains(err.Error(), "that ID is over") {
		t.Errorf("at the deadline: %v", err)
	}
}
