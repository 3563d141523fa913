// Package cloudformation reads the outputs of deployed stacks, whether they roll back, and whether they may be deleted, and keeps
// them from that.
//
// One method is one AWS call. It decides nothing; outputs are what the stack's template says, and hold no external ID.
package cloudformation

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	return outputs(described), nil
}

func outputs(of types.Stack) map[string]string {
	all := make(map[string]string, len(of.Outputs))
	for _, o := range of.Outputs {
		all[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	return all
}

// Stack is a stack by its name, and its outputs by key. One that is being made has none yet.
type Stack struct {
	Name    string
	Outputs map[string]string
}

// Stacks are all stacks of the account in the Region, whoever made them (DescribeStacks, a call for each page).
func (c *Client) Stacks(ctx context.Context) (all []Stack, err error) {
	for pages := cloudformation.NewDescribeStacksPaginator(c.api, &cloudformation.DescribeStacksInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awserr.From(err)
		}
		for _, s := range page.Stacks {
			all = append(all, Stack{aws.ToString(s.StackName), outputs(s)})
		}
	}
	return all, nil
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

// Deletable says whether the stack stands and DeleteStack would take it: its termination protection is off (DescribeStacks). One
// that is being deleted, or whose creation was taken back, can't be anything else any more. grant.ErrNotFound where there is no such
// stack.
func (c *Client) Deletable(ctx context.Context, stack string) (bool, error) {
	described, err := c.describe(ctx, stack)
	if err != nil {
		return false, err
	}
	return !slices.Contains(ending, described.StackStatus) && !aws.ToBool(described.EnableTerminationProtection), nil
}

// ending are the states from which a stack can only be deleted.
var ending = []types.StackStatus{
	types.StackStatusDeleteInProgress, types.StackStatusDeleteFailed, types.StackStatusDeleteComplete,
	types.StackStatusRollbackInProgress, types.StackStatusRollbackFailed, types.StackStatusRollbackComplete,
}

// Protect turns the stack's termination protection on (UpdateTerminationProtection). grant.ErrNotFound where there is no such stack.
func (c *Client) Protect(ctx context.Context, stack string) error {
	_, err := c.api.UpdateTerminationProtection(ctx, &cloudformation.UpdateTerminationProtectionInput{
		StackName: &stack, EnableTerminationProtection: aws.Bool(true),
	})
	return named(stack, err)
}

// named knows a stack that isn't there: CloudFormation has no code of its own for that.
func named(stack string, err error) error {
	if err == nil {
		return nil
	}
	err = awserr.From(err)
	if e, ok := errors.AsType[*awserr.Error](err); ok && e.Code == "ValidationError" && strings.Contains(e.Message, "does not exist") {
		return fmt.Errorf("stack %s: %w: %w", stack, grant.ErrNotFound, err)
	}
	return err
}

func (c *Client) describe(ctx context.Context, stack string) (types.Stack, error) {
	out, err := c.api.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stack})
	if err != nil {
		return types.Stack{}, named(stack, err)
	}
	if len(out.Stacks) == 0 {
		return types.Stack{}, fmt.Errorf("stack %s: %w", stack, grant.ErrNotFound)
	}
	return out.Stacks[0], nil
}
