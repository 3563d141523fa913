# The largest trust policy that a grant's role will have, in characters as IAM counts them: while two IDs are valid and the
# grant is closed. It has to fit before anything is made.

locals {
  quota = 2048

  arn_sizes = { for i, p in local.providers : i => [for s in try(concat(p.value.principals, []), []) :
    length(startswith(try(coalesce(tostring(s)), ""), "arn:") ? s : "arn:${var.partition}:iam::000000000000:${try(coalesce(tostring(s)), "")}")
  ] }
  # Of the members "ArnLike", "StringEquals" and "DateLessThan" of a Condition; 0 where there is none.
  arn_like = { for i, sizes in local.arn_sizes : i => length(sizes) == 0 ? 0 : 31 + (length(sizes) == 1 ? sizes[0] + 2 : sum(sizes) + 3 * length(sizes) + 1) }
  org      = { for i, p in local.providers : i => length(try(coalesce(tostring(p.value.organization)), "")) }
  prefix   = { for i, p in local.providers : i => try(p.value.prefix, null) == null ? 0 : length(try(coalesce(tostring(p.value.prefix)), "")) + 1 }

  trust_sizes = { for g in local.grants : g.field => sum([
    565 + 2 * (length(var.partition) - 3),
    local.arn_like[g.provider] == 0 ? 0 : 2 * (local.arn_like[g.provider] + 1),
    local.org[g.provider] == 0 ? 0 : 2 * (local.org[g.provider] + 24),
    2 * local.prefix[g.provider],
    can(g.value.expires) ? 58 : 0,
    try(coalesce(tostring(g.value.sourceIdentity)), "") != "true" ? 0 : 139 + length(var.partition) - 3 + [
      for members in [compact([for size in [local.arn_like[g.provider], local.org[g.provider] == 0 ? 0 : local.org[g.provider] + 40, can(g.value.expires) ? 57 : 0] : size == 0 ? "" : tostring(size)])] :
      length(members) == 0 ? 0 : 14 + sum(members) + length(members)
    ][0],
  ]) }
  too_large = [for g in local.grants : "${local.arn_like[g.provider] == 0 ? g.field : "${local.providers[g.provider].field}.principals"}: the trust policy of a grant would have ${local.trust_sizes[g.field]} characters while two IDs are valid, and IAM takes ${local.quota}; fewer or shorter principals"
  if local.trust_sizes[g.field] > local.quota]
}
