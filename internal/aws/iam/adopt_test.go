package iam_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/iam"
	"github.com/countersign/countersign/internal/grant"
)

func inlineAnswer(truncated string) awstest.Answer {
	return awstest.XML(`<ListRolePoliciesResponse><ListRolePoliciesResult><PolicyNames><member>uploads</member>` +
		`<member>CountersignRevocation</member></PolicyNames><IsTruncated>` + truncated + `</IsTruncated></ListRolePoliciesResult></ListRolePoliciesResponse>`)
}

func listInline(ctx context.Context, cfg aws.Config) error {
	_, err := iam.New(cfg).InlinePolicies(ctx, role)
	return err
}

func TestGivingARoleBackKeepsTheContract(t *testing.T) {
	t.Run("InlinePolicies", func(t *testing.T) { awstest.IAM.Contract(t, inlineAnswer("false"), listInline) })
	t.Run("DeleteInlinePolicy", func(t *testing.T) {
		awstest.IAM.Contract(t, awstest.XML(`<DeleteRolePolicyResponse/>`), func(ctx context.Context, cfg aws.Config) error {
			return iam.New(cfg).DeleteInlinePolicy(ctx, role, "CountersignClosed")
		})
	})
	t.Run("UntagRole", func(t *testing.T) {
		awstest.IAM.Contract(t, awstest.XML(`<UntagRoleResponse/>`), func(ctx context.Context, cfg aws.Config) error {
			return iam.New(cfg).UntagRole(ctx, role, "countersign:grant", "countersign:secret")
		})
	})
}

func TestInlinePoliciesAreListedWhole(t *testing.T) {
	server := awstest.New(t, inlineAnswer("false"), inlineAnswer("true"))
	c := iam.New(server.Config())
	names, err := c.InlinePolicies(t.Context(), role)
	if err != nil || !slices.Equal(names, []string{"uploads", "CountersignRevocation"}) {
		t.Errorf("%q, %v", names, err)
	}
	if _, err := c.InlinePolicies(t.Context(), role); !errors.Is(err, grant.ErrUnavailable) {
		t.Errorf("half a list: %v", err)
	}
}
