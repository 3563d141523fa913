# What is wrong with the file: all of it at once, each with its field and what to write instead. No value is shown: it could
# be an external ID that somebody tried to put here, or a URL that is a credential.

locals {
  problems = distinct(concat(
    local.there ? [] : ["(file): there is no such file; countersign init writes one"],
    !local.there ? [] : local.parsed == null ? ["(file): not YAML, or empty; countersign validate says where"] : [],
    local.parsed == null ? [] : local.ambiguous,
    local.parsed == null ? [] : local.malformed,
    local.parsed == null ? [] : local.contradictions,
  ))

  # What is not of the form in the table.
  malformed = flatten([for o in local.objects : concat(
    can(keys(o.value)) ? [] : ["${o.field == "" ? "(file)" : o.field}: must be a mapping of ${join(", ", keys(local.forms[o.kind]))}"],
    [for key in o.keys : "${o.prefix}${key}: a ${o.kind} has no such key; one of ${join(", ", keys(local.forms[o.kind]))}"
    if !contains(keys(local.forms[o.kind]), key == "true" ? "on" : key)],
    [for key, form in local.forms[o.kind] : "${o.prefix}${key}: is missing; write ${form.fix}" if form.required && can(keys(o.value)) && !contains(o.keys, key) && !(key == "permissions" && try(o.value.role.adopted == true, false))],
    [for key, form in local.forms[o.kind] : "${o.prefix}${key}: is empty; give it a value, or leave the key out" if contains(o.keys, key) && try(o.value[key], null) == null],
    [for key, form in local.forms[o.kind] : "${o.prefix}${key}: must be ${local.kinds[form.kind].says}${form.fix == "" ? "" : "; write ${form.fix}"}"
      if form.kind != "" && try(o.value[key], null) != null && length(regexall(try(local.kinds[form.kind].form, ""), jsonencode(try(o.value[key], null)))) == 0
    ],
    [for key, form in local.forms[o.kind] : "${o.prefix}${key}: must be ${form.says}${form.fix == "" ? "" : "; write ${form.fix}"}"
      if form.form != "" && length(regexall(try(local.kinds[form.kind].form, ""), jsonencode(try(o.value[key], null)))) > 0
      && length(regexall(form.form, try(coalesce(tostring(o.value[key])), ""))) == 0
    ],
    flatten([for key, form in local.forms[o.kind] : [
      for i, item in try(concat(o.value[key], []), []) : "${o.prefix}${key}[${i}]: must be ${form.says}; write ${form.fix}"
      if form.items != "" && (length(regexall("^\"", jsonencode(item))) == 0 || length(regexall(form.items, try(coalesce(tostring(item)), ""))) == 0)
    ]]),
    flatten([for key, form in local.forms[o.kind] : [
      for i, item in try(concat(o.value[key], []), []) : "${o.prefix}${key}[${i}]: is empty; give it a value, or leave it out" if item == null
    ]]),
    flatten([for key in ["principals", "permissions", "providerMay", "pickUp", "removeRevoked"] : [
      for i, item in try(concat(o.value[key], []), []) : "${o.prefix}${key}[${i}]: stands twice; keep one of the two"
      if try(index(o.value[key], item), i) < i && !(key == "pickUp")
    ]]),
    [for key in ["providers", "principals", "grants", "permissions", "pickUp"] : "${o.prefix}${key}: is an empty list; name some, or leave it out"
    if try(length(concat(o.value[key], [])), 1) == 0],
  )])

  # What doesn't go together.
  contradictions = concat(
    length(regexall("(?m)(?:^|[{,])[ \\t]*[\"']?version[\"']?:[ \\t]+1[ \\t]*(?:$|[,}])", local.bare)) > 0 ? [] : ["version: must be 1, as a number; write version: 1"],
    [for n in [try(tonumber(local.parsed.trustPolicyQuota), 2048)] : "trustPolicyQuota: must be a number from 2,048 to 8,192" if n < 2048 || n > 8192],
    [for n in [try(tonumber(local.parsed.reshardedFrom), 0)] : "reshardedFrom: is the number of shards before a change; leave it out" if n == try(tonumber(local.parsed.shards), 1)],
    [for i, name in try(concat(local.parsed.removeRevoked, []), []) : "removeRevoked[${i}]: this grant is in the file; leave it out here, or take the grant out"
    if length([for g in local.grants : 1 if try(coalesce(tostring(g.value.name)), "") == try(coalesce(tostring(name)), "?")]) > 0],
    flatten([for kind, list in { provider = local.providers, grant = local.grants } : [
      for i, o in list : "${o.field}.name: another ${kind} has this name; names are unique in the file"
      if length([for k, other in list : 1 if k < i && try(other.value.name, null) == try(o.value.name, "")]) > 0
    ]]),
    [for i, g in local.grants : "${g.field}: another grant has the same role; give one of them another role name"
    if length([for k, other in local.grants : 1 if k < i && lower(local.role_names[k]) == lower(local.role_names[i])]) > 0],
    flatten([for p in local.providers : [for i, s in try(concat(p.value.principals, []), []) :
      "${p.field}.principals[${i}]: is not in the provider's account; leave the account out: role/… or user/…"
      if startswith(try(coalesce(tostring(s)), ""), "arn:") && try(split(":", tostring(s))[4], "") != try(p.value.account, "")
      ]]), flatten([for p in local.providers : [for i, s in try(concat(p.value.principals, []), []) :
      "${p.field}.principals[${i}]: must be role/…, user/… or such ARNs; one / at a time"
      if !startswith(try(coalesce(tostring(s)), ""), "arn:") && length(regexall("//", try(coalesce(tostring(s)), ""))) > 0
    ]]),
    [for i, p in local.providers : "${p.field}.prefix: stands in front of external IDs, and no grant has one; leave it out"
      if try(p.value.prefix, null) != null && length(try(concat(p.value.grants, []), [])) > 0
    && length([for g in local.grants : 1 if g.provider == i && !local.without_id[g.field]]) == 0],
    flatten([for g in local.grants : concat(
      [for key in ["issuedBy", "rotateEvery", "overlap", "whenUnconfirmed", "providerMay", "pickUp"] :
      "${g.field}.${key}: without an external ID it means nothing; leave it out, or externalId: true" if local.without_id[g.field] && try(g.value[key], null) != null],
      try(g.value.issuedBy, "") == "provider" && !contains(["", "never"], try(coalesce(tostring(g.value.rotateEvery)), "")) ?
      ["${g.field}.rotateEvery: no schedule knows the provider's next ID; write rotateEvery: never"] : [],
      !can(timecmp(g.value.expires, plantimestamp())) ? [] : timecmp(g.value.expires, plantimestamp()) > 0 ? [] :
      ["${g.field}.expires: is past; write a later time, or take the grant out"],
      length(try(g.value.role.path, "")) <= 512 ? [] : ["${g.field}.role.path: has at most 512 characters"],
      [for s in [try(coalesce(tostring(g.value.expires)), "")] : "${g.field}.expires: must be a time in RFC 3339, UTC, to the second; write expires: \"2030-12-31T23:59:59Z\""
      if s != "" && (!strcontains(local.text, s) || !can(timecmp(s, "2000-01-01T00:00:00Z")))],
      [for s in [local.session_seconds[g.field]] : "${g.field}.maxSession: must be from 1h to 12h; write maxSession: 1h" if s != null && (try(s < 3600, true) || try(s > 43200, true) || try(floor(s) != s, true))],
      [for s in [local.overlap_seconds[g.field]] : "${g.field}.overlap: must end before the next rotation: shorter than ${local.room[g.field] / 3600}h; write overlap: ${local.default_overlap[g.field]}h"
      if s != null && local.room[g.field] > 0 && try(s >= local.room[g.field], false)],
    )]),
    local.wrong_permissions,
    local.wrong_destinations,
    local.too_large,
    [for name in coalesce(var.only, []) : "grants: the file has no grant ${name}; it has ${join(", ", [for g in local.grants : try(tostring(g.value.name), "?")])}"
    if length([for g in local.grants : 1 if try(coalesce(tostring(g.value.name)), "") == name]) == 0],
  )

  role_names = [for i, g in local.grants : try(tostring(g.value.role.name), try("ServiceProvider-${g.value.name}", "?${i}"))]
  without_id = { for g in local.grants : g.field => try(coalesce(tostring(g.value.externalId)), "") == "false" }
}
