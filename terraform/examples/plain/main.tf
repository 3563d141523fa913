# A customer's account, with plain Terraform or OpenTofu:
#
#   edit access.yaml
#   terraform init
#   terraform plan -out customer.plan
#   terraform apply customer.plan
#
# Then mail what terraform output roles says. It opens nothing by itself.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

provider "aws" {
  region = "eu-west-1"
}

variable "template_url" {
  description = "The template of a release, as its page of links has it."
  type        = string
}

module "service_provider_access" {
  source       = "../../modules/service-provider-access"
  access_file  = "${path.root}/access.yaml"
  template_url = var.template_url
}

output "roles" {
  value = module.service_provider_access.roles
}

output "revoke" {
  value = module.service_provider_access.revoke
}
