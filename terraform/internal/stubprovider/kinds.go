package main

import (
	"cmp"
	"os"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

const stackType = "aws_cloudformation_stack"

// account is whose the made-up account is.
const account = "444455556666"

var (
	required = schema.StringAttribute{Required: true}
	optional = schema.StringAttribute{Optional: true}
	replaces = schema.StringAttribute{Required: true, PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()}}
	computed = schema.StringAttribute{Computed: true, PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()}}
	number   = schema.Int64Attribute{Optional: true}
	flag     = schema.BoolAttribute{Optional: true}
	texts    = schema.SetAttribute{Optional: true, ElementType: types.StringType}
	pairs    = schema.MapAttribute{Optional: true, ElementType: types.StringType}
	answers  = schema.MapAttribute{Computed: true, ElementType: types.StringType}
)

// kinds are the resources, as far as the modules and examples use them.
func kinds() []kind {
	return []kind{
		{
			name: "aws_iam_role",
			attributes: attributes{
				"name": replaces, "path": optional, "description": optional, "assume_role_policy": required, "tags": pairs,
				"max_session_duration": number, "permissions_boundary": optional, "force_detach_policies": flag, "arn": computed, "id": computed,
			},
			keeps: func(r standing) string {
				if policies := r.account["inline_policies"][r.text("id")]; len(policies) > 0 && !r.flag("force_detach_policies") {
					return "DeleteConflict: Cannot delete entity, must delete policies first."
				}
				return ""
			},
			made: func(r made) map[string]any {
				return map[string]any{"id": r.text("name"), "arn": "arn:aws:iam::" + account + ":role" + cmp.Or(r.text("path"), "/") + r.text("name")}
			},
		},
		{
			name: "aws_iam_policy",
			attributes: attributes{
				"name": replaces, "path": optional, "description": optional, "policy": required, "tags": pairs, "arn": computed, "id": computed,
			},
			made: func(r made) map[string]any {
				arn := "arn:aws:iam::" + account + ":policy" + cmp.Or(r.text("path"), "/") + r.text("name")
				return map[string]any{"id": arn, "arn": arn}
			},
		},
		{
			name:       "aws_iam_role_policy_attachment",
			attributes: attributes{"role": replaces, "policy_arn": replaces, "id": computed},
			made: func(r made) map[string]any {
				return map[string]any{"id": r.text("role") + "/" + r.text("policy_arn")}
			},
		},
		{
			name:       "aws_iam_role_policy",
			attributes: attributes{"name": replaces, "role": replaces, "policy": required, "id": computed},
			made:       func(r made) map[string]any { return map[string]any{"id": r.text("role") + ":" + r.text("name")} },
		},
		{
			name:       "aws_sns_topic_subscription",
			attributes: attributes{"topic_arn": replaces, "protocol": replaces, "endpoint": replaces, "arn": computed, "id": computed},
			made: func(r made) map[string]any {
				arn := r.text("topic_arn") + ":00000000-1111-2222-3333-444444444444"
				return map[string]any{"id": arn, "arn": arn}
			},
		},
		{
			name: "aws_iam_openid_connect_provider",
			attributes: attributes{
				"url": replaces, "client_id_list": schema.SetAttribute{Required: true, ElementType: types.StringType}, "thumbprint_list": texts,
				"arn": computed, "id": computed,
			},
			made: func(r made) map[string]any {
				arn := "arn:aws:iam::" + account + ":oidc-provider/" + r.text("url")
				return map[string]any{"id": arn, "arn": arn}
			},
		},
		{
			name: stackType,
			attributes: attributes{
				"name": replaces, "template_url": optional, "parameters": pairs, "capabilities": texts, "tags": pairs, "outputs": answers,
				"iam_role_arn": optional, "timeout_in_minutes": number, "on_failure": optional, "notification_arns": texts, "policy_body": optional,
				"id": computed,
			},
			keeps: func(r standing) string {
				if endpoint := os.Getenv(endpointVariable); endpoint != "" {
					return gone(endpoint, r.text("id"))
				}
				if len(r.account["protected_stacks"][r.text("name")]) > 0 {
					return "ValidationError: Stack [" + r.text("id") + "] cannot be deleted while TerminationProtection is enabled"
				}
				return ""
			},
			made: func(r made) map[string]any {
				if endpoint := os.Getenv(endpointVariable); endpoint != "" {
					out, err := deploy(endpoint, r.action+"Stack", r.text("name"), r.texts("parameters"))
					if err != nil {
						r.wrong.AddError("CloudFormation", err.Error())
					}
					return out
				}
				return map[string]any{
					"id":      "arn:aws:cloudformation:eu-west-1:" + account + ":stack/" + r.text("name") + "/00000000-1111-2222-3333-444444444444",
					"outputs": outputs(r.text("template_url"), r.texts("parameters")),
				}
			},
		},
		{
			name:       "scalr_environment",
			attributes: attributes{"name": required, "account_id": optional, "id": computed},
			made:       func(made) map[string]any { return map[string]any{"id": "env-stub"} },
		},
		{
			name: "scalr_workspace",
			attributes: attributes{
				"name": required, "environment_id": required, "iac_platform": optional, "terraform_version": optional, "working_directory": optional,
				"auto_apply": flag, "vcs_provider_id": optional, "id": computed,
			},
			blocks: blocks{
				"vcs_repo":               attributes{"identifier": required, "branch": optional, "trigger_prefixes": texts},
				"provider_configuration": attributes{"id": required, "alias": optional},
			},
			made: func(made) map[string]any { return map[string]any{"id": "ws-stub"} },
		},
		{
			name: "scalr_provider_configuration",
			attributes: attributes{
				"name": required, "account_id": optional, "export_shell_variables": flag, "environments": texts, "apply_only": flag, "id": computed,
			},
			blocks: blocks{"aws": attributes{
				"credentials_type": required, "account_type": optional, "role_arn": optional, "audience": optional, "external_id": optional,
				"trusted_entity_type": optional,
			}},
			made: func(made) map[string]any { return map[string]any{"id": "pcfg-stub"} },
		},
	}
}

