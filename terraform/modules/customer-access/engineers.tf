# Roles of this account, and what they may do at customers'. No trust policy here holds an external ID: they let in people of this
# account, or a SAML provider.

resource "aws_iam_role" "engineers" {
  for_each           = module.customers.made.roles
  name               = each.key
  description        = each.value.description
  assume_role_policy = each.value.trust
  tags               = var.tags
}

resource "aws_iam_policy" "engineers" {
  for_each    = module.customers.made.policies
  name        = each.key
  description = each.value.description
  policy      = each.value.document
  tags        = var.tags
}

resource "aws_iam_role_policy_attachment" "engineers" {
  for_each   = module.customers.made.policies
  role       = aws_iam_role.engineers[each.value.role].name
  policy_arn = aws_iam_policy.engineers[each.key].arn
}

# Who may write the registry; nobody but administrators where customers.yaml names none.
resource "aws_iam_role" "registrar" {
  for_each           = module.customers.made.registrar
  name               = each.key
  description        = each.value.description
  assume_role_policy = each.value.trust
  tags               = var.tags
}

resource "aws_iam_role_policy" "registrar" {
  for_each = module.customers.made.registrar
  name     = "Registry"
  role     = aws_iam_role.registrar[each.key].name
  policy   = each.value.document
}
