package trust_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/trust"
)

const (
	auditID   = "hestio-q7Xr2LmZ9vT4bKc8WnYp3JsD6gFhA1eU"
	auditOwn  = "444455556666"
	auditRole = `{"AWS":"arn:aws:iam::111122223333:role/Hestio"}`
	auditRoot = `{"AWS":"arn:aws:iam::111122223333:root"}`
)

// allows is a document of one Allow of sts:AssumeRole.
func allows(principal, condition string) string {
	return document(allowing(principal, "sts:AssumeRole", condition))
}

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func allowing(principal, action, condition string) string {
	return one("Allow", "Principal", principal, action, condition)
}

func denying(principal, condition string) string {
	return one("Deny", "Principal", principal, "sts:AssumeRole", condition)
}

func one(effect, element, principal, action, condition string) string {
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return fmt.Sprintf(`{"Sid":"S","Effect":%q,%q:%s,"Action":%q%s}`, effect, element, principal, action, condition)
}

// onID is a condition on the external ID.
func onID(operator string, values ...string) string {
	list, _ := json.Marshal(values)
	return fmt.Sprintf(`{%q:{"sts:ExternalId":%s}}`, operator, list)
}

// withID is a condition on the right ID and another one.
func withID(operator, key, value string) string {
	return fmt.Sprintf(`{"StringEquals":{"sts:ExternalId":%q},%q:{%q:%q}}`, auditID, operator, key, value)
}

