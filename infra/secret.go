package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"

	"github.com/countersign/countersign/internal/grant"
)

// createSecret makes the secret of the grant's external IDs, without one: its value in the template is a constant, so that
// no deploy ever writes a version.
func (s *ServiceProviderAccess) createSecret(g *grantParts) {
	description := "Countersign: external ID of grant " + string(g.Grant.Name)
	g.secret = awssecretsmanager.NewCfnSecret(g.Construct, new("Secret"), &awssecretsmanager.CfnSecretProps{
		Name: new(g.Grant.Name.Secret()), Description: &description,
		KmsKeyId: s.key.AttrArn(), SecretString: new(grant.BornSecret),
		Tags: &[]*awscdk.CfnTag{{Key: new(grant.TagGrant), Value: new(string(g.Grant.Name))}},
	})
	g.secret.ApplyRemovalPolicy(awscdk.RemovalPolicy_DESTROY, nil)
	g.secret.AddResourceDependency(s.layout, nil)
	doc := s.secretPolicy(g)
	policy := awssecretsmanager.NewCfnResourcePolicy(g.Construct, new("SecretPolicy"), &awssecretsmanager.CfnResourcePolicyProps{
		SecretId: g.secret.Ref(), ResourcePolicy: doc, BlockPublicPolicy: true,
	})
	g.needs(policy)
	g.changes("secret", description, grant.BornSecret, doc)
}

// scheduleRotation makes the grant's schedule, if it has one. Secrets Manager tries the function at once, with a step that
// changes nothing, so what the function needs stands first.
func (s *ServiceProviderAccess) scheduleRotation(g *grantParts) {
	when := g.Grant.Schedule()
	if g.secret == nil {
		return
	}
	props := &awssecretsmanager.CfnRotationScheduleProps{
		SecretId: g.secret.Ref(), RotationLambdaArn: s.rotate.arn(), RotateImmediatelyOnUpdate: false,
	}
	if !when.IsZero() {
		rules := &awssecretsmanager.CfnRotationSchedule_RotationRulesProperty{ScheduleExpression: &when.Expression}
		if when.Duration != "" {
			rules.Duration = &when.Duration
		}
		props.RotationRules = rules
	}
	g.schedule = awssecretsmanager.NewCfnRotationSchedule(g.Construct, new("Schedule"), props)
	for _, r := range append([]awscdk.CfnResource{g.plan}, s.permissions...) {
		g.schedule.AddResourceDependency(r, nil)
	}
	g.needs(g.schedule)
	g.changes("schedule", when.Expression, when.Duration)
}

var (
	readSecret  = []string{"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"}
	writeSecret = []string{"secretsmanager:PutSecretValue", "secretsmanager:UpdateSecret"}
)

// secretPolicy says who reaches the secret beside those whose own policies let them: the provider reads it from its
// account; a granted role may at most read its own. Either ends where access.yaml's pickUp leaves it out.
func (s *ServiceProviderAccess) secretPolicy(g *grantParts) map[string]any {
	const revoked, restored = "aws:ResourceTag/" + grant.TagRevoked, "aws:ResourceTag/" + grant.TagRestored
	provider := allow("Provider", readSecret...).by(root(g.Provider.Account))
	for operator, keys := range g.Provider.TrustConditions(partition) {
		for key, values := range keys {
			provider = provider.when(operator, key, values...)
		}
	}
	restoredProvider := provider.with("Sid", "RestoredProvider")

	own := role(g.Entry)
	name := string(g.Grant.Name)
	ownRole := deny("OwnRole", "secretsmanager:*")
	if g.Grant.PickUp.Session {
		ownRole = denyAllBut("OwnRole", readSecret...)
	}
	var statements []statement
	if g.Grant.PickUp.Account {
		statements = []statement{
			// Not while the grant is revoked: the tag names the revocation that stands, or the one that was undone.
			provider.when("Null", revoked, "true"),
			restoredProvider.when("StringEquals", revoked, "${"+restored+"}"),
		}
	}
	statements = append(statements,
		deny("GrantedRoles", "secretsmanager:*").by(everybody).
			when("ArnLike", "aws:PrincipalArn", arnIn("", "iam", "role"+grant.DefaultRolePath+"*")).
			when("ArnNotEquals", "aws:PrincipalArn", own),
		deny("TaggedRoles", "secretsmanager:*").by(everybody).
			when("Null", grantTagOfPrincipal, "false").
			when("StringNotEquals", grantTagOfPrincipal, name),
		ownRole.by(everybody).when("ArnEquals", "aws:PrincipalArn", own),

		deny("OurReaders", "secretsmanager:GetSecretValue").by(everybody).
			when("ArnEquals", "aws:PrincipalArn", arnsOf([]*function{s.revoke, s.operate, s.confirm, s.notify})...),
		deny("OurWriters", writeSecret...).by(everybody).
			when("ArnEquals", "aws:PrincipalArn", arnsOf([]*function{s.reconcile, s.revoke, s.operate, s.confirm, s.notify})...),
	)
	statements = append(statements, s.denyOtherReaders(g, own))
	statements = append(statements, s.denyOtherWriters()...)
	for i := range statements {
		statements[i] = statements[i].on("*")
	}
	return document(statements...)
}

// denyOtherReaders is denyOthers for the value, which the provider and the grant's own role may read besides.
func (s *ServiceProviderAccess) denyOtherReaders(g *grantParts, own string) statement {
	d := deny("Readers", "secretsmanager:GetSecretValue").by(everybody).when("Bool", "aws:PrincipalIsAWSService", "false")
	ways := g.Grant.PickUp
	if len(s.props.Access.Operators) == 0 {
		accounts := []string{account}
		if ways.Account {
			accounts = append(accounts, g.Provider.Account)
		}
		return d.when("StringNotEquals", "aws:PrincipalAccount", accounts...)
	}
	readers := arnsOf([]*function{s.rotate, s.reconcile})
	if ways.Session {
		readers = append(readers, own)
	}
	if ways.Account {
		readers = append(readers, "arn:"+partition+":iam::"+g.Provider.Account+":*")
	}
	return d.when("ArnNotLike", "aws:PrincipalArn", append(readers, s.operators()...)...)
}

// denyOtherWriters are denyOthers for everything but reading.
func (s *ServiceProviderAccess) denyOtherWriters() []statement {
	if len(s.props.Access.Operators) == 0 {
		rest := s.denyOthers("Others", nil)
		delete(rest, "Action")
		return []statement{rest.with("NotAction", oneOrMany(readSecret))}
	}
	return []statement{
		s.denyOthers("Values", []*function{s.rotate}, writeSecret...),
		s.denyOthers("Labels", []*function{s.rotate, s.revoke, s.operate}, "secretsmanager:UpdateSecretVersionStage"),
		s.denyOthers("Rotations", []*function{s.reconcile, s.revoke, s.operate}, "secretsmanager:RotateSecret", "secretsmanager:CancelRotateSecret"),
		s.denyOthers("Tags", []*function{s.rotate, s.reconcile, s.revoke, s.operate, s.confirm}, "secretsmanager:TagResource"),
		s.denyOthers("Rest", nil, "secretsmanager:UntagResource", "secretsmanager:PutResourcePolicy",
			"secretsmanager:DeleteResourcePolicy", "secretsmanager:DeleteSecret"),
	}
}
