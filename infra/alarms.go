package infra

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/metric"
)

// Runbooks is the folder of the pages that alarms name.
const Runbooks = "docs/runbooks/"

// alarm is one alarm of a stack. It rings when the statistic of a period is above zero in `of` of the last `out` periods.
type alarm struct {
	name    string // behind the prefix of all names
	runbook string // page in Runbooks
	says    string // what has happened, and what to do first
	source  source

	statistic string
	period    float64 // seconds
	of, out   float64
	missing   string // what a period without a number is taken for
}

// source is the metric that an alarm looks at.
type source struct {
	namespace, name, dimension string
	value                      *string
}

const (
	minutes = 60.0
	hours   = 60 * minutes

	// What is written only when something is wrong: no number is a good sign.
	quiet = "notBreaching"
	// SQS is silent about a queue that nobody touches: whatever the alarm said last still holds.
	asBefore = "ignore"
	// A round of all grants writes a number, each hour: without it nobody looks after them.
	overdue = "breaching"
)

// alarms are the stack's. The first sentence of each says what has happened, the second what to do first.
func (s *ServiceProviderAccess) alarms() []alarm {
	own := func(name metric.Name) source {
		return source{metric.Namespace, string(name), metric.Stack, s.stackName()}
	}
	dead := source{"AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", s.queues.dead.AttrQueueName()}
	crashed := source{"AWS/Lambda", "Errors", "FunctionName", s.revoke.lambda.Ref()}
	return []alarm{
		// Two hours in a row: a round may take a quarter of an hour, so that now and then an hour has none.
		{"rotation-overdue", "rotation-overdue", "An external ID is older than its schedule allows, or the hourly look at all grants has stopped. First: countersign grants. Nobody is locked out by this.",
			own(metric.RotationsOverdue), "Maximum", 1 * hours, 2, 2, overdue},
		{"unconfirmed", "unconfirmed", "A provider has not confirmed its new external ID within the overlap, so the one before is still accepted and scheduled rotations wait. First: countersign grants, and ask the provider; if it uses the new one: countersign confirm GRANT. Nobody is locked out by this.",
			own(metric.RotationsUnconfirmed), "Maximum", 1 * hours, 1, 2, quiet},
		{"step-failing", "step-failing", "A rotation was refused or is stuck, and trying again won't help by itself. First: read the reason in the log of " + s.name("rotate") + " (step failed). The provider still gets in with the external ID that it has.",
			own(metric.StepsFailed), "Sum", 5 * minutes, 1, 12, quiet},
		// The hourly look counts what stands again each time: over once two of them found nothing.
		{"drift", "drift", "A trust policy was not what its grant asks for: somebody or something has edited it. First: countersign show GRANT, and find out in CloudTrail who it was (UpdateAssumeRolePolicy). What is ours has been mended.",
			own(metric.TrustDrifts), "Sum", 5 * minutes, 1, 24, quiet},
		{"labels-backwards", "labels-backwards", "A secret's staging labels run backwards: an older external ID was made the current one. First: find out in CloudTrail who it was (UpdateSecretVersionStage); if nobody can say, countersign revoke GRANT. Nothing older is let in, and rotations of that grant stand still.",
			own(metric.LabelsBackwards), "Sum", 5 * minutes, 1, 24, quiet},
		{"dead-letters", "dead-letters", "Messages to people or providers, or to the history, could not be delivered and were set aside. First: countersign deliveries. A provider may not know of its new external ID.",
			dead, "Maximum", 5 * minutes, 1, 1, asBefore},
		{"mail-undelivered", "mail-undelivered", "Mail to people did not arrive, or was called spam. First: countersign history GRANT says which; correct that address in access.yaml. A provider may not know of its new external ID.",
			own(metric.MailsUndelivered), "Sum", 5 * minutes, 1, 12, quiet},
		{"revoke-errors", "revoke-errors", "A revoke or a restore did not do all of its work. First: countersign grants; what should be CLOSED and isn't: countersign revoke GRANT --direct --reason TEXT, at once.",
			own(metric.RevokeErrors), "Sum", 5 * minutes, 1, 12, quiet},
		{"revoke-crashed", "revoke-errors", "The function that revokes died in the middle of a request. First: countersign grants; what should be CLOSED and isn't: countersign revoke GRANT --direct --reason TEXT, at once.",
			crashed, "Sum", 5 * minutes, 1, 12, quiet},
	}
}

// createAlarms makes the alarms. One that rings for a missing number comes when every grant is opened: by then there is one.
func (s *ServiceProviderAccess) createAlarms() {
	var topics []any
	for _, arn := range s.props.Access.AlarmTopics(s.shard) {
		topics = append(topics, arn)
	}
	for _, a := range s.alarms() {
		props := a.props(s.name(a.name), topics)
		made := awscloudwatch.NewCfnAlarm(s.Construct, new("Alarm"+access.Logical(grant.Name(a.name))), props)
		if a.missing != overdue {
			continue
		}
		for _, g := range s.grants {
			made.AddResourceDependency(g.start, nil)
		}
	}
}

// props is the alarm under its whole name, and whom it tells.
func (a alarm) props(called string, topics []any) *awscloudwatch.CfnAlarmProps {
	props := &awscloudwatch.CfnAlarmProps{
		AlarmName:          &called,
		AlarmDescription:   new(fmt.Sprintf("%s Runbook: %s%s.md", a.says, Runbooks, a.runbook)),
		Namespace:          &a.source.namespace,
		MetricName:         &a.source.name,
		Dimensions:         &[]any{&awscloudwatch.CfnAlarm_DimensionProperty{Name: &a.source.dimension, Value: a.source.value}},
		Statistic:          &a.statistic,
		Period:             &a.period,
		EvaluationPeriods:  &a.out,
		DatapointsToAlarm:  &a.of,
		Threshold:          new(0.0),
		ComparisonOperator: new("GreaterThanThreshold"),
		TreatMissingData:   &a.missing,
	}
	if len(topics) > 0 {
		props.AlarmActions, props.OkActions = &topics, &topics
	}
	return props
}

// stackName is the dimension by which the metrics of this stack are told from those of others.
func (s *ServiceProviderAccess) stackName() *string { return awscdk.Stack_Of(s.Construct).StackName() }
