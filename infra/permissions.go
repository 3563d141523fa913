package infra

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"

	"github.com/countersign/countersign/internal/grant"
)

// permitFunctions says what each function may do with the grants of this stack, ARN by ARN.
func (s *ServiceProviderAccess) permitFunctions() {
	var plans, roles, rotatedRoles, secrets, topics, signers []string
	for _, g := range s.grants {
		plans = append(plans, parameter(g.Grant.Name))
		roles = append(roles, *g.role.AttrArn())
		if g.secret != nil {
			rotatedRoles = append(rotatedRoles, *g.role.AttrArn())
			secrets = append(secrets, *g.secret.Ref())
		}
		topics = append(topics, g.Grant.Notify.SNS...)
		for _, hook := range g.Grant.Notify.Webhook {
			signers = append(signers, hook.Secret)
		}
	}

	s.permissions = slices.Concat(s.permissions,
		s.permit("Plans", []*function{s.rotate, s.reconcile, s.revoke, s.operate, s.notify}, plans,
			"ssm:GetParameter"),

		s.permit("Roles", []*function{s.rotate}, rotatedRoles,
			"iam:GetRole", "iam:GetRolePolicy", "iam:UpdateAssumeRolePolicy"),
		s.permit("Secrets", []*function{s.rotate}, secrets,
			"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue",
			"secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage", "secretsmanager:TagResource"),

		s.permit("Roles", []*function{s.reconcile}, roles,
			"iam:GetRole", "iam:GetRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy", "iam:TagRole"),
		s.permit("Secrets", []*function{s.reconcile}, secrets,
			"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue",
			"secretsmanager:RotateSecret", "secretsmanager:TagResource"),
	)

	s.permit("Roles", []*function{s.revoke}, roles,
		"iam:GetRole", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:TagRole")
	s.permit("Secrets", []*function{s.revoke}, secrets,
		"secretsmanager:TagResource")

	s.permit("Roles", []*function{s.operate}, roles,
		"iam:GetRole", "iam:GetRolePolicy")
	s.permit("Secrets", []*function{s.operate}, secrets,
		"secretsmanager:DescribeSecret", "secretsmanager:RotateSecret", "secretsmanager:UpdateSecretVersionStage")

	s.permit("Secrets", []*function{s.notify}, secrets,
		"secretsmanager:ListSecretVersionIds")
	s.permit("Topics", []*function{s.notify}, distinct(topics),
		"sns:Publish")
	s.permit("Signers", []*function{s.notify}, distinct(signers),
		"secretsmanager:GetSecretValue")
}

// managedPolicySize is AWS's limit of a managed policy in characters, less what the statement around the ARNs takes.
const managedPolicySize = 6144 - 544

// permit allows functions the actions on the resources, in as many managed policies as it takes.
//
// The policies' logical ids follow from their content: when a grant is added or removed, CloudFormation makes new ones
// first and deletes the old ones last. So the Custom::Grant of a grant that is removed still finds the permission to close
// it.
func (s *ServiceProviderAccess) permit(concern string, functions []*function, resources []string, actions ...string) (made []awscdk.CfnResource) {
	for chunk := range chunks(resources, managedPolicySize, s.width) {
		doc := document(allow(concern, actions...).on(chunk...))
		scope, roles := s.Construct, []any{}
		if len(functions) == 1 {
			scope = functions[0].Construct
		}
		for _, f := range functions {
			roles = append(roles, f.role.Ref())
		}
		policy := awsiam.NewCfnManagedPolicy(scope, new(concern+s.hash(doc)[:8]), &awsiam.CfnManagedPolicyProps{
			PolicyDocument: doc, Roles: &roles,
		})
		made = append(made, policy)
	}
	return made
}

// mail lets notify send mail from access.yaml's sender, to whomever: in SES's sandbox AWS asks for permission on the
// recipients' identities too.
func (s *ServiceProviderAccess) mail() []statement {
	from := s.props.Access.MailFrom
	if from == "" {
		return nil
	}
	return []statement{allow("Mail", "ses:SendEmail", "ses:SendRawEmail").
		on(arn("ses", "identity/*")).when("StringEquals", "ses:FromAddress", from)}
}

// tagsOnly refuses a function every tag but its own: one key a fact, one writer a key.
func tagsOnly(keys ...string) statement {
	return deny("OtherTags", "secretsmanager:TagResource", "iam:TagRole").on("*").
		when("ForAnyValue:StringNotEquals", "aws:TagKeys", keys...)
}

func writtenByRotate() []string {
	return []string{
		grant.FactRotated.Tag(), grant.FactRotated.AnnouncedTag(),
		grant.FactFailed.Tag(), grant.FactFailed.AnnouncedTag(),
	}
}

// writtenByReconcile has the notes of what others announced too late: it announces again.
func writtenByReconcile() []string {
	return []string{
		grant.FactGranted.Tag(), grant.FactGranted.AnnouncedTag(),
		grant.FactRetired.Tag(), grant.FactRetired.AnnouncedTag(),
		grant.FactExpired.Tag(), grant.FactExpired.AnnouncedTag(),
		grant.FactDrift.Tag(), grant.FactDrift.AnnouncedTag(),
		grant.FactRevoked.Tag(), grant.FactRevoked.AnnouncedTag(),
		grant.FactRotated.AnnouncedTag(), grant.FactFailed.AnnouncedTag(),
	}
}

func writtenByRevoke() []string {
	return []string{grant.FactRevoked.Tag(), grant.FactRevoked.AnnouncedTag(), grant.TagRestored}
}

// hash is the SHA-256 of a value as it will stand in the template, in hex.
func (s *ServiceProviderAccess) hash(values ...any) string {
	resolved, err := json.Marshal(awscdk.Stack_Of(s.Construct).Resolve(values))
	if err != nil {
		panic(fmt.Errorf("hashing a part of the template: %w", err)) // CDK resolves to JSON's types only
	}
	sum := sha256.Sum256(resolved)
	return hex.EncodeToString(sum[:])
}

// distinct is the sorted list without repetitions.
func distinct(values []string) []string {
	slices.Sort(values)
	return slices.Compact(values)
}
