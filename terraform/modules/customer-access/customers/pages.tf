# Which customers a role enters, and how they are spread over its managed policies: in the order of the file, as many as fit into
# each. A role has ten at the most, so that ten steps are all there are.

locals {
  form     = try(coalesce(tostring(local.parsed.engineers)), "teams")
  accepted = [for m in local.read : m if m.role != ""]

  # The roles by name, each with its customers, and with the field that says who may use it.
  entered = merge(
    { for i, t in local.teams : "CountersignEngineer-${local.names[i]}" => {
      of         = "of team ${local.names[i]}", field = t.field, its = try(local.of_team[local.names[i]], [])
      principals = try(concat(t.value.principals, []), [])
    } if local.form == "teams" && local.names[i] != "" && try(index(local.names, local.names[i]), i) == i },
    { for i, m in local.read : "CountersignCustomer-${m.name}" => {
      of         = "of customer ${m.name}", field = m.field, its = [m]
      principals = flatten([for n, t in local.teams : try(concat(t.value.principals, []), []) if contains(m.teams, local.names[n])])
    } if local.form == "customers" && m.role != "" && m.name != "" && local.first["name"][i] == i },
  )
  of_team = { for pair in flatten([for m in local.accepted : [for t in distinct(m.teams) : { team = t, m = m }]]) : pair.team => pair.m... }

  # Characters, as the command line's own deploy reckons with them: of a policy of 6,144 what is the same for all, and what a
  # customer takes, which is its role twice and its secret.
  room_of_first = 6144 - 1020
  room          = 6144 - 340
  takes         = { for name, e in local.entered : name => [for m in e.its : 2 * length(m.role) + 9 + (m.secret == "" ? 85 : length(m.secret))] }
  before        = { for name, sizes in local.takes : name => length(sizes) > local.most ? [0] : [for i in range(length(sizes) + 1) : sum(concat([0], slice(sizes, 0, i)))] }
  most          = 600 # more never fit into ten policies, and needn't be added up

  # From each customer on, the first that doesn't fit any more: into a policy, and into the first one. One always does.
  next = { for name, sums in local.before : name => [for i, s in sums : min(length(sums) - 1, max(i + 1, length([for other in sums : 1 if other - s <= local.room]) - 1))] }
  p1   = { for name, sums in local.before : name => min(length(sums) - 1, max(1, length([for other in sums : 1 if other <= local.room_of_first]) - 1)) }
  p2   = { for name, next in local.next : name => next[local.p1[name]] }
  p3   = { for name, next in local.next : name => next[local.p2[name]] }
  p4   = { for name, next in local.next : name => next[local.p3[name]] }
  p5   = { for name, next in local.next : name => next[local.p4[name]] }
  p6   = { for name, next in local.next : name => next[local.p5[name]] }
  p7   = { for name, next in local.next : name => next[local.p6[name]] }
  p8   = { for name, next in local.next : name => next[local.p7[name]] }
  p9   = { for name, next in local.next : name => next[local.p8[name]] }
  p10  = { for name, next in local.next : name => next[local.p9[name]] }
  ends = { for name, e in local.entered : name => distinct([local.p1[name], local.p2[name], local.p3[name], local.p4[name], local.p5[name],
  local.p6[name], local.p7[name], local.p8[name], local.p9[name], local.p10[name]]) }

  # The customers of each policy, by its name.
  pages = merge(flatten([for name, e in local.entered : [
    for i, end in local.ends[name] : { "${name}-${i + 1}" = { role = name, of = e.of, first = i == 0, its = slice(e.its, i == 0 ? 0 : local.ends[name][i - 1], end) } }
    if length(e.its) <= local.most
  ]])...)

  # What can be read, and not deployed.
  unsupported = concat(
    try(local.parsed.identityCenter, null) == null ? [] :
    ["identityCenter: permission sets lie in another account, and CDK makes them; leave it out, and name the managed policies in permission sets of your own"],
    [for name, e in local.entered : "${e.field}: nobody may use the role ${local.form == "teams" ? "of this team" : "of this customer"}; write principals: [role/Engineers-*], here or at the top" if length(local.who[name]) == 0],
    [for name, e in local.entered : "${e.field}: its ${length(e.its)} customers need more than 10 managed policies of 6,144 characters, and a role has 10; make smaller teams, or write engineers: tags"
    if length(e.its) > local.most || local.p10[name] < length(local.before[name]) - 1],
    local.form == "tags" && try(local.parsed.samlProvider, null) == null && try(local.parsed.identityCenter, null) != null ? ["engineers: the tags of permission sets are CDK's; write samlProvider: beside tags"] : [],
  )

  # Who may use each role: its team's, or those of all.
  who = { for name, e in local.entered : name => length(e.principals) > 0 ? e.principals : try(concat(local.parsed.principals, []), []) }
}