func TestAudit(t *testing.T) {
	id := onID("StringEquals", auditID)
	for name, c := range map[string]struct {
		doc  string
		want []string // severity: part of the problem; exactly these, gravest first
	}{
		// Who gets in.
		"a foreign role with a random ID":            {allows(auditRole, id), nil},
		"a foreign role with a UUID":                 {allows(auditRole, onID("StringEquals", "3f2b8c1e-9d4a-4e6f-8a7b-1c2d3e4f5a6b")), nil},
		"the ID's key in another case":               {allows(auditRole, strings.Replace(id, "sts:ExternalId", "STS:externalid", 1)), nil},
		"a foreign account with an ID":               {allows(auditRoot, id), []string{"low: whomever account 111122223333"}},
		"a foreign role without an ID":               {allows(auditRole, ""), []string{"high: account 111122223333 gets in without"}},
		"a foreign account as 12 digits":             {allows(`{"AWS":"111122223333"}`, ""), []string{"high: account 111122223333 gets in without", "low: whomever"}},
		"two foreign accounts":                       {allows(`{"AWS":["arn:aws:iam::111122223333:role/a","arn:aws:iam::777788889999:role/b"]}`, ""), []string{"high: accounts 111122223333, 777788889999 gets"}},
		"the own account without an ID":              {allows(`{"AWS":"arn:aws:iam::444455556666:root"}`, ""), nil},
		"a foreign role, tied to an organization":    {allows(auditRole, `{"StringEquals":{"aws:PrincipalOrgID":"o-example123"}}`), []string{"medium: account 111122223333 gets in without an external ID, limited only to an org"}},
		"a foreign role that needs MFA, no ID":       {allows(auditRole, `{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`), []string{"high: account 111122223333 gets in without"}},
		"a Deny demands the ID":                      {document(allowing(auditRole, "sts:AssumeRole", ""), denying(`"*"`, onID("StringNotEquals", auditID))), nil},
		"a Deny demands an ID that is short":         {document(allowing(auditRole, "sts:AssumeRole", ""), denying(`"*"`, onID("StringNotEquals", "northwind-42"))), []string{"medium: is short"}},
		"a Deny demands the ID of somebody else":     {document(allowing(auditRole, "sts:AssumeRole", ""), denying(`{"AWS":"777788889999"}`, onID("StringNotEquals", auditID))), []string{"high: gets in without"}},
		"a Deny demands the ID only at times":        {document(allowing(auditRole, "sts:AssumeRole", ""), denying(`"*"`, strings.Replace(withID("Bool", "aws:SecureTransport", "false"), "StringEquals", "StringNotEquals", 1))), []string{"high: gets in without"}},
		"a Deny whose pattern is all wildcard":       {document(allowing(auditRole, "sts:AssumeRole", ""), denying(`"*"`, onID("StringNotLike", "*"))), []string{"high: gets in without"}},
		"a Deny asks for any ID":                     {document(allowing(auditRole, "sts:AssumeRole", ""), denying(`"*"`, onID("Null", "true"))), []string{"high: a Deny asks only that there is one"}},
		"an Allow under a closing Deny still counts": {document(allowing(auditRole, "sts:AssumeRole", ""), denying(`"*"`, "")), []string{"high: gets in without"}},
		"Countersign's constant Deny":                {trust.BornDocument, nil},
		"no statement":                               {`{"Statement":[]}`, []string{"low: no statement"}},

		// Everybody.
		"everybody":                               {allows(`"*"`, ""), []string{"critical: nothing limits it"}},
		"everybody as an AWS principal":           {allows(`{"AWS":"*"}`, ""), []string{"critical: nothing limits it"}},
		"everybody until a date":                  {allows(`"*"`, `{"DateLessThan":{"aws:CurrentTime":"2026-02-05T03:00:00Z"}}`), []string{"critical: nothing limits it"}},
		"everybody in an organization":            {allows(`"*"`, `{"StringEquals":{"aws:PrincipalOrgID":"o-example123"}}`), []string{"medium: limited only to an organization"}},
		"everybody in any organization":           {allows(`"*"`, `{"StringLike":{"aws:PrincipalOrgID":"o-*"}}`), []string{"critical: nothing limits it"}},
		"everybody in an organization, if in one": {allows(`"*"`, `{"StringEqualsIfExists":{"aws:PrincipalOrgID":"o-example123"}}`), []string{"critical: nothing limits it"}},
		"everybody in a path of an organization":  {allows(`"*"`, `{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-example123/r-ab12/*"}}`), []string{"medium: limited only to an organization"}},
		"everybody with the ID":                   {allows(`"*"`, id), []string{"high: which isn't a secret"}},
		"everybody from an address":               {allows(`"*"`, `{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`), []string{"high: keys that don't say who calls"}},
		"everybody of the own account":            {allows(`"*"`, `{"StringEquals":{"aws:PrincipalAccount":"444455556666"}}`), nil},
		"everybody of a foreign account":          {allows(`"*"`, `{"StringEquals":{"aws:PrincipalAccount":"111122223333"}}`), []string{"high: account 111122223333 gets in without"}},
		"everybody but one":                       {document(one("Allow", "NotPrincipal", auditRole, "sts:AssumeRole", "")), []string{"critical: NotPrincipal"}},
		"a Deny for everybody":                    {document(denying(`"*"`, "")), nil},

		// How the ID is compared.
		"StringLike, any ID":                          {allows(auditRole, onID("StringLike", "*")), []string{"high: all wildcard"}},
		"StringLike, a beginning and a separator":     {allows(auditRole, onID("StringLike", "northwind@*")), []string{"medium: up to a separator"}},
		"StringLike, more behind the separator":       {allows(auditRole, onID("StringLike", "northwind@*@stack@*")), []string{"medium: up to a separator"}},
		"StringLike, a beginning others can share":    {allows(auditRole, onID("StringLike", "northwind*")), []string{"high: what other customers may have"}},
		"StringLike, an end":                          {allows(auditRole, onID("StringLike", "*@northwind")), []string{"high: what other customers may have"}},
		"StringLike, one character open":              {allows(auditRole, onID("StringLike", "northwind-4?")), []string{"high: what other customers may have"}},
		"StringLike without a wildcard":               {allows(auditRole, onID("StringLike", auditID)), []string{"low: without a wildcard"}},
		"StringEquals takes a star for a star":        {allows(auditRole, onID("StringEquals", "*")), []string{"medium: none that AWS takes"}},
		"negated":                                     {allows(auditRole, onID("StringNotEquals", auditID)), []string{"high: another external ID, or none"}},
		"IfExists":                                    {allows(auditRole, onID("StringEqualsIfExists", auditID)), []string{"high: gives no external ID"}},
		"ForAllValues":                                {allows(auditRole, onID("ForAllValues:StringEquals", auditID)), []string{"high: where no external ID is given"}},
		"ForAnyValue":                                 {allows(auditRole, onID("ForAnyValue:StringEquals", auditID)), []string{"low: keys of several values"}},
		"in any case":                                 {allows(auditRole, onID("StringEqualsIgnoreCase", auditID)), []string{"low: any case"}},
		"compared as an ARN":                          {allows(auditRole, onID("ArnEquals", auditID)), []string{"medium: isn't made for external IDs"}},
		"Null, there is an ID":                        {allows(auditRole, onID("Null", "false")), []string{"high: any external ID opens"}},
		"Null, there is none":                         {allows(auditRole, onID("Null", "true")), []string{"high: only who gives no external ID"}},
		"Null beside the ID":                          {allows(auditRole, withID("Null", "sts:ExternalId", "false")), nil},
		"negated beside the ID":                       {allows(auditRole, withID("StringNotEquals", "sts:ExternalId", "northwind-41")), []string{"low: another external ID, or none"}},
		"an unknown operator on it":                   {allows(auditRole, onID("StringResembles", auditID)), []string{"high: operator that is not understood"}},
		"an unknown operator elsewhere":               {allows(auditRole, withID("StringResembles", "aws:PrincipalTag/team", "blue")), []string{"high: operator that is not understood"}},
		"an element that a trust policy doesn't have": {document(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`), []string{"high: element that", "high: either Principal or NotPrincipal"}},

		// What the ID is.
		"an ID that every example has":      {allows(auditRole, onID("StringEquals", "12345-test")), []string{"high: others use as well"}},
		"an ID of two characters":           {allows(auditRole, onID("StringEquals", "x7")), []string{"high: others use as well"}},
		"a short ID":                        {allows(auditRole, onID("StringEquals", "q7Xr2LmZ9v")), []string{"medium: is short"}},
		"a company's name":                  {allows(auditRole, onID("StringEquals", "northwind-production-eu")), []string{"medium: looks like a name"}},
		"a company's name and the year":     {allows(auditRole, onID("StringEquals", "NorthwindProduction2026")), []string{"medium: looks like a name"}},
		"a UUID almost without letters":     {allows(auditRole, onID("StringEquals", "83920174-5530-4917-8826-409175538a21")), nil},
		"a long number":                     {allows(auditRole, onID("StringEquals", "20260204120000000042")), []string{"medium: looks like a name or a number"}},
		"an account's number":               {allows(auditRole, onID("StringEquals", "555566667777")), []string{"medium: an account's number"}},
		"the own account's number within":   {allows(auditRole, onID("StringEquals", "hestio-customer-444455556666")), []string{"medium: an account's number"}},
		"an ARN":                            {allows(auditRole, onID("StringEquals", "arn:aws:iam::555566667777:role/Northwind")), []string{"medium: is an ARN"}},
		"characters that AWS doesn't take":  {allows(auditRole, onID("StringEquals", "q7Xr2LmZ9vT4bKc8 WnYp3JsD6gF")), []string{"medium: none that AWS takes"}},
		"one of two is short":               {allows(auditRole, onID("StringEquals", auditID, "northwind-42")), []string{"medium: is short"}},
		"a policy variable":                 {allows(auditRole, onID("StringEquals", "${aws:PrincipalTag/id}")), []string{"medium: the caller brings along"}},
		"a placeholder with a dollar":       {allows(auditRole, onID("StringEquals", "${ExternalId}")), []string{"high: placeholder stands where a value of sts:ExternalId"}},
		"a placeholder in angle brackets":   {allows(auditRole, onID("StringEquals", "<your-external-id>")), []string{"high: placeholder"}},
		"a placeholder in braces":           {allows(auditRole, onID("StringEquals", "{{external_id}}")), []string{"high: placeholder"}},
		"a placeholder for another key":     {allows(auditRole, `{"StringEquals":{"sts:ExternalId":"`+auditID+`","aws:PrincipalOrgID":"<org>"}}`), []string{"high: aws:PrincipalOrgID"}},
		"no policy variables in 2008-10-17": {strings.Replace(allows(auditRole, onID("StringEquals", "${aws:username}")), "2012", "2008", 1), []string{"high: placeholder"}},
		"a placeholder as principal":        {allows(`{"AWS":"arn:aws:iam::${AccountId}:root"}`, id), []string{"high: placeholder stands where a principal"}},
		"a wildcard within a principal":     {allows(`{"AWS":"arn:aws:iam::111122223333:role/*"}`, id), []string{"high: no principal that IAM takes"}},
		"a deleted role":                    {allows(`{"AWS":"AROAEXAMPLEROLEID0001"}`, id), []string{"medium: deleted user or role"}},
		"a deleted user, in a Deny":         {document(denying(`{"AWS":"AIDAEXAMPLEUSERID0001"}`, "")), []string{"medium: deleted user or role"}},
		"a Deny on one ID demands no other": {document(allowing(auditRole, "sts:AssumeRole", ""), denying(`"*"`, onID("StringEquals", auditID))), []string{"high: gets in without"}},

		// Role patterns.
		"any role of the provider":    {allows(auditRoot, withID("ArnLike", "aws:PrincipalArn", "arn:aws:iam::111122223333:role/*")), []string{"medium: fits anybody at the provider"}},
		"anything of the provider":    {allows(auditRoot, withID("StringLike", "aws:PrincipalArn", "*")), []string{"medium: fits anybody at the provider"}},
		"roles whose name begins so":  {allows(auditRoot, withID("ArnLike", "aws:PrincipalArn", "arn:aws:iam::111122223333:role/hestio-*")), []string{"low: names so"}},
		"a role of Identity Center":   {allows(auditRoot, withID("ArnLike", "aws:PrincipalArn", "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Support_*")), nil},
		"one role by name":            {allows(auditRoot, withID("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::111122223333:role/Hestio")), nil},
		"that role in any account":    {allows(`"*"`, withID("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/Hestio")), []string{"high: limited only by an external ID", "high: any account"}},
		"any role of the own account": {allows(`{"AWS":"444455556666"}`, `{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::444455556666:role/*"}}`), nil},

		// Services, providers of identities, other actions.
		"a service beside an account":           {allows(`{"AWS":"arn:aws:iam::111122223333:role/Hestio","Service":"ec2.amazonaws.com"}`, id), []string{"medium: stand beside AWS principals", "low: a service may act"}},
		"a service alone":                       {allows(`{"Service":"ec2.amazonaws.com"}`, ""), []string{"low: a service may act"}},
		"a service for one account":             {allows(`{"Service":"scheduler.amazonaws.com"}`, `{"StringEquals":{"aws:SourceAccount":"444455556666"}}`), nil},
		"any service":                           {allows(`{"Service":"*"}`, ""), []string{"high: wildcard as service", "low: a service may act"}},
		"logins without a subject":              {document(allowing(`{"Federated":"arn:aws:iam::444455556666:oidc-provider/login.example.com"}`, "sts:AssumeRoleWithWebIdentity", "")), []string{"high: log in at \"login.example.com\""}},
		"logins of a subject":                   {document(allowing(`{"Federated":"arn:aws:iam::444455556666:oidc-provider/login.example.com"}`, "sts:AssumeRoleWithWebIdentity", `{"StringEquals":{"login.example.com:sub":"jdoe"}}`)), nil},
		"logins of an audience":                 {document(allowing(`{"Federated":"arn:aws:iam::444455556666:oidc-provider/login.example.com"}`, "sts:AssumeRoleWithWebIdentity", `{"StringEquals":{"login.example.com:aud":"hestio"}}`)), []string{"medium: issues that audience"}},
		"an audience that callers choose":       {document(allowing(`{"Federated":"arn:aws:iam::444455556666:oidc-provider/token.actions.githubusercontent.com"}`, "sts:AssumeRoleWithWebIdentity", `{"StringEquals":{"token.actions.githubusercontent.com:aud":"sts.amazonaws.com"}}`)), []string{"high: everybody who can log in"}},
		"logins of any Cognito pool":            {document(allowing(`{"Federated":"cognito-identity.amazonaws.com"}`, "sts:AssumeRoleWithWebIdentity", "")), []string{"high: log in at \"cognito-identity.amazonaws.com\""}},
		"logins of one Cognito pool":            {document(allowing(`{"Federated":"cognito-identity.amazonaws.com"}`, "sts:AssumeRoleWithWebIdentity", `{"StringEquals":{"cognito-identity.amazonaws.com:aud":"eu-west-1:12345678"}}`)), []string{"medium: issues that audience"}},
		"logins of one app":                     {document(allowing(`{"Federated":"graph.facebook.com"}`, "sts:AssumeRoleWithWebIdentity", `{"StringEquals":{"graph.facebook.com:app_id":"42"}}`)), []string{"medium: issues that audience"}},
		"logins anywhere":                       {document(allowing(`{"Federated":"*"}`, "sts:AssumeRoleWithWebIdentity", "")), []string{"high: log in at \"*\""}},
		"TagSession for another account":        {document(allowing(auditRole, "sts:AssumeRole", id), allowing(auditRole, "sts:TagSession", "")), []string{"medium: sts:TagSession"}},
		"TagSession, certain tags":              {document(allowing(auditRole, "sts:AssumeRole", id), allowing(auditRole, "sts:TagSession", `{"StringEquals":{"aws:RequestTag/team":"blue"}}`)), nil},
		"TagSession for the own account":        {document(allowing(`{"AWS":"444455556666"}`, "sts:TagSession", "")), nil},
		"every action of STS":                   {document(allowing(auditRole, "sts:*", id)), []string{"medium: wildcard in Action", "medium: sts:TagSession"}},
		"SetSourceIdentity for another account": {document(allowing(auditRole, "sts:SetSourceIdentity", "")), nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := parse(t, c.doc)
			found := trust.Audit(d, trust.AuditOptions{Account: auditOwn})
			for _, caller := range []string{"arn:aws:iam::111122223333:role/Hestio", stranger} {
				for _, id := range []string{"", idWrong} {
					open := d.Evaluate(call(caller, id, noon)).Effect == trust.Allow
					if open && (len(found) == 0 || found[0].Severity < trust.SeverityHigh) {
						t.Errorf("%s enters with external ID %s, and the audit finds nothing high", caller, trust.Fingerprint(id))
					}
				}
			}
			ok := len(found) == len(c.want)
			for i := 0; ok && i < len(found); i++ {
				severity, problem, _ := strings.Cut(c.want[i], ": ")
				ok = found[i].Severity.String() == severity && strings.Contains(found[i].Problem, problem) && found[i].Fix != ""
			}
			if !ok {
				t.Errorf("found %s\nwant %q", inJSON(t, found), c.want)
			}
		})
	}
}

func inJSON(t *testing.T, v any) string {
	t.Helper()
	out, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestAuditWithoutAnAccountTakesEveryAccountForForeign(t *testing.T) {
	found := trust.Audit(parse(t, allows(`{"AWS":"arn:aws:iam::444455556666:role/Own"}`, "")), trust.AuditOptions{})
	if len(found) != 1 || found[0].Severity != trust.SeverityHigh || !strings.Contains(found[0].Fix, "own account") || found[0].Statement != "statement 1 (S)" {
		t.Errorf("%+v", found)
	}
}

// TestAuditTellsNoID puts an ID everywhere that an audit could quote.
func TestAuditTellsNoID(t *testing.T) {
	for _, id := range []string{auditID, "northwind-42", "111122223333", "arn:aws:iam::111122223333:role/Hestio", "northwind@run"} {
		for _, doc := range []string{
			document(strings.Replace(allowing(auditRole, "sts:AssumeRole", onID("StringEquals", id)), `"S"`, fmt.Sprintf("%q", id), 1)),
			allows(auditRole, onID("StringLike", id, id+"*", "*"+id)),
			allows(auditRole, onID("StringResembles", id)),
			allows(auditRole, onID("StringNotEquals", id)),
			allows(fmt.Sprintf(`{"AWS":%q}`, id+":x"), onID("StringEquals", id)),
			allows(fmt.Sprintf(`{"AWS":%q}`, strings.Repeat("x", 55)+":"+id), onID("StringEquals", id)),
			allows(auditRole, fmt.Sprintf(`{"StringEquals":{"sts:ExternalId":%q},"ArnLike":{"aws:PrincipalArn":%q}}`, id, "arn:aws:iam::111122223333:role/"+id+"/*")),
			document(allowing(auditRole, "sts:AssumeRole", ""), denying(`"*"`, onID("StringNotEquals", id))),
		} {
			for _, f := range trust.Audit(parse(t, doc), trust.AuditOptions{}) {
				if text := f.Statement + " " + f.Problem + " " + f.Fix; strings.Contains(text, id) || strings.Contains(text, "xxx:"+id[:2]) {
					t.Errorf("%s tells an ID: %s", trust.Fingerprint(id), text)
				}
			}
		}
	}
}

func TestAuditPrintsNothingThatATerminalObeys(t *testing.T) {
	for _, f := range trust.Audit(parse(t, strings.Replace(allows(`"*"`, ""), `"S"`, `"S\u001b[2J"`, 1)), trust.AuditOptions{}) {
		if strings.ContainsRune(f.Statement, 0x1b) {
			t.Errorf("%q", f.Statement)
		}
	}
}
