# A team and its customer, as whoever uses the module would test it. make test-terraform runs this with the stub provider.

variables {
  customers_file = "tests/customers.yaml"
  template_url   = "https://example-countersign-eu-west-1.s3.eu-west-1.amazonaws.com/countersign/v1.0.0/countersign-customers.template.json"
}

run "plan" {
  command = plan

  assert {
    condition     = keys(output.engineers) == ["CountersignEngineer-blue"]
    error_message = "engineers: ${jsonencode(output.engineers)}"
  }
  assert {
    condition = [for s in jsondecode(aws_iam_policy.engineers["CountersignEngineer-blue-1"].policy).Statement : s.Resource if s.Sid == "Enter"] == [
      ["arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration"]
    ]
    error_message = "the team enters its customer and nobody else"
  }
  assert {
    condition     = [for key in keys(aws_sns_topic_subscription.alerts) : key] == ["ops@example.com"]
    error_message = "who is told"
  }
}

run "apply" {
  assert {
    condition     = endswith(output.bus, ":event-bus/countersign-customers") && output.table == "countersign-customers" && endswith(output.registrar, ":role/CountersignRegistrar")
    error_message = "what customers and the command line are given"
  }
}

run "a_customers_template" {
  command = plan
  variables {
    template_url = "https://example-countersign-eu-west-1.s3.eu-west-1.amazonaws.com/countersign/v1.0.0/countersign.template.json"
  }
  expect_failures = [var.template_url]
}

run "tags_that_name_customers" {
  command = plan
  variables {
    tags = { CountersignEngineer1 = "444455556666" }
  }
  expect_failures = [var.tags]
}
