# A provider's own side: the published engine as one stack, and beside it what customers.yaml says, as resources that a plan shows.

data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

module "customers" {
  source     = "./customers"
  file       = var.customers_file
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix
  account    = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.id # its other names differ between versions of the provider
}

# Bus, queue, registry, the function that hears customers, topic and alarms. The registry stays when the stack goes.
resource "aws_cloudformation_stack" "engine" {
  name         = var.stack_name
  template_url = var.template_url
  capabilities = ["CAPABILITY_IAM"]
  iam_role_arn = var.service_role_arn
  tags         = var.tags

  # A mistake in the file makes nothing, whatever part of a plan somebody asks for.
  depends_on = [module.customers]
}

# Who is told of what waits for a person. SNS asks each address first.
resource "aws_sns_topic_subscription" "alerts" {
  for_each  = module.customers.made.alerts
  topic_arn = aws_cloudformation_stack.engine.outputs["AlertsTopic"]
  protocol  = "email"
  endpoint  = each.value
}
