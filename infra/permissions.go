package infra

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"

	"github.com/countersign/countersign/internal/grant"
)

// permitFunctions says what each function may do with the grants of this stack, ARN by ARN.
func (s *ServiceProviderAccess) permitFunctions() {
	var plans, roles, rotatedRoles, secrets, topics, signers []object
	for _, g := range s.grants {
		name := g.Grant.Name
		plans = append(plans, object{parameter(name), parameter(name)})
		itsRole := object{g.roleARN(), role(g.Entry)}
		roles = append(roles, itsRole)
		if g.secret != nil {
			rotatedRoles = append(rotatedRoles, itsRole)
			secrets = append(secrets, object{*g.secret.Ref(), secretPattern(name)})
		}
		for _, to := range g.Grant.Notify {
			switch to.Channel {
			case grant.SNS:
				topics = append(topics, object{to.Address, to.Address})
			case grant.Webhook:
				signers = append(signers, object{to.Secret, to.Secret})
			}
		}
	}

	everyone := s.functions()
	s.permitToTheEnd("Plans", everyone, plans,
		"ssm:GetParameter")

	s.permitToTheEnd("Roles", []*function{s.rotate}, rotatedRoles,
		"iam:GetRole", "iam:GetRolePolicy", "iam:UpdateAssumeRolePolicy")
	s.permitToTheEnd("Secrets", []*function{s.rotate}, secrets,
		"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:ListSecretVersionIds",
		"secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage", "secretsmanager:TagResource")

	s.permitToTheEnd("Roles", []*function{s.reconcile}, roles,
		"iam:GetRole", "iam:GetRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy", "iam:TagRole")
	s.permitToTheEnd("Secrets", []*function{s.reconcile}, secrets,
		"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:ListSecretVersionIds",
		"secretsmanager:RotateSecret", "secretsmanager:TagResource")

	s.permit("Roles", s.revoke, roles,
		"iam:GetRole", "iam:GetRolePolicy", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:TagRole")
	s.permit("Secrets", s.revoke, secrets,
		"secretsmanager:DescribeSecret", "secretsmanager:RotateSecret", "secretsmanager:UpdateSecretVersionStage", "secretsmanager:TagResource")

	s.permit("Roles", s.operate, roles,
		"iam:GetRole", "iam:GetRolePolicy")
	s.permit("Secrets", s.operate, secrets,
		"secretsmanager:DescribeSecret", "secretsmanager:RotateSecret", "secretsmanager:UpdateSecretVersionStage",
		"secretsmanager:TagResource")

	s.permit("Secrets", s.confirm, secrets,
		"secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds", "secretsmanager:TagResource")

	s.permit("Secrets", s.notify, secrets,
		"secretsmanager:ListSecretVersionIds")
	s.permit("Topics", s.notify, distinct(topics),
		"sns:Publish")
	s.permit("Signers", s.notify, distinct(signers),
		"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret", "secretsmanager:TagResource")

	for _, f := range everyone {
		if f.policies > managedPolicies {
			panic(fmt.Errorf("function %s would need %d managed policies, AWS allows %d: use more shards, or shorter role paths and fewer topics",
				f.name, f.policies, managedPolicies))
		}
	}
}

// object is what a function may act on: its ARN as the template names it, and an ARN of the same width as AWS will see.
type object struct{ arn, like string }

func arns(objects []object) []string {
	var out []string
	for _, o := range objects {
		out = append(out, o.arn)
	}
	return out
}

// managedPolicySize is AWS's limit of a managed policy in characters, less what the statement around the ARNs takes.
const managedPolicySize = 6144 - 544

// permit allows a function the actions on the resources, in as many managed policies as it takes.
func (s *ServiceProviderAccess) permit(concern string, f *function, objects []object, actions ...string) {
	n := 0
	for chunk := range chunks(objects, managedPolicySize) {
		n++
		id := concern
		if n > 1 {
			id += fmt.Sprint(n)
		}
		f.policies++
		managedPolicy(f.Construct, id, []*function{f}, document(allow(concern, actions...).on(arns(chunk)...)))
	}
}

// permitToTheEnd is permit for what a Custom::Grant needs as long as it stands.
//
// The policies' logical ids follow from their content: when a grant is added or removed, CloudFormation makes new ones
// first and deletes the old ones last. So the Custom::Grant of a grant that is removed still finds the permission to close
// it.
func (s *ServiceProviderAccess) permitToTheEnd(concern string, functions []*function, objects []object, actions ...string) {
	scope := s.Construct
	if len(functions) == 1 {
		scope = functions[0].Construct
	}
	for chunk := range chunks(objects, managedPolicySize) {
		doc := document(allow(concern, actions...).on(arns(chunk)...))
		for _, f := range functions {
			f.policies += 2 // the old one and the new one, during a deploy
		}
		s.permissions = append(s.permissions, managedPolicy(scope, concern+s.hash(doc)[:8], functions, doc))
	}
}

func managedPolicy(scope constructs.Construct, id string, functions []*function, doc map[string]any) awscdk.CfnResource {
	var roles []any
	for _, f := range functions {
		roles = append(roles, f.role.Ref())
	}
	return awsiam.NewCfnManagedPolicy(scope, &id, &awsiam.CfnManagedPolicyProps{PolicyDocument: doc, Roles: &roles})
}

// tagsOnly refuses a function every tag but its own: one key a fact, one writer a key.
func tagsOnly(keys ...string) statement {
	return deny("OtherTags", "secretsmanager:TagResource", "iam:TagRole").on("*").
		when("ForAnyValue:StringNotEquals", "aws:TagKeys", keys...)
}

// marksOnly refuses notify every tag but the marks of webhooks that want no message any more.
func marksOnly() statement {
	return deny("OtherTags", "secretsmanager:TagResource").on("*").
		when("ForAnyValue:StringNotLike", "aws:TagKeys", grant.TagDisabled+"*")
}

func writtenByRotate() []string {
	return []string{
		grant.TagExtended,
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
		grant.FactDrift.Tag(), grant.FactDrift.AnnouncedTag(), grant.FactReverted.Tag(),
		grant.FactRevoked.Tag(), grant.FactRevoked.AnnouncedTag(),
		grant.FactRestored.Tag(), grant.FactRestored.AnnouncedTag(),
		grant.FactUnconfirmed.Tag(), grant.FactUnconfirmed.AnnouncedTag(),
		grant.FactRotated.AnnouncedTag(), grant.FactFailed.AnnouncedTag(), grant.FactConfirmed.AnnouncedTag(),
	}
}

// writtenByOperate is the pause alone: it delays, and opens nothing.
func writtenByOperate() []string { return []string{grant.TagPaused} }

// writtenByConfirm is the last confirmation alone: it ends access, and opens nothing.
func writtenByConfirm() []string { return []string{grant.FactConfirmed.Tag()} }

func writtenByRevoke() []string {
	return []string{grant.FactRevoked.Tag(), grant.FactRevoked.AnnouncedTag()}
}

// hash is the SHA-256 of a value as it will stand in the template, in hex.
func (s *ServiceProviderAccess) hash(values ...any) string { return hash(s.Construct, values...) }

func hash(scope constructs.Construct, values ...any) string {
	resolved, err := json.Marshal(awscdk.Stack_Of(scope).Resolve(values))
	if err != nil {
		panic(fmt.Errorf("hashing a part of the template: %w", err)) // CDK resolves to JSON's types only
	}
	sum := sha256.Sum256(resolved)
	return hex.EncodeToString(sum[:])
}

// distinct is the sorted list without repetitions.
func distinct(objects []object) []object {
	slices.SortFunc(objects, func(a, b object) int { return cmp.Compare(a.arn, b.arn) })
	return slices.Compact(objects)
}
