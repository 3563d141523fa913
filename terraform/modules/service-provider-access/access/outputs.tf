output "grants" {
  description = "The grants by name: the published template's parameters, and what a role has."
  value       = local.deployable

  # Here, and not in a resource: what is made depends on it, whatever part of a plan somebody asks for.
  precondition {
    condition     = length(local.problems) == 0
    error_message = "${var.file} can't be deployed:\n  ${join("\n  ", concat(local.problems, local.unsupported))}\nNothing was deployed."
  }
  precondition {
    condition     = length(local.problems) > 0 || length(local.unsupported) == 0
    error_message = "${var.file} says what the published template can't, and CDK's can (docs/terraform.md):\n  ${join("\n  ", local.unsupported)}\nNothing was deployed."
  }
}

output "warnings" {
  description = "What can be deployed and should be looked at."
  value       = local.sound ? local.warnings : []
}
