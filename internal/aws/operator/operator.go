// Package operator is the AWS configuration of a person at the CLI: the SDK's whole chain, with profiles, single sign-on
// and assumed roles.
//
// It is a package of its own because that chain would make each function more than a megabyte larger, and slower to start.
// It trusts the shared files as AWS's own CLI does, and stores nothing.
package operator

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"github.com/countersign/countersign/internal/aws/awsconfig"
	"github.com/countersign/countersign/internal/aws/awserr"
)

// ErrNoRegion says that neither flags nor environment nor profile name a Region.
var ErrNoRegion = errors.New("no AWS Region is configured: set AWS_REGION or give --region")

// Load is the configuration for a profile and a Region. Either may be empty: then environment and shared files decide, as
// they do for AWS's own CLI. mfa asks for the code of a profile that wants one; without it such a profile is an error.
func Load(ctx context.Context, profile, region string, mfa ...func() (string, error)) (aws.Config, error) {
	options := []func(*config.LoadOptions) error{
		config.WithRetryer(awsconfig.Retryer), config.WithHTTPClient(awsconfig.HTTPClient()),
		config.WithAPIOptions([]func(*middleware.Stack) error{awsconfig.KeepAnswer}),
		config.WithLogger(logging.Nop{}), // the SDK's warnings would stand between the command's own lines
	}
	for _, ask := range mfa {
		options = append(options, config.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) { o.TokenProvider = ask }))
	}
	if profile != "" {
		options = append(options, config.WithSharedConfigProfile(profile))
	}
	if region != "" {
		options = append(options, config.WithRegion(region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("reading AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return aws.Config{}, ErrNoRegion
	}
	return cfg, nil
}

// Enter is the configuration inside a role, with sessions of that name, which are renewed as long as the role lets in whom cfg
// belongs to (AssumeRole). Its error is the first session's.
func Enter(ctx context.Context, cfg aws.Config, roleARN, session string) (aws.Config, error) {
	role := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), roleARN, func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = session })
	inside := cfg.Copy()
	inside.Credentials = aws.NewCredentialsCache(role)
	_, err := inside.Credentials.Retrieve(ctx)
	return inside, awserr.From(err)
}
