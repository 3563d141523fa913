# All of it may be mailed: names and addresses. There is no external ID on this side at all.

output "bus" {
  description = "For customers: providers[].bus in their access.yaml."
  value       = aws_cloudformation_stack.engine.outputs["BusArn"]
}

output "table" {
  description = "The registry: countersign customers --table."
  value       = aws_cloudformation_stack.engine.outputs["Table"]
}

output "dead_letters_url" {
  description = "Events of customers that could not be written."
  value       = aws_cloudformation_stack.engine.outputs["DeadLettersUrl"]
}

output "alerts_topic" {
  description = "What a person has to look at."
  value       = aws_cloudformation_stack.engine.outputs["AlertsTopic"]
}

output "engineers" {
  description = "ARN of each engineers' role, by its name: what a person enters customers from."
  value       = { for name in keys(module.customers.made.roles) : name => "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:role/${name}" }
}

output "registrar" {
  description = "ARN of the role that invites and accepts customers; null where customers.yaml names no registrars."
  value       = one([for role in aws_iam_role.registrar : role.arn])
}
