package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// Version is one version of a grant's secret, with the external ID in it.
type Version struct {
	ID         string   // of the version
	ExternalID string   // "" where the version holds none
	Stages     []string // labels
}

// Versions are all versions of a grant's secret, those without a label included. Only the account's owner sees them so.
func (l *Lab) Versions(ctx context.Context, grant string) ([]Version, error) {
	client := secretsmanager.NewFromConfig(l.Owner(Customer))
	name := "countersign/" + grant
	list, err := client.ListSecretVersionIds(ctx, &secretsmanager.ListSecretVersionIdsInput{SecretId: &name, IncludeDeprecated: new(true)})
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Version
	for _, v := range list.Versions {
		got, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name, VersionId: v.VersionId})
		if errors.As(err, &missing) {
			continue // made by RotateSecret, not filled
		}
		if err != nil {
			return nil, err
		}
		var value struct {
			ExternalID string `json:"externalId"`
		}
		if err := json.Unmarshal([]byte(*got.SecretString), &value); err != nil {
			return nil, fmt.Errorf("value of %s, version %s: %w", name, *v.VersionId, err)
		}
		out = append(out, Version{*v.VersionId, value.ExternalID, v.VersionStages})
	}
	return out, nil
}

// Labelled is the version with the label, and whether there is one that holds an external ID.
func Labelled(versions []Version, stage string) (Version, bool) {
	i := slices.IndexFunc(versions, func(v Version) bool { return slices.Contains(v.Stages, stage) && v.ExternalID != "" })
	if i < 0 {
		return Version{}, false
	}
	return versions[i], true
}

// Secret is the ARN of a grant's secret.
func (l *Lab) Secret(ctx context.Context, grant string) (string, error) {
	out, err := secretsmanager.NewFromConfig(l.Owner(Customer)).DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: new("countersign/" + grant)})
	if err != nil {
		return "", err
	}
	return *out.ARN, nil
}

// RoleName and RoleARN are those that the stack gives a grant by default.
func RoleName(grant string) string { return "ServiceProvider-" + grant }

// RoleARN is the ARN of a grant's role.
func RoleARN(grant string) string {
	return "arn:aws:iam::" + Customer + ":role/countersign/" + RoleName(grant)
}

// Trust is a role's trust policy as IAM returns it; "" where there is no such role.
func (l *Lab) Trust(ctx context.Context, grant string) (string, error) {
	out, err := iam.NewFromConfig(l.Owner(Customer)).GetRole(ctx, &iam.GetRoleInput{RoleName: new(RoleName(grant))})
	if err != nil {
		if strings.Contains(err.Error(), "NoSuchEntity") {
			return "", nil
		}
		return "", err
	}
	return *out.Role.AssumeRolePolicyDocument, nil
}

// StackOutputs are the outputs of the stack.
func (l *Lab) StackOutputs(ctx context.Context) (map[string]string, error) {
	out, err := cloudformation.NewFromConfig(l.Owner(Customer)).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: new(Stack)})
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, o := range out.Stacks[0].Outputs {
		values[*o.OutputKey] = *o.OutputValue
	}
	return values, nil
}
