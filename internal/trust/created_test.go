package trust_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

func TestACreatedRoleThroughARotation(t *testing.T) {
	d := parse(t, trust.BornDocument)
	if !d.Born() || d.Closed() {
		t.Fatal("the template's document is born, not closed")
	}
	deny(t, d, call(engineer, idOld, noon))

	d = apply(t, d, created())
	if d.Born() || !d.Holds(idOld) {
		t.Error("steady: CountersignBorn stays or the ID is missing")
	}
	allow(t, d, call(engineer, idOld, noon))
	for _, r := range []trust.Request{
		call(engineer, "", noon), call(engineer, idWrong, noon), call(engineer, idNew, noon), call(stranger, idOld, noon),
		call("arn:aws:sts::111122223333:assumed-role/Auditors/jdoe", idOld, noon),
	} {
		deny(t, d, r)
	}

	d = apply(t, d, overlap())
	allow(t, d, call(engineer, idOld, noon))
	allow(t, d, call(engineer, idNew, noon))
	deny(t, d, call(engineer, "", noon))

	d = apply(t, d, promoted())
	allow(t, d, call(engineer, idNew, deadline.Add(time.Hour)))
	allow(t, d, call(engineer, idOld, deadline.Add(-time.Second)))
	deny(t, d, call(engineer, idOld, deadline))
	if until, ok := d.Deadline(idOld); !ok || !until.Equal(deadline) {
		t.Errorf("deadline %s, %t", until, ok)
	}
	if _, ok := d.Deadline(idNew); ok {
		t.Error("the current ID has a deadline")
	}
	confirm := call(engineer, idOld, noon)
	confirm.Context["sts:RoleSessionName"] = []string{"confirm-0123456789abcdef0123456789abcdef"}
	deny(t, d, confirm)
	confirm.Context["sts:ExternalId"] = []string{idNew}
	allow(t, d, confirm)

	steady := created()
	steady.Current = idNew
	d = apply(t, d, steady)
	deny(t, d, call(engineer, idOld, noon))
	if !d.Equal(apply(t, parse(t, trust.BornDocument), steady)) {
		t.Error("the way there leaves something behind")
	}
}

