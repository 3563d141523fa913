package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/countersign/countersign/internal/grant"
)

// gatewayPatience is how long API Gateway waits for a function. The function runs on.
const gatewayPatience = 29 * time.Second

// API is one REST API of AWS API Gateway whose methods all ask IAM. What a caller may do is decided as AWS decides it: a Deny
// in the API's or the caller's policies refuses; within the account one Allow in either is enough, but one for the account as a
// whole only lets the callers' own policies decide; of another account both must allow.
type API struct {
	Name   string
	w      *World
	id     string
	policy *policy
	routes []apiRoute
}

type apiRoute struct {
	method   string
	path     []string
	function string
	timeout  time.Duration
	handle   APIHandler
}

// APIHandler is a function behind an API, with proxy integration.
type APIHandler func(context.Context, lambdaevents.APIGatewayProxyRequest) (lambdaevents.APIGatewayProxyResponse, error)

// Caller is who signs a request. The zero value hasn't signed.
type Caller struct {
	// Session is a session of a role that exists here: the role's policies are evaluated, as they stand.
	Session *Session
	// ARN is anybody else: a user, a root user, a session.
	// A role that exists here has its path and tags; its policies are not asked.
	ARN string
	// Policy is the ARN's identity policy. Empty: an administrator's, who may do everything.
	Policy string
}

// API is the API of that name; it is made when first asked for, without a policy and without methods.
func (w *World) API(name string) *API {
	a, ok := w.apis[name]
	if !ok {
		if w.apis == nil {
			w.apis = map[string]*API{}
		}
		a = &API{Name: name, w: w, id: fmt.Sprintf("api%d", len(w.apis)+1)}
		w.apis[name] = a
	}
	return a
}

// SetPolicy sets the resource policy, as a deployment of the API does. "execute-api:/…" stands for this API's own ARN.
func (a *API) SetPolicy(document []byte) error {
	p, err := parsePolicy(document)
	if err == nil {
		err = checkResourcePolicy(p)
	}
	if err != nil {
		return err
	}
	for i := range p.statements {
		for j, resource := range p.statements[i].resources {
			if rest, ok := strings.CutPrefix(resource, "execute-api:/"); ok {
				p.statements[i].resources[j] = a.arn() + "/" + rest
			}
		}
	}
	a.policy = p
	return nil
}

func checkResourcePolicy(p *policy) error {
	for _, s := range p.statements {
		if s.principals == nil || s.resources == nil {
			return malformed("Invalid policy document: a statement needs Principal and Resource.")
		}
	}
	return checkSids(p)
}

func (a *API) arn() string {
	return fmt.Sprintf("arn:aws:execute-api:%s:%s:%s", a.w.cfg.Region, a.w.cfg.Account, a.id)
}

// Route puts a function behind a method and a path like /grants/{grant}/revoke; timeout is the function's own.
func (a *API) Route(method, path, function string, timeout time.Duration, handle APIHandler) {
	a.routes = append(a.routes, apiRoute{method, parts(path), function, timeout, handle})
}

func parts(path string) []string { return strings.Split(strings.Trim(path, "/"), "/") }

// Call is one request. A refusal is an answer with a status, as over HTTP: 403 by API Gateway with a "message", 502 where the
// function died, 504 where it took too long. The error says that no answer came.
func (a *API) Call(ctx context.Context, who Caller, method, path, body string) (lambdaevents.APIGatewayProxyResponse, error) {
	return step(ctx, a.w, "execute-api", "Invoke", method+" "+path, func() (lambdaevents.APIGatewayProxyResponse, error) {
		identity, why := a.admit(who, method, path)
		if why != "" {
			return answered(http.StatusForbidden, why), nil
		}
		for _, r := range a.routes {
			if parameters, ok := r.matches(method, path); ok {
				return a.run(ctx, r, proxied(identity, method, path, body, parameters)), nil
			}
		}
		return answered(http.StatusForbidden, "Missing Authentication Token"), nil // what AWS says where there is no method
	})
}

func answered(status int, message string) lambdaevents.APIGatewayProxyResponse {
	body, _ := json.Marshal(map[string]string{"message": message})
	return lambdaevents.APIGatewayProxyResponse{StatusCode: status, Body: string(body)}
}

func proxied(who identity, method, path, body string, parameters map[string]string) lambdaevents.APIGatewayProxyRequest {
	r := lambdaevents.APIGatewayProxyRequest{HTTPMethod: method, Path: path, Body: body, PathParameters: parameters}
	r.RequestContext.Identity = lambdaevents.APIGatewayRequestIdentity{UserArn: who.arn, AccountID: accountOf(who.arn), Caller: who.arn}
	r.RequestContext.HTTPMethod = method
	return r
}

func (r apiRoute) matches(method, path string) (map[string]string, bool) {
	have := parts(path)
	if r.method != method || len(have) != len(r.path) {
		return nil, false
	}
	parameters := map[string]string{}
	for i, part := range r.path {
		if strings.HasPrefix(part, "{") {
			parameters[strings.Trim(part, "{}")] = have[i]
		} else if part != have[i] {
			return nil, false
		}
	}
	return parameters, true
}

