terraform {
  # 1.5 is the last version under the MPL, and the last that Scalr runs; OpenTofu has all that is used here from 1.6 on.
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
  # No provider block: whoever calls the module configures the provider, or Scalr does.
}
