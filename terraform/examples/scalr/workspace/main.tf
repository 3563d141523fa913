# A workspace of Scalr, and its way into an account without any key: by OIDC. A customer applies this once for the repository
# with its access.yaml; a provider, with side = "provider", for the repository with its customers.yaml.
#
# Issuer, audience and subject are as Scalr documents them: https://docs.scalr.io/docs/aws

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.82" # where thumbprint_list may be left out
    }
    scalr = {
      source  = "scalr/scalr"
      version = ">= 3.0"
    }
  }
}

locals {
  issuer   = "scalr.io"
  audience = "aws.scalr-run-workload"
  subject  = "account:${var.scalr_account_name}:environment:${var.scalr_environment_name}:workspace:${var.workspace}"
  prefix   = "countersign" # of stacks and policies, as the modules name them
  account  = data.aws_caller_identity.current.account_id
  arn      = "arn:${data.aws_partition.current.partition}"

  # What either side makes beside its stacks. Whoever writes policies and roles that people use may in truth do anything that these
  # may: what is merged into the repository's main branch is what decides.
  beside = {
    customer = [{
      Effect   = "Allow"
      Action   = ["iam:*Policy", "iam:*PolicyVersion", "iam:ListPolicyVersions", "iam:ListPolicyTags"]
      Resource = ["${local.arn}:iam::${local.account}:policy/countersign/*"]
    }]
    provider = [
      {
        Effect = "Allow"
        Action = ["iam:*Policy", "iam:*PolicyVersion", "iam:ListPolicyVersions", "iam:ListPolicyTags", "iam:*Role", "iam:ListRolePolicies", "iam:*RolePolicy",
        "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRoleDescription"]
        Resource = flatten([for kind in ["role", "policy"] : [for name in ["CountersignEngineer*", "CountersignCustomer-*", "CountersignRegistrar"] :
        "${local.arn}:iam::${local.account}:${kind}/${name}"]])
      },
      {
        Effect   = "Allow"
        Action   = ["sns:Subscribe", "sns:Unsubscribe", "sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes"]
        Resource = ["${local.arn}:sns:*:${local.account}:countersign-customers"]
      },
    ]
  }
}

data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}

resource "aws_iam_openid_connect_provider" "scalr" {
  url            = "https://${local.issuer}"
  client_id_list = [local.audience]
}

# Runs of this one workspace, and no others of the account at Scalr or of anybody else's.
resource "aws_iam_role" "runs" {
  name = "scalr-${var.workspace}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = aws_iam_openid_connect_provider.scalr.arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = { StringEquals = { "${local.issuer}:aud" = local.audience, "${local.issuer}:sub" = local.subject } }
    }]
  })
}

# What a run does itself is little: CloudFormation makes the stacks by a role of its own.
resource "aws_iam_policy" "runs" {
  name = "scalr-${var.workspace}"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Effect = "Allow"
        Action = ["cloudformation:CreateStack", "cloudformation:UpdateStack", "cloudformation:DeleteStack", "cloudformation:DescribeStack*",
        "cloudformation:GetTemplate", "cloudformation:TagResource", "cloudformation:UntagResource"]
        Resource = "${local.arn}:cloudformation:*:${local.account}:stack/${local.prefix}-*"
      },
      { Effect = "Allow", Action = "iam:PassRole", Resource = var.service_role_arn, Condition = { StringEquals = { "iam:PassedToService" = "cloudformation.amazonaws.com" } } },
      { Effect = "Allow", Action = "s3:GetObject", Resource = "${local.arn}:s3:::${var.release_bucket}-*/countersign/*" },
    ], local.beside[var.side])
  })
}

resource "aws_iam_role_policy_attachment" "runs" {
  role       = aws_iam_role.runs.name
  policy_arn = aws_iam_policy.runs.arn
}

resource "scalr_provider_configuration" "aws" {
  name                   = "aws-${var.workspace}"
  account_id             = var.scalr_account_id
  environments           = [var.scalr_environment_id]
  export_shell_variables = false
  aws {
    credentials_type = "oidc"
    role_arn         = aws_iam_role.runs.arn
    audience         = local.audience
  }
}

resource "scalr_workspace" "access" {
  name              = var.workspace
  environment_id    = var.scalr_environment_id
  iac_platform      = "opentofu"
  terraform_version = var.opentofu_version
  working_directory = var.working_directory
  vcs_provider_id   = var.vcs_provider_id
  auto_apply        = false # who may enter is decided by a person who has read the plan

  vcs_repo {
    identifier = var.repository
    branch     = "main"
  }

  provider_configuration {
    id = scalr_provider_configuration.aws.id
  }
}
