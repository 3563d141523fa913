# What is wrong with the file: all of it at once, each with its field and what to write instead. No value is shown: it could
# be an external ID that somebody tried to put here.

locals {
  problems = distinct(concat(
    local.there ? [] : ["(file): there is no such file; countersign customers export writes the list of customers"],
    !local.there ? [] : local.parsed == null ? ["(file): not YAML, or empty; write version: 1 and what docs/provider.md has behind it"] : [],
    local.parsed == null ? [] : local.ambiguous,
    local.parsed == null ? [] : local.malformed,
    local.parsed == null ? [] : local.contradictions,
    local.parsed == null ? [] : local.wrong_members,
  ))

  # What is not of the form in the table.
  malformed = flatten([for o in local.objects : concat(
    can(keys(o.value)) || o.field != "" && o.value == null ? [] : ["${o.field == "" ? "(file)" : o.field}: must be a mapping of ${join(", ", keys(local.forms[o.kind]))}"],
    [for key in o.keys : "${o.prefix}${key}: a ${o.kind} has no such key; one of ${join(", ", keys(local.forms[o.kind]))}" if !contains(keys(local.forms[o.kind]), key)],
    [for key, form in local.forms[o.kind] : "${o.prefix}${key}: is missing; write ${form.fix}" if form.required && can(keys(o.value)) && !contains(o.keys, key)],
    [for key, form in local.forms[o.kind] : "${o.prefix}${key}: is empty; give it a value, or leave the key out" if contains(o.keys, key) && try(o.value[key], null) == null],
    [for key, form in local.forms[o.kind] : "${o.prefix}${key}: must be ${local.kinds[form.kind].says}; write ${form.fix}"
      if contains(o.keys, key) && try(o.value[key], null) != null && !startswith(jsonencode(try(o.value[key], null)), local.kinds[form.kind].begins)
    ],
    [for key, form in local.forms[o.kind] : "${o.prefix}${key}: must be ${form.says}; write ${form.fix}"
      if form.form != "" && contains(o.keys, key) && (startswith(jsonencode(try(o.value[key], null)), local.kinds[form.kind].begins) ?
      length(regexall(form.form, try(coalesce(tostring(o.value[key])), ""))) == 0 : false)
    ],
    flatten([for key, form in local.forms[o.kind] : [
      for i, item in try(concat(o.value[key], []), []) : item == null ? "${o.prefix}${key}[${i}]: is empty; give it a value, or leave it out" :
      "${o.prefix}${key}[${i}]: must be ${form.says}; write ${form.fix}"
      if item == null || form.items != "" && (!startswith(jsonencode(item), "\"") || length(regexall(form.items, try(coalesce(tostring(item)), ""))) == 0)
    ] if form.kind == "list" && contains(o.keys, key)]),
    flatten([for key in ["principals", "registrars"] : [
      for i, item in try(concat(o.value[key], []), []) : strcontains(item, "//") ? "${o.prefix}${key}[${i}]: must be role/… or user/…; one / at a time" :
      "${o.prefix}${key}[${i}]: stands twice; keep one of the two"
      if try(strcontains(item, "//") || index([for p in o.value[key] : replace(p, "/^arn:[^/]*:/", "")], replace(item, "/^arn:[^/]*:/", "")) < i, false)
    ] if contains(o.keys, key)]),
  )])

  names = [for t in local.teams : try(coalesce(tostring(t.value.name)), "")]

  # What doesn't go together.
  contradictions = concat(
    try(tostring(local.parsed.version), "") != "1" || length(regexall("(?m)(?:^|[{,])[ \\t]*[\"']?version[\"']?:[ \\t]+1[ \\t]*(?:$|[,}])", local.bare)) > 0 ? [] : ["version: must be 1, as a number; write version: 1"],
    try(local.parsed.engineers, "") == "tags" && try(coalesce(local.parsed.samlProvider), coalesce(local.parsed.identityCenter), "") == "" ?
    ["engineers: session tags must come from an identity provider, or anybody could name any customer; write samlProvider: beside it"] : [],
    [for i, address in try(concat(local.parsed.alerts, []), []) : "alerts[${i}]: must be a bare mail address of 254 characters at most" if length(try(coalesce(tostring(address)), "")) > 254],
    length(local.teams) <= 500 ? [] : ["teams: ${length(local.teams)}, and 500 are the most; write engineers: tags"],
    length(local.members) <= 10000 ? [] : ["customers: ${length(local.members)}, and 10,000 are the most"],
    [for i, t in local.teams : "${t.field}.name: another team has this name; keep one of the two" if local.names[i] != "" && try(index(local.names, local.names[i]), i) < i],
    [for i, t in local.teams : "${t.field}.name: has at most 22 characters beside identityCenter" if length(local.names[i]) > 22 && try(local.parsed.identityCenter, null) != null],
  )
}
