package conformance

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
)

const (
	token1 = "ExternalIdExternalIdExternalId01"
	token2 = "ExternalIdExternalIdExternalId02"
	stsAPI = "STS API reference, "
	keys   = guide + "AWS global condition context keys"
)

// admitting is a trust policy that lets the provider's account in where the condition holds; more are further statements.
func admitting(a Account, condition string, more ...string) string {
	allow := fmt.Sprintf(`{"Sid":"In","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:root"},"Action":"sts:AssumeRole","Condition":%s}`, a.Provider, condition)
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(append([]string{allow}, more...), ",") + `]}`
}

// withID is the condition of an external ID.
func withID(ids ...string) string {
	return `{"StringEquals":{"sts:ExternalId":["` + strings.Join(ids, `","`) + `"]}}`
}

// inside makes a role that token1 opens, with the inline policies, and enters it.
type inside struct {
	name, arn string
	a         Account
}

func newInside(t testing.TB, a Account, trust string, maxSession time.Duration) inside {
	t.Helper()
	name := a.NewRole(t, trust, maxSession)
	role, err := a.Roles.Role(t.Context(), name)
	must(t, "reading the role", err)
	must(t, "PutRolePolicy", a.Inline.PutInlinePolicy(t.Context(), name, "May",
		[]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:GetRole","sts:AssumeRole"],"Resource":"*"}]}`)))
	a.Settle()
	return inside{name, role.ARN, a}
}

func (r inside) try(ctx context.Context, who Principal, change ...func(*Entry)) (Session, error) {
	e := Entry{RoleARN: r.arn, ExternalID: token1, SessionName: "session"}
	for _, c := range change {
		c(&e)
	}
	return who.Enter(ctx, e)
}

func (r inside) enter(t testing.TB) Session {
	t.Helper()
	s, err := r.try(t.Context(), r.a.Engineer)
	must(t, "AssumeRole", err)
	return s
}

// admits checks who gets in with what.
func (r inside) admits(t testing.TB, what string, in bool, who Principal, change ...func(*Entry)) {
	t.Helper()
	kind := error(nil)
	if !in {
		kind = grant.ErrDenied
	}
	_, err := r.try(t.Context(), who, change...)
	want(t, what, err, kind)
}

// may checks what a session may do.
func (r inside) may(t testing.TB, when string, s Session, yes bool) {
	t.Helper()
	kind := error(nil)
	if !yes {
		kind = grant.ErrDenied
	}
	want(t, "a call "+when, s.ReadRole(t.Context(), r.name), kind)
}

func (r inside) deny(t testing.TB, document string) {
	t.Helper()
	must(t, "PutRolePolicy", r.a.Inline.PutInlinePolicy(t.Context(), r.name, grant.RevocationPolicy, []byte(document)))
	r.a.Settle()
}

func (r inside) setTrust(t testing.TB, document string) {
	t.Helper()
	must(t, "UpdateAssumeRolePolicy", r.a.Roles.SetTrust(t.Context(), r.name, []byte(document)))
	r.a.Settle()
}

func id(value string) func(*Entry)    { return func(e *Entry) { e.ExternalID = value } }
func named(value string) func(*Entry) { return func(e *Entry) { e.SessionName = value } }
func lasting(d time.Duration) func(*Entry) {
	return func(e *Entry) { e.Duration = d }
}
func as(source string) func(*Entry) { return func(e *Entry) { e.SourceIdentity = source } }

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func entryCases() []Case {
	const operators = guide + "IAM JSON policy elements: Condition operators"
	return []Case{
		{"the external ID opens the role, and nothing else does", stsAPI + "AssumeRole: ExternalId", func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, withID(token1)), time.Hour)
			r.admits(t, "with the ID", true, a.Engineer)
			r.admits(t, "without one", false, a.Engineer, id(""))
			r.admits(t, "with another one", false, a.Engineer, id(token2))
			r.admits(t, "with its letters in another case", false, a.Engineer, id(strings.ToUpper(token1)))
			r.admits(t, "with more behind it", false, a.Engineer, id(token1+"1"))
			r.admits(t, "from another account", false, a.Stranger)
		}},
		{"several values of one key are alternatives", guide + "Conditions with multiple context keys or values", func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, withID(token1, token2)), time.Hour)
			r.admits(t, "with the first", true, a.Engineer)
			r.admits(t, "with the second", true, a.Engineer, id(token2))
			r.admits(t, "with a third", false, a.Engineer, id("other"))
		}},
		{"several keys must all match", guide + "Conditions with multiple context keys or values", func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, `{"StringEquals":{"sts:ExternalId":"`+token1+`","sts:RoleSessionName":"session"}}`), time.Hour)
			r.admits(t, "with both", true, a.Engineer)
			r.admits(t, "with one", false, a.Engineer, named("other"))
		}},
		{"names of condition keys don't regard case", guide + "IAM JSON policy elements: Condition", func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, strings.Replace(withID(token1), "sts:ExternalId", "STS:externalid", 1)), time.Hour)
			r.admits(t, "with the ID", true, a.Engineer)
			r.admits(t, "with another one", false, a.Engineer, id(token2))
		}},
		{"a key that is absent fails equality and passes its negation and IfExists", operators, func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, `{"StringNotEquals":{"sts:ExternalId":"`+token2+`"}}`), time.Hour)
			r.admits(t, "StringNotEquals", true, a.Engineer, id(""))
			r.setTrust(t, admitting(a, `{"StringEqualsIfExists":{"sts:ExternalId":"`+token1+`"}}`))
			r.admits(t, "StringEqualsIfExists", true, a.Engineer, id(""))
			r.admits(t, "StringEqualsIfExists with another ID", false, a.Engineer, id(token2))
			r.setTrust(t, admitting(a, `{"Null":{"sts:ExternalId":"false"}}`))
			r.admits(t, "Null", false, a.Engineer, id(""))
			r.admits(t, "Null with any ID", true, a.Engineer, id(token2))
		}},
		{"a Deny stands above every Allow", guide + "Policy evaluation logic", func(t testing.TB, a Account) {
			deny := `{"Sid":"CountersignClosed","Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}`
			r := newInside(t, a, admitting(a, withID(token1), deny), time.Hour)
			r.admits(t, "under a Deny", false, a.Engineer)
		}},
		{"a date in the trust policy ends the ID", operators + ", date", func(t testing.TB, a Account) {
			until := a.Now().Add(3 * time.Second)
			r := newInside(t, a, admitting(a, `{"StringEquals":{"sts:ExternalId":"`+token1+`"},"DateLessThan":{"aws:CurrentTime":"`+instant(until)+`"}}`), time.Hour)
			r.admits(t, "before it", true, a.Engineer)
			a.Pass(4 * time.Second)
			r.admits(t, "after it", false, a.Engineer)
		}},
		{"of two dates the later one counts", guide + "Conditions with multiple context keys or values", func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, `{"DateLessThan":{"aws:CurrentTime":["`+instant(a.Now().Add(-time.Hour))+`","`+instant(a.Now().Add(time.Hour))+`"]}}`), time.Hour)
			r.admits(t, "between the two", true, a.Engineer)
		}},
		{"a session's name can be kept from an ID", keys + ": sts:RoleSessionName", func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, `{"StringEquals":{"sts:ExternalId":"`+token1+`"},"StringNotLike":{"sts:RoleSessionName":"confirm-*"}}`), time.Hour)
			r.admits(t, "under another name", true, a.Engineer)
			r.admits(t, "under that name", false, a.Engineer, named("confirm-1"))
		}},
		{"an external ID has 2 to 1,224 characters of a set", stsAPI + "AssumeRole: ExternalId", func(t testing.TB, a Account) {
			longest := strings.Repeat("x", 1224)
			r := newInside(t, a, admitting(a, withID(longest)), time.Hour)
			r.admits(t, "with 1,224 characters", true, a.Engineer, id(longest))
			for what, value := range map[string]string{"one character": "x", "1,225 characters": longest + "x", "a space": "not an ID", "a letter beyond ASCII": "süß"} {
				_, err := r.try(t.Context(), a.Engineer, id(value))
				wantCode(t, "with "+what, err, "ValidationError")
			}
		}},
		{"a session's name has 2 to 64 characters of a set", stsAPI + "AssumeRole: RoleSessionName", func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, withID(token1)), time.Hour)
			r.admits(t, "with 64 characters", true, a.Engineer, named(strings.Repeat("n", 64)))
			for what, name := range map[string]string{"one character": "n", "65 characters": strings.Repeat("n", 65), "a space": "a name"} {
				_, err := r.try(t.Context(), a.Engineer, named(name))
				wantCode(t, "with "+what, err, "ValidationError")
			}
		}},
		{"a role is entered by its whole ARN", stsAPI + "AssumeRole: RoleArn", func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, withID(token1)), time.Hour)
			r.admits(t, "a role that is not there", false, a.Engineer, func(e *Entry) { e.RoleARN += "x" })
			r.admits(t, "without the path", false, a.Engineer, func(e *Entry) { e.RoleARN = strings.Replace(e.RoleARN, "/countersign/", "/", 1) })
		}},
		{"the external ID is a key of AssumeRole only", "Service authorization reference, AWS STS", func(t testing.TB, a Account) {
			source := `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + a.Provider + `:root"},"Action":"sts:SetSourceIdentity"%s}`
			r := newInside(t, a, admitting(a, withID(token1), fmt.Sprintf(source, `,"Condition":`+withID(token1))), time.Hour)
			r.admits(t, "SetSourceIdentity with the ID", false, a.Engineer, as("ada"))
			r.setTrust(t, admitting(a, withID(token1), fmt.Sprintf(source, "")))
			r.admits(t, "SetSourceIdentity without", true, a.Engineer, as("ada"))
		}},
		{"a source identity needs permission of its own", stsAPI + "AssumeRole: SourceIdentity", func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, withID(token1)), time.Hour)
			r.admits(t, "with a source identity", false, a.Engineer, as("ada"))
			r.admits(t, "without", true, a.Engineer)
		}},
	}
}

