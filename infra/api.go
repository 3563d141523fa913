package infra

import (
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigateway"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

const (
	stage          = "v1"
	requestsSecond = 10
	requestsBurst  = 20
)

// route is a method of the API and the function behind it.
type route struct {
	method, path string
	function     *function
}

func (s *ServiceProviderAccess) routes() []route {
	return []route{
		{"GET", "grants", s.operate},
		{"GET", "grants/{grant}", s.operate},
		{"POST", "grants/{grant}/revoke", s.revoke},
		{"POST", "grants/{grant}/restore", s.revoke},
		{"POST", "grants/{grant}/rotate", s.operate},
		{"POST", "grants/{grant}/pause", s.operate},
		{"POST", "grants/{grant}/resume", s.operate},
		{"POST", "grants/{grant}/test", s.operate},
		{"POST", "grants/{grant}/confirm", s.confirm},
	}
}

// createAPI makes the operators' REST API. Every method asks IAM. It writes no logs, for those need a role that is set for
// the whole account and Region; the functions log who called.
func (s *ServiceProviderAccess) createAPI() {
	policy := s.apiPolicy()
	s.api = awsapigateway.NewCfnRestApi(s.Construct, new("Api"), &awsapigateway.CfnRestApiProps{
		Name: new(s.name("")), Description: new("Countersign: operators' API"), Policy: policy,
		EndpointConfiguration: &awsapigateway.CfnRestApi_EndpointConfigurationProperty{Types: &[]*string{new("REGIONAL")}},
	})
	folder := map[string]*string{"": s.api.AttrRootResourceId()}
	for _, r := range []struct{ path, parent, part, id string }{
		{"grants", "", "grants", "ApiGrants"},
		{"grants/{grant}", "grants", "{grant}", "ApiGrant"},
		{"grants/{grant}/revoke", "grants/{grant}", "revoke", "ApiRevoke"},
		{"grants/{grant}/restore", "grants/{grant}", "restore", "ApiRestore"},
		{"grants/{grant}/rotate", "grants/{grant}", "rotate", "ApiRotate"},
		{"grants/{grant}/pause", "grants/{grant}", "pause", "ApiPause"},
		{"grants/{grant}/resume", "grants/{grant}", "resume", "ApiResume"},
		{"grants/{grant}/test", "grants/{grant}", "test", "ApiTest"},
		{"grants/{grant}/confirm", "grants/{grant}", "confirm", "ApiConfirm"},
	} {
		folder[r.path] = awsapigateway.NewCfnResource(s.Construct, &r.id, &awsapigateway.CfnResourceProps{
			RestApiId: s.api.Ref(), ParentId: folder[r.parent], PathPart: &r.part,
		}).Ref()
	}

	var methods []awsapigateway.CfnMethod
	content := []any{policy}
	for _, r := range s.routes() {
		uri := text("arn:" + partition + ":apigateway:" + region + ":lambda:path/2015-03-31/functions/" + *r.function.arn() + "/invocations")
		methods = append(methods, awsapigateway.NewCfnMethod(s.Construct, new(routeID(r)), &awsapigateway.CfnMethodProps{
			RestApiId: s.api.Ref(), ResourceId: folder[r.path], HttpMethod: &r.method, AuthorizationType: new("AWS_IAM"),
			Integration: &awsapigateway.CfnMethod_IntegrationProperty{
				Type: new("AWS_PROXY"), IntegrationHttpMethod: new("POST"), Uri: uri,
			},
		}))
		content = append(content, r.method, r.path, *uri)
	}
	// What is deployed is a copy of methods and policy: each change of them needs a deployment of its own.
	deployment := awsapigateway.NewCfnDeployment(s.Construct, new("ApiDeployment"+s.hash(content...)[:8]), &awsapigateway.CfnDeploymentProps{
		RestApiId: s.api.Ref(), Description: new("Countersign: methods and policy"),
	})
	for _, m := range methods {
		deployment.AddResourceDependency(m, nil)
	}
	awsapigateway.NewCfnStage(s.Construct, new("ApiStage"), &awsapigateway.CfnStageProps{
		RestApiId: s.api.Ref(), DeploymentId: deployment.Ref(), StageName: new(stage),
		MethodSettings: &[]any{&awsapigateway.CfnStage_MethodSettingProperty{
			HttpMethod: new("*"), ResourcePath: new("/*"),
			ThrottlingRateLimit: new(float64(requestsSecond)), ThrottlingBurstLimit: new(float64(requestsBurst)),
		}},
	})
	s.operate.letInvoke("Api", "apigateway.amazonaws.com", text(s.apiARN()+"/"+stage+"/*/grants*"), nil)
	s.confirm.letInvoke("Api", "apigateway.amazonaws.com", text(s.apiARN()+"/"+stage+"/POST/grants/*/confirm"), nil)
	for _, verb := range []string{"Revoke", "Restore"} {
		s.revoke.letInvoke("Api"+verb, "apigateway.amazonaws.com", text(s.apiARN()+"/"+stage+"/POST/grants/*/"+strings.ToLower(verb)), nil)
	}
}

func routeID(r route) string {
	name := map[string]string{
		"grants": "Grants", "grants/{grant}": "Grant", "grants/{grant}/revoke": "Revoke", "grants/{grant}/rotate": "Rotate",
		"grants/{grant}/restore": "Restore", "grants/{grant}/pause": "Pause", "grants/{grant}/resume": "Resume", "grants/{grant}/test": "Test",
		"grants/{grant}/confirm": "Confirm",
	}[r.path]
	return "Api" + name + r.method
}

// apiPolicy lets the account's principals in whose own policies allow it, or exactly the operators of access.yaml; and granted
// roles to what they may ask of their own grant. Whose grant it is the handlers see: a policy's condition can't.
func (s *ServiceProviderAccess) apiPolicy() map[string]any {
	const invoke = "execute-api:Invoke"
	others := s.denyOthers("Others", nil, invoke)
	callers := allow("Account", invoke).by(root(account))
	if operators := s.props.Access.Operators; len(operators) > 0 {
		others = others.when("ArnNotLike", "aws:PrincipalArn", append(s.operators(), s.grantedRoles()...)...)
		callers = allow("Operators", invoke).by(everybody).when("ArnLike", "aws:PrincipalArn", operators...)
	}
	var own []string
	for _, act := range s.providerActs() {
		own = append(own, "execute-api:/"+stage+"/POST/grants/*/"+string(act))
	}
	statements := []statement{callers.on("execute-api:/*"), others.on("execute-api:/*")}
	if len(own) > 0 {
		statements = append(statements, allow("OwnGrant", invoke).by(everybody).
			when("StringEquals", "aws:PrincipalAccount", account).when("Null", grantTagOfPrincipal, "false").on(own...))
	}
	for _, d := range s.denyGranted(invoke) {
		if len(own) > 0 {
			d = d.notOn(own...)
		} else {
			d = d.on("execute-api:/*")
		}
		statements = append(statements, d)
	}
	return document(statements...)
}

// providerActs are what any of the granted roles may ask for.
func (s *ServiceProviderAccess) providerActs() (acts []grant.ProviderAct) {
	for _, act := range grant.ProviderActs {
		if slices.ContainsFunc(s.entries, func(e access.Entry) bool { return e.Grant.Lets(act) }) {
			acts = append(acts, act)
		}
	}
	return acts
}

// apiARN is the API's ARN for execute-api.
func (s *ServiceProviderAccess) apiARN() string { return arn("execute-api", *s.api.Ref()) }

// apiURL is where the API answers, with a slash at its end.
func (s *ServiceProviderAccess) apiURL() string {
	return *text("https://" + *s.api.Ref() + ".execute-api." + region + "." + urlSuffix + "/" + stage + "/")
}
