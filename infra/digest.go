package infra

import (
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

// digestTime is when notify's queue hears that a week is over: Monday, 6:00 UTC.
const digestTime = "cron(0 6 ? * MON *)"

// asksForDigest says whether somebody wants one about this grant.
func asksForDigest(e access.Entry) bool {
	return slices.ContainsFunc(e.Grant.Notify, func(to grant.Destination) bool { return to.Hears(events.WeeklyDigest) })
}

// asksForDigests says whether somebody wants one in this shard. Only then notify may read what a digest tells.
func (s *ServiceProviderAccess) asksForDigests() bool {
	return slices.ContainsFunc(s.entries, asksForDigest)
}

// createDigests puts a message on notify's queue once a week.
func (s *ServiceProviderAccess) createDigests() awsevents.CfnRule {
	return awsevents.NewCfnRule(s.Construct, new("DigestTimer"), &awsevents.CfnRuleProps{
		Name:               new(s.name("digest")),
		Description:        new("Countersign: it is time for the weekly digests"),
		ScheduleExpression: new(digestTime),
		Targets: &[]any{&awsevents.CfnRule_TargetProperty{
			Id: new("notify"), Arn: s.queues.notify.AttrArn(), Input: new(`{"digest":"weekly"}`),
			DeadLetterConfig: &awsevents.CfnRule_DeadLetterConfigProperty{Arn: s.queues.dead.AttrArn()},
		}},
	})
}

// permitDigests lets notify read what was said on the bus, and how the secrets stand of the grants that digests are about.
func (s *ServiceProviderAccess) permitDigests() {
	if !s.asksForDigests() {
		return
	}
	var secrets []object
	for _, g := range s.grants {
		if g.secret != nil && asksForDigest(g.Entry) {
			secrets = append(secrets, object{*g.secret.Ref(), secretPattern(g.Grant.Name)})
		}
	}
	s.permit("Digests", s.notify, secrets, "secretsmanager:DescribeSecret")
	s.permit("Trail", s.notify, []object{{*s.trail.AttrArn(), arn("logs", "log-group:"+s.trailGroup()+":*")}}, "logs:FilterLogEvents")
}
