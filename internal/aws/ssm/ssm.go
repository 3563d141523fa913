// Package ssm reads grants' plans from AWS Systems Manager's parameters. CloudFormation writes them; nothing here does.
package ssm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/countersign/countersign/internal/aws/awserr"
	"github.com/countersign/countersign/internal/grant"
)

// Client calls Systems Manager.
type Client struct{ api *ssm.Client }

// New makes a client.
func New(cfg aws.Config) *Client { return &Client{ssm.NewFromConfig(cfg)} }

// Plan reads and checks the plan of a grant (GetParameter). grant.ErrNotConfigured where there is none (then also
// grant.ErrNotFound) or where it can't be acted on.
func (c *Client) Plan(ctx context.Context, name grant.Name) (grant.Plan, error) {
	out, err := c.api.GetParameter(ctx, &ssm.GetParameterInput{Name: new(name.Parameter())})
	switch err := awserr.From(err); {
	case errors.Is(err, grant.ErrNotFound):
		return grant.Plan{}, fmt.Errorf("plan of %s: %w: %w", name, grant.ErrNotConfigured, err)
	case err != nil:
		return grant.Plan{}, err
	case out.Parameter == nil:
		return grant.Plan{}, fmt.Errorf("plan of %s: an answer without a parameter: %w", name, grant.ErrUnavailable)
	}
	return grant.ParsePlan([]byte(aws.ToString(out.Parameter.Value)), name)
}

// Found is a plan, or why there is none that can be acted on.
type Found struct {
	grant.Plan
	Err error // grant.ErrNotConfigured
}

// Plans reads and checks every plan of the account in the Region, whichever stack it belongs to (GetParametersByPath, one call for
// each ten). A parameter whose name no grant can have is none of ours.
func (c *Client) Plans(ctx context.Context) (map[grant.Name]Found, error) {
	all := map[grant.Name]Found{}
	for pages := ssm.NewGetParametersByPathPaginator(c.api, &ssm.GetParametersByPathInput{Path: new(grant.ParameterPrefix)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awserr.From(err)
		}
		for _, p := range page.Parameters {
			name, err := grant.ParseName(strings.TrimPrefix(aws.ToString(p.Name), grant.ParameterPrefix))
			if err != nil {
				continue
			}
			plan, err := grant.ParsePlan([]byte(aws.ToString(p.Value)), name)
			all[name] = Found{plan, err}
		}
	}
	return all, nil
}