// outputs are those that a published template has, for these parameters. A test compares their names with the template's.
func outputs(template string, parameters map[string]string) map[string]string {
	if strings.Contains(template, "/countersign-customers.") {
		at := "eu-west-1:" + account + ":"
		return map[string]string{
			"BusArn": "arn:aws:events:" + at + "event-bus/countersign-customers", "Table": "countersign-customers",
			"DeadLettersUrl": "https://sqs.eu-west-1.amazonaws.com/" + account + "/countersign-customers-dead", "AlertsTopic": "arn:aws:sns:" + at + "countersign-customers",
		}
	}
	name := parameters["GrantName"]
	role := "arn:aws:iam::" + account + ":role/countersign/ServiceProvider-" + name
	api := "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/v1/"
	return map[string]string{
		"RoleArn": role, "ApiUrl": api, "ConfirmUrl": api + "grants/" + name + "/confirm",
		"SecretArn":       "arn:aws:secretsmanager:eu-west-1:" + account + ":secret:countersign/" + name + "-AbCdEf",
		"PickUpPolicyArn": "arn:aws:iam::" + account + ":policy/" + "stub-PickUp-AbCdEfGhIjKl",
		"Revoke":          "aws iam put-role-policy --role-name ServiceProvider-" + name + " --policy-name CountersignRevocation …",
	}
}

// facts are the data sources.
func facts() []fact {
	return []fact{
		{name: "aws_caller_identity", values: map[string]string{"account_id": account, "arn": "arn:aws:iam::" + account + ":user/stub", "id": account}},
		{name: "aws_partition", values: map[string]string{"partition": "aws", "dns_suffix": "amazonaws.com", "id": "aws"}},
		{name: "aws_region", values: map[string]string{"id": "eu-west-1", "region": "eu-west-1"}},
	}
}
