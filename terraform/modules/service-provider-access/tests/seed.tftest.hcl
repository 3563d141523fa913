# The seed's scenario, as whoever uses the module would test it. make test-terraform runs this with the stub provider.

variables {
  access_file  = "tests/access.yaml"
  template_url = "https://example-countersign-eu-west-1.s3.eu-west-1.amazonaws.com/countersign/v1.0.0/countersign.template.json"
}

run "plan" {
  command = plan

  assert {
    condition     = output.roles == { migration = "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration" }
    error_message = "roles: ${jsonencode(output.roles)}"
  }
  assert {
    condition = aws_cloudformation_stack.grant["migration"].parameters == tomap({
      ProviderName    = "hestio", ProviderAccount = "111122223333", GrantName = "migration", RotateEvery = "monthly", Overlap = "24h",
      Permissions     = "arn:aws:iam::aws:policy/AmazonS3FullAccess,arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess",
      WhenUnconfirmed = "auto", MaxSessionSeconds = "3600", MayShareResources = "false", SourceIdentity = "false"
    })
    error_message = "parameters: ${jsonencode(aws_cloudformation_stack.grant["migration"].parameters)}"
  }
  assert {
    condition     = length(aws_iam_role.grant) + length(aws_iam_role_policy_attachment.permission) == 0
    error_message = "the role is the stack's"
  }
}

run "apply" {
  assert {
    condition     = startswith(output.secrets["migration"], "arn:aws:secretsmanager:") && startswith(output.confirm_urls["migration"], "https://")
    error_message = "what the provider reads and where it confirms"
  }
}

run "a_native_role" {
  command = plan
  variables {
    native_role  = true
    stack_prefix = "other"
  }
  assert {
    condition     = jsondecode(aws_iam_role.grant["migration"].assume_role_policy).Statement[0].Effect == "Deny"
    error_message = "it is born closed"
  }
  assert {
    condition     = aws_cloudformation_stack.grant["migration"].parameters["CreateRole"] == "false"
    error_message = "the stack makes no other"
  }
  assert {
    condition     = length(aws_iam_role_policy_attachment.permission) == 2 && length(aws_iam_role_policy_attachment.pick_up) == 1
    error_message = "its permissions are this configuration's"
  }
}

run "a_bucket_elsewhere" {
  command = plan
  variables {
    template_url = "https://example.com/countersign.template.json"
  }
  expect_failures = [var.template_url]
}

run "no_such_grant" {
  command = plan
  variables {
    grants = ["Migration"]
  }
  expect_failures = [var.grants]
}
