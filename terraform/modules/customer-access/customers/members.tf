# What has to fit together of a customer: its account, role, secret and grant; and of several: one customer, one role, one secret.

locals {
  # Each customer as text throughout; what is no text is told elsewhere.
  read = [for m in local.members : {
    field   = m.field
    name    = try(coalesce(tostring(m.value.name)), "")
    account = try(coalesce(tostring(m.value.account)), "")
    prefix  = try(coalesce(tostring(m.value.prefix)), "")
    grant   = try(coalesce(tostring(m.value.grant)), "")
    kind    = can(m.value.kind) ? try(coalesce(tostring(m.value.kind)), "?") : "countersign"
    role    = try(coalesce(tostring(m.value.role)), "")
    secret  = try(coalesce(tostring(m.value.secret)), "")
    teams   = [for t in try(concat(m.value.teams, []), []) : try(coalesce(tostring(t)), "")]
    of      = try(regex(local.role, m.value.role), null)     # partition and account
    kept    = try(regex(local.secret, m.value.secret), null) # partition, account and name
  }]

  wrong_members = flatten([for i, m in local.read : concat(
    [for n, t in m.teams : "${m.field}.teams[${n}]: must be text; write teams: [blue]" if length(regexall("^\"", try(jsonencode(local.members[i].value.teams[n]), "\""))) == 0],
    [for n, t in m.teams : "${m.field}.teams[${n}]: there is no such team above; give it a name there, or leave it out" if length(local.names) > 0 && !contains(local.names, t)],
    [for n, t in m.teams : "${m.field}.teams[${n}]: stands twice; keep one of the two" if index(m.teams, t) < n],
    m.of == null || try(m.of[1], "") == m.account ? [] : ["${m.field}.role: is in another account than the customer's; compare both with what the customer says"],
    length(m.role) <= 2048 && length(m.secret) <= 2048 ? [] : ["${m.field}: an ARN has at most 2,048 characters"],
    m.kind != "countersign" ? concat(
      m.role == "" ? ["${m.field}.role: a customer that doesn't run Countersign needs its role; write role: arn:aws:iam::444455556666:role/Vendor"] : [],
      m.kind != "static" || m.kept != null ? [] : ["${m.field}.secret: must be the full ARN of a secret of your own; write secret: arn:aws:secretsmanager:eu-west-1:111122223333:secret:static/acme-AbCdEf"],
      m.kind != "none" || m.secret == "" ? [] : ["${m.field}.secret: kind none has no secret, its role takes no external ID; write kind: static, or leave the secret out"],
      ) : m.role == "" ? (m.secret == "" ? [] : ["${m.field}.secret: a secret without its role; write both, or none"]) : concat(
      length(regexall(local.name, m.grant)) > 0 ? [] : ["${m.field}.grant: must be the name of the customer's grant, 1 to 40 of a-z, 0-9 and -; write grant: migration"],
      m.secret == "" ? [] : m.kept == null ? ["${m.field}.secret: must be a secret's full ARN; write secret: arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-AbCdEf"] :
      m.kept[1] != m.account || m.kept[0] != try(m.of[0], "") ? ["${m.field}.secret: is in another account or partition than the customer's role; compare both with what the customer says"] :
      m.kept[2] != "countersign/${m.grant}" ? ["${m.field}.secret: must be called countersign/ and the grant; compare it with what the customer says"] : [],
    ),
    [for key in ["name", "role", "secret"] : "${m.field}.${key}: another customer has it; one customer, one role, one secret" if local.first[key][i] < i],
    m.prefix == "" || try(local.first_account[m.prefix], "") == m.account ? [] : ["${m.field}.prefix: another account has this prefix; an account has one, and no other has it"],
    m.prefix == "" || try(local.first_prefix[m.account], "") == m.prefix ? [] : ["${m.field}.prefix: the account has another prefix above; an account has one"],
  )])

  # Of each customer the first that has the same; itself, where there is none.
  first         = { for key in ["name", "role", "secret"] : key => [for i, m in local.read : m[key] == "" ? i : local.places[key][m[key]][0]] }
  places        = { for key in ["name", "role", "secret"] : key => { for i, m in local.read : m[key] => i... } }
  first_account = { for prefix, accounts in { for m in local.read : m.prefix => m.account... } : prefix => accounts[0] }
  first_prefix  = { for account, prefixes in { for m in local.read : m.account => m.prefix... if m.prefix != "" } : account => prefixes[0] }
}
