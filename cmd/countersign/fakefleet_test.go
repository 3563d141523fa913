package main

import (
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
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/grant"
)

// fakeFleet is an account with two stacks of grants of two providers, over HTTP: CloudFormation, IAM, SSM and the two APIs.
type fakeFleet struct {
	url    string
	stacks []fakeStack
	claims string // a grant that the last stack says is its own

	mu      sync.Mutex
	mode    map[string]string // api: down; GRANT: overlap, fails, forbidden, slow, restoring, whose
	calls   []string
	denied  map[string]bool // roles with the Deny
	current map[string]string
	grants  []api.Status
	onCall  func(call string)
}

// fakeStack is a stack with so many of the fleet's grants. Its API is at the key.
type fakeStack struct {
	name, key string
	grants    int
}

func newFakeFleet() *fakeFleet {
	f := &fakeFleet{stacks: []fakeStack{{defaultStack, "s1", 3}, {defaultStack + "-2", "s2", 3}}, mode: map[string]string{}, denied: map[string]bool{}, current: map[string]string{}}
	for _, g := range []struct {
		name, provider string
		state          api.State
	}{
		{"audit", "blox", api.Open}, {"backup", "hestio", api.Open}, {"left", "hestio", api.Closed},
		{"deploys", "hestio", api.Open}, {"metrics", "hestio", api.Open}, {"open", "hestio", api.Open},
	} {
		s := api.Status{Grant: g.name, State: g.state, Provider: g.provider, ProviderAccount: "111122223333", Account: "444455556666", Region: "eu-west-1",
			RoleARN: "arn:aws:iam::444455556666:role/ServiceProvider-" + g.name}
		if g.name != "open" {
			s.SecretARN = "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/" + g.name + "-AbCdEf"
		}
		if g.state == api.Closed {
			s.RevokeID, f.denied["ServiceProvider-"+g.name] = "rv-20260801T160200Z-0a1b2c3d", true
		}
		f.grants = append(f.grants, s)
	}
	return f
}

func (f *fakeFleet) at(url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.url = url
}

// said are the calls until now; a request whose asker has gone may still be answered.
func (f *fakeFleet) said() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

func (f *fakeFleet) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.onCall = nil, nil
}

// of are the grants of a stack: the first ones, and the next.
func (f *fakeFleet) of(key string) []api.Status {
	from := 0
	for _, s := range f.stacks {
		if s.key == key {
			return f.grants[from : from+s.grants]
		}
		from += s.grants
	}
	return nil
}

func (f *fakeFleet) find(name string) *api.Status {
	for i := range f.grants {
		if f.grants[i].Grant == name {
			return &f.grants[i]
		}
	}
	return nil
}

func (f *fakeFleet) status(name string) api.Status {
	s := *f.find(name)
	s.CheckedAt, s.VersionID = time.Now(), f.current[name]
	if s.State == api.Open && s.SecretARN != "" {
		s.Accepted = []api.ID{{Fingerprint: "#0a1b2c"}}
		if strings.HasPrefix(s.VersionID, "rotate-") {
			s.Accepted = []api.ID{{Fingerprint: "#4f2a9c"}, {Fingerprint: "#0a1b2c", Until: time.Now().Add(24 * time.Hour)}}
		}
	}
	if f.mode[name] == "restoring" && s.RevokeID == "rv-20260801T160200Z-0a1b2c3d" {
		s.RestoreTo = "restore-20260801T160200Z-0a1b2c3d-44556677"
	}
	if f.mode[name] == "whose" {
		s = api.Status{Grant: name, Fault: "reading plan of " + name + ": access denied", CheckedAt: time.Now()}
	}
	return s
}

func (f *fakeFleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	form, _ := url.ParseQuery(string(body))
	note := func(call string) {
		f.calls = append(f.calls, call)
		if f.onCall != nil {
			f.onCall(call)
		}
	}
	switch target := r.Header.Get("X-Amz-Target"); {
	case strings.HasPrefix(r.URL.Path, "/s"):
		f.serveAPI(w, r, body, note)
	case target != "": // SSM, Secrets Manager
		var in struct{ Name, SecretID string }
		_ = json.Unmarshal(body, &in)
		name := strings.TrimPrefix(in.Name+strings.TrimPrefix(in.SecretID, "countersign/"), "/countersign/")
		note(target[strings.LastIndexByte(target, '.')+1:] + " " + name)
		if in.Name == "" {
			awstest.JSON("{}")(w)
			return
		}
		value, _ := json.Marshal(map[string]any{"Parameter": map[string]any{"Name": in.Name, "Value": f.plan(name)}})
		awstest.JSON(string(value))(w)
	case form.Get("Action") == "DescribeStacks":
		f.describe(w, form.Get("StackName"))
	default:
		note(form.Get("Action") + " " + form.Get("RoleName"))
		f.serveIAM(w, form)
	}
}

