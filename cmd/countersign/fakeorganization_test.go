package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/grant"
)

// The accounts of the fake organisation.
const (
	groupAccount = "222233334444" // manages it
	prodAccount  = "444455556666"
	devAccount   = "555566667777" // may list accounts, by delegation
	labAccount   = "666677778888"
	oldAccount   = "888899990000" // suspended
)

// fakeOrganization is an organisation over HTTP: AWS Organizations, STS, and accounts that are each a fakeFleet. It takes a call only
// from whoever may make it: a key belongs to an account, a session to the account that its role is in, and a stack, a plan and an API
// answer in their Region only.
type fakeOrganization struct {
	accounts []*fakeMember
	page     int // accounts on a page of a list

	mu       sync.Mutex
	url      string
	mode     map[string]string // self: an account; list: denied, cut, none; ACCOUNT: what is wrong there, see serveAccount
	sessions map[string]string // access key → account
	log      []string          // "ACCOUNT CALL"
	hold     func(call string) // before it is answered
}

// fakeMember is an account of the organisation, and who may enter by which role.
type fakeMember struct {
	*fakeFleet
	id, name, state, unit, region string
	doors                         map[string][]string // role → accounts that it trusts
}

func newFakeOrganization() *fakeOrganization {
	f := &fakeOrganization{page: 2, mode: map[string]string{"self": groupAccount}, sessions: map[string]string{}}
	for _, a := range []struct {
		id, name, state, unit string
		stacks                []fakeStack
		grants                string // "provider/grant", "-provider/grant" where it is revoked
	}{
		{groupAccount, "group", "ACTIVE", "r-abcd", nil, ""},
		{prodAccount, "prod", "ACTIVE", "ou-abcd-11111111", []fakeStack{{defaultStack, "s1", 2}, {"StackSet-hestio-0a1b2c3d-1111-2222-3333-444455556666", "s2", 1}}, "hestio/backup blox/metrics hestio/audit"},
		{devAccount, "dev", "ACTIVE", "ou-abcd-22222222", []fakeStack{{"StackSet-hestio-0a1b2c3d-1111-2222-3333-555566667777", "s1", 1}}, "hestio/audit"},
		{labAccount, "lab", "ACTIVE", "ou-abcd-22222222", []fakeStack{{"StackSet-hestio-0a1b2c3d-1111-2222-3333-666677778888", "s1", 1}}, "-hestio/audit"},
		{"777788889999", "empty", "PENDING_CLOSURE", "r-abcd", nil, ""},
		{oldAccount, "old", "SUSPENDED", "ou-abcd-22222222", []fakeStack{{"StackSet-hestio-0a1b2c3d-1111-2222-3333-888899990000", "s1", 1}}, "hestio/audit"},
	} {
		f.add(a.id, a.name, a.state, a.unit, a.stacks, strings.Fields(a.grants)...)
	}
	return f
}

func (f *fakeOrganization) add(id, name, state, unit string, stacks []fakeStack, grants ...string) *fakeMember {
	fleet := &fakeFleet{stacks: stacks, mode: map[string]string{}, denied: map[string]bool{}, current: map[string]string{}}
	for _, g := range grants {
		provider, grantName, _ := strings.Cut(g, "/")
		s := api.Status{Grant: grantName, State: api.Open, Provider: strings.TrimPrefix(provider, "-"), ProviderAccount: "111122223333", Account: id, Region: "eu-west-1",
			RoleARN:   "arn:aws:iam::" + id + ":role/countersign/ServiceProvider-" + grantName,
			SecretARN: "arn:aws:secretsmanager:eu-west-1:" + id + ":secret:countersign/" + grantName + "-AbCdEf"}
		if strings.HasPrefix(g, "-") {
			s.State, s.RevokeID, fleet.denied["ServiceProvider-"+grantName] = api.Closed, "rv-20260801T160200Z-0a1b2c3d", true
		}
		fleet.grants = append(fleet.grants, s)
	}
	doors := map[string][]string{defaultWayIn: {groupAccount}, "Break-Glass": {groupAccount, devAccount}}
	if id == groupAccount {
		doors = nil
	}
	a := &fakeMember{fleet, id, name, state, unit, "eu-west-1", doors}
	f.accounts = append(f.accounts, a)
	return a
}

