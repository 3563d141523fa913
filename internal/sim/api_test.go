package sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

type (
	proxied  = lambdaevents.APIGatewayProxyRequest
	answered = lambdaevents.APIGatewayProxyResponse
)

const mayInvoke = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}]}`

// templatePolicy is the API's policy of the synthesised example template, for the world's account.
func templatePolicy(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("../../infra/testdata/example.template.json")
	must(t, err)
	var template struct {
		Resources map[string]struct {
			Type       string
			Properties struct{ Policy json.RawMessage }
		}
	}
	must(t, json.Unmarshal(text, &template))
	for _, r := range template.Resources {
		if r.Type == "AWS::ApiGateway::RestApi" {
			var policy any
			must(t, json.Unmarshal(r.Properties.Policy, &policy))
			out, err := json.Marshal(resolved(policy))
			must(t, err)
			return out
		}
	}
	t.Fatal("the template has no API")
	return nil
}

// resolved replaces what CloudFormation would.
func resolved(tree any) any {
	switch v := tree.(type) {
	case []any:
		for i := range v {
			v[i] = resolved(v[i])
		}
	case map[string]any:
		if sub, ok := v["Fn::Sub"].(string); ok {
			return strings.NewReplacer("${AWS::Partition}", "aws", "${AWS::AccountId}", "444455556666").Replace(sub)
		}
		if v["Ref"] == "AWS::AccountId" {
			return "444455556666"
		}
		for key := range v {
			v[key] = resolved(v[key])
		}
	}
	return tree
}

// operated is a world with an API as the template has it, whose one function answers who called.
func operated(t *testing.T) (*sim.World, *sim.API) {
	t.Helper()
	w := deployed(t, sim.Config{})
	api := w.API("countersign")
	must(t, api.SetPolicy(templatePolicy(t)))
	api.Route("POST", "/grants/{grant}/revoke", "revoke", 25*time.Second, func(_ context.Context, r proxied) (answered, error) {
		return answered{StatusCode: http.StatusAccepted, Body: r.PathParameters["grant"] + " by " + r.RequestContext.Identity.UserArn + " of " + r.RequestContext.Identity.AccountID}, nil
	})
	return w, api
}

func TestTheTemplatesAPILetsOperatorsInAndNobodyElse(t *testing.T) {
	w, api := operated(t)
	open(t, w)
	must(t, w.IAM.PutInlinePolicy(t.Context(), roleName, "MayInvoke", []byte(mayInvoke)))
	granted := enter(t, w)
	// A role outside the default path is known by its tag.
	tagged, err := w.IAM.CreateRole("Tagged", trusting("arn:aws:iam::444455556666:root", ""), sim.RoleOptions{Tags: map[string]string{grant.TagGrant: "audit"}})
	must(t, err)
	must(t, w.IAM.PutInlinePolicy(t.Context(), "Tagged", "MayInvoke", []byte(mayInvoke)))
	admin, err := w.IAM.CreateRole("Admin", trusting("arn:aws:iam::444455556666:root", ""), sim.RoleOptions{})
	must(t, err)
	session := func(role string) *sim.Session {
		s, err := w.STS.AssumeRole(t.Context(), "arn:aws:iam::444455556666:user/ann", role, "", "ann")
		must(t, err)
		return s
	}
	idle := session(admin)
	const reader = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:*:*:*/*/GET/*"}]}`
	const never = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"execute-api:*","Resource":"*"}]}`

	for _, c := range []struct {
		name   string
		who    sim.Caller
		status int
	}{
		{"nobody", sim.Caller{}, http.StatusForbidden},
		{"a user of the account", sim.Caller{ARN: "arn:aws:iam::444455556666:user/ann"}, http.StatusAccepted},
		{"the account's root user", sim.Caller{ARN: "arn:aws:iam::444455556666:root"}, http.StatusAccepted},
		{"a session of the account", sim.Caller{ARN: "arn:aws:sts::444455556666:assumed-role/OnCall/ann"}, http.StatusAccepted},
		{"a user whose policy allows reading only", sim.Caller{ARN: "arn:aws:iam::444455556666:user/ann", Policy: reader}, http.StatusForbidden},
		{"a user whose policy denies it", sim.Caller{ARN: "arn:aws:iam::444455556666:user/ann", Policy: never}, http.StatusForbidden},
		{"a role without permission", sim.Caller{Session: idle}, http.StatusForbidden},
		{"the granted role, whatever its policies allow", sim.Caller{Session: granted}, http.StatusForbidden},
		{"the granted role by its session's ARN", sim.Caller{ARN: granted.ARN}, http.StatusForbidden},
		{"a granted role outside the path", sim.Caller{Session: session(tagged)}, http.StatusForbidden},
		{"a user of another account", sim.Caller{ARN: "arn:aws:iam::111122223333:user/eve"}, http.StatusForbidden},
		{"another account's root user", sim.Caller{ARN: "arn:aws:iam::111122223333:root"}, http.StatusForbidden},
		{"something that is no principal", sim.Caller{ARN: "ann"}, http.StatusForbidden},
	} {
		got, err := api.Call(t.Context(), c.who, "POST", "/grants/migration/revoke", `{}`)
		if err != nil || got.StatusCode != c.status {
			t.Errorf("%s: %d %s, %v, want %d", c.name, got.StatusCode, got.Body, err, c.status)
		}
		if c.status == http.StatusAccepted && got.Body != "migration by "+c.who.ARN+" of 444455556666" {
			t.Errorf("%s: the function was told %q", c.name, got.Body)
		}
	}
	must(t, w.IAM.PutInlinePolicy(t.Context(), "Admin", "MayInvoke", []byte(mayInvoke)))
	if got, err := api.Call(t.Context(), sim.Caller{Session: idle}, "POST", "/grants/migration/revoke", ""); err != nil || got.StatusCode != http.StatusAccepted {
		t.Errorf("a role with permission: %d %s, %v", got.StatusCode, got.Body, err)
	}
	w.Advance(2 * time.Hour)
	if got, _ := api.Call(t.Context(), sim.Caller{Session: idle}, "POST", "/grants/migration/revoke", ""); got.StatusCode != http.StatusForbidden {
		t.Errorf("an expired session: %d", got.StatusCode)
	}
}

func TestAnAPIWithListedOperatorsLetsExactlyThemIn(t *testing.T) {
	_, api := operated(t)
	must(t, api.SetPolicy([]byte(`{"Version":"2012-10-17","Statement":[
		{"Sid":"Operators","Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"execute-api:/*","Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::444455556666:role/OnCall"}}},
		{"Sid":"Others","Effect":"Deny","Principal":"*","Action":"execute-api:Invoke","Resource":"execute-api:/*","Condition":{"Bool":{"aws:PrincipalIsAWSService":"false"},"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::444455556666:role/OnCall"}}}]}`)))
	const nothing = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
	for arn, status := range map[string]int{
		"arn:aws:sts::444455556666:assumed-role/OnCall/ann": http.StatusAccepted, // the API's own Allow is enough
		"arn:aws:sts::444455556666:assumed-role/Other/ann":  http.StatusForbidden,
	} {
		if got, err := api.Call(t.Context(), sim.Caller{ARN: arn, Policy: nothing}, "POST", "/grants/migration/revoke", ""); err != nil || got.StatusCode != status {
			t.Errorf("%s: %d %s, %v", arn, got.StatusCode, got.Body, err)
		}
	}
	if api.SetPolicy([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}]}`)) == nil {
		t.Error("a resource policy without a principal was taken")
	}
}

func TestWhatBecomesOfTheFunctionBehindAnAPI(t *testing.T) {
	operator := sim.Caller{ARN: "arn:aws:iam::444455556666:user/ann"}
	w, api := operated(t)
	finished := 0
	api.Route("GET", "/slow", "slow", 5*time.Minute, func(ctx context.Context, _ proxied) (answered, error) {
		err := w.Wait(ctx, time.Minute)
		finished++
		return answered{StatusCode: http.StatusOK}, err
	})
	api.Route("GET", "/late", "late", 25*time.Second, func(ctx context.Context, _ proxied) (answered, error) {
		return answered{StatusCode: http.StatusOK}, w.Wait(ctx, 26*time.Second)
	})
	api.Route("GET", "/broken", "broken", 25*time.Second, func(context.Context, proxied) (answered, error) { return answered{}, errors.New("broken") })
	for _, c := range []struct {
		path   string
		fault  sim.Fault // of the invocation
		status int
	}{
		{"/slow", sim.None, http.StatusGatewayTimeout},
		{"/late", sim.None, http.StatusBadGateway},
		{"/broken", sim.None, http.StatusBadGateway},
		{"/nowhere", sim.None, http.StatusForbidden},
		{"/grants/migration/revoke", sim.None, http.StatusForbidden}, // no GET
		{"/broken", sim.Throttle, http.StatusTooManyRequests},
	} {
		w.Schedule = func(call sim.Call) sim.Outcome {
			if call.Actor == "apigateway" {
				return sim.Outcome{Fault: c.fault}
			}
			return sim.Outcome{}
		}
		if got, err := api.Call(t.Context(), operator, "GET", c.path, ""); err != nil || got.StatusCode != c.status {
			t.Errorf("%s, %s: %d %s, %v", c.path, c.fault, got.StatusCode, got.Body, err)
		}
	}
	w.Schedule = func(call sim.Call) sim.Outcome {
		if call.Service == "execute-api" {
			return sim.Outcome{Fault: sim.Fail}
		}
		return sim.Outcome{}
	}
	if _, err := api.Call(t.Context(), operator, "GET", "/broken", ""); !errors.Is(err, grant.ErrUnavailable) {
		t.Errorf("a request that got no answer: %v", err)
	}

	// The caller's patience is its own: the function goes on.
	w.Schedule = nil
	before := finished
	ctx, cancel := w.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := api.Call(ctx, operator, "GET", "/slow", ""); !errors.Is(err, context.DeadlineExceeded) || finished != before+1 {
		t.Errorf("a caller with 5 s of patience: %v, finished %d times", err, finished)
	}
}
