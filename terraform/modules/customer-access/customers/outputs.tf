locals {
  sound       = length(local.problems) + length(local.unsupported) == 0
  tagged_role = local.sound && local.form == "tags" ? { CountersignEngineer = "Countersign: engineers, by the tags of their session" } : {}
}

output "roles" {
  description = "The engineers' roles by name: description, and trust policy."
  value = merge(
    { for name, e in local.entered : name => { description = "Countersign: engineers ${e.of}", trust = jsonencode(local.trust[name]) } if local.sound },
    { for name, description in local.tagged_role : name => { description = description, trust = jsonencode({ Version = "2012-10-17", Statement = [{
      Sid       = "SignIn", Effect = "Allow", Action = ["sts:AssumeRoleWithSAML", "sts:TagSession", "sts:SetSourceIdentity"], Principal = { Federated = local.parsed.samlProvider }
      Condition = { StringEquals = { "SAML:aud" = "https://signin.aws.amazon.com/saml" } }
    }] }) } },
  )

  # Here, and not in a resource: what is made depends on it, whatever part of a plan somebody asks for.
  precondition {
    condition     = length(local.problems) == 0
    error_message = "${var.file} can't be deployed:\n  ${join("\n  ", concat(local.problems, local.unsupported))}\nNothing was deployed."
  }
  precondition {
    condition     = length(local.problems) > 0 || length(local.unsupported) == 0
    error_message = "${var.file} says what can't be deployed by Terraform (docs/terraform.md):\n  ${join("\n  ", local.unsupported)}\nNothing was deployed."
  }
}

output "policies" {
  description = "The managed policies by name: role, description and document."
  value = merge(
    { for name, page in local.pages : name => {
      role = page.role, description = "Countersign: engineers ${page.of}", document = jsonencode({ Version = "2012-10-17", Statement = local.enter[name] })
    } if local.sound },
    { for role, description in local.tagged_role : "${role}-1" => { role = role, description = description, document = jsonencode({ Version = "2012-10-17", Statement = local.by_tags }) } },
  )
}

output "registrar" {
  description = "The role that may change the registry, by its name; none where customers.yaml names nobody."
  value = { for name in local.sound && try(length(local.parsed.registrars), 0) > 0 ? ["CountersignRegistrar"] : [] : name => {
    description = "Countersign: invites and accepts customers", trust = jsonencode(local.trust["registrar"])
    document    = jsonencode({ Version = "2012-10-17", Statement = local.writes })
  } }
}

output "alerts" {
  description = "Mail addresses that are told what a person has to look at."
  value       = toset(local.sound ? try(concat(local.parsed.alerts, []), []) : [])
}
