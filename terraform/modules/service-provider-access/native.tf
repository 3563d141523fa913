# Only with native_role: the roles of this configuration. They are born closed, as the stack's are, and what binds them is the
# stack's: guard, revocation and end. Permissions come after the stack and go before it.

resource "aws_iam_role" "grant" {
  for_each             = var.native_role ? local.grants : {}
  name                 = each.value.role
  path                 = each.value.path
  description          = "Countersign: ${each.value.provider} enters here by grant ${each.key}"
  assume_role_policy   = file("${path.module}/born.json")
  max_session_duration = each.value.session
  permissions_boundary = each.value.boundary
  tags                 = merge(var.tags, { "countersign:grant" = each.key })

  # A stack that goes leaves the role closed, by an inline policy that no configuration declares. IAM deletes no role that has one.
  force_detach_policies = true

  lifecycle {
    # Countersign writes the trust policy from then on. Nobody can tag a role in a later step than it is made in: these two are
    # set by the command in the output tag_roles.
    ignore_changes = [assume_role_policy, tags["countersign:secret"], tags["countersign:confirm"]]
  }
}

resource "aws_iam_role_policy_attachment" "permission" {
  for_each = var.native_role ? merge([for name, g in local.grants : {
    for field, arn in g.policies : "${name} ${arn}" => { role = g.role, arn = arn }
  }]...) : {}
  role       = each.value.role
  policy_arn = each.value.arn

  depends_on = [aws_cloudformation_stack.grant]
}

resource "aws_iam_role_policy_attachment" "pick_up" {
  for_each   = var.native_role ? local.grants : {}
  role       = each.value.role
  policy_arn = aws_cloudformation_stack.grant[each.key].outputs["PickUpPolicyArn"]
}
