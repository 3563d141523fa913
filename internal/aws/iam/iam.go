// Package iam speaks to AWS IAM about granted roles: trust policy, inline policies, tags.
//
// One method is one AWS call. It decides nothing and trusts nothing of what it reads: documents are handed on as bytes, decoded
// and unparsed. Errors wrap package grant's sentinels and never repeat a document.
package iam

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/countersign/countersign/internal/aws/awsconfig"
	"github.com/countersign/countersign/internal/aws/awserr"
	"github.com/countersign/countersign/internal/grant"
)

// Client calls IAM.
type Client struct {
	api    *iam.Client
	urgent bool
}

// New makes a client.
func New(cfg aws.Config) *Client { return &Client{api: iam.NewFromConfig(cfg)} }

// NewUrgent makes a client for whoever takes access away: what is throttled is tried again at once.
func NewUrgent(cfg aws.Config) *Client {
	return &Client{api: iam.NewFromConfig(awsconfig.Urgent(cfg)), urgent: true}
}

// Role reads a role by its name, without path (GetRole). grant.ErrNotFound where there is none.
func (c *Client) Role(ctx context.Context, roleName string) (grant.Role, error) {
	out, err := c.api.GetRole(ctx, &iam.GetRoleInput{RoleName: &roleName})
	if err != nil {
		return grant.Role{}, awserr.From(err)
	}
	if out.Role == nil {
		return grant.Role{}, fmt.Errorf("IAM GetRole: an answer without a role: %w", grant.ErrUnavailable)
	}
	document, err := decode(aws.ToString(out.Role.AssumeRolePolicyDocument))
	if err != nil {
		return grant.Role{}, fmt.Errorf("decoding the trust policy of %s: %w", roleName, err)
	}
	role := grant.Role{ARN: aws.ToString(out.Role.Arn), Trust: document, Tags: make(map[string]string, len(out.Role.Tags))}
	for _, tag := range out.Role.Tags {
		role.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	if used := out.Role.RoleLastUsed; used != nil {
		role.LastUsed = aws.ToTime(used.LastUsedDate)
	}
	return role, nil
}

// SetTrust replaces a role's trust policy (UpdateAssumeRolePolicy). IAM has no compare-and-swap: the last writer wins.
// grant.ErrUnavailable means that it may have worked. What is throttled isn't tried again here but by an urgent client: the
// document may have changed meanwhile.
func (c *Client) SetTrust(ctx context.Context, roleName string, document []byte) error {
	_, err := c.api.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{
		RoleName: &roleName, PolicyDocument: new(string(document)),
	}, func(o *iam.Options) {
		if !c.urgent {
			o.Retryer = awsconfig.Unthrottled(o.Retryer)
		}
	})
	return awserr.From(err, document)
}

// InlinePolicy reads an inline policy of a role (GetRolePolicy). grant.ErrNotFound where role or policy is missing.
func (c *Client) InlinePolicy(ctx context.Context, roleName, policyName string) ([]byte, error) {
	out, err := c.api.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &roleName, PolicyName: &policyName})
	if err != nil {
		return nil, awserr.From(err)
	}
	document, err := decode(aws.ToString(out.PolicyDocument))
	if err != nil {
		return nil, fmt.Errorf("decoding policy %s of %s: %w", policyName, roleName, err)
	}
	return document, nil
}

// PutInlinePolicy writes an inline policy of a role, replacing one of that name (PutRolePolicy).
func (c *Client) PutInlinePolicy(ctx context.Context, roleName, policyName string, document []byte) error {
	_, err := c.api.PutRolePolicy(ctx, &iam.PutRolePolicyInput{
		RoleName: &roleName, PolicyName: &policyName, PolicyDocument: new(string(document)),
	})
	return awserr.From(err, document)
}

// TagRole sets tags of a role and leaves its others alone (TagRole).
func (c *Client) TagRole(ctx context.Context, roleName string, tags map[string]string) error {
	list := make([]types.Tag, 0, len(tags))
	for key, value := range tags {
		list = append(list, types.Tag{Key: &key, Value: &value})
	}
	slices.SortFunc(list, func(a, b types.Tag) int { return strings.Compare(*a.Key, *b.Key) })
	_, err := c.api.TagRole(ctx, &iam.TagRoleInput{RoleName: &roleName, Tags: list})
	return awserr.From(err)
}

// decode takes a policy document as IAM returns it, URL-encoded by RFC 3986, where a plus sign is a plus sign. Plain JSON
// is taken as it is.
func decode(document string) ([]byte, error) {
	if strings.HasPrefix(strings.TrimSpace(document), "{") {
		return []byte(document), nil
	}
	plain, err := url.PathUnescape(document)
	if err != nil {
		return nil, fmt.Errorf("%w: not URL-encoded as IAM documents it", grant.ErrMalformed)
	}
	return []byte(plain), nil
}
