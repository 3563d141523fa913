package infra

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

// partName is the prefix of everything that Countersign names in an account. CountersignGuard denies it by this prefix.
const partName = "countersign"

// cdkName is the prefix of CDK's own buckets, repositories and roles, through which the next deploy runs.
const cdkName = "cdk-"

// CloudFormation's names for where a stack is deployed. They stand in strings as Fn::Sub takes them: ready resolves them.
const (
	partition = "${AWS::Partition}"
	account   = "${AWS::AccountId}"
	region    = "${AWS::Region}"
	urlSuffix = "${AWS::URLSuffix}"
	stackID   = "${AWS::StackId}"
)

// site tells a stack's parts from those of the account's others.
type site struct {
	shard  int    // 0 for the first stack
	suffix string // of the names of its parts, with the hyphen
}

// ready writes a value of a policy document as CloudFormation takes it.
func ready(value string) any {
	switch {
	case value == account, value == stackID:
		return map[string]any{"Ref": strings.Trim(value, "${}")}
	case strings.Contains(value, "${${Token["): // the logical id of a resource, which Fn::Sub takes: shorter than Fn::Join
		return map[string]any{"Fn::Sub": value}
	case strings.Contains(value, "${Token["): // of a resource: Fn::Sub can't take it
		return *text(value)
	case strings.Contains(value, "${AWS::"):
		return map[string]any{"Fn::Sub": value}
	}
	return value
}

// text is the same for a property that is a string.
func text(value string) *string {
	return new(strings.NewReplacer(
		partition, *awscdk.Aws_PARTITION(), account, *awscdk.Aws_ACCOUNT_ID(),
		region, *awscdk.Aws_REGION(), urlSuffix, *awscdk.Aws_URL_SUFFIX(),
	).Replace(value))
}

// name is the name of a part in this shard: "countersign-rotate", "countersign-rotate-2".
func (s site) name(part string) string {
	name := partName
	if part != "" {
		name += "-" + part
	}
	name += s.suffix
	if s.shard > 0 {
		name += fmt.Sprintf("-%d", s.shard+1)
	}
	return name
}

// arn is the ARN of something in this account and Region.
func arn(service, resource string) string { return arnIn(region, service, resource) }

// arnIn is the ARN of something in this account; Region "*" is every Region, "" is a global service.
func arnIn(in, service, resource string) string {
	return "arn:" + partition + ":" + service + ":" + in + ":" + account + ":" + resource
}

// root is the ARN by which policies name a whole account.
func root(account string) string { return "arn:" + partition + ":iam::" + account + ":root" }

// secretPattern matches the ARN of a grant's secret, which ends in six characters that Secrets Manager chooses.
func secretPattern(name grant.Name) string {
	return arn("secretsmanager", "secret:"+name.Secret()+"-??????")
}

// parameter is the ARN of a grant's plan.
func parameter(name grant.Name) string { return arn("ssm", "parameter"+name.Parameter()) }

// role is the ARN of a grant's role. It is known before the role exists.
func role(e access.Entry) string {
	return e.RoleARN(access.Site{Partition: partition, Account: account})
}

// viaSecretsManager is the value of kms:ViaService while Secrets Manager uses a key on a caller's behalf.
const viaSecretsManager = "secretsmanager." + region + "." + urlSuffix
