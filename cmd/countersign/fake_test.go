package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// The external IDs of the fake account. Only reveal may show one.
const (
	fakeID    = "hestio-Zq3vN8mKp0RtYw6LxBc2HdJf9GsAe4Uo"
	fakeOldID = "hestio-Ab1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV"
	fakeRole  = "HestioMigration"

	fakeRevokeID = "rv-20260901T160200Z-0a1b2c3d"
)

// fakeAWS is one account with one grant, migration, over HTTP: CloudFormation, IAM, Secrets Manager, SSM, the trail and the API. It
// keeps what is written, and counts what is asked. It checks no signature's value.
type fakeAWS struct {
	url  string
	mode map[string]string // api: ok, down, hang, denied, overlap, kept; iam, stack: ok, denied, none; sts: ok, denied; ses: ok, sandbox, denied; blind: on; trail: ok, denied, gone, none, absent; replay: ok, denied, fails, hangs; test: ok, nobody, bad, slow, given; notify: on; bus: an ARN; post: see serveQueues

	mu     sync.Mutex
	calls  []string
	inline string
	trust  string
	tags   map[string]string
	paused time.Time
	tested bool   // somebody asked for a test
	replay string // its name
	looks  int    // at it
	post   *fakePost
	token  string // version id of the current external ID
	issued string // by the provider, as it was stored
	table  awstest.Table
}

func newFakeAWS() *fakeAWS {
	allow := `{"Version":"2012-10-17","Statement":[{"Sid":"CountersignCurrent","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"` + fakeID + `"}}}]}`
	return &fakeAWS{mode: map[string]string{}, inline: grant.OpenRevocation, trust: allow, tags: map[string]string{}, token: "birth-00000000000000000000000000000000", post: newFakePost()}
}

func (f *fakeAWS) at(url string) { f.url = url }

func (f *fakeAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	switch target := r.Header.Get("X-Amz-Target"); {
	case f.serveDoctor(w, r, body):
	case strings.HasPrefix(r.URL.Path, "/v1/"):
		f.calls = append(f.calls, r.Method+" "+r.URL.Path)
		f.serveAPI(w, r, body)
	case target != "":
		operation := target[strings.LastIndexByte(target, '.')+1:]
		f.calls = append(f.calls, operation)
		if strings.HasPrefix(target, "DynamoDB_") {
			f.serveTable(w, operation, body)
			return
		}
		f.serveJSON(w, operation, body)
	default:
		form, _ := url.ParseQuery(string(body))
		f.calls = append(f.calls, form.Get("Action"))
		f.serveQuery(w, form)
	}
}

