package iam

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/countersign/countersign/internal/aws/awserr"
	"github.com/countersign/countersign/internal/grant"
)

// InlinePolicies lists the names of a role's inline policies (ListRolePolicies). All of them together hold 10,240 characters, so
// that one page of 100 names holds them; an answer that says there is more is refused with grant.ErrUnavailable.
func (c *Client) InlinePolicies(ctx context.Context, roleName string) ([]string, error) {
	out, err := c.api.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: &roleName})
	if err != nil {
		return nil, awserr.From(err)
	}
	if out.IsTruncated {
		return nil, fmt.Errorf("IAM ListRolePolicies: the first page does not hold them all: %w", grant.ErrUnavailable)
	}
	return out.PolicyNames, nil
}

// DeleteInlinePolicy takes an inline policy off a role (DeleteRolePolicy). grant.ErrNotFound where role or policy is missing.
func (c *Client) DeleteInlinePolicy(ctx context.Context, roleName, policyName string) error {
	_, err := c.api.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &roleName, PolicyName: &policyName})
	return awserr.From(err)
}

// UntagRole takes tags off a role (UntagRole). Tags that it doesn't have do no harm.
func (c *Client) UntagRole(ctx context.Context, roleName string, keys ...string) error {
	_, err := c.api.UntagRole(ctx, &iam.UntagRoleInput{RoleName: &roleName, TagKeys: keys})
	return awserr.From(err)
}
