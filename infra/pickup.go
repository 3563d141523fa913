package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

const readTags = "iam:ListRoleTags"

// createPickUp makes the policy that lets a session of a granted role read its own grant's secret, and its own role's tags,
// which say where that is. It names the grant by the role's tag, so that one policy serves all: one each would be too much for a
// template. Guard and secret's policy refuse the role everything else of ours, and name its grant in words; the Deny of a
// revocation refuses it this too.
func (s *ServiceProviderAccess) createPickUp() {
	const (
		own       = "${!" + grantTagOfPrincipal + "}" // within what Fn::Sub reads
		itsGrant  = "${" + grantTagOfPrincipal + "}"
		tagOfRole = "aws:ResourceTag/" + grant.TagGrant
	)
	roles := arnIn("", "iam", "role/*")
	secret := arn("secretsmanager", "secret:"+grant.SecretPrefix+own+"-??????")
	props := &awsiam.CfnManagedPolicyProps{
		Description: new(grant.PickUpDescription),
		PolicyDocument: document(
			allow("Secret", readSecret...).on(secret),
			allow("Key", "kms:Decrypt").on(*s.key.AttrArn()).
				when("StringEquals", "kms:ViaService", viaSecretsManager).
				when("StringLike", "kms:EncryptionContext:SecretARN", secret),
			allow("Tags", readTags).on(roles).when("StringEquals", tagOfRole, itsGrant),
			deny("OtherRolesTags", readTags).on(roles).when("Null", tagOfRole, "false").when("StringNotEquals", tagOfRole, itsGrant),
			deny("UntaggedRolesTags", readTags).on(arnIn("", "iam", "role"+grant.DefaultRolePath+"*")).when("Null", tagOfRole, "true"),
		),
	}
	if adopted := s.adoptedPickers(); len(adopted) > 0 {
		props.Roles = &adopted
	}
	s.pickUp = awsiam.NewCfnManagedPolicy(s.Construct, new("PickUp"), props)
}

// adoptedPickers are the adopted roles whose sessions read the external ID: no resource of the template could attach the
// policy to them.
func (s *ServiceProviderAccess) adoptedPickers() (roles []any) {
	for _, e := range s.entries {
		if e.Grant.Adopted && e.Grant.PickUp.Session {
			roles = append(roles, e.Grant.RoleName)
		}
	}
	return roles
}

// roleTags name the grant, and for its provider the secret and where to confirm.
func (s *ServiceProviderAccess) roleTags(g *grantParts) *[]*awscdk.CfnTag {
	tags := []*awscdk.CfnTag{{Key: new(grant.TagGrant), Value: new(string(g.Grant.Name))}}
	if g.secret != nil {
		tags = append(tags,
			&awscdk.CfnTag{Key: new(grant.TagSecret), Value: g.secret.Ref()},
			&awscdk.CfnTag{Key: new(grant.TagConfirm), Value: new(g.ConfirmURL(access.Site{API: s.apiURL()}))})
	}
	return &tags
}
