package trust_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/countersign/countersign/internal/trust"
)

// What a document says in a way that nobody can be sure of is unknown where it decides, and refused where it would be edited.

func TestAnElementThatAPolicyDoesntHave(t *testing.T) {
	d := parse(t, strings.Replace(statements(vendor(us, "StringEquals", vendorID)), `"Version"`, `"statement":[],"Version"`, 1))
	want(t, d, vendorCall(ourUser, vendorID, noon), open)
	refused(t, d, toOverlap, "an element that a trust policy doesn't have, at line 1, column 2")
	deny(t, apply(t, d, toRevoke), vendorCall(ourUser, vendorID, noon)) // whatever it means, a Deny stands above it
	id := parse(t, strings.Replace(statements(vendor(us, "StringEquals", vendorID)), `"Version"`, `"Id":"x","Version"`, 1))
	allow(t, id, vendorCall(ourUser, vendorID, noon))
	apply(t, id, toOverlap)
}

func TestHalfOfASurrogatePairIsNotText(t *testing.T) {
	one, other := parse(t, statements(`{"Sid":"\ud800","Effect":"Allow"}`)), parse(t, statements(`{"Sid":"\ud801","Effect":"Allow"}`))
	if one.Equal(other) {
		t.Error("two documents that differ are equal")
	}
	d := parse(t, statements(vendor(us, "StringEquals", vendorID), vendor(us, "StringEquals", `\ud800`)))
	refused(t, d, toOverlap, "not understood")
	want(t, d, vendorCall(ourUser, "\ufffd", noon), open)
}

