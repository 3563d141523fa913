package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

// adoptAWS is the embedded AWS behind the wire: IAM, Secrets Manager and SSM answer what package sim does, and CloudFormation
// what was deployed.
type adoptAWS struct {
	mu       sync.Mutex
	world    *simtest.World
	deployed []string
	calls    []string // that change something
	dies     int      // calls until the program is cut off; negative: never
	ctx      context.Context
}

func newAdoptAWS() *adoptAWS {
	w := simtest.New(simtest.Config{AWS: sim.Config{Start: time.Now().UTC().Truncate(time.Second), Region: "eu-west-1"}})
	return &adoptAWS{world: w, dies: -1, ctx: context.Background()}
}

func (a *adoptAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	form, _ := url.ParseQuery(string(body))
	target := r.Header.Get("X-Amz-Target")
	action := form.Get("Action") + target[strings.LastIndexByte(target, '.')+1:]
	if writes := []string{"Put", "Update", "Tag", "Untag", "Delete", "Rotate"}; slices.ContainsFunc(writes, func(p string) bool { return strings.HasPrefix(action, p) }) {
		if a.dies == 0 {
			awstest.XMLError(http.StatusForbidden, "AccessDenied", "cut off")(w)
			return
		}
		a.dies--
		a.calls = append(a.calls, action)
	}
	var answer any
	var err error
	if target != "" {
		answer, err = a.json(action, body)
	} else {
		answer, err = a.query(action, form)
	}
	if err == nil && target != "" {
		out, _ := json.Marshal(answer)
		awstest.JSON(string(out))(w)
		return
	}
	if err == nil {
		awstest.XML("<" + action + "Response><" + action + "Result>" + answer.(string) + "</" + action + "Result></" + action + "Response>")(w)
		return
	}
	code, message := "InternalFailure", err.Error()
	if e := (*sim.Error)(nil); errors.As(err, &e) {
		code, message = e.Code, e.Message
	}
	if target != "" {
		awstest.JSONError(http.StatusBadRequest, code, message)(w)
		return
	}
	awstest.XMLError(http.StatusBadRequest, code, message)(w)
}

// query answers CloudFormation and IAM.
func (a *adoptAWS) query(action string, form url.Values) (string, error) {
	iam, role, policy := a.world.IAM, form.Get("RoleName"), form.Get("PolicyName")
	members := func(list []string) (out string) {
		for _, s := range list {
			out += "<member>" + s + "</member>"
		}
		return out
	}
	switch action {
	case "DescribeStacks":
		name := form.Get("StackName")
		if name != defaultStack || len(a.deployed) == 0 {
			return "", &sim.Error{Code: "ValidationError", Message: "Stack with id " + name + " does not exist"}
		}
		return "<Stacks><member><StackName>" + name + "</StackName><StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-01-05T09:00:00Z</CreationTime>" +
			"<Outputs><member><OutputKey>Grants</OutputKey><OutputValue>" + strings.Join(a.deployed, ",") + "</OutputValue></member></Outputs></member></Stacks>", nil
	case "GetRole":
		r, err := iam.Role(a.ctx, role)
		tags := ""
		for k, v := range r.Tags {
			tags += "<member><Key>" + k + "</Key><Value>" + v + "</Value></member>"
		}
		return "<Role><RoleName>" + role + "</RoleName><Arn>" + r.ARN + "</Arn><Path>/</Path><RoleId>AROAEXAMPLE</RoleId><CreateDate>2026-01-05T09:00:00Z</CreateDate>" +
			"<AssumeRolePolicyDocument>" + url.PathEscape(string(r.Trust)) + "</AssumeRolePolicyDocument><Tags>" + tags + "</Tags></Role>", err
	case "ListRolePolicies":
		names, err := iam.InlinePolicies(a.ctx, role)
		return "<PolicyNames>" + members(names) + "</PolicyNames><IsTruncated>false</IsTruncated>", err
	case "ListAttachedRolePolicies":
		arns, err := iam.Attached(a.ctx, role)
		out := ""
		for _, arn := range arns {
			out += "<member><PolicyArn>" + arn + "</PolicyArn></member>"
		}
		return "<AttachedPolicies>" + out + "</AttachedPolicies><IsTruncated>false</IsTruncated>", err
	case "GetRolePolicy":
		body, err := iam.InlinePolicy(a.ctx, role, policy)
		return "<RoleName>" + role + "</RoleName><PolicyName>" + policy + "</PolicyName><PolicyDocument>" + url.PathEscape(string(body)) + "</PolicyDocument>", err
	case "PutRolePolicy":
		return "", iam.PutInlinePolicy(a.ctx, role, policy, []byte(form.Get("PolicyDocument")))
	case "DeleteRolePolicy":
		return "", iam.DeleteInlinePolicy(a.ctx, role, policy)
	case "UpdateAssumeRolePolicy":
		return "", iam.SetTrust(a.ctx, role, []byte(form.Get("PolicyDocument")))
	case "TagRole":
		tags := map[string]string{}
		for i := 1; form.Has(fmt.Sprintf("Tags.member.%d.Key", i)); i++ {
			tags[form.Get(fmt.Sprintf("Tags.member.%d.Key", i))] = form.Get(fmt.Sprintf("Tags.member.%d.Value", i))
		}
		return "", iam.TagRole(a.ctx, role, tags)
	case "UntagRole":
		var keys []string
		for i := 1; form.Has(fmt.Sprintf("TagKeys.member.%d", i)); i++ {
			keys = append(keys, form.Get(fmt.Sprintf("TagKeys.member.%d", i)))
		}
		return "", iam.UntagRole(a.ctx, role, keys...)
	}
	return "", fmt.Errorf("nobody answers %s", action)
}

