// Package cloudtrail asks AWS CloudTrail's event history who wrote a role's trust policy.
//
// It takes the writer's ARN and kind of tool from an event and nothing else: the request in it holds the trust policy, and so
// external IDs. It needs no trail: AWS keeps the history for 90 days. IAM's events stand in one Region of a partition, and come
// there up to a quarter of an hour late.
package cloudtrail

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"github.com/countersign/countersign/internal/aws/awserr"
)

// Client calls CloudTrail.
type Client struct{ api *cloudtrail.Client }

// New makes a client for the Region in which IAM's events of the configuration's partition stand.
func New(cfg aws.Config) *Client {
	cfg = cfg.Copy()
	switch {
	case strings.HasPrefix(cfg.Region, "cn-"):
		cfg.Region = "cn-north-1"
	case strings.HasPrefix(cfg.Region, "us-gov-"):
		cfg.Region = "us-gov-west-1"
	default:
		cfg.Region = "us-east-1"
	}
	return &Client{cloudtrail.NewFromConfig(cfg)}
}

// ours are the sessions of Countersign's own functions that write trust policies.
var ours = []string{"/countersign-rotate", "/countersign-reconcile", "/countersign-revoke"}

// LastWriter is who wrote a role's trust policy last since a moment, Countersign's functions aside, as far as the newest 50
// such events of the account tell (LookupEvents). "" where none does.
func (c *Client) LastWriter(ctx context.Context, roleName string, since time.Time) (string, error) {
	out, err := c.api.LookupEvents(ctx, &cloudtrail.LookupEventsInput{
		LookupAttributes: []types.LookupAttribute{{AttributeKey: types.LookupAttributeKeyEventName, AttributeValue: new("UpdateAssumeRolePolicy")}},
		StartTime:        &since, MaxResults: new(int32(50)),
	})
	if err != nil {
		return "", awserr.From(err)
	}
	for _, e := range out.Events { // the newest first
		var detail struct {
			ErrorCode         string
			UserAgent         string
			UserIdentity      struct{ ARN, InvokedBy string }
			RequestParameters struct{ RoleName string }
		}
		if json.Unmarshal([]byte(aws.ToString(e.CloudTrailEvent)), &detail) != nil || detail.ErrorCode != "" || detail.UserIdentity.ARN == "" ||
			!strings.EqualFold(detail.RequestParameters.RoleName, roleName) || isOurs(detail.UserIdentity.ARN) {
			continue
		}
		return detail.UserIdentity.ARN + tool(detail.UserAgent, detail.UserIdentity.InvokedBy), nil
	}
	return "", nil
}

func isOurs(arn string) bool {
	for _, name := range ours {
		if _, rest, ok := strings.Cut(arn, name); ok && (rest == "" || rest[0] == '-' && strings.Trim(rest[1:], "0123456789") == "") {
			return true
		}
	}
	return false
}

// tool names what is known to write trust policies by itself.
func tool(agent, by string) string {
	switch {
	case strings.Contains(agent, "Terraform"):
		return " (Terraform)"
	case strings.HasPrefix(by, "cloudformation."), strings.HasPrefix(agent, "cloudformation."):
		return " (CloudFormation)"
	}
	return ""
}
