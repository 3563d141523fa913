package iam

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/countersign/countersign/internal/aws/awserr"
	"github.com/countersign/countersign/internal/grant"
)

// Policy is a managed policy without its document.
type Policy struct {
	Description string
	Version     string // the version that holds
}

// Attached lists the ARNs of a role's managed policies (ListAttachedRolePolicies). A role has 20 at most, so that one page
// holds them; an answer that says there is more is refused with grant.ErrUnavailable.
func (c *Client) Attached(ctx context.Context, roleName string) ([]string, error) {
	out, err := c.api.ListAttachedRolePolicies(ctx, &iam.ListAttachedRolePoliciesInput{RoleName: &roleName})
	if err != nil {
		return nil, awserr.From(err)
	}
	if out.IsTruncated {
		return nil, fmt.Errorf("IAM ListAttachedRolePolicies: the first page does not hold them all: %w", grant.ErrUnavailable)
	}
	arns := make([]string, 0, len(out.AttachedPolicies))
	for _, p := range out.AttachedPolicies {
		arns = append(arns, aws.ToString(p.PolicyArn))
	}
	return arns, nil
}

// Policy reads what a managed policy is for (GetPolicy).
func (c *Client) Policy(ctx context.Context, policyARN string) (Policy, error) {
	out, err := c.api.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &policyARN})
	if err != nil {
		return Policy{}, awserr.From(err)
	}
	if out.Policy == nil {
		return Policy{}, fmt.Errorf("IAM GetPolicy: an answer without a policy: %w", grant.ErrUnavailable)
	}
	return Policy{Description: aws.ToString(out.Policy.Description), Version: aws.ToString(out.Policy.DefaultVersionId)}, nil
}

// PolicyDocument reads a version of a managed policy (GetPolicyVersion).
func (c *Client) PolicyDocument(ctx context.Context, policyARN, version string) ([]byte, error) {
	out, err := c.api.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: &policyARN, VersionId: &version})
	if err != nil {
		return nil, awserr.From(err)
	}
	if out.PolicyVersion == nil {
		return nil, fmt.Errorf("IAM GetPolicyVersion: an answer without a policy: %w", grant.ErrUnavailable)
	}
	document, err := decode(aws.ToString(out.PolicyVersion.Document))
	if err != nil {
		return nil, fmt.Errorf("decoding policy %s: %w", policyARN, err)
	}
	return document, nil
}
