package infra

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/constructs-go/constructs/v10"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// grantParts are the resources of one grant.
//
// CloudFormation deletes in the opposite order of making: Custom::Grant closes the grant, then go the permissions that are
// the template's own, then guard and expiry, the Deny of a revocation, and last the role. Policies of AWS's or the
// customer's go with the role.
type grantParts struct {
	constructs.Construct
	access.Entry

	role     awsiam.CfnRole              // nil where the role is adopted
	secret   awssecretsmanager.CfnSecret // nil where the grant has no external ID
	plan     awsssm.CfnParameter
	schedule awscdk.CfnResource // nil where nothing is scheduled
	start    awscdk.CfnResource // Custom::Grant

	waits  []awscdk.CfnResource // what Custom::Grant needs to stand
	digest []any                // what it has to look at again when it changes
}

// createGrant makes everything of a grant but what starts it.
func (s *ServiceProviderAccess) createGrant(e access.Entry) {
	g := &grantParts{Construct: constructs.NewConstruct(s.Construct, new(access.Logical(e.Grant.Name))), Entry: e}
	s.grants = append(s.grants, g)
	if e.Grant.ExternalID {
		s.createSecret(g)
	}
	if e.Grant.Adopted {
		s.adoptRole(g)
	} else {
		s.createRole(g)
	}
	s.createPlan(g)
	if rule := s.forwards[e.Provider]; rule != nil {
		g.needs(rule)
	}
}

// createRole makes the role, which lets nobody in, with the Denies that bind it and the permissions of access.yaml. A role
// of another name is another role: its parts get ids of their own, so that the old role stays bound until it is deleted.
func (s *ServiceProviderAccess) createRole(g *grantParts) {
	e := g.Grant
	id := "Role"
	if e.RolePath != grant.DefaultRolePath || e.RoleName != e.Name.DefaultRole() {
		id += s.hash(e.RolePath, e.RoleName)[:8]
	}
	scope := constructs.NewConstruct(g.Construct, &id)
	var managed []any
	for _, p := range e.Permissions {
		if arn := p.PolicyARN(partition); arn != "" {
			managed = append(managed, *text(arn))
		}
	}
	if e.PickUp.Session {
		managed = append(managed, *s.pickUp.Ref())
	}
	born := parsed(trust.BornDocument)
	description := fmt.Sprintf("Countersign: %s enters here by grant %s", g.Provider.Name, e.Name)
	props := &awsiam.CfnRoleProps{
		RoleName: &e.RoleName, Path: &e.RolePath, Description: &description,
		AssumeRolePolicyDocument: born,
		MaxSessionDuration:       new(e.MaxSession.Seconds()),
		Tags:                     s.roleTags(g),
	}
	if len(managed) > 0 {
		props.ManagedPolicyArns = &managed
	}
	if e.Boundary != "" {
		props.PermissionsBoundary = e.Boundary
	}
	g.role = awsiam.NewCfnRole(scope, new("Role"), props)
	g.role.AddResourceDependency(s.layout, nil)
	g.changes("role", e.RoleName, e.RolePath, description, e.MaxSession.Seconds(), managed, e.Boundary, born)

	revocation := s.bind(g, scope, grant.RevocationPolicy, parsed(grant.OpenRevocation))
	binding := []awscdk.CfnResource{s.bind(g, scope, grant.GuardPolicy, s.guard(g.Entry))}
	if !e.Expires.IsZero() {
		binding = append(binding, s.bind(g, scope, grant.ExpiryPolicy, document(
			deny("CountersignExpired", "*").on("*").when("DateGreaterThan", "aws:CurrentTime", e.Expires.UTC().Format(time.RFC3339)))))
	}
	for _, b := range binding {
		b.AddResourceDependency(revocation, nil)
	}

	for _, p := range e.Permissions {
		if p.File == "" {
			continue
		}
		doc := parsed(string(p.Document))
		policy := awsiam.NewCfnManagedPolicy(scope, new("Permission"+s.hash(p.File)[:8]), &awsiam.CfnManagedPolicyProps{
			Description: new(grant.PolicyDescription(p.File, e.Name)), PolicyDocument: doc,
			Roles: &[]any{g.role.Ref()},
		})
		for _, b := range binding {
			policy.AddResourceDependency(b, nil)
		}
		g.needs(policy)
		g.changes("permission", p.File, doc)
	}
}

