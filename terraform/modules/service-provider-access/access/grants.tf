# Each grant as the published template's parameters, and as what a role has.

locals {
  sound = length(local.problems) + length(local.unsupported) == 0

  deployable = { for g in local.grants : tostring(g.value.name) => {
    field      = g.field
    provider   = local.providers[g.provider].value.name
    role       = "ServiceProvider-${g.value.name}"
    path       = "/countersign/"
    boundary   = try(tostring(g.value.boundary), null)
    session    = local.session_seconds[g.field] == null ? 3600 : local.session_seconds[g.field]
    policies   = [for p in local.permissions : local.arns[p.field] if p.grant == g.value.name]
    files      = { for p in local.permissions : p.written => { name = local.policy_names[p.field], description = "Countersign: ${p.written} of grant ${g.value.name}", document = local.read[p.field].text } if p.grant == g.value.name && p.kind == "file" }
    parameters = { for name, value in local.parameters[g.field] : name => value if value != "" }
  } if local.sound && (var.only == null || contains(coalesce(var.only, []), try(coalesce(tostring(g.value.name)), ""))) }

  parameters = { for g in local.grants : g.field => {
    ProviderName           = local.providers[g.provider].value.name
    ProviderAccount        = local.providers[g.provider].value.account
    Principals             = join(",", [for s in try(concat(local.providers[g.provider].value.principals, []), []) : startswith(s, "arn:") ? s : "arn:${var.partition}:iam::${local.providers[g.provider].value.account}:${s}"])
    Organization           = try(coalesce(tostring(local.providers[g.provider].value.organization)), "")
    Prefix                 = try(coalesce(tostring(local.providers[g.provider].value.prefix)), "")
    GrantName              = g.value.name
    Permissions            = join(",", [for p in local.permissions : local.arns[p.field] if p.grant == g.value.name])
    AdministratorAccessFor = length([for p in local.permissions : 1 if p.grant == g.value.name && contains(local.powerful, basename(p.written))]) > 0 ? local.providers[g.provider].value.account : ""
    PermissionsBoundary    = try(coalesce(tostring(g.value.boundary)), "")
    MayShareResources      = try(tostring(g.value.mayShareResources), "false")
    MaxSessionSeconds      = tostring(local.session_seconds[g.field] == null ? 3600 : local.session_seconds[g.field])
    Expires                = try(coalesce(tostring(g.value.expires)), "")
    RotateEvery            = local.every[g.field]
    Overlap                = local.overlap_seconds[g.field] == null ? "${local.default_overlap[g.field]}h" : "${local.overlap_seconds[g.field] / 3600}h"
    WhenUnconfirmed        = try(tostring(g.value.whenUnconfirmed), "auto")
    SourceIdentity         = try(tostring(g.value.sourceIdentity), "false")
    NotifyTopic            = join("", [for d in local.destinations : d.address if d.grant == g.field && d.channel == "sns"])
    NotifyWebhook          = join("", [for d in local.destinations : d.address if d.grant == g.field && d.channel == "webhook"])
    NotifyWebhookSecret    = join("", [for d in local.destinations : d.secret if d.grant == g.field && d.channel == "webhook"])
    MailFrom               = local.mails[g.field] == "" ? "" : try(coalesce(tostring(local.parsed.mailFrom)), "")
    NotifyMail             = try(coalesce(tostring(local.parsed.mailFrom)), "") == "" ? "" : local.mails[g.field]
  } if local.sound }
  mails = { for g in local.grants : g.field => join("", [for d in local.destinations : d.address if d.grant == g.field && d.channel == "mail"]) }

  warnings = concat(
    [for p in local.permissions : "${p.field}: close to an administrator; the guard still denies IAM, other roles and Countersign's own parts, nothing else"
    if contains(local.powerful, basename(p.written))],
    [for g in local.grants : "${g.field}.notify.mail: no mail will be sent; write mailFrom: countersign@example.com at the top of the file" if local.mails[g.field] != "" && try(local.parsed.mailFrom, null) == null],
    [for g in local.grants : "${g.field}.maxSession: a provider that enters from a role gets 1h at most" if try(local.session_seconds[g.field] > 3600, false)],
  )
}
