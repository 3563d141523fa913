package iam

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/countersign/countersign/internal/aws/awserr"
)

// Listed is a role in a list.
type Listed struct {
	Name, Path, ARN string
	Created         time.Time
}

// Roles are the roles of the account whose path begins so, all of them where that is "/" (ListRoles, one call for each hundred).
func (c *Client) Roles(ctx context.Context, path string) (all []Listed, err error) {
	for pages := iam.NewListRolesPaginator(c.api, &iam.ListRolesInput{PathPrefix: &path}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awserr.From(err)
		}
		for _, r := range page.Roles {
			all = append(all, Listed{aws.ToString(r.RoleName), aws.ToString(r.Path), aws.ToString(r.Arn), aws.ToTime(r.CreateDate)})
		}
	}
	return all, nil
}

// Alias is the account's alias; empty: it has none (ListAccountAliases).
func (c *Client) Alias(ctx context.Context) (string, error) {
	out, err := c.api.ListAccountAliases(ctx, &iam.ListAccountAliasesInput{})
	if err != nil {
		return "", awserr.From(err)
	}
	if len(out.AccountAliases) == 0 {
		return "", nil
	}
	return out.AccountAliases[0], nil
}
