# What grants may do: policies of AWS's by name, policies by ARN, and policy files, which must be policies that IAM takes.

locals {
  powerful      = ["AdministratorAccess", "PowerUserAccess", "IAMFullAccess"]
  job_functions = ["Billing", "DatabaseAdministrator", "DataScientist", "NetworkAdministrator", "SupportUser", "SystemAdministrator", "ViewOnlyAccess"]

  permissions = flatten([for g in local.grants : [
    for i, item in try(concat(g.value.permissions, []), []) : {
      grant   = try(coalesce(tostring(g.value.name)), "")
      field   = "${g.field}.permissions[${i}]"
      written = try(coalesce(tostring(item)), "")
      is_text = startswith(jsonencode(item), "\"")
      account = try(coalesce(tostring(local.providers[g.provider].value.account)), "")
      kind = (startswith(try(coalesce(tostring(item)), ""), "arn:") ? "arn" :
      startswith(try(coalesce(tostring(item)), ""), ".") || endswith(try(coalesce(tostring(item)), ""), ".json") ? "file" : "managed")
    }
  ]])

  wrong_permissions = concat(
    [for p in local.permissions : "${p.field}: must be text; write - ReadOnlyAccess" if !p.is_text],
    [for p in local.permissions : "${p.field}: not a policy's ARN; write - arn:aws:iam::aws:policy/ReadOnlyAccess"
    if p.is_text && p.kind == "arn" && length(regexall(local.policy, p.written)) == 0],
    [for p in local.permissions : "${p.field}: this policy is in the provider's account, and IAM attaches those of the role's own account and AWS's; copy it into a policy file"
    if p.kind == "arn" && try(regex("^arn:[a-z-]*:iam::([0-9]{12}):", p.written)[0], "none") == p.account],
    [for p in local.permissions : "${p.field}: needs its path; write - job-function/${p.written}" if contains(local.job_functions, p.written)],
    [for p in local.permissions : "${p.field}: not a permission; write - AmazonS3ReadOnlyAccess, an ARN, or ./policies/custom.json"
    if p.is_text && p.kind == "managed" && length(regexall("^([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,128}$", p.written)) == 0],
    flatten([for g in local.grants : [for n in [length(try(concat(g.value.permissions, []), []))] :
    "${g.field}.permissions: a role takes 9 managed policies; put several into one policy file" if n > 9]]),
    [for field, f in local.files : "${field}: ${f.wrong}" if f.wrong != ""],
  )

  # Policy files by the field that names them.
  files = { for p in local.permissions : p.field => merge(local.read[p.field], {
    grant = p.grant, written = p.written
    wrong = (
      startswith(p.written, "/") || contains(split("/", p.written), "..") ? "lies outside the folder of access.yaml; write - ./policies/${basename(p.written)}" :
      !local.read[p.field].there ? "there is no such file; create it, or name an AWS managed policy" :
      local.read[p.field].policy == null ? "is not a policy: not valid JSON" :
      length(replace(local.read[p.field].text, "/\\s/", "")) > 6144 ? "a policy takes 6,144 characters, white space aside; split it into two files" :
      length(local.read[p.field].twice) > 0 ? "is not a policy: a key stands twice" :
      try(local.read[p.field].policy.Version, "") != "2012-10-17" ? "is not a policy: its Version must be \"2012-10-17\"" :
      length(setsubtract(keys(local.read[p.field].policy), ["Version", "Id", "Statement"])) > 0 ? "is not a policy: it takes Version, Id and Statement" :
      length(local.read[p.field].statements) == 0 ? "is not a policy: it has no Statement" :
      join("; ", distinct(concat(
        [for s in local.read[p.field].statements : "a statement takes Sid, Effect, Action or NotAction, Resource or NotResource, Condition, and no Principal"
        if length(setsubtract(try(keys(s), ["-"]), local.statement_keys)) > 0],
        [for s in local.read[p.field].statements : "a statement's Effect must be Allow or Deny" if !contains(["Allow", "Deny"], try(coalesce(tostring(s.Effect)), ""))],
        [for s in local.read[p.field].statements : "a statement has either Action or NotAction, either Resource or NotResource"
        if can(s.Action) == can(s.NotAction) || can(s.Resource) == can(s.NotResource)],
        [for s in local.read[p.field].statements : "a Sid takes letters and digits only, each once" if length(regexall("^[A-Za-z0-9]*$", try(coalesce(tostring(s.Sid)), ""))) == 0],
        [for sids in [[for s in local.read[p.field].statements : s.Sid if can(s.Sid)]] : "a Sid takes letters and digits only, each once" if length(distinct(sids)) < length(sids)],
        [for list in flatten([for s in local.read[p.field].statements : [for key in local.lists : { v = s[key] } if can(s[key])]]) : "actions and resources are texts, or lists of at least one text"
        if length(regexall("^(\"[^\"]|\\[(\"([^\"\\\\]|\\\\.)+\",?)+\\]$)", jsonencode(list.v))) == 0],
      )))
    )
  }) if p.kind == "file" }
  statement_keys = ["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"]
  lists          = ["Action", "NotAction", "Resource", "NotResource"]

  read = { for p in local.permissions : p.field => {
    path       = "${local.folder}/${p.written}"
    there      = try(fileexists("${local.folder}/${p.written}"), false)
    text       = try(file("${local.folder}/${p.written}"), "")
    policy     = try(jsondecode(file("${local.folder}/${p.written}")), null)
    statements = try(concat(jsondecode(file("${local.folder}/${p.written}")).Statement, []), [jsondecode(file("${local.folder}/${p.written}")).Statement], [])
    # Terraform's JSON takes the last of two equal keys: each has to stand as often as it was read.
    twice = [for key in concat(local.statement_keys, ["Version", "Statement"]) : key
      if length(regexall("\"${key}\"\\s*:", try(file("${local.folder}/${p.written}"), ""))) >
      length([for s in try(concat(jsondecode(file("${local.folder}/${p.written}")).Statement, []), [jsondecode(file("${local.folder}/${p.written}")).Statement], []) : 1 if can(s[key])])
      + (contains(["Version", "Statement"], key) ? 1 : 0)
    ]
  } if p.kind == "file" }

  # ARNs, those of files as the module will make them.
  arns = { for p in local.permissions : p.field => (
    p.kind == "arn" ? p.written :
    p.kind == "managed" ? "arn:${var.partition}:iam::aws:policy/${p.written}" :
    "arn:${var.partition}:iam::${var.account}:policy/countersign/${local.policy_names[p.field]}"
  ) }
  policy_names = { for p in local.permissions : p.field => "${p.grant}-${substr(sha256(p.written), 0, 8)}" if p.kind == "file" }
}