func (f *fakeOrganization) at(url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.url = url
	for _, a := range f.accounts {
		a.at(url + "/" + a.id)
	}
}

func (f *fakeOrganization) account(id string) *fakeMember {
	for _, a := range f.accounts {
		if a.id == id {
			return a
		}
	}
	return nil
}

func (f *fakeOrganization) said() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log)
}

func (f *fakeOrganization) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log, f.hold = nil, nil
}

// wrong is what is wrong with an account, or the organisation.
func (f *fakeOrganization) wrong(with string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mode[with]
}

func (f *fakeOrganization) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, _ := url.ParseQuery(string(body))
	target := r.Header.Get("X-Amz-Target")
	call := form.Get("Action") + target[strings.LastIndexByte(target, '.')+1:]
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if r.URL.Path != "/" {
		call = strings.Join(append([]string{r.Method}, path[1:]...), " ")
		if r.Method == http.MethodPost {
			call = path[len(path)-1] + " " + path[len(path)-2]
			if bytes.Contains(body, []byte(`"denyOnly":true`)) {
				call = "deny " + path[len(path)-2]
			}
		}
	}
	m := keyForm.FindStringSubmatch(r.Header.Get("Authorization"))
	f.mu.Lock()
	who := ""
	if m != nil && m[1] == ownKey {
		who = f.mode["self"]
	} else if m != nil {
		who = f.sessions[m[1]]
	}
	into := who
	if call == "AssumeRole" {
		into = strings.Split(form.Get("RoleArn"), ":")[4]
	}
	f.log = append(f.log, into+" "+call)
	hold := f.hold
	f.mu.Unlock()
	if hold != nil {
		hold(into + " " + call)
	}
	switch {
	case who == "":
		awstest.XMLError(http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid.")(w)
	case call == "GetCallerIdentity":
		awstest.XML("<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::" + who + ":assumed-role/Operators/ines</Arn><Account>" + who + "</Account></GetCallerIdentityResult></GetCallerIdentityResponse>")(w)
	case call == "AssumeRole":
		f.assume(w, who, form.Get("RoleArn"))
	case strings.HasPrefix(target, "AWSOrganizationsV20161128."):
		f.serveOrganization(w, who, call, body)
	case r.URL.Path != "/" && path[0] != who:
		http.Error(w, `{"Message":"User is not authorized to access this resource"}`, http.StatusForbidden)
	default:
		r.URL.Path = strings.TrimPrefix(r.URL.Path, "/"+who)
		f.serveAccount(w, r, f.account(who), call, form, region(m, r))
	}
}

// region is the one that a request is signed for.
func region(key []string, r *http.Request) string {
	scope := strings.Split(strings.SplitN(r.Header.Get("Authorization"), "Credential="+key[1]+"/", 2)[1], "/")
	return scope[1]
}

func (f *fakeOrganization) assume(w http.ResponseWriter, who, arn string) {
	parts := strings.Split(arn, ":")
	into, role := f.account(parts[4]), strings.TrimPrefix(parts[5], "role/")
	if into == nil || into.state == "SUSPENDED" || f.wrong(into.id) == "shut" || !slices.Contains(into.doors[role], who) {
		awstest.XMLError(http.StatusForbidden, "AccessDenied", "User: arn:aws:sts::"+who+":assumed-role/Operators/ines is not authorized to perform: sts:AssumeRole on resource: "+arn)(w)
		return
	}
	f.mu.Lock()
	key := fmt.Sprintf("ASIA%016d", len(f.sessions))
	f.sessions[key] = into.id
	f.mu.Unlock()
	awstest.XML("<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>" + key + "</AccessKeyId><SecretAccessKey>inside</SecretAccessKey>" +
		"<SessionToken>token</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>")(w)
}

