locals {
  sound       = length(local.problems) + length(local.unsupported) == 0
  tagged_role = local.sound && local.form == "tags" ? { CountersignEngineer = "Countersign: engineers, by the tags of their session" } : {}

  # By name: description, trust policy, and of the registrar what it may.
  roles = merge(
    { for name, e in local.entered : name => { description = "Countersign: engineers ${e.of}", trust = jsonencode(local.trust[name]) } if local.sound },
    { for name, description in local.tagged_role : name => { description = description, trust = jsonencode({ Version = "2012-10-17", Statement = [{
      Sid       = "SignIn", Effect = "Allow", Action = ["sts:AssumeRoleWithSAML", "sts:TagSession", "sts:SetSourceIdentity"], Principal = { Federated = local.parsed.samlProvider }
      Condition = { StringEquals = { "SAML:aud" = "https://signin.aws.amazon.com/saml" } }
    }] }) } },
  )
  policies = merge(
    { for name, page in local.pages : name => {
      role = page.role, description = "Countersign: engineers ${page.of}", document = jsonencode({ Version = "2012-10-17", Statement = local.enter[name] })
    } if local.sound },
    { for role, description in local.tagged_role : "${role}-1" => { role = role, description = description, document = jsonencode({ Version = "2012-10-17", Statement = local.by_tags }) } },
  )
  registrar = { for name in local.sound && try(length(local.parsed.registrars), 0) > 0 ? ["CountersignRegistrar"] : [] : name => {
    description = "Countersign: invites and accepts customers", trust = jsonencode(local.trust["registrar"])
    document    = jsonencode({ Version = "2012-10-17", Statement = local.writes })
  } }
}

# One output, so that whatever part of a plan somebody asks for depends on its conditions: a mistake must end nothing.
output "made" {
  description = "What a customers.yaml asks for: roles, their managed policies, the registrar's role (none where nobody is named), and mail addresses that are told."
  value = {
    roles     = local.roles
    policies  = local.policies
    registrar = local.registrar
    alerts    = toset(local.sound ? try(concat(local.parsed.alerts, []), []) : [])
  }
  precondition {
    condition     = length(local.problems) == 0
    error_message = "${var.file} can't be deployed:\n  ${join("\n  ", concat(local.problems, local.unsupported))}\nNothing was deployed."
  }
  precondition {
    condition     = length(local.problems) > 0 || length(local.unsupported) == 0
    error_message = "${var.file} says what can't be deployed by Terraform (docs/terraform.md):\n  ${join("\n  ", local.unsupported)}\nNothing was deployed."
  }
}
