# A provider's own account, with plain Terraform or OpenTofu:
#
#   edit customers.yaml, or countersign customers export -f customers.yaml
#   terraform init
#   terraform plan -out provider.plan
#   terraform apply provider.plan
#
# Then give customers what terraform output bus says, for their access.yaml.

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
  description = "countersign-customers.template.json of a release, in that Region."
  type        = string
}

module "customer_access" {
  source         = "../../../modules/customer-access"
  customers_file = "${path.root}/customers.yaml"
  template_url   = var.template_url
}

output "bus" {
  value = module.customer_access.bus
}

output "engineers" {
  value = module.customer_access.engineers
}
