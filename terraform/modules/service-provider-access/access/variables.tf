variable "file" {
  description = "Path of access.yaml. Policy files that it names lie beside it or below."
  type        = string
  nullable    = false
}

variable "partition" {
  description = "AWS partition of the account: aws, aws-cn or aws-us-gov."
  type        = string
  default     = "aws"
  nullable    = false
}

variable "account" {
  description = "The customer's account: 12 digits."
  type        = string
  default     = ""
  nullable    = false
}

variable "only" {
  description = "Names of the grants that are wanted, all if left out."
  type        = set(string)
  default     = null
}
