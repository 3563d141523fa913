# What each key takes, as a table. kind is how it is written; form is of texts, and of a list's items; says completes
# "<field>: must be …"; fix is what to write. The patterns are those of countersign validate.

locals {
  name   = "^[a-z0-9][a-z0-9-]{0,39}$"
  policy = "^arn:aws[a-z-]*:iam::(aws|[0-9]{12}):policy/[A-Za-z0-9_+=,.@/-]+$"
  mail   = "^[!-;=?A-~]+@[!-;=?A-~]+$"
  topic  = "^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$"

  # How JSON writes a value tells what YAML took it for.
  kinds = {
    text     = { form = "^\"", says = "text" }
    bool     = { form = "^(true|false)$", says = "true or false" }
    number   = { form = "^-?[0-9]+$", says = "a whole number" }
    scalar   = { form = "^(\"|-?[0-9]+$)", says = "text" }
    list     = { form = "^\\[", says = "a list" }
    mapping  = { form = "^\\{", says = "a mapping" }
    "either" = { form = "^(\"|\\{)", says = "text or a mapping" }
  }

  anything = { kind = "", form = "", says = "", fix = "", required = false, items = "" }

  forms = { for kind, keys in local.table : kind => { for key, form in keys : key => merge(local.anything, form) } }
  table = {
    file = {
      version          = { kind = "number", form = "^1$", says = "1: no other form is read", fix = "version: 1", required = true }
      providers        = { kind = "list", fix = "providers: [{name: …, account: \"…\", grants: […]}]", required = true }
      operators        = { kind = "list" }
      mailFrom         = { kind = "text", form = local.mail, says = "a bare mail address", fix = "mailFrom: ops@example.com" }
      alarms           = { kind = "list" }
      trustPolicyQuota = { kind = "number", form = "^[0-9]{4}$", says = "a number from 2,048 to 8,192" }
      shards           = { kind = "number", form = "^([1-9]|[1-4][0-9]|50)$", says = "a number from 1 to 50" }
      reshardedFrom    = { kind = "number", form = "^([0-9]|[1-4][0-9]|50)$", says = "a number from 0 to 50" }
      removeRevoked    = { kind = "list", items = local.name, says = "the name of a grant that is gone", fix = "removeRevoked: [audit]" }
    }
    provider = {
      name         = { kind = "text", form = local.name, says = "1 to 40 of a-z, 0-9 and -, not starting with -", fix = "name: hestio", required = true }
      account      = { kind = "text", form = "^[0-9]{12}$", says = "12 digits, in quotes", fix = "account: \"111122223333\"", required = true }
      organization = { kind = "text", form = "^o-[a-z0-9]{10,32}$", says = "o- and 10 to 32 of a-z and 0-9", fix = "ask the provider: aws organizations describe-organization" }
      prefix       = { kind = "text", form = "^[a-z0-9]{4,32}$", says = "4 to 32 of a-z and 0-9", fix = "prefix: hestio" }
      bus          = { kind = "text" }
      grants       = { kind = "list", fix = "grants: [{name: migration, permissions: [ReadOnlyAccess]}]", required = true }
      principals   = { kind = "list", items = "^(arn:aws[a-z-]*:iam::[0-9]{12}:)?(role|user)/[A-Za-z0-9_+=,.@/*?-]+$", says = "role/…, user/… or such ARNs, * and ? allowed", fix = "principals: [role/Engineers-*], or leave it out" }
    }
    grant = {
      name              = { kind = "text", form = local.name, says = "1 to 40 of a-z, 0-9 and -, not starting with -", fix = "name: migration", required = true }
      permissions       = { kind = "list", fix = "permissions: [ReadOnlyAccess]", required = true }
      boundary          = { kind = "text", form = local.policy, says = "the ARN of a managed policy", fix = "boundary: arn:aws:iam::444455556666:policy/ProviderBoundary" }
      role              = { kind = "mapping" }
      externalId        = { kind = "bool", fix = "externalId: true; the ID itself never stands in this file" }
      issuedBy          = { kind = "text", form = "^(countersign|provider)$", says = "countersign or provider", fix = "issuedBy: countersign" }
      rotateEvery       = { kind = "scalar", form = "^(4h|6h|8h|12h|daily|weekly|monthly|never|([2-9]|[1-9][0-9]{1,2}) days?)$", says = "4h, 6h, 8h, 12h, daily, weekly, monthly, N days or never", fix = "rotateEvery: monthly" }
      overlap           = { kind = "scalar", form = local.duration, says = "a duration", fix = "overlap: 24h" }
      whenUnconfirmed   = { kind = "text", form = "^(auto|cut|extend)$", says = "auto, cut or extend", fix = "whenUnconfirmed: auto" }
      providerMay       = { kind = "list", items = "^(confirm|rotate)$", says = "confirm and rotate", fix = "providerMay: [confirm, rotate]" }
      maxSession        = { kind = "scalar", form = local.duration, says = "a duration from 1h to 12h", fix = "maxSession: 1h" }
      expires           = { kind = "text", form = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$", says = "a time in RFC 3339, UTC, to the second", fix = "expires: \"2030-12-31T23:59:59Z\"" }
      sourceIdentity    = { kind = "bool", fix = "sourceIdentity: true" }
      mayShareResources = { kind = "bool", fix = "mayShareResources: false" }
      mayAssumeRoles    = { kind = "list" }
      pickUp            = { kind = "list", items = "^(session|account)$", says = "session, account or both", fix = "pickUp: [session]" }
      notify            = { kind = "mapping" }
    }
    role    = { name = { kind = "text", form = "^[A-Za-z0-9_+.@-]{1,64}$", says = "1 to 64 letters, digits and +.@-_" }, path = { kind = "text", form = "^/([A-Za-z0-9_+=,.@-]+/)*$", says = "a path that begins and ends with /" }, adopted = { kind = "bool", fix = "adopted: true" } }
    notify  = { mail = { kind = "list" }, webhook = { kind = "list" }, sns = { kind = "list" } }
    mail    = { to = { kind = "text", form = local.mail, says = "a bare mail address", required = true, fix = "to: ops@example.com" }, for = { kind = "text", form = "^(provider|operators)$", says = "provider or operators" }, on = {} }
    webhook = { url = { kind = "text" }, secret = { kind = "text", form = "^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9_/+=.@-]+$", says = "the ARN of a secret, never the key itself", fix = "secret: arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook-AbCdEf", required = true }, for = { kind = "text", form = "^(provider|operators)$", says = "provider or operators" }, on = {} }
    topic   = { topic = { kind = "text", form = local.topic, says = "a standard topic's ARN", required = true, fix = "topic: arn:aws:sns:eu-west-1:444455556666:ops-alerts" }, on = {} }
  }
  duration = "^(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(h|m|s))+$|^[1-9][0-9]{0,2} days?$"
}