func (f *fakeAWS) serveQuery(w http.ResponseWriter, form url.Values) {
	action := form.Get("Action")
	if action == "DescribeStacks" {
		f.describeStack(w, form.Get("StackName"))
		return
	}
	if f.mode["iam"] == "denied" {
		awstest.XMLError(http.StatusForbidden, "AccessDenied", "not authorized to perform: iam:"+action)(w)
		return
	}
	if form.Get("PolicyArn") == "" && form.Get("RoleName") != fakeRole {
		awstest.XMLError(http.StatusNotFound, "NoSuchEntity", "The role with name "+form.Get("RoleName")+" cannot be found.")(w)
		return
	}
	result := ""
	switch action {
	case "PutRolePolicy":
		f.inline = form.Get("PolicyDocument")
	case "GetRolePolicy":
		result = "<RoleName>" + fakeRole + "</RoleName><PolicyName>CountersignRevocation</PolicyName><PolicyDocument>" + url.QueryEscape(f.inline) + "</PolicyDocument>"
	case "UpdateAssumeRolePolicy":
		f.trust = form.Get("PolicyDocument")
	case "GetRole":
		result = "<Role><RoleName>" + fakeRole + "</RoleName><Arn>" + f.plan().RoleARN + "</Arn><Path>/</Path><RoleId>AROAEXAMPLE</RoleId>" +
			"<CreateDate>2026-01-05T09:00:00Z</CreateDate><AssumeRolePolicyDocument>" + url.QueryEscape(f.trust) + "</AssumeRolePolicyDocument></Role>"
	case "ListAttachedRolePolicies":
		result = "<AttachedPolicies><member><PolicyArn>arn:aws:iam::aws:policy/AmazonS3FullAccess</PolicyArn></member>" +
			"<member><PolicyArn>arn:aws:iam::444455556666:policy/made</PolicyArn></member>" +
			"<member><PolicyArn>arn:aws:iam::444455556666:policy/picks-up</PolicyArn></member></AttachedPolicies><IsTruncated>false</IsTruncated>"
	case "GetPolicy":
		description := grant.PolicyDescription("read.json", "migration")
		if strings.HasSuffix(form.Get("PolicyArn"), "/picks-up") {
			description = grant.PickUpDescription
		}
		result = "<Policy><DefaultVersionId>v1</DefaultVersionId><Description>" + description + "</Description></Policy>"
	case "GetPolicyVersion":
		result = "<PolicyVersion><Document>" + url.QueryEscape(strings.ReplaceAll(readJSON, " ", "")) + "</Document></PolicyVersion>"
	case "TagRole":
		f.tags[grant.TagRevoked] = form.Get("Tags.member.1.Value")
	}
	awstest.XML("<" + action + "Response><" + action + "Result>" + result + "</" + action + "Result></" + action + "Response>")(w)
}

func (f *fakeAWS) describeStack(w http.ResponseWriter, name string) {
	switch {
	case f.mode["stack"] == "none":
		awstest.XMLError(http.StatusBadRequest, "ValidationError", "Stack with id "+name+" does not exist")(w)
		return
	case f.mode["stack"] == "denied":
		awstest.XMLError(http.StatusForbidden, "AccessDenied", "not authorized to perform: cloudformation:DescribeStacks")(w)
		return
	case name != defaultStack:
		awstest.XMLError(http.StatusBadRequest, "ValidationError", "Stack with id "+name+" does not exist")(w)
		return
	}
	outputs := ""
	for key, value := range map[string]string{"ApiUrl": f.url + "/v1/", "Grants": "migration", "TrailLogGroup": fakeTrail, "BusName": "countersign", "DeliveriesUrl": f.url + "/post/countersign-notify",
		"DeadLettersUrl": f.url + "/post/countersign-notify-dead", "RoleArnMigration": f.plan().RoleARN, "ForwardToHestio": f.mode["bus"],
		"Version": "1.0.0", "MailFrom": "access@example.com", "MailSet": "countersign"} {
		if key == "TrailLogGroup" && f.mode["trail"] == "absent" || value == "" {
			continue
		}
		outputs += "<member><OutputKey>" + key + "</OutputKey><OutputValue>" + value + "</OutputValue></member>"
	}
	awstest.XML("<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>" + name + "</StackName><StackStatus>CREATE_COMPLETE</StackStatus>" +
		"<CreationTime>2026-01-05T09:00:00Z</CreationTime><Outputs>" + outputs + "</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>")(w)
}

func (f *fakeAWS) plan() grant.Plan {
	return grant.Plan{
		Grant: "migration", Provider: "hestio", ProviderAccount: "111122223333", Account: "444455556666", Region: "eu-west-1",
		RoleARN: "arn:aws:iam::444455556666:role/" + fakeRole, Prefix: "hestio", Principals: []string{"arn:aws:iam::111122223333:root"},
		SecretARN: "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-AbCdEf", RotateEvery: "monthly",
		Overlap: grant.Duration(24 * time.Hour), WhenUnconfirmed: grant.UnconfirmedAuto, ProviderMay: grant.ProviderActs,
		IssuedBy: grant.Issuer(f.mode["issuer"]),
	}
}

