# All of it may be mailed: names and addresses, useless without the external ID, of which there is none here.

output "roles" {
  description = "ARN of each grant's role: what the provider enters."
  value       = { for name, g in local.grants : name => "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:role${g.path}${g.role}" }
}

output "secrets" {
  description = "ARN of the secret from which the provider reads the external ID of each grant."
  value       = { for name, s in aws_cloudformation_stack.grant : name => s.outputs["SecretArn"] }
}

output "confirm_urls" {
  description = "Where the provider says that it uses a new external ID, by grant."
  value       = { for name, s in aws_cloudformation_stack.grant : name => s.outputs["ConfirmUrl"] }
}

output "revoke" {
  description = "What takes each grant away at once, live sessions included, from any shell with the AWS CLI."
  value       = { for name, s in aws_cloudformation_stack.grant : name => s.outputs["Revoke"] }
}

output "tag_roles" {
  description = "With native_role: what tells a provider by the role's tags where to read and confirm. Once, after the first apply."
  value = { for name, r in aws_iam_role.grant : name => join(" ", [
    "aws iam tag-role --role-name ${r.name} --tags",
    "Key=countersign:secret,Value=${aws_cloudformation_stack.grant[name].outputs["SecretArn"]}",
    "Key=countersign:confirm,Value=${aws_cloudformation_stack.grant[name].outputs["ConfirmUrl"]}",
  ]) }
}
