package trust_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/trust"
)

func TestParseRefusesWithThePosition(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"nothing":                   {"", "empty"},
		"white space":               {" \n", "empty"},
		"not JSON":                  {`Version: 2012-10-17`, "line 1, column 1: the document is not valid JSON"},
		"cut off":                   {`{"Version":"2012-10-17","Statement":[`, "ends too early"},
		"an open string":            {`{"Version":"2012-10-17`, "ends too early"},
		"a line comment":            {"{\n  // who\n  \"Statement\":[]}", "line 2, column 3: JSON has no comments"},
		"a block comment":           {`{"Statement":[/* none */]}`, "line 1, column 15: JSON has no comments"},
		"a comment at the end":      {"{\"Statement\":[]}\n// end", "no comments"},
		"a trailing comma":          {"{\"Statement\":[],\n}", "line 2, column 1: a trailing comma"},
		"a trailing comma in list":  {`{"Statement":[{},]}`, "a trailing comma"},
		"two documents":             {`{"Statement":[]}{}`, "line 1, column 17"},
		"a duplicate key":           {"{\"Statement\":[],\n \"Statement\":[]}", "line 2, column 2: the same key a second time"},
		"a duplicate by escape":     {`{"Statement":[{"Sid":"a","\u0053id":"b"}]}`, "the same key a second time"},
		"a condition key twice":     {`{"Statement":[{"Condition":{"StringEquals":{"sts:ExternalId":"aa","sts:externalid":"bb"}}}]}`, "in another case"},
		"an unknown Version":        {`{"Version":"2012-10-18","Statement":[]}`, "line 1, column 12: Version is neither"},
		"a Version that is a date":  {`{"Version":20121017,"Statement":[]}`, "Version is neither"},
		"a list":                    {`[]`, "a policy is a JSON object"},
		"no Statement":              {`{"Version":"2012-10-17"}`, "no Statement"},
		"a Statement in words":      {`{"Statement":"allow"}`, "a statement is a JSON object"},
		"a character beyond U+00FF": {`{"Statement":[{"Sid":"ā"}]}`, "line 1, column 23: a character that IAM refuses"},
		"a control character":       {"{\"Statement\":[\v]}", "a control character"},
		"bytes that aren't UTF-8":   {"{\"Statement\":[{\"Sid\":\"\xff\"}]}", "not UTF-8"},
		"a broken URL encoding":     {"%7B%0A%22Statement%2", "line 1, column 19: the document looks URL-encoded, but this escape is broken"},
		"a broken URL encoding, 2":  {"%7B%22\n Stat%ement", "line 2, column 6: the document looks URL-encoded"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := trust.Parse([]byte(c.src))
			if d != nil || !errors.Is(err, trust.ErrRefused) {
				t.Fatalf("got %v, %v; want a refusal", d, err)
			}
			if refusal, ok := errors.AsType[*trust.Refusal](err); !ok || !strings.Contains(refusal.Reason, c.want) {
				t.Errorf("reason %q, want it to say %q", err, c.want)
			}
		})
	}
}

func TestARefusalNeverQuotesTheDocument(t *testing.T) {
	for _, src := range []string{
		`{"Statement":[{"` + idOld + `":1,"` + idOld + `":2}]}`,
		`{"Statement":` + idOld + `}`,
		`{"Version":"` + idOld + `","Statement":[]}`,
		`{"Statement":["` + idOld + `"]}`,
	} {
		_, err := trust.Parse([]byte(src))
		if err == nil || strings.Contains(err.Error(), idOld) || strings.Contains(err.Error(), idOld[:12]) {
			t.Errorf("%.30s…: %v", src, err)
		}
	}
}

func TestParseKeepsEveryByte(t *testing.T) {
	for _, src := range []string{
		trust.BornDocument,
		" {\r\n\t\"Statement\" : [ { \"Sid\":\"\\u0041\", \"Effect\" :\"Allow\" } ] , \"Id\":\"\u00ff\" }\n",
		`{"Statement":{}}`,
	} {
		if got := string(parse(t, src).Bytes()); got != src {
			t.Errorf("got %q, want %q", got, src)
		}
	}
	if got := string(parse(t, "%7B%22Statement%22:%5B%5D%7D").Bytes()); got != `{"Statement":[]}` {
		t.Errorf("URL-encoded: %q", got)
	}
	if got := string(parse(t, "%7B%22Statement%22:%5B%5D,%22Id%22:%22a+b%20c%22%7D").Bytes()); got != `{"Statement":[],"Id":"a+b c"}` {
		t.Errorf("URL-encoded, with a plus: %q", got) // IAM's encoding is a path's, not a form's
	}
}

