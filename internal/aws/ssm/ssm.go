// Package ssm reads grants' plans from AWS Systems Manager's parameters. CloudFormation writes them; nothing here does.
package ssm

import (
	"context"
	"errors"
	"fmt"

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
