# The same, as a workspace of Scalr runs it: Scalr injects the provider's configuration, so there is none here, not even an
# empty one. ../workspace makes the workspace and its way into the account, with side = "provider".

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "template_url" {
  description = "countersign-customers.template.json of a release, in the Region of the account."
  type        = string
}

variable "service_role_arn" {
  description = "Role by which CloudFormation makes the stack."
  type        = string
}

module "customer_access" {
  source           = "../../../modules/customer-access"
  customers_file   = "${path.root}/customers.yaml"
  template_url     = var.template_url
  service_role_arn = var.service_role_arn
}

output "bus" {
  value = module.customer_access.bus
}

output "engineers" {
  value = module.customer_access.engineers
}
