# Who is told.

locals {
  destinations = flatten([for g in local.grants : [for channel in ["mail", "webhook", "sns"] : [
    for i, to in try(concat(g.value.notify[channel], []), []) : {
      grant   = g.field, channel = channel, field = "${g.field}.notify.${channel}[${i}]", value = to
      address = try(coalesce(tostring(to)), coalesce(tostring(to.to)), coalesce(tostring(to.topic)), coalesce(tostring(to.url)), "")
      secret  = try(coalesce(tostring(to.secret)), "")
      plain   = !can(to.on) && length([for key in try(keys(to), []) : key if key == "true"]) == 0 && try(to.for, "provider") == "provider"
    }
  ]]])

  wrong_destinations = flatten([for d in local.destinations : concat(
    d.channel == "webhook" && !can(keys(d.value)) ? ["${d.field}: has a url and a secret; write - {url: https://…, secret: arn:aws:secretsmanager:…}"] : [],
    d.channel == "mail" && !can(keys(d.value)) && (length(regexall(local.mail, d.address)) == 0 || length(d.address) > 254) ? ["${d.field}: must be a bare mail address; write - ops@example.com"] : [],
    d.channel == "sns" && !can(keys(d.value)) && length(regexall(local.topic, d.address)) == 0 ? ["${d.field}: must be a standard topic's ARN; write - arn:aws:sns:eu-west-1:444455556666:ops-alerts"] : [],
    strcontains(d.secret, ":secret:countersign/") ? ["${d.field}.secret: those secrets hold external IDs; name one of your own"] : [],
    d.channel == "webhook" && d.address != "" && can(keys(d.value)) ? [for why in local.wrong_url[d.field] : "${d.field}.url: ${why}"] : [],
  )])

  urls = { for d in local.destinations : d.field => {
    whole = d.address
    host  = try(regex("^[a-z]+://([^/:?#]*)", d.address)[0], "")
    port  = try(tonumber(regex("^[a-z]+://[^/?#]*:([0-9]+)(?:[/?#]|$)", d.address)[0]), 443)
    parts = split("/", try(regex("^[a-z]+://[^/?#]*([^?#]*)", d.address)[0], ""))
    query = try([for pair in split("&", regex("[?]([^#]*)", d.address)[0]) : split("=", pair)], [])
  } if d.channel == "webhook" }

  wrong_url = { for field, u in local.urls : field => distinct(concat(
    length(regexall("@", u.whole)) > 0 || length(regexall(local.token_hosts, u.host)) > 0
    || length([for pair in u.query : 1 if length(regexall(local.token_query, pair[0])) > 0]) > 0
    || length([for s in concat(u.parts, [for pair in u.query : try(pair[1], "")]) : 1 if length(s) >= 20 && length(regexall("^[A-Za-z0-9_=+%.-]*$", s)) > 0
    && length(regexall("[0-9]", s)) >= 4 && length(regexall("[A-Za-z]", s)) >= 4]) > 0
    ? ["holds a credential; leave url out and put {\"url\":\"https://…\",\"key\":\"whsec_…\"} into the secret"] : [],
    length(regexall("^https?://[^/?#\\s]+[^\\s]*$", u.whole)) > 0 && length(u.whole) <= 2048 ? [] : ["not a URL; write url: https://hooks.example.com/countersign"],
    startswith(u.whole, "http://") && length(regexall("^(localhost|127[.])", u.host)) == 0 ? ["a webhook is sent over https only"] : [],
    u.port == 443 || u.port >= 1024 && u.port <= 65535 || startswith(u.whole, "http://") ? [] : ["a webhook goes to port 443, or to one from 1024 on"],
    length(regexall("^(10|192[.]168|172[.](1[6-9]|2[0-9]|3[01])|169[.]254|0|22[4-9]|23[0-9]|24[0-9]|25[0-5])[.][0-9.]*$|^\\[", u.host)) > 0 ? ["a webhook goes to no private address; write the endpoint's public name"] : [],
    strcontains(u.whole, "#") ? ["a fragment never reaches the receiver; leave out # and what follows"] : [],
  )) }
  token_query = "(?i)^(.*[-_])?(token|key|apikey|secret|sig|signature|code|auth|password|passwd|pwd|credential|session)s?$"
  token_hosts = "(?i)(^|\\.)(hooks\\.slack\\.com|discord(app)?\\.com|webhook\\.office\\.com|hooks\\.zapier\\.com|maker\\.ifttt\\.com|logic\\.azure\\.com|events\\.pagerduty\\.com|chat\\.googleapis\\.com|webhook\\.site|hook\\.[a-z0-9]+\\.make\\.com)$"
}