func sessionCases() []Case {
	const revoking = guide + "Revoking IAM role temporary security credentials"
	return []Case{
		{"a session's ARN drops the role's path", stsAPI + "AssumedRoleUser", func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, withID(token1)), time.Hour)
			account, arn, err := r.enter(t).Caller(t.Context())
			must(t, "GetCallerIdentity", err)
			if want := "arn:aws:sts::" + a.ID + ":assumed-role/" + r.name + "/session"; account != a.ID || arn != want {
				t.Errorf("%s of %s, want %s", arn, account, want)
			}
		}},
		{"a session lasts 15 minutes at least and no longer than its role lets it", stsAPI + "AssumeRole: DurationSeconds", func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, withID(token1)), time.Hour)
			r.admits(t, "for an hour", true, a.Engineer, lasting(time.Hour))
			for _, d := range []time.Duration{14 * time.Minute, 61 * time.Minute, 13 * time.Hour} {
				_, err := r.try(t.Context(), a.Engineer, lasting(d))
				wantCode(t, "for "+d.String(), err, "ValidationError")
			}
			long := newInside(t, a, admitting(a, withID(token1)), 12*time.Hour)
			long.admits(t, "for 12 hours", true, a.Engineer, lasting(12*time.Hour))
		}},
		{"a chained session lasts an hour at most", guide + "Roles terms and concepts: role chaining", func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, withID(token1)), time.Hour)
			account := strings.Replace(admitting(a, "{}"), a.Provider, a.ID, 1)
			next := newInside(t, a, account, 12*time.Hour)
			s := r.enter(t)
			next.admits(t, "for an hour", true, s, lasting(time.Hour))
			_, err := next.try(t.Context(), s, lasting(61*time.Minute))
			wantCode(t, "for longer", err, "ValidationError")
		}},
		{"chaining needs the permission", guide + "Granting permissions to switch roles", func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, withID(token1)), time.Hour)
			next := newInside(t, a, strings.Replace(admitting(a, "{}"), a.Provider, a.ID, 1), time.Hour)
			s := r.enter(t)
			next.admits(t, "with the permission", true, s)
			r.deny(t, grant.DenyRevocation)
			next.admits(t, "under a Deny", false, s)
		}},
		{"a chained session lives on when the role that it came from is denied everything", revoking, func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, withID(token1)), time.Hour)
			next := newInside(t, a, strings.Replace(admitting(a, "{}"), a.Provider, a.ID, 1), time.Hour)
			chained, err := next.try(t.Context(), r.enter(t))
			must(t, "chaining", err)
			r.deny(t, grant.DenyRevocation)
			next.may(t, "of the chained session", chained, true)
		}},
		{"a trust policy ends no session", revoking, func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, withID(token1)), time.Hour)
			s := r.enter(t)
			r.setTrust(t, Closed)
			r.admits(t, "after that", false, a.Engineer)
			r.may(t, "of a session from before", s, true)
		}},
		{"a Deny ends live sessions, and lifting it revives them", revoking, func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, withID(token1)), time.Hour)
			r.deny(t, grant.OpenRevocation)
			s := r.enter(t)
			r.may(t, "under a Deny that never matches", s, true)
			r.deny(t, grant.DenyRevocation)
			r.may(t, "under the Deny", s, false)
			r.admits(t, "entering, which the trust policy still allows", true, a.Engineer)
			r.may(t, "of a session from after it", r.enter(t), false)
			r.deny(t, grant.OpenRevocation)
			r.may(t, "after it", s, true)
		}},
		{"GetCallerIdentity works under any Deny", stsAPI + "GetCallerIdentity", func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, withID(token1)), time.Hour)
			s := r.enter(t)
			r.deny(t, grant.DenyRevocation)
			_, _, err := s.Caller(t.Context())
			want(t, "GetCallerIdentity", err, nil)
		}},
		{"a Deny by aws:TokenIssueTime leaves later sessions alone", revoking, func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, withID(token1)), time.Hour)
			before := r.enter(t)
			a.Pass(2 * time.Second)
			stamp := instant(a.Now())
			a.Pass(2 * time.Second)
			r.deny(t, `{"Version":"2012-10-17","Statement":[{"Sid":"CountersignRestored","Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"`+stamp+`"}}}]}`)
			r.may(t, "of a session from before", before, false)
			r.may(t, "of a session from after", r.enter(t), true)
		}},
		{"a Deny by aws:CurrentTime begins by itself", guide + "AWS: Allows access based on date and time", func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, withID(token1)), time.Hour)
			s := r.enter(t)
			r.deny(t, `{"Version":"2012-10-17","Statement":[{"Sid":"CountersignExpired","Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"`+instant(a.Now().Add(3*time.Second))+`"}}}]}`)
			r.may(t, "before the date", s, true)
			a.Pass(4 * time.Second)
			r.may(t, "after the date", s, false)
		}},
		{"what no policy allows is denied", guide + "Policy evaluation logic", func(t testing.TB, a Account) {
			r := newInside(t, a, admitting(a, withID(token1)), time.Hour)
			s := r.enter(t)
			must(t, "PutRolePolicy", a.Inline.PutInlinePolicy(t.Context(), r.name, "May",
				[]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:GetRole","Resource":"`+r.arn+`"}]}`)))
			a.Settle()
			r.may(t, "on the role that the policy names", s, true)
			want(t, "a call on another role", s.ReadRole(t.Context(), a.newRole(t, Closed)), grant.ErrDenied)
		}},
	}
}
