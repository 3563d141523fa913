# The same, as a workspace of Scalr runs it: Scalr injects the provider's configuration, so there is none here, not even an
# empty one. ../workspace makes the workspace and its way into the account.

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
  description = "The template of a release, as its page of links has it."
  type        = string
}

variable "service_role_arn" {
  description = "Role by which CloudFormation makes the stacks. The workspace's own role may pass it and little else."
  type        = string
}

module "service_provider_access" {
  source           = "../../../modules/service-provider-access"
  access_file      = "${path.root}/access.yaml"
  template_url     = var.template_url
  service_role_arn = var.service_role_arn
}

output "roles" {
  value = module.service_provider_access.roles
}
