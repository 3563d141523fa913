package sandbox

import "github.com/countersign/countersign/internal/grant"

type object = map[string]any

func policyOf(statements ...object) string {
	return quote(object{"Version": "2012-10-17", "Statement": statements})
}

// PickUp is the policy of the template by which a session reads its own grant's secret and its role's tags, for a Region and an
// account, less the key's: the embedded AWS has no KMS. A test of package infra holds it to the template.
func PickUp(region, account string) string {
	const own, tag = "${aws:PrincipalTag/" + grant.TagGrant + "}", "aws:ResourceTag/" + grant.TagGrant
	roles := "arn:aws:iam::" + account + ":role"
	return policyOf(
		object{"Sid": "Secret", "Effect": "Allow", "Action": []string{"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"},
			"Resource": "arn:aws:secretsmanager:" + region + ":" + account + ":secret:" + grant.SecretPrefix + own + "-??????"},
		object{"Sid": "Tags", "Effect": "Allow", "Action": "iam:ListRoleTags", "Resource": roles + "/*", "Condition": object{"StringEquals": object{tag: own}}},
		object{"Sid": "OtherRolesTags", "Effect": "Deny", "Action": "iam:ListRoleTags", "Resource": roles + "/*",
			"Condition": object{"Null": object{tag: "false"}, "StringNotEquals": object{tag: own}}},
		object{"Sid": "UntaggedRolesTags", "Effect": "Deny", "Action": "iam:ListRoleTags", "Resource": roles + grant.DefaultRolePath + "*",
			"Condition": object{"Null": object{tag: "true"}}},
	)
}

// guard is what of the guard concerns a provider: it reads its own grant's secret and its own role's tags alone.
func guard(p grant.Plan) string {
	secrets := "arn:aws:secretsmanager:*:" + p.Account + ":secret:countersign*"
	roles := "arn:aws:iam::" + p.Account + ":role" + grant.DefaultRolePath + "*"
	read := []string{"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"}
	foreign := object{"StringNotEquals": object{"aws:ResourceTag/" + grant.TagGrant: string(p.Grant)}}
	return policyOf(
		object{"Sid": "Secrets", "Effect": "Deny", "NotAction": read, "Resource": secrets},
		object{"Sid": "OtherSecrets", "Effect": "Deny", "Action": read, "Resource": secrets, "Condition": foreign},
		object{"Sid": "Roles", "Effect": "Deny", "NotAction": "iam:ListRoleTags", "Resource": roles},
		object{"Sid": "OtherRoles", "Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*"},
	)
}

// secretPolicy is what of the secret's policy concerns a provider.
func secretPolicy(p grant.Plan) string {
	const revoked, restored, tag = "aws:ResourceTag/" + grant.TagRevoked, "aws:ResourceTag/" + grant.TagRestored, "aws:PrincipalTag/" + grant.TagGrant
	read := []string{"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"}
	provider := object{"AWS": "arn:aws:iam::" + p.ProviderAccount + ":root"}
	principals := p.Conditions["ArnLike"]["aws:PrincipalArn"]
	return policyOf(
		object{"Sid": "Provider", "Effect": "Allow", "Action": read, "Principal": provider, "Resource": "*", "Condition": object{
			"ArnLike": object{"aws:PrincipalArn": principals}, "Null": object{revoked: "true"}}},
		object{"Sid": "RestoredProvider", "Effect": "Allow", "Action": read, "Principal": provider, "Resource": "*", "Condition": object{
			"ArnLike": object{"aws:PrincipalArn": principals}, "StringEquals": object{revoked: "${" + restored + "}"}}},
		object{"Sid": "GrantedRoles", "Effect": "Deny", "Action": "secretsmanager:*", "Principal": "*", "Resource": "*", "Condition": object{
			"ArnLike":      object{"aws:PrincipalArn": "arn:aws:iam::" + p.Account + ":role" + grant.DefaultRolePath + "*"},
			"ArnNotEquals": object{"aws:PrincipalArn": p.RoleARN}}},
		object{"Sid": "TaggedRoles", "Effect": "Deny", "Action": "secretsmanager:*", "Principal": "*", "Resource": "*", "Condition": object{
			"Null": object{tag: "false"}, "StringNotEquals": object{tag: string(p.Grant)}}},
		object{"Sid": "Readers", "Effect": "Deny", "Action": "secretsmanager:GetSecretValue", "Principal": "*", "Resource": "*", "Condition": object{
			"Bool": object{"aws:PrincipalIsAWSService": "false"}, "StringNotEquals": object{"aws:PrincipalAccount": []string{p.Account, p.ProviderAccount}}}},
	)
}
