variable "customers_file" {
  description = "Path of customers.yaml, as docs/provider.md describes it."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("[.]ya?ml$", var.customers_file))
    error_message = "customers_file: must be the path of a YAML file; write customers_file = \"$${path.root}/customers.yaml\"."
  }
}

variable "template_url" {
  description = "The published template countersign-customers.template.json of a release, or the one for x86_64, in a bucket of the Region that it is deployed to."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^https://[a-z0-9.-]+[.]amazonaws[.]com([.]cn)?/[A-Za-z0-9_./+-]*/countersign-customers([.]x86_64)?[.]template[.]json$", var.template_url))
    error_message = "template_url: must be the https:// address of countersign-customers.template.json in S3; write template_url = \"https://BUCKET-eu-west-1.s3.eu-west-1.amazonaws.com/countersign/v1.0.0/countersign-customers.template.json\"."
  }
}

variable "stack_name" {
  description = "Name of the stack. Its parts have fixed names: an account has it once per Region."
  type        = string
  default     = "countersign-customers"
  nullable    = false
  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{0,127}$", var.stack_name))
    error_message = "stack_name: must be 1 to 128 letters, digits and hyphens, a letter first; write stack_name = \"countersign-customers\"."
  }
}

variable "service_role_arn" {
  description = "Role by which CloudFormation makes the stack. Left out: the caller's own. The engineers' roles are made by the caller in any case."
  type        = string
  default     = null
  validation {
    condition     = var.service_role_arn == null || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$", coalesce(var.service_role_arn, "-")))
    error_message = "service_role_arn: must be a role's ARN; write service_role_arn = \"arn:aws:iam::111122223333:role/cloudformation\"."
  }
}

variable "tags" {
  description = "Tags of what is made here."
  type        = map(string)
  default     = {}
  nullable    = false
  validation {
    condition     = alltrue([for key in keys(var.tags) : !can(regex("^(aws|countersign):", key)) && !can(regex("^CountersignEngineer", key))])
    error_message = "tags: keys must not begin with aws:, countersign: or CountersignEngineer, which have a meaning; write tags = { team = \"platform\" }."
  }
}
