// Package secretsmanager speaks to AWS Secrets Manager about grants' secrets: versions, staging labels, tags, rotations.
//
// One method is one AWS call. It decides nothing: values are handed on as bytes. Values are read by version id, never by
// label, but for the webhooks' signing secrets, which are not ours. Errors wrap package grant's sentinels and never repeat a value.
package secretsmanager

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/countersign/countersign/internal/aws/awserr"
	"github.com/countersign/countersign/internal/grant"
)

// Client calls Secrets Manager.
type Client struct{ api *secretsmanager.Client }

// New makes a client.
func New(cfg aws.Config) *Client { return &Client{secretsmanager.NewFromConfig(cfg)} }

// Describe reads a secret without its values (DescribeSecret).
func (c *Client) Describe(ctx context.Context, secretARN string) (grant.Secret, error) {
	out, err := c.api.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &secretARN})
	if err != nil {
		return grant.Secret{}, awserr.From(err)
	}
	if aws.ToString(out.ARN) == "" {
		return grant.Secret{}, fmt.Errorf("describing %s: an answer without a secret: %w", secretARN, grant.ErrUnavailable)
	}
	secret := grant.Secret{
		ARN: aws.ToString(out.ARN), Stages: out.VersionIdsToStages, Tags: make(map[string]string, len(out.Tags)),
		RotationEnabled: aws.ToBool(out.RotationEnabled),
		NextRotation:    aws.ToTime(out.NextRotationDate), LastRotated: aws.ToTime(out.LastRotatedDate),
		Deleted: out.DeletedDate != nil,
	}
	for _, tag := range out.Tags {
		secret.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return secret, nil
}

// Version reads one version's value by the version's id (GetSecretValue). grant.ErrNotFound where the version doesn't
// exist, or exists without a value, as a pending one may.
func (c *Client) Version(ctx context.Context, secretARN, versionID string) (grant.Version, error) {
	out, err := c.api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &secretARN, VersionId: &versionID})
	if err != nil {
		return grant.Version{}, awserr.From(err)
	}
	if aws.ToString(out.VersionId) != versionID {
		return grant.Version{}, fmt.Errorf("reading version %s: an answer about another version: %w", versionID, grant.ErrUnavailable)
	}
	value := out.SecretBinary
	if out.SecretString != nil {
		value = []byte(*out.SecretString)
	}
	if len(value) == 0 {
		return grant.Version{}, fmt.Errorf("version %s has no value: %w", versionID, grant.ErrNotFound)
	}
	return grant.Version{ID: versionID, Value: value, Created: aws.ToTime(out.CreatedDate)}, nil
}

// Versions lists the versions that carry a label, without their values (ListSecretVersionIds). A secret has at most 20
// labels, so that one page of 100 holds them; an answer that says there is more is refused with grant.ErrUnavailable.
func (c *Client) Versions(ctx context.Context, secretARN string) ([]grant.VersionInfo, error) {
	out, err := c.api.ListSecretVersionIds(ctx, &secretsmanager.ListSecretVersionIdsInput{
		SecretId: &secretARN, MaxResults: new(int32(100)),
	})
	if err != nil {
		return nil, awserr.From(err)
	}
	if aws.ToString(out.ARN) == "" {
		return nil, fmt.Errorf("listing versions of %s: an answer without a secret: %w", secretARN, grant.ErrUnavailable)
	}
	if aws.ToString(out.NextToken) != "" {
		return nil, fmt.Errorf("listing versions: the first page of 100 does not hold them all: %w", grant.ErrUnavailable)
	}
	versions := make([]grant.VersionInfo, 0, len(out.Versions))
	for _, v := range out.Versions {
		if len(v.VersionStages) == 0 {
			continue
		}
		versions = append(versions, grant.VersionInfo{
			ID: aws.ToString(v.VersionId), Stages: v.VersionStages, Created: aws.ToTime(v.CreatedDate),
		})
	}
	return versions, nil
}

