package infra

import (
	"fmt"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

// mostAssumable is how many characters the ARNs of mayAssumeRoles may take: AWS allows a role 10,240 of inline policies.
const mostAssumable = 2800

// guard is CountersignGuard: what a granted role can't do whatever permissions and boundary the customer gives it. Without
// it a role with S3 alone could replace the code that the next deploy runs as administrator.
func (s *ServiceProviderAccess) guard(e access.Entry) map[string]any {
	statements := slices.Concat(
		s.guardParts(e),
		s.guardSecrets(e),
		guardIdentity(e),
		guardDeployment(),
	)
	if !e.Grant.MayShareResources {
		statements = append(statements, guardSharing()...)
	}
	return document(statements...)
}

// guardParts keeps it off Countersign's own parts and those of CDK, reading included: logs name operators, and a role's
// trust policy tells its external IDs. Of its own role it may read the tags, which say where its secret is.
func (s *ServiceProviderAccess) guardParts(e access.Entry) []statement {
	// Names of Countersign and CDK are refused in any partition, Region and account: that takes less room than naming them, and
	// another account's parts are none of the provider's either.
	everywhere := func(service, resource string) string { return "arn:*:" + service + ":*:*:" + resource }
	api := *s.api.Ref()
	parts := []string{
		everywhere("lambda", "function:"+partName+"-*"),
		everywhere("events", "event-bus/"+partName+"*"),
		everywhere("events", "rule/"+partName+"*"),
		everywhere("events", "archive/"+partName+"*"),
		everywhere("events", "replay/"+partName+"*"),
		everywhere("sqs", partName+"-*"),
		everywhere("dynamodb", "table/"+partName+"*"),
		everywhere("ssm", "parameter"+grant.ParameterPrefix+"*"),
		everywhere("cloudwatch", "alarm:"+partName+"-*"),
		everywhere("ses", "configuration-set/"+partName+"*"),
		everywhere("logs", "log-group:/aws/lambda/"+partName+"-*"),
		everywhere("logs", "log-group:/aws/events/"+partName+"*"),
		"arn:" + partition + ":apigateway:" + region + "::/restapis/" + api + "*",

		"arn:*:s3:::" + cdkName + "*",
		everywhere("ecr", "repository/"+cdkName+"*"),
		everywhere("ssm", "parameter/cdk-bootstrap/*"),
		arnIn("", "iam", "role/"+cdkName+"*"),
	}
	roles := []string{arnIn("", "iam", "role"+grant.DefaultRolePath+"*")}
	if e.Grant.RolePath != grant.DefaultRolePath {
		roles = append(roles, role(e))
	}
	ofRoles := deny("Roles", "*")
	if e.Grant.PickUp.Session {
		ofRoles = denyAllBut("Roles", readTags) // the pick-up's policy refuses those of other roles
	}
	parts = append(parts, s.refusedCalls(e)...)
	return []statement{
		ofRoles.on(roles...),
		deny("Parts", "*").on(parts...),
		// A mapping's own ARN doesn't tell whose function it feeds.
		deny("Feeds", "lambda:*EventSourceMapping").on("*").
			when("ArnLike", "lambda:FunctionArn", everywhere("lambda", "function:"+partName+"-*")),
		// An access point would be another way into CDK's buckets, past their names.
		deny("AccessPoints", "s3:CreateAccessPoint*", "s3:CreateMultiRegionAccessPoint").on("*"),
	}
}

// refusedCalls are the paths of the API that it may not call: all but what it may ask of its own grant, whose name a pattern
// can't single out, which is why the handlers look again. The API's id says enough: Region and account are left out, for each
// role holds these.
func (s *ServiceProviderAccess) refusedCalls(e access.Entry) []string {
	api := "arn:" + partition + ":execute-api:*:*:${" + *s.api.LogicalId() + "}"
	refused := []string{api + "/*/GET/*"}
	for _, r := range s.routes() {
		verb := r.path[strings.LastIndexByte(r.path, '/')+1:]
		if r.method == "POST" && !e.Grant.Lets(grant.ProviderAct(verb)) {
			refused = append(refused, api+"/*/POST/*/"+verb)
		}
	}
	return refused
}

// guardSecrets leaves it nothing of the secrets and the key but reading its own grant's, where it is picked up in session.
func (s *ServiceProviderAccess) guardSecrets(e access.Entry) []statement {
	secrets := arnIn("*", "secretsmanager", "secret:"+partName+"*")
	key := *s.key.AttrArn()
	if !e.Grant.PickUp.Session {
		return []statement{deny("Secrets", "*").on(secrets), deny("Key", "*").on(key)}
	}
	statements := []statement{
		denyAllBut("Secrets", readSecret...).on(secrets),
		deny("OtherSecrets", readSecret...).on(secrets).when("StringNotEquals", "aws:ResourceTag/"+grant.TagGrant, string(e.Grant.Name)),
		denyAllBut("Key", "kms:Decrypt").on(key),
		deny("KeyElsewhere", "kms:Decrypt").on(key).when("StringNotEquals", "kms:ViaService", viaSecretsManager),
	}
	return append(statements, deny("KeyOfOthers", "kms:Decrypt").on(key).
		when("StringNotLike", "kms:EncryptionContext:SecretARN", secretPattern(e.Grant.Name)))
}

// guardIdentity keeps it what it is: no IAM writes, no other role but those named in words, no passing of roles, no
// identities that outlive a revocation.
func guardIdentity(e access.Entry) []statement {
	assume := deny("OtherRoles", "sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity").on("*")
	if roles := e.Grant.MayAssumeRoles; len(roles) > 0 {
		assume = deny("OtherRoles", "sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity").notOn(roles...)
		if size := len(strings.Join(roles, `","`)); size > mostAssumable {
			panic(fmt.Errorf("grant %s: mayAssumeRoles takes %d characters, %d fit beside the guard: name fewer roles", e.Grant.Name, size, mostAssumable))
		}
	}
	return []statement{
		assume,
		deny("Identity",
			// All of IAM but Get…, List…, Generate… and Simulate….
			"iam:A*", "iam:C*", "iam:D*", "iam:E*", "iam:P*", "iam:R*", "iam:Se*", "iam:T*", "iam:U*",
			"sts:AssumeRoot", "sts:GetDelegatedAccessToken", "sts:GetFederationToken", "sts:GetWebIdentityToken",
			"sso:*", "sso-directory:*", "identitystore:*", "rolesanywhere:*",
			"eks:CreateAccessEntry", "eks:UpdateAccessEntry", "eks:AssociateAccessPolicy",
		).on("*"),
	}
}

// guardDeployment keeps it from deploying, which runs with CloudFormation's role, and from stopping the record of what it
// did.
func guardDeployment() []statement {
	return []statement{
		deny("Deployment",
			// All of CloudFormation, Cloud Control included, but BatchDescribe…, Describe…, Detect…, Estimate…, Get…, List…
			// and Validate….
			"cloudformation:A*", "cloudformation:C*", "cloudformation:Dea*", "cloudformation:Del*", "cloudformation:Der*",
			"cloudformation:Ex*", "cloudformation:I*", "cloudformation:P*", "cloudformation:R*", "cloudformation:S*",
			"cloudformation:T*", "cloudformation:U*",
		).on("*"),
		deny("Trail",
			"cloudtrail:Delete*", "cloudtrail:Deregister*", "cloudtrail:Put*", "cloudtrail:Stop*", "cloudtrail:Update*",
		).on("*"),
	}
}

// guardSharing keeps it from opening resources to others, which a revocation would not undo. Grants leave other services
// and AWS's own use of keys alone.
func guardSharing() []statement {
	return []statement{
		deny("Sharing",
			"s3:Put*Acl", "s3:Put*Policy*", "s3:Delete*Policy*", "s3:Put*PublicAccessBlock", "s3:PutBucketOwnershipControls",
			"s3:AssociateAccessGrant*", "s3:CreateAccessGrant*", "s3:DeleteAccessGrant*", "s3:UpdateAccessGrant*", "s3:DissociateAccessGrant*",
			"s3-object-lambda:Put*Acl", "s3express:Put*", "s3express:Delete*Policy", "s3tables:Put*Policy", "s3tables:Delete*Policy",
			"s3vectors:Put*Policy", "s3vectors:Delete*Policy",
			"kms:PutKeyPolicy",
			"secretsmanager:PutResourcePolicy", "secretsmanager:DeleteResourcePolicy",
			"lambda:Add*Permission", "lambda:Remove*Permission", "lambda:*teFunctionUrlConfig",
			"lambda:PutResourcePolicy", "lambda:DeleteResourcePolicy",
			"sqs:*Permission", "sqs:SetQueueAttributes",
			"sns:*Permission", "sns:SetTopicAttributes",
			"events:*Permission", "events:PutResourcePolicy", "events:DeleteResourcePolicy",
			"dynamodb:PutResourcePolicy", "dynamodb:DeleteResourcePolicy",
			"kinesis:PutResourcePolicy", "kinesis:DeleteResourcePolicy",
			"logs:PutResourcePolicy", "logs:DeleteResourcePolicy", "logs:PutDestinationPolicy",
			"ecr:PutRegistryPolicy", "ecr:PutReplicationConfiguration", "ecr:SetRepositoryPolicy", "ecr:Delete*Policy",
			"ecr-public:SetRepositoryPolicy",
			"ec2:Modify*ImageAttribute", "ec2:ModifySnapshotAttribute", "ec2:ModifyVpcEndpointServicePermissions",
			"ec2:PutResourcePolicy", "ec2:DeleteResourcePolicy", "ec2:Disable*BlockPublicAccess",
			"ec2:CreateNetworkInterfacePermission",
			"rds:ModifyDB*SnapshotAttribute",
			"redshift:Authorize*", "redshift:PutResourcePolicy", "redshift:DeleteResourcePolicy",
			"glue:PutResourcePolicy", "glue:DeleteResourcePolicy",
			"lakeformation:*GrantPermissions", "lakeformation:PutDataLakeSettings",
			"backup:PutBackupVault*Policy", "backup:DeleteBackupVault*Policy",
			"elasticfilesystem:*teFileSystemPolicy", "elasticfilesystem:PutFileSystemPolicy",
			"es:Update*DomainConfig", "aoss:CreateAccessPolicy", "aoss:UpdateAccessPolicy",
			"ssm:ModifyDocumentPermission", "ssm:PutResourcePolicy", "ssm:DeleteResourcePolicy",
			"ram:Associate*", "ram:Create*", "ram:Enable*", "ram:Promote*", "ram:Update*",
			"apigateway:Update*Policy",
			"codeartifact:Put*Policy", "codeartifact:Delete*Policy", "codebuild:PutResourcePolicy", "codebuild:DeleteResourcePolicy",
			"ses:Put*Policy", "ses:*EmailIdentityPolicy", "ses:DeleteIdentityPolicy",
			"acm-pca:PutPolicy", "acm-pca:CreatePermission",
			"servicecatalog:CreatePortfolioShare", "vpc-lattice:PutAuthPolicy", "vpc-lattice:PutResourcePolicy",
		).on("*"),
		deny("KeyGrants", "kms:CreateGrant").on("*").when("BoolIfExists", "kms:GrantIsForAWSResource", "false"),
	}
}
