package trust_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

const (
	yes, no, open = trust.Allow, trust.Deny, trust.Unknown
	absent        = "(absent)"
)

func TestConditionOperators(t *testing.T) {
	for _, c := range []struct {
		operator, values string // of the policy, as JSON
		have             string // of the request, values separated by |
		want             trust.Effect
	}{
		{"StringEquals", `"Blue"`, "Blue", yes},
		{"StringEquals", `"Blue"`, "blue", no},
		{"StringEquals", `["red","Blue"]`, "Blue", yes},
		{"StringEquals", `"Bl*"`, "Blue", no}, // no wildcards here
		{"StringEquals", `"Blue"`, absent, no},
		{"StringEquals", `[]`, "Blue", no},
		{"StringEquals", `12`, "12", yes},
		{"StringNotEquals", `["red","Blue"]`, "Blue", no},
		{"StringNotEquals", `["red","Blue"]`, "green", yes},
		{"StringNotEquals", `"Blue"`, absent, yes},
		{"StringEqualsIfExists", `"Blue"`, absent, yes},
		{"StringEqualsIfExists", `"Blue"`, "red", no},
		{"StringEqualsIgnoreCase", `"Blue"`, "bLUE", yes},
		{"StringNotEqualsIgnoreCase", `"Blue"`, "bLUE", no},
		{"StringLike", `"org@*"`, "org@42", yes},
		{"StringLike", `"org@*"`, "Org@42", no},
		{"StringLike", `"a?c"`, "abc", yes},
		{"StringLike", `"a?c"`, "ac", no},
		{"StringLike", `"*a*b"`, "xaxxab", yes},
		{"StringLike", `"*"`, absent, no},
		{"StringLike", `"é?"`, "éé", yes},
		{"StringNotLike", `["confirm-*","root"]`, "jdoe", yes},
		{"StringNotLike", `["confirm-*","root"]`, "confirm-1", no},
		{"StringNotLike", `"confirm-*"`, absent, yes},
		{"ArnLike", `"arn:aws:iam::111122223333:role/Eng-*"`, "arn:aws:iam::111122223333:role/Eng-jdoe", yes},
		{"ArnEquals", `"arn:aws:iam::*:role/Eng-*"`, "arn:aws:iam::111122223333:role/Eng-jdoe", yes},
		{"ArnLike", `"arn:aws:iam::*"`, "arn:aws:iam::111122223333:role/Eng-jdoe", open}, // not an ARN of six parts
		{"ArnLike", `"arn:*:role/x"`, "arn:aws:iam::111122223333:role/x", open},
		{"ArnLike", `"arn:aws:iam::1111*:role/x"`, "arn:aws:iam::111122223333:role/x", yes},
		{"ArnNotLike", `"arn:aws:iam::*:role/*"`, "arn:aws:iam::111122223333:role/x", no},
		{"ArnNotEquals", `"arn:aws:iam::*:role/*"`, "arn:aws:iam::111122223333:user/x", yes},
		{"NumericEquals", `"10"`, "10.0", yes},
		{"NumericNotEquals", `"10"`, "10", no},
		{"NumericLessThan", `10`, "9", yes},
		{"NumericLessThanEquals", `"10"`, "10", yes},
		{"NumericGreaterThan", `"10"`, "10", no},
		{"NumericGreaterThanEquals", `"10"`, "11", yes},
		{"NumericEquals", `"ten"`, "10", open},
		{"NumericLessThanIfExists", `"10"`, absent, yes},
		{"DateLessThan", `"2026-02-05T00:00:00Z"`, "2026-02-04T23:59:59Z", yes},
		{"DateLessThan", `"2026-02-05T00:00:00Z"`, "2026-02-05T00:00:00Z", no},
		{"DateLessThan", `["2026-02-05T00:00:00Z","2027-01-01T00:00:00Z"]`, "2026-06-01T00:00:00Z", yes}, // OR-ed
		{"DateLessThanEquals", `"2026-02-05T00:00:00Z"`, "2026-02-05T01:00:00+01:00", yes},
		{"DateGreaterThan", `"2026-02-05"`, "2026-02-05T00:00:01Z", yes},
		{"DateGreaterThanEquals", `"1770249600"`, "2026-02-05T00:00:00Z", yes},
		{"DateEquals", `"2026-02-05T00:00:00.000Z"`, "2026-02-05T00:00:00Z", yes},
		{"DateNotEquals", `"2026-02-05T00:00Z"`, "2026-02-05T00:00:00Z", no},
		{"DateLessThan", `"next week"`, "2026-02-05T00:00:00Z", open},
		{"Bool", `true`, "true", yes},
		{"Bool", `"false"`, "true", no},
		{"Bool", `"yes"`, "true", open},
		{"BoolIfExists", `"true"`, absent, yes},
		{"BinaryEquals", `"Qmlu"`, "Qmlu", yes},
		{"BinaryEquals", `"QmlubQ=="`, "QmlubA==", no},
		{"IpAddress", `"203.0.113.0/24"`, "203.0.113.9", yes},
		{"IpAddress", `["198.51.100.7","203.0.113.0/24"]`, "198.51.100.7", yes},
		{"IpAddress", `"2001:db8::/32"`, "2001:db8::1", yes},
		{"IpAddress", `"203.0.113.0/24"`, "203.0.114.9", no},
		{"IpAddress", `"the office"`, "203.0.113.9", open},
		{"NotIpAddress", `"203.0.113.0/24"`, "203.0.113.9", no},
		{"NotIpAddress", `"0.0.0.0/0"`, "203.0.113.9", no},
		{"NotIpAddress", `"2001:db8::1"`, "203.0.113.9", yes}, // of the other family
		{"IpAddress", `"2001:DB8:0::1"`, "2001:db8::1", yes},
		{"Null", `true`, absent, yes},
		{"Null", `"true"`, "x", no},
		{"Null", `"false"`, "x", yes},
		{"Null", `["true","false"]`, absent, yes},
		{"Null", `"perhaps"`, absent, open},
		{"NullIfExists", `"true"`, absent, open}, // there is no such operator
		{"ForAnyValue:StringEquals", `["a","b"]`, "x|b", yes},
		{"ForAnyValue:StringEquals", `["a","b"]`, "x|y", no},
		{"ForAnyValue:StringEquals", `["a","b"]`, absent, no},
		{"ForAnyValue:StringEqualsIfExists", `"a"`, absent, no}, // IfExists speaks of each value, of which there is none
		{"ForAnyValue:StringNotLikeIfExists", `"a"`, absent, no},
		{"ForAnyValue:StringNotEquals", `["a","b"]`, "a|x", yes},
		{"ForAnyValue:StringNotEquals", `["a","b"]`, absent, no},
		{"ForAllValues:StringLike", `["a*","b"]`, "ab|b", yes},
		{"ForAllValues:StringLike", `["a*","b"]`, "ab|c", no},
		{"ForAllValues:StringEquals", `"a"`, absent, yes},
		{"ForAllValues:StringNotEquals", `"a"`, "b|a", no},
		{"ForAllValues:StringEqualsIfExists", `"a"`, "a|a", yes},
		{"StringEquals", `"a"`, "a|b", open}, // a key of several values needs a set operator
		{"StringResembles", `"a"`, "a", open},
		{"stringequals", `"a"`, "a", open},
		{"Datefoo", `"a"`, "a", open},
		{"StringEquals", `{"a":"b"}`, "a", open},
		{"StringEquals", `[["a"]]`, "a", open},
		{"StringEquals", `null`, "a", open},
		{"StringLike", `"${aws:username}-*"`, "jdoe-1", yes},
		{"StringLike", `"${aws:username}-*"`, "other-1", no},
		{"StringEquals", `"${AWS:UserName}"`, "jdoe", yes},
		{"StringEquals", `"${aws:PrincipalTag/team}"`, "blue", no}, // can't be resolved
		{"StringNotEquals", `"${aws:PrincipalTag/team}"`, "blue", open},
		{"StringNotLike", `["${aws:PrincipalTag/team}","blue"]`, "blue", no},
		{"StringEquals", `"${aws:PrincipalTag/team, 'blue'}"`, "blue", yes},
		{"StringLike", `"a${*}c"`, "a*c", yes},
		{"StringLike", `"a${*}c"`, "abc", no},
		{"StringEquals", `"a${*}c"`, "a*c", yes},
		{"ArnLike", `"arn:aws:iam::${aws:PrincipalAccount}:role/*"`, "arn:aws:iam::111122223333:role/x", yes},
		{"StringEquals", `"${$}{x}"`, "${x}", yes},
		{"StringEquals", `"${nonsense}"`, "x", open},
		{"StringEquals", `"${aws:username"`, "x", open},
		{"NumericEquals", `"${aws:username}"`, "1", open},
	} {
		t.Run(fmt.Sprintf("%s %s against %s", c.operator, c.values, c.have), func(t *testing.T) {
			d := parse(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole",`+
				`"Condition":{"`+c.operator+`":{"Aws:Key":`+c.values+`}}}}`)
			r := trust.Request{Principal: provider, Context: map[string][]string{"aws:username": {"jdoe"}}}
			if c.have != absent {
				r.Context["aws:key"] = strings.Split(c.have, "|")
			}
			want(t, d, r, c.want)
		})
	}
}