func (f *fakeOrganization) serveOrganization(w http.ResponseWriter, who, call string, body []byte) {
	var in struct{ ParentID, NextToken string }
	_ = json.Unmarshal(body, &in)
	mode := f.wrong("list")
	switch {
	case mode == "none":
		awstest.JSONError(http.StatusBadRequest, "AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")(w)
		return
	case mode == "denied", who != groupAccount && who != devAccount, mode == "cut" && in.NextToken != "":
		awstest.JSONError(http.StatusBadRequest, "AccessDeniedException", "You don't have permissions to access this resource.")(w)
		return
	}
	parents := map[string]string{"r-abcd": "", "ou-abcd-11111111": "r-abcd", "ou-abcd-22222222": "ou-abcd-11111111"}
	if _, known := parents[in.ParentID]; !known && call != "ListAccounts" {
		awstest.JSONError(http.StatusBadRequest, "ParentNotFoundException", "We can't find a root or OU with the ParentId that you specified.")(w)
		return
	}
	var list []any
	for _, a := range f.accounts {
		if call == "ListAccounts" || call == "ListAccountsForParent" && a.unit == in.ParentID {
			list = append(list, map[string]any{"Id": a.id, "Name": a.name, "State": a.state, "Arn": "arn:aws:organizations::" + groupAccount + ":account/o-exampleorgid/" + a.id})
		}
	}
	answer := map[string]any{}
	switch call {
	case "ListAccounts", "ListAccountsForParent":
		from := 0
		_, _ = fmt.Sscanf(in.NextToken, "n%d", &from)
		to := min(from+f.page, len(list))
		if answer["Accounts"] = list[from:to]; to < len(list) {
			answer["NextToken"] = fmt.Sprintf("n%d", to)
		}
	case "ListOrganizationalUnitsForParent":
		units := []any{}
		for unit, parent := range parents {
			if parent == in.ParentID {
				units = append(units, map[string]any{"Id": unit})
			}
		}
		answer["OrganizationalUnits"] = units
	default:
		awstest.JSONError(http.StatusBadRequest, "UnknownOperationException", call)(w)
		return
	}
	text, _ := json.Marshal(answer)
	awstest.JSON(string(text))(w)
}