func (f *fakeAWS) serveJSON(w http.ResponseWriter, operation string, body []byte) {
	answer := func(v any) {
		b, _ := json.Marshal(v)
		awstest.JSON(string(b))(w)
	}
	switch operation {
	case "GetParameter":
		p := f.plan()
		if f.mode["notify"] == "on" {
			p.Notify = fakeNotify
		}
		plan, _ := json.Marshal(p)
		answer(map[string]any{"Parameter": map[string]any{"Name": "/countersign/migration", "Value": string(plan)}})
	case "GetSecretValue":
		id, _ := grant.ParseOwnID(fakeID, "hestio")
		value, _ := f.plan().EncodeValue(id)
		answer(map[string]any{"ARN": f.plan().SecretARN, "SecretString": string(value), "VersionId": f.token, "VersionStages": []string{"AWSCURRENT"}})
	case "ListRules", "StartReplay", "DescribeReplay":
		f.serveReplay(w, operation, body)
	case "RotateSecret", "PutSecretValue":
		f.serveIssued(w, operation, body)
	case "GetQueueAttributes", "ReceiveMessage", "SendMessage", "DeleteMessage", "ChangeMessageVisibility":
		f.serveQueues(w, operation, body)
	case "FilterLogEvents":
		f.serveTrail(w, body)
	case "TagResource":
		var in struct{ Tags []struct{ Key, Value string } }
		_ = json.Unmarshal(body, &in)
		for _, t := range in.Tags {
			f.tags[t.Key] = t.Value
		}
		answer(struct{}{})
	default:
		awstest.JSONError(http.StatusBadRequest, "UnknownOperationException", operation)(w)
	}
}

func (f *fakeAWS) serveAPI(w http.ResponseWriter, r *http.Request, body []byte) {
	answer := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	switch f.mode["api"] {
	case "down":
		answer(http.StatusBadGateway, map[string]string{"message": "Internal server error"})
		return
	case "denied":
		answer(http.StatusForbidden, map[string]string{"Message": "User: arn:aws:sts::444455556666:assumed-role/Reader/ines is not authorized to perform: execute-api:Invoke"})
		return
	case "hang":
		f.mu.Unlock()
		<-r.Context().Done()
		f.mu.Lock()
		return
	}
	switch strings.TrimPrefix(r.URL.Path, "/v1/") {
	case "grants":
		answer(http.StatusOK, api.List{Grants: []api.Status{f.status()}})
	case "grants/migration":
		answer(http.StatusOK, f.status())
	case "grants/migration/rotate":
		var in api.RotateRequest
		_ = json.Unmarshal(body, &in)
		switch {
		case f.revoked():
			answer(http.StatusConflict, api.Problem{Error: "grant migration is revoked: a rotation opens nothing", Next: "to let it in: countersign restore migration"})
			return
		case f.mode["api"] == "kept" && !in.Leaked:
			answer(http.StatusConflict, api.Problem{Error: "the previous external ID of migration is accepted until somebody confirms the current one", Next: "ask hestio to confirm"})
			return
		case f.mode["api"] == "overlap" && !in.Leaked:
			answer(http.StatusConflict, api.Problem{Error: "the previous external ID is still accepted", Next: "wait, or say that it leaked", Until: time.Now().Add(23 * time.Hour).Truncate(time.Second)})
			return
		}
		version := "rotate-11111111111111111111111111111111"
		if f.mode["blind"] != "on" {
			f.token = version
		}
		answer(http.StatusAccepted, api.RotateAnswer{Grant: "migration", VersionID: version})
	case "grants/migration/confirm":
		f.confirm(body, answer)
	case "grants/migration/pause":
		var in api.PauseRequest
		_ = json.Unmarshal(body, &in)
		if f.paused = in.Until; in.Until.IsZero() {
			f.paused = time.Now().Add(grant.DefaultPause).UTC().Truncate(time.Second)
		}
		answer(http.StatusOK, api.PauseAnswer{Grant: "migration", Until: f.paused})
	case "grants/migration/test":
		if f.mode["test"] == "nobody" {
			answer(http.StatusConflict, api.Problem{Error: "grant migration has nobody to tell", Next: "set notify in access.yaml and deploy"})
			return
		}
		f.tested = true
		answer(http.StatusAccepted, api.TestAnswer{Grant: "migration", EventID: fakeTestID, Destinations: []string{"mail 1", "sns 1", "webhook 1"}})
	case "grants/migration/resume":
		f.paused = time.Time{}
		answer(http.StatusOK, api.PauseAnswer{Grant: "migration"})
	case "grants/migration/revoke":
		f.tags[grant.TagRevoked] = fakeRevokeID
		f.inline = string(grant.DenyFor(fakeRevokeID))
		f.close()
		answer(http.StatusAccepted, api.RevokeAnswer{Grant: "migration", RevokeID: f.tags[grant.TagRevoked], Done: []string{"deny", "trust", "tag", "event", "check"}})
	case "grants/migration/restore":
		f.restore(body, answer)
	default:
		answer(http.StatusNotFound, api.Problem{Error: "there is no grant of this name in this stack", Next: "list the grants: countersign grants"})
	}
}

