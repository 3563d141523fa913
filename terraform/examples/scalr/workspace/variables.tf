variable "side" {
  description = "customer: the workspace runs ../customer; provider: it runs ../provider."
  type        = string
  default     = "customer"
  nullable    = false
  validation {
    condition     = contains(["customer", "provider"], var.side)
    error_message = "side: must be customer or provider; write side = \"provider\"."
  }
}

variable "workspace" {
  description = "Name of the workspace."
  type        = string
  default     = "service-provider-access"
}

variable "repository" {
  description = "The repository with access.yaml or customers.yaml, as owner/name."
  type        = string
}

variable "working_directory" {
  description = "Where in it the configuration lies, like ../customer or ../provider."
  type        = string
  default     = ""
}

variable "opentofu_version" {
  description = "OpenTofu's version. Scalr runs Terraform up to 1.5.7 and OpenTofu from then on: https://docs.scalr.io/docs/terraform"
  type        = string
  default     = "1.10.6"
}

variable "vcs_provider_id" {
  description = "Scalr's id of the connection to the repository."
  type        = string
}

variable "scalr_account_id" {
  description = "Your account at Scalr, acc-…"
  type        = string
}

variable "scalr_account_name" {
  description = "Its name, which Scalr's tokens carry."
  type        = string
}

variable "scalr_environment_id" {
  description = "The environment, env-…"
  type        = string
}

variable "scalr_environment_name" {
  description = "Its name, which Scalr's tokens carry."
  type        = string
}

variable "service_role_arn" {
  description = "Role by which CloudFormation makes the stacks."
  type        = string
}

variable "release_bucket" {
  description = "Beginning of the names of the release's buckets, less the Region."
  type        = string
}