func TestTheDocumentOfACreatedRole(t *testing.T) {
	p := promoted()
	p.Expires, p.SourceIdentity = noon.Add(time.Hour), true
	const want = `{"Version":"2012-10-17","Statement":[` +
		`{"Sid":"CountersignCurrent","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole","Condition":{` +
		`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/Engineers-*"},"DateLessThan":{"aws:CurrentTime":"2026-02-04T13:00:00Z"},` +
		`"StringEquals":{"sts:ExternalId":"` + idNew + `"}}},` +
		`{"Sid":"CountersignPrevious","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole","Condition":{` +
		`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/Engineers-*"},"DateLessThan":{"aws:CurrentTime":"2026-02-04T13:00:00Z"},` + // expires is earlier than the deadline
		`"StringEquals":{"sts:ExternalId":"` + idOld + `"},"StringNotLike":{"sts:RoleSessionName":"confirm-*"}}},` +
		`{"Sid":"CountersignSourceIdentity","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:SetSourceIdentity","Condition":{` +
		`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/Engineers-*"},"DateLessThan":{"aws:CurrentTime":"2026-02-04T13:00:00Z"}}}]}`
	d := apply(t, parse(t, trust.BornDocument), p)
	if got := string(d.Bytes()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	deny(t, d, call(engineer, idNew, p.Expires))
	source := trust.Request{Principal: engineer, Action: trust.ActionSetSourceIdentity, At: noon}
	allow(t, d, source)
	source.At = p.Expires
	deny(t, d, source)
}

func TestAnExtendedPreviousIDHasNoEnd(t *testing.T) {
	p := promoted()
	p.Previous.Until = time.Time{}
	d := apply(t, parse(t, trust.BornDocument), p)
	if until, ok := d.Deadline(idOld); !ok || !until.IsZero() {
		t.Errorf("deadline %s, %t", until, ok)
	}
	allow(t, d, call(engineer, idOld, noon.AddDate(1, 0, 0)))
}

func TestARoleWithoutExternalID(t *testing.T) {
	p := created()
	p.Current, p.NoExternalID, p.Expires = "", true, deadline
	d := apply(t, parse(t, trust.BornDocument), p)
	allow(t, d, call(engineer, "", noon))
	deny(t, d, call(stranger, "", noon))
	deny(t, d, call(engineer, "", deadline))
	p.Gate = trust.Close
	deny(t, apply(t, d, p), call(engineer, "", noon))
}

func TestTheGateOfACreatedRole(t *testing.T) {
	open := apply(t, parse(t, trust.BornDocument), created())
	p := created()

	p.Gate = trust.Close
	closed := apply(t, open, p)
	if !closed.Closed() || !closed.Holds(idOld) {
		t.Error("closing should add the Deny and leave the rest")
	}
	deny(t, closed, call(engineer, idOld, noon))

	rotated := apply(t, closed, overlap()) // Keep: a rotation of a closed role
	if !rotated.Closed() || !rotated.Holds(idNew) {
		t.Error("a rotation lifted the Deny or didn't rotate under it")
	}
	deny(t, rotated, call(engineer, idNew, noon))

	p.Gate = trust.Open
	if again := apply(t, rotated, p); again.Closed() {
		t.Error("opening left the Deny")
	} else {
		allow(t, again, call(engineer, idOld, noon))
	}

	bare := apply(t, open, trust.Plan{Gate: trust.Close}) // revoke knows no IDs
	if !bare.Closed() || !bare.Holds(idOld) {
		t.Error("closing without a plan should add the Deny and leave the rest")
	}
	born := apply(t, parse(t, trust.BornDocument), trust.Plan{Gate: trust.Close})
	if !born.Closed() || !born.Born() {
		t.Error("closing a born role should leave it born")
	}
	if kept := apply(t, born, created()); !kept.Closed() || kept.Born() {
		t.Error("Keep should leave CountersignClosed and replace CountersignBorn")
	}
}

func TestClosingIsNotRefusedForThePlansSake(t *testing.T) {
	open := apply(t, parse(t, trust.BornDocument), created())
	for name, change := range map[string]func(*trust.Plan){
		"no room":       func(p *trust.Plan) { p.Quota = open.Size() },
		"a bad ID":      func(p *trust.Plan) { p.Current = "not an ID" },
		"equal IDs":     func(p *trust.Plan) { p.Pending = p.Current },
		"no principals": func(p *trust.Plan) { p.Principals = nil },
		"a bad quota":   func(p *trust.Plan) { p.Quota = -1 },
	} {
		p := created()
		p.Gate = trust.Close
		change(&p)
		closed := apply(t, open, p)
		if !closed.Closed() {
			t.Errorf("%s: the role isn't closed", name)
		}
		if name == "no room" && closed.Holds(idOld) {
			t.Errorf("%s: the Allows should have made room", name)
		}
	}
	p := created()
	p.Quota = open.Size()
	p.Gate = trust.Close
	closed := apply(t, open, p)
	p.Gate = trust.Keep
	if d := apply(t, closed, p); !d.Closed() || d.Size() > p.Quota {
		t.Error("a closed role without room for both should stay the Deny alone")
	}
	p.Gate = trust.Open
	allow(t, apply(t, closed, p), call(engineer, idOld, noon))
}

func TestDriftOfACreatedRole(t *testing.T) {
	clean := string(apply(t, parse(t, trust.BornDocument), promoted()).Bytes())
	foreign := `{"Sid":"Backdoor","Effect":"Allow","Principal":{"AWS":"999988887777"},"Action":"sts:AssumeRole"}`
	for name, c := range map[string]struct {
		old, new string
		drift    string // what the report says
		mended   bool
	}{
		"a foreign statement":       {`"Statement":[`, `"Statement":[` + foreign + `,`, "statement 1 (Backdoor) is not Countersign's: lets in 999988887777", false},
		"a further principal":       {`"AWS":"` + provider + `"`, `"AWS":["` + provider + `","999988887777"]`, "CountersignCurrent) was not as the plan asks", true},
		"a condition less":          {`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/Engineers-*"},`, ``, "CountersignPrevious) was not as the plan asks", true},
		"a foreign ID":              {`"sts:ExternalId":"` + idNew + `"`, `"sts:ExternalId":["` + idNew + `","` + idWrong + `"]`, "which the plan doesn't know", true},
		"no deadline":               {`"DateLessThan":{"aws:CurrentTime":"2026-02-05T12:00:00Z"},`, ``, "CountersignPrevious) was not as the plan asks", true},
		"StringLike on the ID":      {`"StringEquals"`, `"StringLike"`, "was not as the plan asks", true},
		"another action":            {`"sts:AssumeRole"`, `"sts:*"`, "was not as the plan asks", true},
		"ours a second time":        {`"Statement":[`, `"Statement":[` + strings.Replace(foreign, "Backdoor", "CountersignCurrent", 1) + `,`, "a second time", true},
		"a Sid that looks like one": {`"Statement":[`, `"Statement":[` + strings.Replace(foreign, "Backdoor", "CountersignPrevious7", 1) + `,`, "not a statement of a created role", true},
		"an old Version":            {`"2012-10-17"`, `"2008-10-17"`, "Version is not", true},
		"an element more":           {`"Version"`, `"Id":"x","Version"`, "elements beside", false},
	} {
		t.Run(name, func(t *testing.T) {
			tampered := strings.ReplaceAll(clean, c.old, c.new)
			if c.old == `"Version"` || strings.HasPrefix(c.old, `"Statement`) {
				tampered = strings.Replace(clean, c.old, c.new, 1)
			}
			after, diff := applyDiff(t, parse(t, tampered), promoted())
			if !slices.ContainsFunc(diff.Drift, func(l string) bool { return strings.Contains(l, c.drift) }) {
				t.Errorf("drift %q doesn't say %q", diff.Drift, c.drift)
			}
			if c.mended != (string(after.Bytes()) == clean || after.Equal(parse(t, clean))) {
				t.Errorf("mended is %t, want %t:\n%s", !c.mended, c.mended, after.Bytes())
			}
			if !c.mended && !diff.Empty() {
				t.Errorf("what isn't ours was edited: %q", diff.Lines)
			}
		})
	}
}

func TestARotationIsNoDrift(t *testing.T) {
	d := parse(t, trust.BornDocument)
	after := created()
	after.Current, after.Retired = idNew, []string{idOld}
	shorter := promoted()
	shorter.Previous.Until = noon.Add(time.Minute)
	closed := after
	closed.Gate = trust.Close
	for _, p := range []trust.Plan{created(), overlap(), promoted(), shorter, after, closed, after} {
		var diff trust.Diff
		if d, diff = applyDiff(t, d, p); len(diff.Drift) > 0 {
			t.Errorf("%s: %q", p, diff.Drift)
		}
	}
}

func TestRefusedPlans(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*trust.Plan)
		want   string
	}{
		"no current ID":              {func(p *trust.Plan) { p.Current = "" }, "no current external ID"},
		"an ID with a space":         {func(p *trust.Plan) { p.Current = "not an ID" }, "2 to 1,224"},
		"an ID of one character":     {func(p *trust.Plan) { p.Current = "x" }, "2 to 1,224"},
		"an ID that is too long":     {func(p *trust.Plan) { p.Current = strings.Repeat("x", 1225) }, "2 to 1,224"},
		"a wildcard":                 {func(p *trust.Plan) { p.Pending = "org@*" }, "2 to 1,224"},
		"two equal IDs":              {func(p *trust.Plan) { p.Pending = p.Current }, "are the same"},
		"a retired current ID":       {func(p *trust.Plan) { p.Retired = []string{p.Current} }, "are the same"},
		"no principal":               {func(p *trust.Plan) { p.Principals = nil }, "no principal"},
		"everybody":                  {func(p *trust.Plan) { p.Principals = []string{"*"} }, "everybody"},
		"a deleted principal":        {func(p *trust.Plan) { p.Principals = []string{"AROAEXAMPLEROLEID0001"} }, "neither an account"},
		"a service":                  {func(p *trust.Plan) { p.Principals = []string{"ec2.amazonaws.com"} }, "neither an account"},
		"a wildcard in a principal":  {func(p *trust.Plan) { p.Principals = []string{"arn:aws:iam::111122223333:role/*"} }, "neither an account"},
		"an unknown operator":        {func(p *trust.Plan) { p.Conditions = trust.Conditions{"Equals": {"a:b": {"c"}}} }, "unknown condition operator"},
		"a condition without values": {func(p *trust.Plan) { p.Conditions = trust.Conditions{"StringEquals": {"a:b": {}}} }, "has no values"},
		"a condition on the ID": {func(p *trust.Plan) {
			p.Conditions = trust.Conditions{"StringLike": {"sts:externalid": {"*"}}}
		}, "Countersign's own"},
		"IDs although switched off": {func(p *trust.Plan) { p.NoExternalID = true }, "switched off"},
		"over quota":                {func(p *trust.Plan) { p.Quota = 300 }, "save "},
		"over quota when promoted":  {func(p *trust.Plan) { p.Pending, p.Quota = idNew, 500 }, "save "},
		"a negative quota":          {func(p *trust.Plan) { p.Quota = -1 }, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			p := created()
			c.change(&p)
			d := parse(t, trust.BornDocument)
			after, _, err := trust.Apply(d, p)
			refusal, ok := errors.AsType[*trust.Refusal](err)
			if after != nil || !ok || !errors.Is(err, trust.ErrRefused) || !strings.Contains(refusal.Reason, c.want) {
				t.Errorf("got %v, %v; want a refusal that says %q", after, err, c.want)
			}
			if err != nil && p.Current != "" && len(p.Current) > 3 && strings.Contains(err.Error(), p.Current) {
				t.Errorf("%v tells the ID", err)
			}
		})
	}
	if _, _, err := trust.Apply(nil, created()); !errors.Is(err, trust.ErrRefused) {
		t.Errorf("no document: %v", err)
	}
}