// restore opens at once, unless it is blind: then the rotation never ends.
func (f *fakeAWS) restore(body []byte, answer func(int, any)) {
	var in api.RestoreRequest
	_ = json.Unmarshal(body, &in)
	if in.RevokeID != fakeRevokeID {
		answer(http.StatusConflict, api.Problem{Error: "grant migration is revoked by " + fakeRevokeID + ", not by the revocation that was named", Next: "look what stands: countersign show migration"})
		return
	}
	version := "restore-20260901T160200Z-0a1b2c3d-44556677"
	f.inline = string(grant.RestoreIntent(version))
	if f.mode["restore"] == "overtaken" {
		f.inline = string(grant.DenyFor("rv-20260902T000000Z-ffffffff"))
	}
	if f.mode["restore"] == "" {
		f.token, f.tags[grant.TagRestored] = version, fakeRevokeID
		f.inline, f.trust = string(grant.RestoredRevocation(time.Now().Add(grant.RestoreMargin))), newFakeAWS().trust
	}
	answer(http.StatusAccepted, api.RestoreAnswer{Grant: "migration", RevokeID: in.RevokeID, VersionID: version})
}

func (f *fakeAWS) close() {
	doc, err := trust.Parse([]byte(f.trust))
	if err != nil {
		panic(err)
	}
	closed, _, err := trust.Apply(doc, trust.Plan{Role: trust.Created, Gate: trust.Close})
	if err != nil {
		panic(err)
	}
	f.trust = string(closed.Bytes())
}

// status is what functions/operate would say.
func (f *fakeAWS) status() api.Status {
	p, now := f.plan(), time.Now()
	s := api.Status{
		Grant: "migration", State: api.Open, Provider: p.Provider, ProviderAccount: p.ProviderAccount, Account: p.Account, Region: p.Region,
		RoleARN: p.RoleARN, SecretARN: p.SecretARN, VersionID: f.token, RotateEvery: p.RotateEvery, LastRotated: now.Add(-100 * time.Hour),
		NextRotation: now.Add(640 * time.Hour), LastUsed: now.Add(-3 * time.Hour), Expires: now.Add(2000 * time.Hour), CheckedAt: now,
		PausedUntil: f.paused,
		Accepted:    []api.ID{{Fingerprint: trust.Fingerprint(fakeID)}, {Fingerprint: trust.Fingerprint(fakeOldID), Until: now.Add(12*time.Minute + 30*time.Second)}},
	}
	f.confirmation(&s)
	doc, err := trust.Parse([]byte(f.trust))
	closure := grant.ClosureOf([]byte(f.inline), doc, f.tags)
	if err != nil {
		s.Fault = fmt.Sprint(err)
	}
	if closure.Closed() && f.mode["blind"] != "on" {
		s.State, s.RevokeID, s.RestoreTo, s.Accepted = api.Closed, closure.RevokeID, closure.RestoreTo, nil
	}
	s.DeadBefore = closure.DeadBefore
	return s
}
