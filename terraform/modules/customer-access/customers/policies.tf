# The policies, as CDK's stack has them.

locals {
  registry = "arn:${var.partition}:dynamodb:${var.region}:${var.account}:table/countersign-customers"
  may_read = { Sid = "Find", Effect = "Allow", Action = ["dynamodb:BatchGetItem", "dynamodb:Query"], Resource = local.registry }
  keys_of  = { "Null" = { "dynamodb:LeadingKeys" = "false" } }

  # The first policy of every role: it finds customers, writes nothing whatever else the role is given, and decrypts by way of
  # Secrets Manager alone, which asks for the secret besides.
  same_for_all = [
    local.may_read,
    { Sid = "RegistryIsReadOnly", Effect = "Deny", Resource = local.registry, Action = ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate", "dynamodb:PartiQLDelete"] },
    { Sid = "Decrypt", Effect = "Allow", Action = "kms:Decrypt", Resource = "arn:${var.partition}:kms:*:*:key/*",
    Condition = { StringLike = { "kms:ViaService" = "secretsmanager.*.${var.dns_suffix}" } } },
  ]

  # Who of the provider's own account may use a role: patterns, so that they may be made anew.
  trust = { for name, principals in merge(local.who, { registrar = try(concat(local.parsed.registrars, []), []) }) : name => {
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Own", Effect = "Allow", Action = ["sts:AssumeRole", "sts:SetSourceIdentity"], Principal = { AWS = "arn:${var.partition}:iam::${var.account}:root" }
      Condition = { ArnLike = { "aws:PrincipalArn" = [for p in principals : "arn:${var.partition}:iam::${var.account}:${replace(p, "/^arn:[^/]*:/", "")}"] } }
    }]
  } }

  # Exactly these customers, and exactly their secrets. The external ID is a condition here, too: no role that needs one is
  # entered without it.
  enter = { for name, page in local.pages : name => concat([for s in local.same_for_all : s if page.first], [
    for s in [
      { Sid = "Enter", Action = "sts:AssumeRole", Resource = [for m in page.its : m.role if m.secret != ""], Condition = { "Null" = { "sts:ExternalId" = "false" } } },
      { Sid = "ReadSecrets", Action = "secretsmanager:GetSecretValue", Resource = [for m in page.its : m.secret if m.secret != ""], Condition = null },
      { Sid = "EnterWithoutID", Action = "sts:AssumeRole", Resource = [for m in page.its : m.role if m.secret == ""], Condition = null },
      { Sid = "SayWho", Action = "sts:SetSourceIdentity", Resource = [for m in page.its : m.role], Condition = null },
    ] : { for key, value in merge(s, { Effect = "Allow" }) : key => value if value != null } if length(s.Resource) > 0
  ]) }

  # Countersign's own roles and secrets, in the accounts that the session's tags name.
  tagged = { StringEquals = { "aws:ResourceAccount" = [for i in range(20) : "$${aws:PrincipalTag/CountersignEngineer${i + 1}, 'none'}"] } }
  owned  = "arn:${var.partition}:iam::*:role/countersign/*"
  by_tags = concat(local.same_for_all, [
    { Sid = "Enter", Effect = "Allow", Action = "sts:AssumeRole", Resource = local.owned, Condition = merge(local.tagged, { "Null" = { "sts:ExternalId" = "false" } }) },
    { Sid = "SayWho", Effect = "Allow", Action = "sts:SetSourceIdentity", Resource = local.owned, Condition = local.tagged },
    { Sid = "ReadSecrets", Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = "arn:${var.partition}:secretsmanager:*:*:secret:countersign/*", Condition = local.tagged },
  ])

  # What may change the registry. No prefix is ever given away, and nobody says what an account said.
  writes = [
    local.may_read,
    { Sid = "Write", Effect = "Allow", Action = "dynamodb:PutItem", Resource = local.registry, Condition = merge(local.keys_of,
    { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["customer", "grant", "role", "secret", "prefix", "account"] } }) },
    { Sid = "Remove", Effect = "Allow", Action = "dynamodb:DeleteItem", Resource = local.registry, Condition = merge(local.keys_of,
    { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["customer", "grant", "role", "secret", "heard"] } }) },
  ]
}
