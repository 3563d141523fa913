# Durations and schedules, in seconds.

locals {
  unit = { h = 3600, m = 60, s = 1 }

  session_seconds = { for g in local.grants : g.field => local.seconds["${g.field}.maxSession"] }
  overlap_seconds = { for g in local.grants : g.field => local.seconds["${g.field}.overlap"] }

  # null where there is none, or none that can be read.
  seconds = { for at, s in local.durations : at => length(regexall(local.duration, s)) == 0 ? null : length(regexall("days?$", s)) > 0 ?
    tonumber(regex("^[0-9]+", s)) * 86400 : sum([for part in regexall("([0-9.]+)(h|m|s)", s) : try(tonumber(part[0]), 0) * local.unit[part[1]]])
  }
  durations = merge(concat([{}], [for g in local.grants : {
    for key in ["maxSession", "overlap"] : "${g.field}.${key}" => try(coalesce(tostring(g.value[key])), "")
  }])...)

  # As Secrets Manager's windows leave it: from one rotation to the next, less the window of an hour, or of a day for N days.
  hour = { "4h" = 3, "6h" = 5, "8h" = 7, "12h" = 11, daily = 23, weekly = 167, monthly = 671, never = 0 }
  every = { for g in local.grants : g.field => try(tostring(g.value.rotateEvery), null) == null ?
    (try(g.value.issuedBy, "") == "provider" ? "never" : "monthly") : try(coalesce(tostring(g.value.rotateEvery)), "")
  }
  room = { for at, every in local.every : at => 3600 * try(local.hour[every], try(tonumber(regex("^[0-9]+", every)) - 1, 0) * 24) }

  # In hours: a day, or as many whole hours as half of that room.
  default_overlap = { for at, room in local.room : at => room == 0 ? 24 : min(24, floor(room / 7200)) }
}