func TestNoCharacterOfADocumentStandsForAWildcard(t *testing.T) {
	// Expanding a variable marks wildcards by private characters, which a document can only write as escapes.
	for _, pattern := range []string{`\ue000${aws:username}`, `${aws:username}\ue001`, `${aws:PrincipalTag/none, '\ue000'}`} {
		d := parse(t, statements(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringLike":{"aws:PrincipalTag/x":"`+pattern+`"}}}`))
		r := trust.Request{Principal: provider, Context: map[string][]string{"aws:username": {"jdoe"}, "aws:PrincipalTag/x": {"*jdoe"}}}
		want(t, d, r, open)
	}
}

func TestAVariableIsNoPlaceholder(t *testing.T) {
	for name, c := range map[string]struct{ src, refused string }{
		"a policy variable as another's ID": {statements(vendor(us, "StringEquals", vendorID), vendor(other, "StringEquals", "${aws:PrincipalTag/customer}")), ""},
		"the same in 2008-10-17": {
			strings.Replace(statements(vendor(us, "StringEquals", vendorID), vendor(other, "StringEquals", "${aws:PrincipalTag/customer}")), "2012", "2008", 1), "placeholder",
		},
		"no policy variable":             {statements(vendor(us, "StringEquals", vendorID), vendor(other, "StringEquals", "${ExternalId}")), "placeholder"},
		"angle brackets within":          {statements(vendor(us, "StringEquals", vendorID+" acme-<customer>")), "placeholder"},
		"braces":                         {statements(vendor(us, "StringEquals", vendorID+" {{id}}")), "placeholder"},
		"a service to be filled in":      {statements(vendor(us, "StringEquals", vendorID), `{"Effect":"Allow","Principal":{"Service":"<service>"},"Action":"sts:AssumeRole"}`), "placeholder"},
		"a login to be filled in":        {statements(vendor(us, "StringEquals", vendorID), `{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::${AccountId}:saml-provider/x"},"Action":"sts:AssumeRoleWithSAML"}`), "placeholder"},
		"an account to be filled in":     {statements(vendor(us, "StringEquals", vendorID), vendor("arn:aws:iam::<account>:root", "StringEquals", "x1")), "placeholder"},
		"an account as CloudFormation's": {statements(vendor(us, "StringEquals", vendorID), vendor("arn:aws:iam::${AWS::AccountId}:root", "StringEquals", "x1")), "placeholder"},
	} {
		t.Run(name, func(t *testing.T) {
			d := parse(t, c.src)
			if c.refused != "" {
				refused(t, d, toOverlap, c.refused)
				return
			}
			allow(t, apply(t, d, toOverlap), vendorCall(ourUser, vendorNext, noon))
		})
	}
}

func TestTheRoleOfASessionMayHaveAPath(t *testing.T) {
	const session = "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Support_0123456789abcdef/jdoe"
	for _, c := range []struct {
		condition string
		want      trust.Effect
	}{
		{`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Support_*"}`, open},
		{`"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Support_0123456789abcdef"}`, open},
		{`"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Support_*"}`, open},
		{`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Admin_*"}`, no}, // of another name
		{`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::999988887777:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Support_*"}`, no},
		{`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/AWSReservedSSO_Support_*"}`, yes}, // without a path, if nobody says otherwise
		{`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/*"}`, yes},
	} {
		t.Run(c.condition, func(t *testing.T) {
			d := parse(t, statements(`{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole","Condition":{`+c.condition+`}}`))
			want(t, d, trust.Request{Principal: session}, c.want)
		})
	}
	told := trust.Request{Principal: session, Context: map[string][]string{
		"aws:PrincipalArn": {"arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Support_0123456789abcdef"}}}
	allow(t, parse(t, statements(`{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole","Condition":{`+
		`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Support_*"}}}`)), told)
}

func TestAPlanWritesOnlyWhatParseReads(t *testing.T) {
	for _, bad := range []string{"\u0101", "\ue000", "\x07", "\xff"} {
		for _, c := range []trust.Conditions{
			{"StringEquals": {"aws:PrincipalTag/x": {"fine", bad}}}, {"StringEquals": {"aws:PrincipalTag/" + bad: {"x"}}},
		} {
			p := created()
			p.Conditions = c
			refused(t, parse(t, trust.BornDocument), p, "a character")
		}
	}
	p := created()
	p.Conditions = trust.Conditions{"StringEquals": {"aws:PrincipalTag/x": {"é <&> \"\\"}}}
	apply(t, parse(t, trust.BornDocument), p)
}

func TestNoTextHasWhatATerminalObeys(t *testing.T) {
	const bad = `\u001b[2J`
	src := statements(strings.Replace(vendor(us, "StringEquals", vendorID), `{"Effect"`, `{"Sid":"`+bad+`","Effect"`, 1),
		`{"Effect":"Allow","Principal":{"AWS":"`+bad+`"},"Action":"`+bad+`","Condition":{"StringEquals":{"aws:PrincipalTag/`+bad+`":"`+bad+`"}}}`)
	d := parse(t, src)
	texts := d.Evaluate(vendorCall(ourUser, "\x1b[2J", noon)).Why
	_, _, err := trust.Apply(d, toOverlap)
	texts = append(texts, fmt.Sprint(err))
	closed, diff := applyDiff(t, d, toRevoke)
	texts = append(append(texts, diff.Lines...), diff.Drift...)
	changes := trust.Compare(closed, d)
	for _, e := range changes.Gains {
		texts = append(texts, e.String())
	}
	_, diff, err = trust.Apply(d, created())
	if err != nil {
		t.Fatal(err)
	}
	if texts = append(append(texts, diff.Lines...), diff.Drift...); len(diff.Drift) == 0 || len(changes.Gains) == 0 {
		t.Fatal("nothing was said")
	}
	for _, text := range texts {
		if strings.ContainsAny(text, "\x1b\u009b") {
			t.Errorf("%q", text)
		}
	}
}

func TestAnIDWithinAnotherIsHiddenWithIt(t *testing.T) {
	const long = vendorID + "-and-the-rest"
	d := parse(t, statements(strings.Replace(vendor(us, "StringEquals", vendorID+" "+long), `{"Effect"`, `{"Sid":"`+long+`","Effect"`, 1)))
	r := vendorCall(ourUser, "x", noon)
	r.Action = trust.ActionSetSourceIdentity
	r.Context["sts:ExternalId"] = []string{"given-and-not-in-the-document"}
	r.Context["aws:PrincipalTag/x"] = r.Context["sts:ExternalId"]
	more := parse(t, statements(`{"Effect":"Allow","Principal":"*","Action":"sts:*","Condition":{"StringEquals":{"aws:PrincipalTag/x":"y"}}}`))
	for _, line := range append(d.Evaluate(r).Why, more.Evaluate(r).Why...) {
		if strings.Contains(line, "and-the-rest") || strings.Contains(line, "not-in-the-document") {
			t.Errorf("it tells an ID: %s", line)
		}
	}
}

func TestAnIDThatRepeatsItselfIsHiddenAsAWhole(t *testing.T) {
	const id = "northwind-northwind"
	d := parse(t, statements(strings.Replace(vendor(us, "StringEquals", id), `{"Effect"`, `{"Sid":"`+id+`-northwind","Effect"`, 1)))
	for _, line := range d.Evaluate(vendorCall(ourUser, "x", noon)).Why {
		if strings.Contains(line, "northwind") {
			t.Errorf("it tells a part of the ID: %s", line)
		}
	}
}

// Two integrations of one provider, in one list: one's rotation ends nothing of the other's.
func TestTwoIntegrationsInOneListRotateSideBySide(t *testing.T) {
	const one, next = "warehouse-1", "warehouse-2"
	later := deadline.Add(time.Hour)
	for name, src := range map[string]string{
		"in one list":         statements(vendor(us, "StringEquals", vendorID+" "+one)),
		"in two statements":   statements(vendor(us, "StringEquals", vendorID), vendor(us, "StringEquals", one)),
		"by one of its roles": statements(vendor(us, "StringEquals", vendorID), vendor("arn:aws:iam::111122223333:role/x", "StringEquals", one)),
	} {
		for _, principals := range [][]string{nil, {us}} {
			d := parse(t, src)
			for _, p := range []trust.Plan{toOverlap, toPromote,
				{Role: trust.Adopted, Current: one, Pending: next},
				{Role: trust.Adopted, Current: next, Previous: trust.Previous{ID: one, Until: later}},
			} {
				p.Principals = principals
				after := apply(t, d, p)
				if err := trust.Check(d, after, p, noon); err != nil {
					t.Errorf("%s: %s: %v", name, p, err)
				}
				d = after
			}
			for id, end := range map[string]time.Time{vendorID: deadline, one: later} {
				if until, ok := d.Deadline(id); !ok || !until.Equal(end) {
					t.Errorf("%s: %s ends at %s, want %s\n%s", name, id, until, end, d.Bytes())
				}
			}
			p := toRetire
			p.Principals = principals
			if d = apply(t, d, p); d.Holds(vendorID) || !d.Holds(one) {
				t.Errorf("%s: retiring one ended the other, or didn't end it: %s", name, d.Bytes())
			}
			d = apply(t, d, trust.Plan{Role: trust.Adopted, Principals: principals, Current: next, Retired: []string{one}})
			if want := parse(t, strings.NewReplacer(vendorID, vendorNext, one, next).Replace(src)); !d.Equal(want) {
				t.Errorf("%s: in the end %s", name, d.Bytes())
			}
		}
	}
}

// TestTheAuditFindsEveryOpenDoor: where a foreign caller enters without an ID, or with any, the audit finds something high.
func TestTheAuditFindsEveryOpenDoor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := anyDocument(t, []string{vendorID, "foreign-1", "foreign-*", "*"})
		found := trust.Audit(d, trust.AuditOptions{Account: us})
		for r, id := range everyCall {
			entered := r.Principal != ourUser && (id == "" || id == idWrong) && d.Evaluate(r).Effect == trust.Allow
			if entered && (len(found) == 0 || found[0].Severity < trust.SeverityHigh) {
				t.Fatalf("%s enters with %q, and the audit finds %v\n%s", r.Principal, id, found, d.Bytes())
			}
		}
	})
}