func TestLargest(t *testing.T) {
	want := max(apply(t, parse(t, trust.BornDocument), overlap()).Size(), apply(t, parse(t, trust.BornDocument), promoted()).Size())
	for name, p := range map[string]trust.Plan{"steady": created(), "overlap": overlap(), "promoted": promoted()} {
		if n, err := trust.Largest(nil, p); err != nil || n != want {
			t.Errorf("%s: %d, %v; want %d", name, n, err, want)
		}
	}
	none := created()
	none.Current = ""
	if n, err := trust.Largest(nil, none); err != nil || n != want-2*len("hestio-") {
		t.Errorf("no ID known: %d, %v", n, err)
	}
	p := created()
	p.Quota = want
	apply(t, parse(t, trust.BornDocument), overlapOf(p))
	p.Quota--
	if _, _, err := trust.Apply(parse(t, trust.BornDocument), overlapOf(p)); !errors.Is(err, trust.ErrRefused) {
		t.Errorf("a quota one too small: %v", err)
	}
	p.Principals = []string{"*"}
	if _, err := trust.Largest(nil, p); !errors.Is(err, trust.ErrRefused) {
		t.Errorf("a plan that can't be followed: %v", err)
	}
	adopted := trust.Plan{Role: trust.Adopted, Current: idOld}
	if _, err := trust.Largest(nil, adopted); !errors.Is(err, trust.ErrRefused) {
		t.Errorf("an adopted role without a document: %v", err)
	}
}

func overlapOf(p trust.Plan) trust.Plan { p.Pending = idNew; return p }

// A previous ID that was accepted until somebody confirms has a deadline once somebody did. Where nobody expects that, a
// deadline that is gone is drift.
func TestAPreviousIDGetsADeadline(t *testing.T) {
	p := promoted()
	p.Previous.Until = time.Time{}
	without := apply(t, parse(t, trust.BornDocument), p)
	allow(t, without, call(engineer, idOld, deadline.AddDate(9, 0, 0)))
	p.Previous.Until, p.Previous.Endless = deadline, true
	with, diff := applyDiff(t, without, p)
	if len(diff.Drift) > 0 || diff.Empty() {
		t.Errorf("drift %v, changes %v", diff.Drift, diff.Lines)
	}
	deny(t, with, call(engineer, idOld, deadline))
	p.Previous.Endless = false
	if _, diff := applyDiff(t, without, p); len(diff.Drift) == 0 {
		t.Error("no drift, although somebody must have taken the deadline out")
	}
}