// plan is the value of a grant's parameter.
func (f *fakeFleet) plan(name string) string {
	s := f.find(name)
	plan, _ := json.Marshal(grant.Plan{Grant: grant.Name(name), Provider: s.Provider, ProviderAccount: s.ProviderAccount, Account: s.Account,
		RoleARN: s.RoleARN, SecretARN: s.SecretARN, NoExternalID: s.SecretARN == "", Principals: []string{"arn:aws:iam::111122223333:root"}})
	return string(plan)
}

// describe answers for one stack, and where none is named for all.
func (f *fakeFleet) describe(w http.ResponseWriter, name string) {
	stacks := ""
	for i, s := range f.stacks {
		if name != "" && name != s.name {
			continue
		}
		var names []string
		if f.claims != "" && i == len(f.stacks)-1 {
			names = append(names, f.claims)
		}
		for _, g := range f.of(s.key) {
			names = append(names, g.Grant)
		}
		outputs := ""
		for k, v := range map[string]string{"ApiUrl": f.url + "/" + s.key + "/", "Grants": strings.Join(names, ",")} {
			outputs += "<member><OutputKey>" + k + "</OutputKey><OutputValue>" + v + "</OutputValue></member>"
		}
		stacks += "<member><StackName>" + xmlText(s.name) + "</StackName><StackStatus>CREATE_COMPLETE</StackStatus>" +
			"<CreationTime>2026-01-05T09:00:00Z</CreationTime><Outputs>" + outputs + "</Outputs></member>"
	}
	if name != "" && stacks == "" {
		awstest.XMLError(http.StatusBadRequest, "ValidationError", "Stack with id "+name+" does not exist")(w)
		return
	}
	awstest.XML("<DescribeStacksResponse><DescribeStacksResult><Stacks>" + stacks + "</Stacks></DescribeStacksResult></DescribeStacksResponse>")(w)
}

func (f *fakeFleet) serveIAM(w http.ResponseWriter, form url.Values) {
	action, role := form.Get("Action"), form.Get("RoleName")
	result := ""
	switch action {
	case "PutRolePolicy":
		f.denied[role] = true
	case "UpdateAssumeRolePolicy":
		s := f.find(strings.TrimPrefix(role, "ServiceProvider-"))
		s.State, s.RevokeID = api.Closed, "rv-by-hand"
	case "GetRolePolicy":
		inline := grant.OpenRevocation
		if f.denied[role] {
			inline = grant.DenyRevocation
		}
		result = "<RoleName>" + role + "</RoleName><PolicyName>CountersignRevocation</PolicyName><PolicyDocument>" + url.QueryEscape(inline) + "</PolicyDocument>"
	case "GetRole":
		document := `{"Version":"2012-10-17","Statement":[{"Sid":"CountersignCurrent","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"x1234567"}}}]}`
		if f.find(strings.TrimPrefix(role, "ServiceProvider-")).State == api.Closed {
			document = `{"Version":"2012-10-17","Statement":[{"Sid":"CountersignClosed","Effect":"Deny","Principal":"*","Action":"sts:*"}]}`
		}
		result = "<Role><RoleName>" + role + "</RoleName><Arn>arn:aws:iam::444455556666:role/" + role + "</Arn><Path>/</Path><RoleId>AROAEXAMPLE</RoleId>" +
			"<CreateDate>2026-01-05T09:00:00Z</CreateDate><AssumeRolePolicyDocument>" + url.QueryEscape(document) + "</AssumeRolePolicyDocument></Role>"
	}
	awstest.XML("<" + action + "Response><" + action + "Result>" + result + "</" + action + "Result></" + action + "Response>")(w)
}

