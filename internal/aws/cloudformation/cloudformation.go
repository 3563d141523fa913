// Package cloudformation reads the outputs of deployed stacks, and whether they roll back.
//
// One method is one AWS call. It decides nothing; outputs are what the stack's template says, and hold no external ID.
package cloudformation

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/countersign/countersign/internal/aws/awserr"
	"github.com/countersign/countersign/internal/grant"
)

// Client calls CloudFormation.
type Client struct{ api *cloudformation.Client }

// New makes a client.
func New(cfg aws.Config) *Client { return &Client{cloudformation.NewFromConfig(cfg)} }

// Outputs are a stack's outputs by key (DescribeStacks). grant.ErrNotFound where there is no such stack.
func (c *Client) Outputs(ctx context.Context, stack string) (map[string]string, error) {
	described, err := c.describe(ctx, stack)
	if err != nil {
		return nil, err
	}
	outputs := make(map[string]string, len(described.Outputs))
	for _, o := range described.Outputs {
		outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	return outputs, nil
}

// RollingBack says whether an update of the stack is being taken back (DescribeStacks). grant.ErrNotFound where there is no
// such stack.
func (c *Client) RollingBack(ctx context.Context, stack string) (bool, error) {
	described, err := c.describe(ctx, stack)
	if err != nil {
		return false, err
	}
	return described.StackStatus == types.StackStatusUpdateRollbackInProgress, nil
}

func (c *Client) describe(ctx context.Context, stack string) (types.Stack, error) {
	out, err := c.api.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stack})
	if err != nil {
		err = awserr.From(err)
		// CloudFormation has no code of its own for a stack that isn't there.
		if e, ok := errors.AsType[*awserr.Error](err); ok && e.Code == "ValidationError" && strings.Contains(e.Message, "does not exist") {
			return types.Stack{}, fmt.Errorf("stack %s: %w: %w", stack, grant.ErrNotFound, err)
		}
		return types.Stack{}, err
	}
	if len(out.Stacks) == 0 {
		return types.Stack{}, fmt.Errorf("stack %s: %w", stack, grant.ErrNotFound)
	}
	return out.Stacks[0], nil
}