// serveAccount answers what goes over all of an account; the rest its fleet does. What may be wrong: noplans, nostacks, noroles: denied;
// api: it is down; stray, closedstray: a role of a stack elsewhere; twice: two stacks claim a grant; broken: a plan that can't be read;
// unplanned: a grant without one.
func (f *fakeOrganization) serveAccount(w http.ResponseWriter, r *http.Request, a *fakeMember, call string, form url.Values, region string) {
	wrong := f.wrong(a.id)
	denied := map[string]string{"noplans": "GetParametersByPath", "nostacks": "DescribeStacks", "noroles": "ListRoles"}[wrong]
	stray := strings.HasSuffix(wrong, "stray")
	switch here := region == a.region; {
	case call == denied && call == "GetParametersByPath":
		awstest.JSONError(http.StatusBadRequest, "AccessDeniedException", "User is not authorized to perform: ssm:"+call)(w)
	case call == denied:
		awstest.XMLError(http.StatusForbidden, "AccessDenied", "User is not authorized to perform: "+call)(w)
	case wrong == "api" && r.URL.Path != "/":
		http.Error(w, `{"message":"Internal server error"}`, http.StatusBadGateway)
	case call == "GetParametersByPath":
		list := []any{map[string]any{"Name": "/countersign/Not A Grant", "Value": "x"}}
		for i, g := range a.grants {
			value := a.plan(g.Grant)
			if wrong == "broken" {
				value = "{}"
			}
			if here && (wrong != "unplanned" || i > 0) {
				list = append(list, map[string]any{"Name": "/countersign/" + g.Grant, "Value": value})
			}
		}
		text, _ := json.Marshal(map[string]any{"Parameters": list})
		awstest.JSON(string(text))(w)
	case call == "DescribeStacks" && !here:
		awstest.XML("<DescribeStacksResponse><DescribeStacksResult><Stacks></Stacks></DescribeStacksResult></DescribeStacksResponse>")(w)
	case call == "ListRoles":
		roles := ""
		for _, g := range append(slices.Clone(a.grants), api.Status{Grant: "elsewhere"}) {
			if g.Grant != "elsewhere" || stray {
				roles += "<member><RoleName>ServiceProvider-" + g.Grant + "</RoleName><Path>/countersign/</Path><Arn>" + g.RoleARN + "</Arn><CreateDate>2026-01-05T09:00:00Z</CreateDate></member>"
			}
		}
		awstest.XML("<ListRolesResponse><ListRolesResult><IsTruncated>false</IsTruncated><Roles>" + roles + "</Roles></ListRolesResult></ListRolesResponse>")(w)
	case call == "GetRole" && form.Get("RoleName") == "ServiceProvider-elsewhere":
		document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"x1234567"}}}]}`
		if wrong == "closedstray" {
			document = `{"Version":"2012-10-17","Statement":[{"Sid":"CountersignClosed","Effect":"Deny","Principal":"*","Action":"sts:*"}]}`
		}
		awstest.XML("<GetRoleResponse><GetRoleResult><Role><RoleName>x</RoleName><Arn>arn</Arn><Path>/</Path><RoleId>AROAEXAMPLE</RoleId><CreateDate>2026-01-05T09:00:00Z</CreateDate>" +
			"<AssumeRolePolicyDocument>" + url.QueryEscape(document) + "</AssumeRolePolicyDocument><Tags><member><Key>" + grant.TagSecret + "</Key>" +
			"<Value>arn:aws:secretsmanager:us-east-1:" + a.id + ":secret:countersign/elsewhere-AbCdEf</Value></member></Tags></Role></GetRoleResult></GetRoleResponse>")(w)
	default:
		a.ServeHTTP(w, r)
	}
}

type organizationKey struct{}

// The scripts run the real program against an organisation of their own. "organization KEY=VALUE" changes how it behaves, "asked" prints
// what it was asked since the last time, sorted; with words only the calls that begin so, account aside.
func TestOrganizationCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/organization",
		Setup: func(e *testscript.Env) error {
			f := newFakeOrganization()
			server := httptest.NewServer(f)
			e.Defer(server.Close)
			f.at(server.URL)
			e.Values[organizationKey{}] = f
			operatorAt(e, server.URL)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"organization": func(ts *testscript.TestScript, neg bool, args []string) {
				f := ts.Value(organizationKey{}).(*fakeOrganization)
				f.mu.Lock()
				defer f.mu.Unlock()
				for _, a := range args {
					key, value, ok := strings.Cut(a, "=")
					if !ok || neg {
						ts.Fatalf("usage: organization KEY=VALUE…")
					}
					f.mode[key] = value
				}
			},
			"asked": func(ts *testscript.TestScript, neg bool, words []string) {
				f := ts.Value(organizationKey{}).(*fakeOrganization)
				calls := f.said()
				f.forget()
				calls = slices.DeleteFunc(calls, func(call string) bool {
					_, what, _ := strings.Cut(call, " ")
					return len(words) > 0 && !slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(what, word) })
				})
				if slices.Sort(calls); len(calls) == 0 {
					calls = []string{"nothing"}
				}
				_, _ = ts.Stdout().Write([]byte(strings.Join(calls, "\n") + "\n"))
			},
			"narrow": cmdNarrow,
		},
	})
}
