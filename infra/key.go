package infra

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

// createKey makes the key of the grants' secrets. It is a customer-managed one because a provider can't read a secret from
// another account under AWS's own key.
func (s *ServiceProviderAccess) createKey() {
	statements := []statement{
		allow("Account", "kms:*").by(root(account)).on("*"),
	}
	for i := range s.props.Access.Providers {
		p := &s.props.Access.Providers[i]
		var secrets []string
		for _, e := range s.entries {
			if e.Provider == p && e.Grant.PickUp.Account {
				secrets = append(secrets, secretPattern(e.Grant.Name))
			}
		}
		if len(secrets) == 0 {
			continue
		}
		statements = append(statements, allow("Provider"+access.Logical(grant.Name(p.Name)), "kms:Decrypt").by(root(p.Account)).on("*").
			when("StringEquals", "kms:ViaService", viaSecretsManager).
			when("StringLike", "kms:EncryptionContext:SecretARN", secrets...))
	}
	for _, d := range s.denyGranted("kms:*") {
		statements = append(statements, d.on("*").when("StringNotEquals", "kms:ViaService", viaSecretsManager))
	}
	s.key = awskms.NewCfnKey(s.Construct, new("Key"), &awskms.CfnKeyProps{
		Description:         new("Countersign: external IDs of service providers' access"),
		EnableKeyRotation:   new(true),
		PendingWindowInDays: new(7.0),
		KeyPolicy:           document(statements...),
	})
	s.key.ApplyRemovalPolicy(awscdk.RemovalPolicy_DESTROY, nil)
}

// denyGranted are two Denies for granted roles, for resource policies: by ARN and, whatever their path and name, by the
// tag that each carries.
func (s *ServiceProviderAccess) denyGranted(actions ...string) []statement {
	return []statement{
		deny("GrantedRoles", actions...).by(everybody).when("ArnLike", "aws:PrincipalArn", s.grantedRoles()...),
		deny("TaggedRoles", actions...).by(everybody).when("Null", grantTagOfPrincipal, "false"),
	}
}

// grantTagOfPrincipal exists where the caller is a granted role.
const grantTagOfPrincipal = "aws:PrincipalTag/" + grant.TagGrant

// grantedRoles match the granted roles by ARN. One pattern stands for all that have the default path. Of another path only
// the name stands here, to keep policies short: names are unique in an account whatever their path.
func (s *ServiceProviderAccess) grantedRoles() []string {
	arns := []string{arnIn("", "iam", "role"+grant.DefaultRolePath+"*")}
	for _, e := range s.entries {
		path := "/"
		switch {
		case strings.HasPrefix(e.Grant.RolePath, grant.DefaultRolePath):
			continue
		case e.Grant.RolePath != "/":
			path = "/*/"
		}
		arns = append(arns, arnIn("", "iam", "role"+path+e.Grant.RoleName))
	}
	return arns
}

// denyOthers is a Deny for everybody but the named functions and the operators. Without operators in access.yaml these
// are the account's own principals; AWS's services, which have no account, are let through to what else the policy says.
func (s *ServiceProviderAccess) denyOthers(sid string, named []*function, actions ...string) statement {
	d := deny(sid, actions...).by(everybody).when("Bool", "aws:PrincipalIsAWSService", "false")
	if len(s.props.Access.Operators) == 0 {
		return d.when("StringNotEquals", "aws:PrincipalAccount", account)
	}
	return d.when("ArnNotLike", "aws:PrincipalArn", append(arnsOf(named), s.operators()...)...)
}

// operators are the ARNs of who may operate, if access.yaml names any. CDK's deployment roles are among them: who may
// deploy may do everything anyway.
func (s *ServiceProviderAccess) operators() []string {
	return append([]string{arnIn("", "iam", "role/"+cdkName+"*")}, s.props.Access.Operators...)
}
