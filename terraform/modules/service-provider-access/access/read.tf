# Reading access.yaml: its text, what YAML makes of it, and each object in it with its place.

locals {
  there  = fileexists(var.file)
  raw    = local.there ? try(file(var.file), "") : ""
  folder = dirname(var.file)
  text   = replace(replace(local.raw, "\r\n", "\n"), "\ufeff", "")
  parsed = try(yamldecode(local.text), null)

  # Terraform's YAML reads more than countersign's does, and not all of it the same. What would be read in two ways is refused.
  bare  = replace(local.text, "/(?m)(^|\\s)#.*$/", "$1")
  value = "(?m)(?:^[ \\t]*(?:- +)*|[:,\\[{][ \\t]+|[\\[{])"
  ambiguous = concat(
    length(regexall("${local.value}[&*!][^ \\t\\n\"',\\]]", local.bare)) == 0 ? [] :
    ["(file): anchors, aliases and tags are not read; write it out"],
    length(regexall("(?mi)[:\\[,][ \\t]+(?:yes|no|on|off|y|n)[ \\t]*(?:$|[,}\\]])", local.bare)) == 0 ? [] :
    ["(file): yes, no, on and off are read as true or false by some and as text by others; write true or false, or quote the text"],
    length(regexall("(?m)^---[ \\t]*\\S|\\n---", local.bare)) == 0 ? [] :
    ["(file): one document a file, without ---"],
    length(local.text) <= 1048576 ? [] : ["(file): the file is larger than 1,048,576 bytes"],
    # A key that stands twice: YAML here takes the last one. Each key has to stand as often as it was read.
    [for key, n in local.written : "(file): a ${key} stands twice in the same place; keep one of the two" if n > lookup(local.decoded, key, 0)],
  )
  written = {
    for key in distinct(flatten([for kind, form in local.forms : keys(form)])) : key =>
    length(regexall("(?m)(?:^[ \\t]*(?:- +)*|[{,][ \\t]*)[\"']?${key}[\"']?[ \\t]*:(?:[ \\t]|$)", local.bare))
  }
  decoded = {
    for key in distinct(flatten([for kind, form in local.forms : keys(form)])) : key =>
    length([for o in local.objects : 1 if contains(o.keys, key == "on" ? "true" : key)])
  }

  # Each object with its place. What is none, or isn't there, has no keys.
  providers = [for i, p in try(concat(local.parsed.providers, []), []) : { field = "providers[${i}]", value = p }]
  grants = flatten([for i, p in local.providers : [
    for j, g in try(concat(p.value.grants, []), []) : { field = "${p.field}.grants[${j}]", provider = i, value = g }
  ]])
  parts = concat(
    [{ kind = "file", field = "", value = local.parsed }],
    [for p in local.providers : { kind = "provider", field = p.field, value = p.value }],
    [for g in local.grants : { kind = "grant", field = g.field, value = g.value }],
    [for g in local.grants : { kind = "role", field = "${g.field}.role", value = g.value.role } if try(g.value.role, null) != null],
    [for g in local.grants : { kind = "notify", field = "${g.field}.notify", value = g.value.notify } if try(g.value.notify, null) != null],
    flatten([for g in local.grants : [for channel, kind in { mail = "mail", webhook = "webhook", sns = "topic" } : [
      for i, to in try(concat(g.value.notify[channel], []), []) : { kind = kind, field = "${g.field}.notify.${channel}[${i}]", value = to }
      if can(keys(to))
    ]]]),
  )
  objects = [for p in local.parts : merge(p, { keys = try(keys(p.value), []), prefix = p.field == "" ? "" : "${p.field}." })]
}
