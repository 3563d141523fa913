# What access.yaml may say and the published template has no parameter for. It is refused, not left out in silence.

locals {
  unsupported = distinct(concat(
    [for key in ["operators", "alarms", "trustPolicyQuota"] : "${key}: has no parameter in the published template" if try(local.parsed[key], null) != null],
    [for p in local.providers : "${p.field}.bus: has no parameter in the published template" if try(p.value.bus, null) != null],
    [for p in local.providers : "${p.field}.principals: 5 at the most" if try(length(concat(p.value.principals, [])), 0) > 5],
    flatten([for p in local.providers : [for i, s in try(concat(p.value.principals, []), []) : "${p.field}.principals[${i}]: a comma, or more than 160 characters"
    if length(regexall(",", try(coalesce(tostring(s)), ""))) > 0 || length(try(split(":", tostring(s))[5], tostring(s), "")) > 165]]),
    flatten([for i, g in local.grants : concat(
      length(try(coalesce(tostring(g.value.name)), "")) <= 36 ? [] : ["${g.field}.name: more than 36 characters"],
      try(g.value.role.name, local.role_names[i]) == try("ServiceProvider-${g.value.name}", "") ? [] : ["${g.field}.role.name: the role is ServiceProvider-NAME"],
      try(g.value.role.path, "/countersign/") == "/countersign/" ? [] : ["${g.field}.role.path: the path is /countersign/"],
      try(g.value.role.adopted == true, false) ? ["${g.field}: a role that is adopted stays its owner's, and the template makes one"] : [],
      local.without_id[g.field] ? ["${g.field}.externalId: the template makes no role without an external ID"] : [],
      try(g.value.issuedBy, "countersign") == "countersign" ? [] : ["${g.field}.issuedBy: external IDs are Countersign's own"],
      length(regexall("day", local.every[g.field])) == 0 || local.every[g.field] == "daily" ? [] : ["${g.field}.rotateEvery: no N days; one of ${join(", ", keys(local.hour))}"],
      local.overlap_seconds[g.field] == null || contains(local.overlaps, try("${local.overlap_seconds[g.field] / 3600}h", "")) ? [] : ["${g.field}.overlap: one of ${join(", ", local.overlaps)}"],
      length(setsubtract(["confirm", "rotate"], try(concat(g.value.providerMay, []), ["confirm", "rotate"]))) == 0 ? [] : ["${g.field}.providerMay: both confirm and rotate"],
      length(setsubtract(["session", "account"], try(concat(g.value.pickUp, []), ["session", "account"]))) == 0 ? [] : ["${g.field}.pickUp: both session and account"],
      try(length(concat(g.value.mayAssumeRoles, [])), 0) == 0 ? [] : ["${g.field}.mayAssumeRoles: has no parameter in the published template"],
      [for channel in ["mail", "webhook", "sns"] : "${g.field}.notify.${channel}: one of each at the most" if try(length(concat(g.value.notify[channel], [])), 0) > 1],
    )]),
    [for p in local.permissions : "${p.field}: a comma in a policy's name" if strcontains(p.written, ",") && p.kind != "file"],
    [for d in local.destinations : "${d.field}: for and on keep their defaults" if !d.plain],
    [for d in local.destinations : "${d.field}: a url that holds a credential has no parameter" if d.channel == "webhook" && d.address == ""],
    [for d in local.destinations : "${d.field}: an https:// URL with a name and a path" if d.channel == "webhook" && d.address != ""
    && length(regexall("^https://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?/[A-Za-z0-9_.~/%?&=+-]{0,512}$", d.address)) == 0],
    [for d in local.destinations : "${d.field}: letters, digits and ._+- before the @" if d.channel == "mail" && length(regexall(local.plain_mail, d.address)) == 0],
    [for from in [try(coalesce(tostring(local.parsed.mailFrom)), "")] : "mailFrom: letters, digits and ._+- before the @" if from != "" && length(regexall(local.plain_mail, from)) == 0],
  ))
  plain_mail = "^[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,100}$"
  overlaps   = ["1h", "2h", "3h", "4h", "5h", "6h", "8h", "11h", "12h", "24h", "48h", "72h", "168h"]
}
