// Package cloudwatch reads the state of AWS CloudWatch's alarms. It decides nothing and changes nothing.
package cloudwatch

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/countersign/countersign/internal/aws/awserr"
	"github.com/countersign/countersign/internal/doctor"
)

// Client calls CloudWatch.
type Client struct{ api *cloudwatch.Client }

// New makes a client.
func New(cfg aws.Config) *Client { return &Client{cloudwatch.NewFromConfig(cfg)} }

// Alarms are those whose name begins so (DescribeAlarms, page after page).
func (c *Client) Alarms(ctx context.Context, prefix string) ([]doctor.Alarm, error) {
	in := &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: &prefix, AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm}}
	var out []doctor.Alarm
	for {
		page, err := c.api.DescribeAlarms(ctx, in)
		if err != nil {
			return nil, awserr.From(err)
		}
		for _, a := range page.MetricAlarms {
			out = append(out, doctor.Alarm{Name: aws.ToString(a.AlarmName), Ringing: a.StateValue == types.StateValueAlarm, Tells: len(a.AlarmActions)})
		}
		if aws.ToString(page.NextToken) == "" {
			return out, nil
		}
		in.NextToken = page.NextToken
	}
}