func TestSizeCountsCharactersWithoutWhiteSpace(t *testing.T) {
	for src, want := range map[string]int{
		`{"Statement":[]}`:                     16,
		"{ \"Statement\" :\n\t[ ]\r\n}":        16,
		`{"Statement":[],"Id":"a b"}`:          27, // within a string it counts
		`{"Statement":[],"Id":"a\" b"}`:        29,
		"{\"Statement\":[],\"Id\":\"\u00e9\"}": 25, // one character, two bytes
	} {
		if got := parse(t, src).Size(); got != want {
			t.Errorf("%s: %d, want %d", src, got, want)
		}
	}
}

func TestEqualComparesByMeaning(t *testing.T) {
	const plain = `{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole",` +
		`"Condition":{"StringEquals":{"sts:ExternalId":["aa","bb"]},"Bool":{"aws:MultiFactorAuthPresent":"true"}}},{"Sid":"B","Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}]}`
	replace := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(plain) }
	for name, c := range map[string]struct {
		other string
		equal bool
	}{
		"itself":                  {plain, true},
		"lists of one":            {replace(`"sts:AssumeRole"`, `["sts:AssumeRole"]`, `"111122223333"`, `["111122223333"]`), true},
		"another order of values": {replace(`["aa","bb"]`, `["bb","aa"]`), true},
		"a value twice":           {replace(`["aa","bb"]`, `["bb","aa","aa"]`), true},
		"the account's root ARN":  {replace(`"111122223333"`, `"arn:aws:iam::111122223333:root"`), true},
		"key in another case":     {replace("sts:ExternalId", "sts:externalID"), true},
		"a boolean":               {replace(`"true"`, `true`), true},
		"everybody in long":       {replace(`"Principal":"*"`, `"Principal":{"AWS":["*"]}`), true},
		"white space":             {replace(`,`, " ,\n"), true},
		"action in another case":  {replace("sts:AssumeRole", "STS:assumerole"), true},
		"another ID":              {replace(`"bb"`, `"bc"`), false},
		"an ID in another case":   {replace(`"bb"`, `"BB"`), false},
		"one ID less":             {replace(`["aa","bb"]`, `"aa"`), false},
		"another Sid":             {replace(`"Sid":"A"`, `"Sid":"C"`), false},
		"another operator":        {replace("StringEquals", "StringLike"), false},
		"another Version":         {replace("2012-10-17", "2008-10-17"), false},
		"another effect":          {replace("Deny", "Allow"), false},
		"an element more":         {replace(`"Sid":"A"`, `"Sid":"A","Resource":"*"`), false},
		"an Id":                   {replace(`"Version"`, `"Id":"x","Version"`), false},
		"NotPrincipal":            {replace(`"Principal":{`, `"NotPrincipal":{`), false},
		"a service":               {replace(`{"AWS":"111122223333"}`, `{"Service":"111122223333"}`), false},
	} {
		if got := parse(t, plain).Equal(parse(t, c.other)); got != c.equal {
			t.Errorf("%s: equal is %t, want %t", name, got, c.equal)
		}
	}
	one := `{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}`
	if !parse(t, `{"Statement":`+one+`}`).Equal(parse(t, `{"Version":"2008-10-17","Statement":[`+one+`]}`)) {
		t.Error("a lone statement and a list of it differ")
	}
	if !parse(t, plain).Equal(parse(t, shuffled(plain))) {
		t.Error("the order of statements counts")
	}
}

// shuffled swaps the two statements of the document above.
func shuffled(src string) string {
	head, rest, _ := strings.Cut(src, "[{")
	a, b, _ := strings.Cut(strings.TrimSuffix("{"+rest, "]}"), "},{\"Sid\":\"B\"")
	return head + "[{\"Sid\":\"B\"" + b + "," + a + "}]}"
}
