package trust_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

func TestWhatTakesAnOldIDsPlace(t *testing.T) {
	p := trust.Plan{Role: trust.Adopted, Current: "current-1", Retired: []string{"old-1", "old-2"}}
	holder := vendor(us, "StringEquals", "current-1")
	for before, after := range map[string]string{
		`"old-1"`:                           `"current-1"`,
		`["old-1"]`:                         `["current-1"]`,
		`["old-1", "old-2"]`:                `"current-1"`, // as Countersign writes it beside a lone value
		`["old-1","old-2"]`:                 `["current-1"]`,
		`["x1","old-1","current-1"]`:        `["x1","current-1"]`,
		`[ "current-1" , "old-2" ,"x1" ]`:   `[ "current-1" ,"x1" ]`,
		"[\n  \"old-2\",\n  \"x1\"\n]":      "[\n  \"current-1\",\n  \"x1\"\n]",
		`["x1","x2"]`:                       `["x1","x2"]`,
		`[12,"old-1"]`:                      `[12,"current-1"]`,
		`["\u006fld-1","x1"]`:               `["current-1","x1"]`,
		`["current-1","current-1","old-1"]`: `["current-1"]`,
	} {
		statement := func(ids string) string {
			return strings.Replace(vendor(us, "StringEquals", "IDS"), `["IDS"]`, ids, 1)
		}
		got := string(apply(t, parse(t, statements(holder, statement(before))), p).Bytes())
		if want := statements(holder, statement(after)); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", before, got, want)
		}
	}
}

func TestThePreviousIDsStatement(t *testing.T) {
	const limit, names = `"DateLessThan":{"aws:CurrentTime":"2026-02-05T12:00:00Z"}`, `"StringNotLike":{"sts:RoleSessionName":"confirm-*"}`
	for _, c := range []struct {
		until       time.Time
		have, wants string // conditions beside the ID's
	}{
		{deadline, ``, limit + `,` + names},
		{time.Time{}, ``, names},
		{time.Time{}, `"DateLessThan":{"aws:currenttime":"2026-03-01"}`, `"DateLessThan":{"aws:currenttime":"2026-03-01"},` + names},
		{deadline, `"DateLessThan":{"aws:currenttime":["2026-03-01","2026-01-01"]}`, `"DateLessThan":{"aws:currenttime":"2026-02-05T12:00:00Z"},` + names},
		{deadline, `"DateLessThan":{"aws:CurrentTime":"2026-02-05T13:00:00+01:00"}`, `"DateLessThan":{"aws:CurrentTime":"2026-02-05T13:00:00+01:00"},` + names},
		{deadline, `"DateLessThan":{"aws:TokenIssueTime":"2027-01-01T00:00:00Z"}`,
			`"DateLessThan":{"aws:TokenIssueTime":"2027-01-01T00:00:00Z","aws:CurrentTime":"2026-02-05T12:00:00Z"},` + names},
		{deadline, names, names + `,` + limit},
		{deadline, `"StringNotLike":{"sts:rolesessionname":"root*"}`, `"StringNotLike":{"sts:rolesessionname":["root*", "confirm-*"]},` + limit},
		{deadline, `"StringNotLike":{"sts:RoleSessionName":["root*","x*"]}`, `"StringNotLike":{"sts:RoleSessionName":["root*","x*","confirm-*"]},` + limit},
		{deadline, `"StringNotLike":{"sts:RoleSessionName":[]}`, names + `,` + limit},
		{deadline, `"StringNotLike":{"aws:username":"root"}`, `"StringNotLike":{"aws:username":"root","sts:RoleSessionName":"confirm-*"},` + limit},
	} {
		with := func(conditions, id string) string {
			if conditions != "" {
				conditions = "," + conditions
			}
			return strings.Replace(vendor(us, "StringEquals", id), `}}}`, `}`+conditions+`}}`, 1)
		}
		p := toPromote
		p.Previous.Until = c.until
		d := apply(t, apply(t, parse(t, statements(with(c.have, vendorID))), toOverlap), p)
		want := `{"Sid":"CountersignPrevious",` + strings.Replace(with(c.wants, vendorID), `["`+vendorID+`"]`, `"`+vendorID+`"`, 1)[1:]
		if !strings.Contains(string(d.Bytes()), want) && !strings.Contains(string(d.Bytes()), swapped(want)) {
			t.Errorf("%s: got\n%s\nwant\n%s", c.have, d.Bytes(), want)
		}
	}
}

// swapped has the two conditions that Countersign adds in the other order, where one of them stood there before.
func swapped(statement string) string {
	const limit, names = `"DateLessThan":{"aws:CurrentTime":"2026-02-05T12:00:00Z"}`, `"StringNotLike":{"sts:RoleSessionName":"confirm-*"}`
	return strings.Replace(statement, names+`,`+limit, limit+`,`+names, 1)
}

// Check asks as somebody who meets the plan's conditions would: it must find out that a Deny keeps him out.
func TestCheckMeetsEveryCondition(t *testing.T) {
	for _, c := range []trust.Conditions{
		nil,
		{"StringEquals": {"aws:PrincipalOrgID": {"o-example"}}},
		{"StringLike": {"aws:PrincipalTag/team": {"blue-?-*"}}},
		{"StringNotEquals": {"aws:PrincipalTag/team": {"red"}}},
		{"ArnLike": {"aws:PrincipalArn": {"arn:aws:iam::111122223333:role/Engineers-*"}}},
		{"Bool": {"aws:MultiFactorAuthPresent": {"true"}}},
		{"IpAddress": {"aws:SourceIp": {"192.0.2.0/24"}}},
		{"NumericLessThan": {"aws:MultiFactorAuthAge": {"3600"}}},
		{"NumericGreaterThan": {"aws:MultiFactorAuthAge": {"10"}}},
		{"DateGreaterThan": {"aws:TokenIssueTime": {"2026-01-01T00:00:00Z"}}},
		{"DateLessThanEquals": {"aws:TokenIssueTime": {"2026-01-01T00:00:00Z"}}},
		{"Null": {"aws:PrincipalOrgID": {"false"}}},
		{"Null": {"aws:PrincipalOrgID": {"true"}}},
		{"StringEquals": {"aws:PrincipalOrgID": {"o-example"}}, "Null": {"aws:PrincipalOrgID": {"false"}}},
		{"StringLike": {"aws:PrincipalTag/team": {"blue-*"}}, "ForAnyValue:StringNotEquals": {"aws:PrincipalTag/team": {"red"}}},
	} {
		for _, who := range []string{us, provider, "arn:aws:iam::111122223333:role/Engineers-a", "arn:aws:iam::111122223333:user/a",
			"arn:aws:sts::111122223333:assumed-role/Engineers-a/jdoe"} {
			if c["ArnLike"] != nil && strings.Contains(who, ":user/") {
				continue // whom the pattern doesn't fit
			}
			p := created()
			p.Principals, p.Conditions = []string{who}, c
			good := apply(t, parse(t, trust.BornDocument), p)
			if err := trust.Check(good, good, p, noon); err != nil {
				t.Errorf("%s, %v: %v", who, c, err)
			}
			bad := parse(t, strings.Replace(string(good.Bytes()), `"Statement":[`, `"Statement":[{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"},`, 1))
			if err := trust.Check(good, bad, p, noon); !errors.Is(err, trust.ErrRefused) || !strings.Contains(err.Error(), "should get in, and doesn't") {
				t.Errorf("%s, %v: a Deny was overlooked: %v", who, c, err)
			}
		}
	}
}