// json answers SSM and Secrets Manager.
func (a *adoptAWS) json(action string, body []byte) (any, error) {
	var in struct {
		Name, SecretID, VersionID, VersionStage, ClientRequestToken, SecretString string
		MoveToVersionID, RemoveFromVersionID                                      string
		VersionStages                                                             []string
		Tags                                                                      []struct{ Key, Value string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	secrets := a.world.Secrets
	stamp := func(t time.Time) json.Number { return json.Number(fmt.Sprintf("%d", t.Unix())) }
	switch action {
	case "GetParameter":
		plan, err := a.world.Parameters.Plan(a.ctx, grant.Name(strings.TrimPrefix(in.Name, grant.ParameterPrefix)))
		value, _ := json.Marshal(plan)
		return map[string]any{"Parameter": map[string]any{"Name": in.Name, "Value": string(value)}}, err
	case "DescribeSecret":
		s, err := secrets.Describe(a.ctx, in.SecretID)
		tags := []map[string]string{}
		for k, v := range s.Tags {
			tags = append(tags, map[string]string{"Key": k, "Value": v})
		}
		return map[string]any{"ARN": in.SecretID, "VersionIdsToStages": s.Stages, "Tags": tags}, err
	case "ListSecretVersionIds":
		list, err := secrets.History(a.ctx, in.SecretID)
		out := []map[string]any{}
		for _, v := range list {
			out = append(out, map[string]any{"VersionId": v.ID, "VersionStages": v.Stages, "CreatedDate": stamp(v.Created)})
		}
		return map[string]any{"ARN": in.SecretID, "Versions": out}, err
	case "GetSecretValue":
		v, err := secrets.Version(a.ctx, in.SecretID, in.VersionID)
		return map[string]any{"ARN": in.SecretID, "VersionId": v.ID, "SecretString": string(v.Value), "CreatedDate": stamp(v.Created)}, err
	case "PutSecretValue":
		return map[string]any{}, secrets.PutVersion(a.ctx, in.SecretID, in.ClientRequestToken, []byte(in.SecretString), in.VersionStages...)
	case "UpdateSecretVersionStage":
		return map[string]any{}, secrets.MoveStage(a.ctx, in.SecretID, in.VersionStage, in.MoveToVersionID, in.RemoveFromVersionID)
	case "TagResource":
		tags := map[string]string{}
		for _, t := range in.Tags {
			tags[t.Key] = t.Value
		}
		return map[string]any{}, secrets.Tag(a.ctx, in.SecretID, tags)
	}
	return nil, fmt.Errorf("nobody answers %s", action)
}

// deploy makes what a stack makes for the grants of a file, and takes those away that it doesn't name any more.
func (a *adoptAWS) deploy(file string) error {
	loaded, err := access.Load(file)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range loaded.Entries() {
		names = append(names, string(e.Grant.Name))
		p := e.Plan(access.Site{
			Partition: "aws", Account: a.world.Account(), Region: "eu-west-1", API: "https://api.example.com/v1/",
			SecretARN: "arn:aws:secretsmanager:eu-west-1:" + a.world.Account() + ":secret:" + e.Grant.Name.Secret() + "-AbCdEf",
		})
		if _, there := a.world.Plans[p.Grant]; !there && p.Adopted {
			if err := a.world.IAM.PutInlinePolicy(a.ctx, p.RoleName(), grant.RevocationPolicy, []byte(grant.OpenRevocation)); err != nil {
				return err
			}
		}
		if err := a.world.Deploy(a.ctx, p); err != nil {
			return err
		}
		a.world.RunRotations(a.ctx) //nolint:errcheck // of created roles, whose deploy has said so
	}
	for _, name := range a.deployed {
		if !slices.Contains(names, name) {
			p := a.world.Plans[grant.Name(name)]
			if err := a.world.CustomGrant(a.ctx, p.Grant, "Delete"); err != nil {
				return err
			}
			_ = a.world.IAM.DeleteInlinePolicy(a.ctx, p.RoleName(), grant.RevocationPolicy)
			delete(a.world.Plans, p.Grant)
		}
	}
	a.deployed = names
	return nil
}

type adoptKey struct{}

// The scripts run the real program against an embedded AWS of their own, whose functions are Countersign's:
//
//	role NAME FILE [KEY=VALUE…]    a role with this trust policy, and tags
//	inline NAME N                  an inline policy of about N characters on it
//	deploys                        the stack of access.yaml
//	rotates GRANT | looks GRANT | revokes GRANT | passes 48h
//	enters NAME FILE, ! enters …   whether the provider gets in with the ID in a file; "secret GRANT FILE" writes the current one
//	trusts NAME FILE               the trust policy is the one in the file; "keep NAME FILE" writes it
//	dies N                         the Nth further writing call, and all behind, fail; -1: none
//	wrote                          prints the writing calls since the last time
func TestAdoptStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/adopt",
		Setup: func(e *testscript.Env) error {
			a := newAdoptAWS()
			server := httptest.NewServer(a)
			e.Defer(server.Close)
			e.Values[adoptKey{}] = a
			operatorAt(e, server.URL)
			e.Setenv("ROLE", "arn:aws:iam::444455556666:role")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"narrow": cmdNarrow, "world": cmdWorld, "without": cmdWithout},
	})
}

