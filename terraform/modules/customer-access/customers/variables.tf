variable "file" {
  description = "Path of customers.yaml."
  type        = string
  nullable    = false
}

variable "partition" {
  description = "AWS partition of the account: aws, aws-cn or aws-us-gov."
  type        = string
  default     = "aws"
  nullable    = false
}

variable "dns_suffix" {
  description = "End of the names of AWS's services in that partition."
  type        = string
  default     = "amazonaws.com"
  nullable    = false
}

variable "account" {
  description = "The provider's own account: 12 digits."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region of the registry."
  type        = string
  nullable    = false
}