// bind gives the role an inline policy of a fixed name, as a resource of its own: so a deploy leaves a body alone that
// didn't change in the template, whatever functions/revoke wrote into it, and a delete removes it.
func (s *ServiceProviderAccess) bind(g *grantParts, scope constructs.Construct, name string, doc map[string]any) awscdk.CfnResource {
	policy := awsiam.NewCfnPolicy(scope, new(strings.TrimPrefix(name, "Countersign")), &awsiam.CfnPolicyProps{
		PolicyName: &name, PolicyDocument: doc, Roles: &[]*string{g.roleName()},
	})
	g.needs(policy)
	g.changes("inline", name, doc)
	return policy
}

// adoptRole makes what the template adds to a role that was there before: the policy in which a Deny of a revocation stands.
// What else is the role's, its trust policy above all, the template never names.
func (s *ServiceProviderAccess) adoptRole(g *grantParts) {
	e := g.Grant
	scope := constructs.NewConstruct(g.Construct, new("Adopted"+s.hash(e.RolePath, e.RoleName)[:8]))
	revocation := s.bind(g, scope, grant.RevocationPolicy, parsed(grant.OpenRevocation))
	revocation.AddResourceDependency(s.layout, nil)
	g.changes("adopted", e.RoleName, e.RolePath)
}

// roleName is the name of the grant's role, as a policy takes it.
func (g *grantParts) roleName() *string {
	if g.role == nil {
		return &g.Grant.RoleName
	}
	return g.role.Ref()
}

// roleARN is the ARN of the grant's role.
func (g *grantParts) roleARN() string {
	if g.role == nil {
		return *text(role(g.Entry))
	}
	return *g.role.AttrArn()
}

// createPlan writes what the functions know of the grant. Only CloudFormation writes it.
func (s *ServiceProviderAccess) createPlan(g *grantParts) {
	where := access.Site{Partition: partition, Account: account, Region: region}
	if g.secret != nil {
		where.SecretARN, where.KeyARN, where.API = *g.secret.Ref(), *s.key.AttrArn(), s.apiURL()
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // tokens stand in the text
	if err := enc.Encode(g.Plan(where)); err != nil {
		panic(fmt.Errorf("writing plan of %s: %w", g.Grant.Name, err))
	}
	value := *text(strings.TrimSpace(body.String()))
	g.plan = awsssm.NewCfnParameter(g.Construct, new("Plan"), &awsssm.CfnParameterProps{
		Name: new(g.Grant.Name.Parameter()), Type: new("String"), Value: &value,
	})
	g.plan.AddResourceDependency(s.layout, nil)
	g.needs(g.plan)
	g.changes("plan", value)
}

// startGrant makes Custom::Grant, which starts the first rotation, follows changes, and closes the grant when it goes.
func (s *ServiceProviderAccess) startGrant(g *grantParts) {
	g.start = awscdk.NewCfnResource(g.Construct, new("Grant"), &awscdk.CfnResourceProps{
		Type: new("Custom::Grant"),
		Properties: &map[string]any{
			"ServiceToken":   s.reconcile.serviceToken(),
			"ServiceTimeout": fmt.Sprint(customResourceTimeout),
			"Grant":          string(g.Grant.Name),
			"Digest":         s.hash(g.digest...),
		},
	})
	for _, r := range append(append(g.waits, s.layout, s.key), s.permissions...) {
		g.start.AddResourceDependency(r, nil)
	}
}

// needs notes what must stand before the grant starts, and until it has closed.
func (g *grantParts) needs(r awscdk.CfnResource) { g.waits = append(g.waits, r) }

// changes notes what makes reconcile look at the grant in the same deploy.
func (g *grantParts) changes(values ...any) { g.digest = append(g.digest, values) }

func (s *ServiceProviderAccess) grantNames() string {
	var names []string
	for _, g := range s.grants {
		names = append(names, string(g.Grant.Name))
	}
	return strings.Join(names, ",")
}

// parsed reads a policy that was validated before.
func parsed(policy string) map[string]any {
	var out map[string]any
	if err := json.Unmarshal([]byte(policy), &out); err != nil {
		panic(fmt.Errorf("reading a policy: %w", err))
	}
	return out
}
