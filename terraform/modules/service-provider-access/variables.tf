variable "access_file" {
  description = "Path of access.yaml, as docs/access.md describes it. Policy files that it names lie beside it or below."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("[.]ya?ml$", var.access_file))
    error_message = "access_file: must be the path of a YAML file; write access_file = \"$${path.root}/access.yaml\"."
  }
}

variable "template_url" {
  description = "The published template of a release, in a bucket of the Region that it is deployed to: the file for arm64 or x86_64."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^https://[a-z0-9.-]+[.]amazonaws[.]com([.]cn)?/[A-Za-z0-9_./+-]+[.](json|template)$", var.template_url))
    error_message = "template_url: must be the https:// address of a template in S3; write template_url = \"https://BUCKET-eu-west-1.s3.eu-west-1.amazonaws.com/countersign/v1.0.0/…json\", as the release's page has it."
  }
}

variable "grants" {
  description = "Names of the grants to deploy, all of access.yaml if left out."
  type        = set(string)
  default     = null
  validation {
    condition     = alltrue([for name in coalesce(var.grants, []) : can(regex("^[a-z0-9][a-z0-9-]{0,35}$", name))])
    error_message = "grants: must be names of grants, 1 to 36 of a-z, 0-9 and -; write grants = [\"migration\"]."
  }
}

variable "native_role" {
  description = "true: the roles are aws_iam_role of this configuration instead of the stack's. Then Terraform's state holds their trust policies, external IDs included, from the first refresh on."
  type        = bool
  default     = false
  nullable    = false
}

variable "stack_prefix" {
  description = "Beginning of the stacks' names, which end in the grant's."
  type        = string
  default     = "countersign"
  nullable    = false
  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{0,63}$", var.stack_prefix))
    error_message = "stack_prefix: must be 1 to 64 letters, digits and hyphens, a letter first; write stack_prefix = \"countersign\"."
  }
}

variable "service_role_arn" {
  description = "Role by which CloudFormation makes the stack, so that whoever runs Terraform needs fewer permissions. Left out: the caller's own."
  type        = string
  default     = null
  validation {
    condition     = var.service_role_arn == null || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$", coalesce(var.service_role_arn, "-")))
    error_message = "service_role_arn: must be a role's ARN; write service_role_arn = \"arn:aws:iam::444455556666:role/cloudformation\"."
  }
}

variable "tags" {
  description = "Tags of what is made here, beside Countersign's own."
  type        = map(string)
  default     = {}
  nullable    = false
  validation {
    condition     = alltrue([for key in keys(var.tags) : !can(regex("^(aws|countersign):", key))])
    error_message = "tags: keys must not begin with aws: or countersign:, which have a meaning; write tags = { team = \"platform\" }."
  }
}