func TestVariablesAreLiteralInTheOldVersion(t *testing.T) {
	for _, version := range []string{`"Version":"2008-10-17",`, ``} {
		d := parse(t, `{`+version+`"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:username":"${aws:username}"}}}}`)
		deny(t, d, trust.Request{Principal: provider, Context: map[string][]string{"aws:username": {"jdoe"}}})
		allow(t, d, trust.Request{Principal: provider, Context: map[string][]string{"aws:username": {"${aws:username}"}}})
	}
}

func TestPrincipals(t *testing.T) {
	const (
		user    = "arn:aws:iam::111122223333:user/ops/jdoe"
		role    = "arn:aws:iam::111122223333:role/team/Engineers"
		session = "arn:aws:sts::111122223333:assumed-role/Engineers/jdoe"
	)
	for _, c := range []struct {
		element, caller string
		want            trust.Effect
	}{
		{`"Principal":"*"`, stranger, yes},
		{`"Principal":{"AWS":"*"}`, stranger, yes},
		{`"Principal":{"AWS":"111122223333"}`, session, yes},
		{`"Principal":{"AWS":"arn:aws:iam::111122223333:root"}`, user, yes},
		{`"Principal":{"AWS":"arn:aws:iam::111122223333:root"}`, "111122223333", yes},
		{`"Principal":{"AWS":"arn:aws-cn:iam::111122223333:root"}`, user, no},
		{`"Principal":{"AWS":"111122223333"}`, stranger, no},
		{`"Principal":{"AWS":["999988887777","111122223333"]}`, stranger, yes},
		{`"Principal":{"AWS":"` + role + `"}`, session, yes}, // a session drops the role's path
		{`"Principal":{"AWS":"` + role + `"}`, role, yes},
		{`"Principal":{"AWS":"` + role + `"}`, user, no},
		{`"Principal":{"AWS":"arn:aws:iam::111122223333:role/Engineers"}`, "arn:aws:sts::111122223333:assumed-role/Engineers2/jdoe", no},
		{`"Principal":{"AWS":"` + session + `"}`, session, yes},
		{`"Principal":{"AWS":"` + session + `"}`, session + "2", no},
		{`"Principal":{"AWS":"` + user + `"}`, user, yes},
		{`"Principal":{"AWS":"arn:aws:sts::111122223333:federated-user/jdoe"}`, "arn:aws:sts::111122223333:federated-user/jdoe", yes},
		{`"Principal":{"AWS":"AROAEXAMPLEROLEID0001"}`, session, no}, // deleted: nobody is that any more
		{`"Principal":{"Service":"ec2.amazonaws.com"}`, session, no},
		{`"Principal":{"Service":"ec2.amazonaws.com"}`, "ec2.amazonaws.com", yes},
		{`"Principal":{"Service":"ec2.amazonaws.com"}`, "lambda.amazonaws.com", no},
		{`"Principal":{"Federated":"cognito-identity.amazonaws.com"}`, session, no},
		{`"Principal":{"AWS":"arn:aws:iam::111122223333:role/*"}`, session, open}, // no wildcards inside an ARN
		{`"Principal":{"AWS":"arn:aws:iam::${Account}:root"}`, session, open},
		{`"Principal":{"Humans":"jdoe"}`, session, open},
		{`"Principal":"111122223333"`, session, open},
		{`"Principal":{"AWS":[]}`, session, no},
		{`"NotPrincipal":{"AWS":"999988887777"}`, session, yes},
		{`"NotPrincipal":{"AWS":"999988887777"}`, "arn:aws:iam::999988887777:root", no},
		{`"NotPrincipal":{"AWS":["111122223333","` + role + `","` + session + `"]}`, session, no},
		{`"NotPrincipal":{"AWS":["111122223333","` + user + `"]}`, user, no},
		{`"NotPrincipal":{"AWS":"` + user + `"}`, user, open}, // AWS asks for the account beside it
		{`"NotPrincipal":{"AWS":"*"}`, user, no},
	} {
		t.Run(c.element+" and "+c.caller, func(t *testing.T) {
			d := parse(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",`+c.element+`,"Action":"sts:AssumeRole"}]}`)
			want(t, d, trust.Request{Principal: c.caller}, c.want)
		})
	}
}

func TestActions(t *testing.T) {
	for _, c := range []struct {
		element, action string
		want            trust.Effect
	}{
		{`"Action":"sts:AssumeRole"`, "", yes},
		{`"Action":"STS:assumerole"`, "sts:AssumeRole", yes},
		{`"Action":["sts:TagSession","sts:Assume*"]`, "", yes},
		{`"Action":"sts:AssumeRole"`, "sts:SetSourceIdentity", no},
		{`"Action":"sts:SetSourceIdentity"`, "sts:setsourceidentity", yes},
		{`"Action":"*"`, "sts:TagSession", open}, // not evaluated
		{`"NotAction":"sts:AssumeRole"`, "", no},
		{`"NotAction":"sts:TagSession"`, "", yes},
		{`"Sid":"x"`, "", open},
		{`"Action":"sts:AssumeRole","NotAction":"sts:TagSession"`, "", open},
		{`"Action":"sts:AssumeRole","Resource":"*"`, "", open},
		{`"Action":"sts:TagSession","Resource":"*"`, "", no}, // whatever Resource means, it isn't this action
		{`"action":"sts:AssumeRole"`, "", open},
		{`"Action":{}`, "", open},
	} {
		t.Run(c.element+" and "+c.action, func(t *testing.T) {
			d := parse(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",`+c.element+`}]}`)
			want(t, d, trust.Request{Principal: provider, Action: c.action}, c.want)
		})
	}
}

func TestADenyStandsAboveEveryAllow(t *testing.T) {
	const any = `{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}`
	for name, c := range map[string]struct {
		statement string
		want      trust.Effect
	}{
		"a Deny for all":                   {`{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}`, no},
		"a Deny for others":                {`{"Effect":"Deny","Principal":{"AWS":"999988887777"},"Action":"sts:AssumeRole"}`, yes},
		"a Deny of something else":         {`{"Effect":"Deny","Principal":"*","Action":"sts:TagSession"}`, yes},
		"a Deny that isn't understood":     {`{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Condition":{"Foo":{"a":"b"}}}`, open},
		"a statement that is neither":      {`{"Effect":"Maybe","Principal":"*","Action":"sts:AssumeRole"}`, open},
		"a statement with no effect":       {`{"Principal":"*","Action":"sts:AssumeRole"}`, open},
		"an Allow that isn't understood":   {`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"Foo":{"a":"b"}}}`, yes},
		"a Deny with a Condition in words": {`{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Condition":"always"}`, open},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, parse(t, `{"Statement":[`+any+`,`+c.statement+`]}`), trust.Request{Principal: provider}, c.want)
			want(t, parse(t, `{"Statement":[`+c.statement+`,`+any+`]}`), trust.Request{Principal: provider}, c.want)
		})
	}
	deny(t, parse(t, `{"Statement":[]}`), trust.Request{Principal: provider})
	want(t, parse(t, `{"Statement":[`+any+`]}`), trust.Request{Principal: "somebody"}, trust.Unknown)
}

