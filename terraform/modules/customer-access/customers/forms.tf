# What each key takes, as a table. kind is how it is written; form is of texts, items of a list's items; says completes
# "<field>: must be …"; fix is what to write. The patterns are those that the command line holds a customers.yaml to.

locals {
  name      = "^[a-z0-9][a-z0-9-]{0,39}$"
  principal = "^(arn:aws[a-z-]*:iam::[0-9]{12}:)?(role|user)/[A-Za-z0-9_+=,.@/*?-]+$"
  mail      = "^[!-;=?A-~]+@[!-;=?A-~]+$"
  role      = "^arn:(aws[a-z-]*):iam::([0-9]{12}):role/(?:[!-~]+/)?[A-Za-z0-9_+=,.@-]{1,64}$"
  secret    = "^arn:(aws[a-z-]*):secretsmanager:[a-z0-9-]+:([0-9]{12}):secret:([A-Za-z0-9_/+=.@-]+)-[A-Za-z0-9]{6}$"

  # How JSON writes a value tells what YAML took it for.
  kinds = {
    text   = { begins = "\"", says = "text" }
    number = { begins = "", says = "a whole number" }
    list   = { begins = "[", says = "a list" }
  }

  principals = { kind = "list", items = local.principal, says = "role/… or user/… of your own account, * and ? allowed", fix = "principals: [role/Engineers-*]" }
  anything   = { kind = "text", form = "", says = "", fix = "", required = false, items = "" }

  forms = { for kind, keys in local.table : kind => { for key, form in keys : key => merge(local.anything, form) } }
  table = {
    file = {
      version        = { kind = "number", form = "^1$", says = "1: no other form is read", fix = "version: 1", required = true }
      engineers      = { form = "^(teams|customers|tags)$", says = "teams, customers or tags", fix = "engineers: teams" }
      principals     = local.principals
      registrars     = merge(local.principals, { fix = "registrars: [role/Registrars]" })
      alerts         = { kind = "list", items = local.mail, says = "a bare mail address", fix = "alerts: [ops@example.com]" }
      samlProvider   = { form = "^arn:aws[a-z-]*:iam::[0-9]{12}:saml-provider/[A-Za-z0-9_.-]{1,128}$", says = "the ARN of a SAML provider", fix = "samlProvider: arn:aws:iam::111122223333:saml-provider/corp" }
      identityCenter = { form = "^arn:aws[a-z-]*:sso:::instance/(sso)?ins-[A-Za-z0-9.-]{16}$", says = "the ARN of an Identity Center instance", fix = "identityCenter: arn:aws:sso:::instance/ssoins-0123456789abcdef" }
      teams          = { kind = "list", fix = "teams: [{name: blue}]" }
      customers      = { kind = "list", fix = "customers: []" }
    }
    team = {
      name       = { form = local.name, says = "1 to 40 of a-z, 0-9 and -, not starting with -", fix = "name: blue", required = true }
      principals = local.principals
      group      = { form = "^([0-9a-f]{10}-)?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", says = "a group's id in Identity Center", fix = "group: 90672c1b3a-11112222-3333-4444-5555-666677778888" }
    }
    customer = {
      name    = { form = local.name, says = "1 to 40 of a-z, 0-9 and -, not starting with -", fix = "name: acme", required = true }
      account = { form = "^[0-9]{12}$", says = "12 digits, in quotes", fix = "account: \"444455556666\"", required = true }
      prefix  = { form = "^(|[a-z0-9]{4,32})$", says = "4 to 32 of a-z and 0-9", fix = "prefix: acme" }
      grant   = { fix = "grant: migration" }
      kind    = { form = "^(countersign|static|none)$", says = "countersign, static or none", fix = "kind: static" }
      role    = { form = "^$|${local.role}", says = "a role's ARN", fix = "role: arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration" }
      secret  = { fix = "secret: arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-AbCdEf" }
      teams   = { kind = "list", fix = "teams: [blue]" }
    }
  }
}
