package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"

	"github.com/countersign/countersign/events"
)

// trailDays is how long a grant's history can be read: a year and a month.
const trailDays = 400

// trailGroup is the log group of everything that is said on the bus. EventBridge writes to groups of this prefix.
func (s *ServiceProviderAccess) trailGroup() string { return "/aws/events/" + s.name("") }

// createTrail keeps every event of the bus in a log group, from which "countersign history" reads. The group's own policy
// lets EventBridge write for this rule only; an account has room for ten policies of its own, a group brings its own.
func (s *ServiceProviderAccess) createTrail() {
	rule := arn("events", "rule/"+s.name("")+"/"+s.name("trail"))
	group := arn("logs", "log-group:"+s.trailGroup())
	writers := map[string]any{"Service": []any{"events.amazonaws.com", "delivery.logs.amazonaws.com"}}
	s.trail = awslogs.NewCfnLogGroup(s.Construct, new("Trail"), &awslogs.CfnLogGroupProps{
		LogGroupName: new(s.trailGroup()), RetentionInDays: new(float64(trailDays)),
		ResourcePolicyDocument: document(
			// EventBridge names its rule when it writes, not when it makes a stream.
			allow("Stream", "logs:CreateLogStream").with("Principal", writers).on(group+":*"),
			allow("Write", "logs:PutLogEvents").with("Principal", writers).on(group+":*:*").
				when("ArnEquals", "aws:SourceArn", rule),
		),
	})
	s.trail.ApplyRemovalPolicy(awscdk.RemovalPolicy_DESTROY, nil) // its name is fixed: a kept one would stop the next deploy
	awsevents.NewCfnRule(s.Construct, new("TrailRule"), &awsevents.CfnRuleProps{
		Name:         new(s.name("trail")),
		Description:  new("Countersign: what happened, for countersign history"),
		EventBusName: s.bus.Ref(),
		EventPattern: map[string]any{"source": []any{events.Source}, "account": []any{ready(account)}},
		Targets: &[]any{&awsevents.CfnRule_TargetProperty{
			Id: new("trail"), Arn: text(arn("logs", "log-group:"+*s.trail.Ref())), DeadLetterConfig: s.deadLetters(),
		}},
	})
}