func (f *fakeFleet) serveAPI(w http.ResponseWriter, r *http.Request, body []byte, note func(string)) {
	answer := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if f.mode["api"] == "down" {
		answer(http.StatusBadGateway, map[string]string{"message": "Internal server error"})
		return
	}
	if len(path) == 2 {
		list := api.List{}
		for _, s := range f.of(path[0]) {
			list.Grants = append(list.Grants, f.status(s.Grant))
		}
		answer(http.StatusOK, list)
		return
	}
	name := path[2]
	if len(path) == 3 {
		answer(http.StatusOK, f.status(name))
		return
	}
	var in struct {
		api.RotateRequest
		DenyOnly bool
	}
	_ = json.Unmarshal(body, &in)
	verb := path[3]
	if in.DenyOnly {
		verb = "deny"
	}
	note(verb + " " + name)
	switch mode := f.mode[name]; {
	case mode == "fails":
		answer(http.StatusInternalServerError, api.Problem{Error: "describing secret of " + name + ": access denied", Next: "look at the function's log"})
	case mode == "forbidden":
		answer(http.StatusForbidden, api.Problem{Error: "callers of another account may not operate grants"})
	case verb == "deny":
		f.denied["ServiceProvider-"+name] = true
		answer(http.StatusAccepted, api.RevokeAnswer{Grant: name, Done: []string{"deny"}})
	case verb == "revoke":
		s := f.find(name)
		s.State, s.RevokeID = api.Closed, "rv-20260901T160200Z-"+fmt.Sprintf("%08x", len(f.calls))
		answer(http.StatusAccepted, api.RevokeAnswer{Grant: name, RevokeID: s.RevokeID, Done: []string{"deny", "trust", "tag", "event", "check"}})
	case mode == "overlap" && !in.Leaked:
		answer(http.StatusConflict, api.Problem{Error: "the previous external ID of " + name + " is still accepted", Next: "wait until then", Until: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)})
	default:
		purpose := grant.OnDemand
		if in.Leaked {
			purpose = grant.Cut
		}
		version := string(purpose) + "-" + in.Run + "11111111111111111111"
		done := f.current[name] == version
		if mode != "slow" {
			f.current[name] = version
		}
		answer(http.StatusAccepted, api.RotateAnswer{Grant: name, VersionID: version, Done: done})
	}
}

type fleetKey struct{}

// The scripts run the real program against a fleet of their own. "fleet KEY=VALUE" changes how it behaves, "asked" prints what
// was asked of it since the last time, reads of the API aside; with verbs only those. Calls of one verb in a row are sorted,
// since some are made at the same time.
func TestFleetCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/fleet",
		Setup: func(e *testscript.Env) error {
			f := newFakeFleet()
			server := httptest.NewServer(f)
			e.Defer(server.Close)
			f.at(server.URL)
			e.Values[fleetKey{}] = f
			operatorAt(e, server.URL)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"fleet":  cmdFleet,
			"asked":  cmdAsked,
			"narrow": cmdNarrow,
		},
	})
}

func cmdFleet(ts *testscript.TestScript, neg bool, args []string) {
	f := ts.Value(fleetKey{}).(*fakeFleet)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range args {
		key, value, ok := strings.Cut(a, "=")
		if !ok || neg {
			ts.Fatalf("usage: fleet KEY=VALUE…")
		}
		f.mode[key] = value
	}
}

func cmdAsked(ts *testscript.TestScript, neg bool, verbs []string) {
	f := ts.Value(fleetKey{}).(*fakeFleet)
	f.mu.Lock()
	defer f.mu.Unlock()
	if neg {
		ts.Fatalf("usage: asked [VERB…]")
	}
	verb := func(call string) string { return strings.SplitN(call, " ", 2)[0] }
	calls := slices.DeleteFunc(f.calls, func(call string) bool { return len(verbs) > 0 && !slices.Contains(verbs, verb(call)) })
	f.calls = nil
	if len(calls) == 0 {
		calls = []string{"nothing"}
	}
	for len(calls) > 0 {
		n := slices.IndexFunc(calls, func(call string) bool { return verb(call) != verb(calls[0]) })
		if n < 0 {
			n = len(calls)
		}
		slices.Sort(calls[:n])
		_, _ = ts.Stdout().Write([]byte(strings.Join(calls[:n], "\n") + "\n"))
		calls = calls[n:]
	}
}
