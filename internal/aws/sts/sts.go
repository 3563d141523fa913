// Package sts asks AWS STS who we are.
package sts

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/countersign/countersign/internal/aws/awserr"
)

// Client calls STS.
type Client struct{ api *sts.Client }

// New makes a client.
func New(cfg aws.Config) *Client { return &Client{sts.NewFromConfig(cfg)} }

// Caller is the account (12 digits) and the ARN that our credentials belong to (GetCallerIdentity).
func (c *Client) Caller(ctx context.Context) (account, arn string, err error) {
	account, arn, _, err = c.CallerAt(ctx)
	return account, arn, err
}

// CallerAt is Caller, and when AWS answered by its own clock, to the second; zero where it didn't say.
func (c *Client) CallerAt(ctx context.Context) (account, arn string, at time.Time, err error) {
	out, err := c.api.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", "", time.Time{}, awserr.From(err)
	}
	at, _ = middleware.GetServerTime(out.ResultMetadata)
	return aws.ToString(out.Account), aws.ToString(out.Arn), at, nil
}