func TestImpliedKeys(t *testing.T) {
	at := time.Date(2026, 2, 5, 3, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		condition string
		caller    string
		at        time.Time
		want      trust.Effect
	}{
		{`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/Engineers-*"}`, engineer, at, yes},
		{`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:root"}`, "111122223333", at, yes},
		{`"StringEquals":{"aws:PrincipalAccount":"111122223333"}`, engineer, at, yes},
		{`"DateLessThan":{"aws:CurrentTime":"2026-02-05T03:00:01Z"}`, engineer, at, yes},
		{`"DateLessThan":{"aws:CurrentTime":"2026-02-05T03:00:00Z"}`, engineer, at, no},
		{`"DateLessThan":{"aws:CurrentTime":"2026-02-05T03:00:01Z"}`, engineer, time.Time{}, no},
		{`"NumericLessThan":{"aws:EpochTime":"1770260401"}`, engineer, at, yes},
		{`"DateLessThan":{"aws:EpochTime":"2026-02-05T03:00:00Z"}`, engineer, at, no},
		{`"Null":{"aws:PrincipalOrgID":"true"}`, engineer, at, yes},
	} {
		d := parse(t, `{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{`+c.condition+`}}}`)
		want(t, d, trust.Request{Principal: c.caller, At: c.at}, c.want)
	}
}