// run invokes the function. Who called may give up: the function doesn't notice.
func (a *API) run(ctx context.Context, r apiRoute, in lambdaevents.APIGatewayProxyRequest) (out lambdaevents.APIGatewayProxyResponse) {
	start := a.w.now
	err := do(As(context.WithoutCancel(ctx), "apigateway"), a.w, "lambda", "Invoke", r.function, func() error {
		return a.w.Invoke(context.WithoutCancel(ctx), r.function, func(ctx context.Context) error {
			ctx, cancel := a.w.WithTimeout(ctx, r.timeout)
			defer cancel()
			var err error
			if out, err = r.handle(ctx, in); err != nil {
				return err
			}
			return ctx.Err()
		})
	})
	switch {
	case a.w.now.Sub(start) > gatewayPatience:
		return answered(http.StatusGatewayTimeout, "Endpoint request timed out")
	case errors.Is(err, grant.ErrThrottled):
		return answered(http.StatusTooManyRequests, "Too Many Requests")
	case err != nil:
		return answered(http.StatusBadGateway, "Internal server error")
	}
	return out
}

// identity is a caller as policies see it.
type identity struct {
	arn  string // of the caller: of a session its own
	role string // of a session: its role's, path included; else the caller's
	keys map[string][]string
	tags map[string]string
}

var assumedForm = regexp.MustCompile(`^arn:aws:sts::(\d{12}):assumed-role/([^/]+)/[^/]+$`)

func (w *World) identify(who Caller) (identity, bool) {
	id := identity{arn: who.ARN, role: who.ARN}
	switch s := who.Session; {
	case s != nil:
		r := w.STS.role(s.RoleARN)
		if r == nil || !w.now.Before(s.Expires) {
			return identity{}, false
		}
		id.arn, id.role, id.tags = s.ARN, s.RoleARN, r.tags
	case assumedForm.MatchString(who.ARN):
		m := assumedForm.FindStringSubmatch(who.ARN)
		id.role = "arn:aws:iam::" + m[1] + ":role/" + m[2]
		if r := w.IAM.roles[strings.ToLower(m[2])]; r != nil && m[1] == w.cfg.Account {
			id.role, id.tags = r.arn, r.tags
		}
	case !rootForm.MatchString(who.ARN) && !principalForm.MatchString(who.ARN):
		return identity{}, false
	}
	id.keys = map[string][]string{"aws:principalisawsservice": {"false"}}
	return id, true
}

// admit says why a caller may not make the request; "" where it may.
func (a *API) admit(who Caller, method, path string) (identity, string) {
	id, known := a.w.identify(who)
	if !known {
		return id, "Missing Authentication Token"
	}
	arn := a.arn() + "/v1/" + method + "/" + strings.Trim(path, "/")
	refused := fmt.Sprintf("User: %s is not authorized to perform: execute-api:Invoke on resource: %s", id.arn, arn)
	ok, denies := a.w.decides(who, &apiRequest{id: id, request: request{action: "execute-api:Invoke", resource: arn, keys: id.keys}}, a.policy)
	switch {
	case denies:
		return id, refused + " with an explicit deny"
	case ok:
		return id, ""
	}
	return id, refused
}

// decides says whether a caller may make a request of something with a resource policy, and whether it is denied in words.
func (w *World) decides(who Caller, q *apiRequest, p *policy) (ok, denies bool) {
	session := who.Session
	if session == nil {
		session = &Session{RoleARN: q.id.role, ARN: q.id.arn, Issued: w.now, w: w}
	}
	q.request.at, q.request.session, q.request.role = w.now, session, &role{tags: q.id.tags}
	itsAllows, denies := w.identityAllows(who, q)
	its := q.judge(p)
	switch {
	case denies || its == denied:
		return false, true
	case accountOf(q.id.arn) != w.cfg.Account:
		return itsAllows && its != silent, false
	}
	return itsAllows || its == allowed, false
}

// identityAllows evaluates the caller's own policies.
func (w *World) identityAllows(who Caller, q *apiRequest) (allows, denies bool) {
	switch {
	case who.Session != nil:
		q.request.role = w.STS.role(who.Session.RoleARN)
		ok, why := w.IAM.permits(&q.request, w.replica(w.asked))
		return ok, strings.HasPrefix(why, "an explicit deny") || why == "the permissions boundary"
	case who.Policy == "":
		return true, false
	}
	p, err := w.cfg.Policies.identityPolicy([]byte(who.Policy))
	if err != nil {
		return false, true // a policy that IAM would not have taken
	}
	return p.evaluate(&q.request)
}

// apiRequest is a request as the API's own policy sees it.
type apiRequest struct {
	id      identity
	request request
}

// judgement is what a resource policy says.
type judgement int

const (
	silent    judgement = iota
	delegated           // allowed to the caller's account as a whole: the caller's own policies decide
	allowed             // to the caller
	denied
)

func (q *apiRequest) judge(p *policy) judgement {
	says := silent
	if p == nil {
		return says
	}
	for i := range p.statements {
		s := &p.statements[i]
		how := q.names(s)
		if how == silent || !s.matches(p.version, &q.request) {
			continue
		}
		if s.effect == "Deny" {
			return denied
		}
		says = max(says, how)
	}
	return says
}

// names says whether a statement names the caller: itself, or its account.
func (q *apiRequest) names(s *statement) judgement {
	if _, everybody := s.principals["*"]; everybody {
		return allowed
	}
	says := silent
	for _, arn := range s.principals["AWS"] {
		switch account := accountOf(q.id.arn); {
		case arn == "*", arn == q.id.arn, arn == q.id.role:
			return allowed
		case arn == account, rootForm.MatchString(arn) && accountOf(arn) == account:
			says = delegated
		}
	}
	if s.notPrinc {
		return silent // AWS advises against it, and nothing here needs it
	}
	return says
}