// cmdWithout fails if a file holds what stands in another one: an external ID.
func cmdWithout(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: without ID-FILE FILE…")
	}
	id := strings.TrimSpace(ts.ReadFile(args[0]))
	for _, file := range args[1:] {
		if strings.Contains(ts.ReadFile(file), id) {
			ts.Fatalf("an external ID in %s", file)
		}
	}
}

// cmdWorld is what happens around the program.
func cmdWorld(ts *testscript.TestScript, neg bool, args []string) {
	a := ts.Value(adoptKey{}).(*adoptAWS)
	a.mu.Lock()
	defer a.mu.Unlock()
	w, ctx := a.world, a.ctx
	arn := func(name string) string {
		return "arn:aws:iam::" + w.Account() + ":role/" + strings.TrimPrefix(name, "/")
	}
	switch verb, args := args[0], args[1:]; verb {
	case "role":
		o := sim.RoleOptions{Tags: map[string]string{}}
		for _, t := range args[2:] {
			k, v, _ := strings.Cut(t, "=")
			o.Tags[k] = v
		}
		cut := strings.LastIndexByte(args[0], '/') + 1
		o.Path = "/" + args[0][:cut]
		_, err := w.IAM.CreateRole(args[0][cut:], []byte(ts.ReadFile(args[1])), o)
		ts.Check(err)
	case "inline":
		var n int
		_, _ = fmt.Sscan(args[1], &n)
		ts.Check(w.IAM.PutInlinePolicy(ctx, args[0], "big", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:`+strings.Repeat("x", n)+`","Resource":"*"}]}`)))
	case "deploys":
		ts.Check(a.deploy(ts.MkAbs("access.yaml")))
	case "rotates":
		ts.Check(w.Secrets.Rotate(ctx, w.Plans[grant.Name(args[0])].SecretARN, fmt.Sprintf("rotate-%032d", len(w.Calls()))))
		ts.Check(w.RunRotations(ctx))
	case "looks":
		_, err := w.Reconcile(ctx, grant.Name(args[0]))
		ts.Check(err)
	case "revokes":
		_, err := w.Revoke(ctx, grant.Name(args[0]), "project ended")
		ts.Check(err)
		_, err = w.Reconcile(ctx, grant.Name(args[0]))
		ts.Check(err)
	case "passes":
		d, err := time.ParseDuration(args[0])
		ts.Check(err)
		w.Sleep(ctx, d)
	case "enters":
		id := strings.TrimSpace(ts.ReadFile(args[1]))
		in := w.STS.Verdict(simtest.Provider, arn(args[0]), id, "jdoe", sim.Assume{}).Effect == "allow"
		if in == neg {
			ts.Fatalf("the provider enters %s with the ID in %s: %v", args[0], args[1], in)
		}
	case "secret":
		p := w.Plans[grant.Name(args[0])]
		_, value := w.Secrets.Labelled(p.SecretARN, grant.StageCurrent)
		var v struct{ ExternalID string }
		ts.Check(json.Unmarshal(value, &v))
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(v.ExternalID), 0o600))
	case "keep", "trusts":
		r, err := w.IAM.Role(ctx, args[0])
		ts.Check(err)
		if verb == "keep" {
			ts.Check(os.WriteFile(ts.MkAbs(args[1]), r.Trust, 0o600))
		} else if same := string(r.Trust) == ts.ReadFile(args[1]); same == neg {
			ts.Fatalf("the trust policy of %s is as in %s: %v", args[0], args[1], same)
		}
	case "dies":
		_, _ = fmt.Sscan(args[0], &a.dies)
	case "wrote":
		_, _ = ts.Stdout().Write([]byte(strings.Join(append(a.calls, ""), "\n")))
		a.calls = nil
	default:
		ts.Fatalf("unknown verb %s", verb)
	}
}