// History lists the versions, those without a label too, without their values (ListSecretVersionIds): one page of 100. AWS
// keeps about as many; of what is older nothing is told.
func (c *Client) History(ctx context.Context, secretARN string) ([]grant.VersionInfo, error) {
	out, err := c.api.ListSecretVersionIds(ctx, &secretsmanager.ListSecretVersionIdsInput{
		SecretId: &secretARN, MaxResults: new(int32(100)), IncludeDeprecated: new(true),
	})
	if err != nil {
		return nil, awserr.From(err)
	}
	if aws.ToString(out.ARN) == "" {
		return nil, fmt.Errorf("listing versions of %s: an answer without a secret: %w", secretARN, grant.ErrUnavailable)
	}
	versions := make([]grant.VersionInfo, len(out.Versions))
	for i, v := range out.Versions {
		versions[i] = grant.VersionInfo{ID: aws.ToString(v.VersionId), Stages: v.VersionStages, Created: aws.ToTime(v.CreatedDate)}
	}
	return versions, nil
}

// PutVersion stores a value under a version id that we choose, with the labels (PutSecretValue). The same id and value
// again changes nothing; the same id with another value is grant.ErrConflict.
func (c *Client) PutVersion(ctx context.Context, secretARN, versionID string, value []byte, stages ...string) error {
	_, err := c.api.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: &secretARN, ClientRequestToken: &versionID, SecretString: new(string(value)), VersionStages: stages,
	})
	return awserr.From(err, value)
}

// MoveStage moves a label from one version to another (UpdateSecretVersionStage). Either version may be "": the label is
// then new, or dropped.
func (c *Client) MoveStage(ctx context.Context, secretARN, stage, toVersion, fromVersion string) error {
	in := &secretsmanager.UpdateSecretVersionStageInput{SecretId: &secretARN, VersionStage: &stage}
	if toVersion != "" {
		in.MoveToVersionId = &toVersion
	}
	if fromVersion != "" {
		in.RemoveFromVersionId = &fromVersion
	}
	_, err := c.api.UpdateSecretVersionStage(ctx, in)
	return awserr.From(err)
}

// Tag sets tags of a secret and leaves its others alone (TagResource).
func (c *Client) Tag(ctx context.Context, secretARN string, tags map[string]string) error {
	list := make([]types.Tag, 0, len(tags))
	for key, value := range tags {
		list = append(list, types.Tag{Key: &key, Value: &value})
	}
	slices.SortFunc(list, func(a, b types.Tag) int { return strings.Compare(*a.Key, *b.Key) })
	_, err := c.api.TagResource(ctx, &secretsmanager.TagResourceInput{SecretId: &secretARN, Tags: list})
	return awserr.From(err)
}

// Rotate starts a rotation now (RotateSecret); token becomes the id of the new version. grant.ErrBusy where an earlier
// rotation has not ended.
func (c *Client) Rotate(ctx context.Context, secretARN, token string) error {
	_, err := c.api.RotateSecret(ctx, &secretsmanager.RotateSecretInput{
		SecretId: &secretARN, ClientRequestToken: &token, RotateImmediately: new(true),
	})
	return awserr.From(err)
}

// SecretString reads the current value of a secret (GetSecretValue).
func (c *Client) SecretString(ctx context.Context, secretARN string) (string, error) {
	v, err := c.AtStage(ctx, secretARN, grant.StageCurrent)
	return string(v.Value), err
}

// AtStage reads the version that carries a label, of a secret that signs for a webhook (GetSecretValue). grant.ErrNotFound
// where no version carries it, or its value is no string.
func (c *Client) AtStage(ctx context.Context, secretARN, stage string) (grant.Version, error) {
	out, err := c.api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &secretARN, VersionStage: &stage})
	if err != nil {
		return grant.Version{}, awserr.From(err)
	}
	if aws.ToString(out.SecretString) == "" {
		return grant.Version{}, fmt.Errorf("secret %s has no string value: %w", secretARN, grant.ErrNotFound)
	}
	return grant.Version{ID: aws.ToString(out.VersionId), Value: []byte(*out.SecretString), Created: aws.ToTime(out.CreatedDate)}, nil
}
