# A service provider's access: for each grant of access.yaml one stack of the published template.

data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}

module "access" {
  source    = "./access"
  file      = var.access_file
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id
  only      = var.grants
}

locals {
  grants = module.access.grants
  files  = merge([for name, g in local.grants : { for written, f in g.files : "${name} ${written}" => f }]...)
}

# Policy files of access.yaml. The plan shows them as they will be.
resource "aws_iam_policy" "file" {
  for_each    = local.files
  name        = each.value.name
  path        = "/countersign/"
  description = each.value.description
  policy      = each.value.document
  tags        = var.tags
}

resource "aws_cloudformation_stack" "grant" {
  for_each     = local.grants
  name         = "${var.stack_prefix}-${each.key}"
  template_url = var.template_url
  parameters   = merge(each.value.parameters, var.native_role ? { CreateRole = "false" } : {})
  capabilities = ["CAPABILITY_NAMED_IAM"]
  iam_role_arn = var.service_role_arn
  tags         = var.tags

  depends_on = [aws_iam_policy.file, aws_iam_role.grant]
}

check "access" {
  assert {
    condition     = length(module.access.warnings) == 0
    error_message = join("\n", module.access.warnings)
  }
}
