# Reading customers.yaml: its text, what YAML makes of it, and each object in it with its place.

locals {
  there  = fileexists(var.file)
  text   = replace(replace(local.there ? try(file(var.file), "") : "", "\r\n", "\n"), "\ufeff", "")
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
    length(local.text) <= 4194304 ? [] : ["(file): the file is larger than 4,194,304 bytes"],
    # A key that stands twice: YAML here takes the last one. Each key has to stand as often as it was read.
    [for key, n in local.written : "(file): a ${key} stands twice in the same place; keep one of the two" if n > local.decoded[key]],
  )
  keys = distinct(flatten([for kind, form in local.forms : keys(form)]))
  written = { for key in local.keys : key =>
    length(regexall("(?m)(?:^[ \\t]*(?:- +)*|[{,][ \\t]*)[\"']?${key}[\"']?[ \\t]*:(?:[ \\t]|$)", local.bare))
  }
  decoded = { for key in local.keys : key => length([for o in local.objects : 1 if contains(o.keys, key)]) }

  # Each object with its place. What is none, or isn't there, has no keys.
  teams   = [for i, t in try(concat(local.parsed.teams, []), []) : { kind = "team", field = "teams[${i}]", value = t }]
  members = [for i, m in try(concat(local.parsed.customers, []), []) : { kind = "customer", field = "customers[${i}]", value = m }]
  objects = [for p in concat([{ kind = "file", field = "", value = local.parsed }], local.teams, local.members) :
    merge(p, { keys = try(keys(p.value), []), prefix = p.field == "" ? "" : "${p.field}." })
  ]
}