func TestTheExternalIDBelongsToAssumeRoleOnly(t *testing.T) {
	d := parse(t, `{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:*","Condition":{"StringEquals":{"sts:ExternalId":"`+idOld+`"}}}}`)
	r := call(provider, idOld, noon)
	allow(t, d, r)
	r.Action = trust.ActionSetSourceIdentity
	deny(t, d, r)
}

func TestAnExplanationNamesFingerprints(t *testing.T) {
	d := parse(t, `{"Statement":{"Sid":"Vendor","Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"`+idOld+`","aws:username":"`+idOld+`"}}}}`)
	why := strings.Join(d.Evaluate(call(provider, idWrong, noon)).Why, "\n")
	for _, must := range []string{"statement 1 (Vendor)", "sts:ExternalId", trust.Fingerprint(idOld), trust.Fingerprint(idWrong), "denied"} {
		if !strings.Contains(why, must) {
			t.Errorf("%q doesn't say %q", why, must)
		}
	}
	if strings.Contains(why, idOld) || strings.Contains(why, idWrong) {
		t.Errorf("%q tells an ID", why)
	}
}

func TestAnExplanationHidesEveryOccurrence(t *testing.T) {
	d := parse(t, `{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:username":["`+idOld+`","`+idOld+`-2"],"sts:ExternalId":"`+idOld+`"}}}}`)
	why := strings.Join(d.Evaluate(call(provider, idWrong, noon)).Why, "\n")
	if strings.Contains(why, idOld) || strings.Count(why, trust.Fingerprint(idOld)) != 2 {
		t.Errorf("%q tells an ID or doesn't name it twice", why)
	}
}
