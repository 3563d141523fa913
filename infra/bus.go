package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"

	"github.com/countersign/countersign/events"
)

const (
	archiveDays = 90
	// Receives before a message goes to the dead letters: one for its wait, the others for trouble of ours, which comes again
	// later each time and may so last some hours.
	notifyReceives     = 20
	deadLetterSeconds  = 14 * 24 * 3600
	notifyKeptSeconds  = 4 * 24 * 3600 // each attempt is a message of its own, and none waits longer
	checkKeptSeconds   = 4 * 3600      // the hourly look makes up for what is lost
	visibilityFactor   = 6             // of the function's timeout, as AWS advises
	mostChecksAtOnce   = 2             // IAM's write budget is small and shared
	mostDeliverAtOnce  = 5
	mostMessagesAtOnce = 5
)

// queues are the shard's queues.
type queues struct {
	check  awssqs.CfnQueue // grants to look at, for reconcile
	notify awssqs.CfnQueue // events to tell, and what of them is told later, for notify
	dead   awssqs.CfnQueue // what has no attempt left, and what EventBridge could not hand on to whomever
}

// createBus makes the bus on which changes are announced, with an archive to replay from.
func (s *ServiceProviderAccess) createBus() {
	s.bus = awsevents.NewCfnEventBus(s.Construct, new("Bus"), &awsevents.CfnEventBusProps{
		Name:        new(s.name("")),
		Description: new("Countersign: changes of service providers' access"),
	})
	awsevents.NewCfnArchive(s.Construct, new("Archive"), &awsevents.CfnArchiveProps{
		ArchiveName:   new(s.name("")),
		SourceArn:     s.bus.AttrArn(),
		EventPattern:  map[string]any{"source": []any{events.Source}},
		RetentionDays: new(float64(archiveDays)),
	})
}

// createQueues makes the queues, encrypted with SQS's own key: they carry names and version ids, never an ID.
func (s *ServiceProviderAccess) createQueues() {
	queue := func(id, name string, timeout float64, p awssqs.CfnQueueProps) awssqs.CfnQueue {
		p.QueueName = new(s.name(name))
		p.SqsManagedSseEnabled = true
		if timeout > 0 {
			p.VisibilityTimeout = new(visibilityFactor * timeout)
		}
		return awssqs.NewCfnQueue(s.Construct, &id, &p)
	}
	s.queues.dead = queue("NotifyDead", "notify-dead", 0, awssqs.CfnQueueProps{MessageRetentionPeriod: new(float64(deadLetterSeconds))})
	s.queues.notify = queue("NotifyQueue", "notify", notifyTimeout, awssqs.CfnQueueProps{
		MessageRetentionPeriod: new(float64(notifyKeptSeconds)),
		RedrivePolicy:          map[string]any{"deadLetterTargetArn": s.queues.dead.AttrArn(), "maxReceiveCount": notifyReceives},
	})
	s.queues.check = queue("CheckQueue", "check", reconcileTimeout, awssqs.CfnQueueProps{MessageRetentionPeriod: new(float64(checkKeptSeconds))})
}

// closeBusAndQueues routes events to notify, messages to their functions, and refuses everybody else's.
func (s *ServiceProviderAccess) closeBusAndQueues() {
	for _, d := range append(s.denyGranted("events:PutEvents"), s.denyOthers("Others", s.functions(), "events:PutEvents")) {
		d = d.on(*s.bus.AttrArn())
		awsevents.NewCfnEventBusPolicy(s.Construct, new("Bus"+d["Sid"].(string)), &awsevents.CfnEventBusPolicyProps{
			EventBusName: s.bus.Ref(), StatementId: new(d["Sid"].(string)), Statement: map[string]any(d),
		})
	}

	rule := awsevents.NewCfnRule(s.Construct, new("NotifyRule"), &awsevents.CfnRuleProps{
		Name:         new(s.name("notify")),
		Description:  new("Countersign: what people and providers are told"),
		EventBusName: s.bus.Ref(),
		EventPattern: map[string]any{
			"source":  []any{events.Source},
			"account": []any{ready(account)}, // set by EventBridge, not by the sender
			"detail-type": []any{map[string]any{"anything-but": []any{
				string(events.TypeDeliverySucceeded), string(events.TypeDeliveryFailed), string(events.TypeOperationRequested), string(events.TypeGrantReported),
			}}},
		},
		Targets: &[]any{&awsevents.CfnRule_TargetProperty{
			Id: new("notify"), Arn: s.queues.notify.AttrArn(),
			DeadLetterConfig: s.deadLetters(),
		}},
	})

	onto, digests := append(s.hearOfMails(), *rule.AttrArn()), ""
	if s.asksForDigests() {
		digests = *s.createDigests().AttrArn()
		onto = append(onto, digests)
	}
	from := func(rules ...string) statement {
		return allow("Rule", "sqs:SendMessage").byService("events.amazonaws.com").when("ArnEquals", "aws:SourceArn", rules...)
	}
	s.queuePolicy("CheckPolicy", s.queues.check, []*function{s.revoke, s.confirm})
	s.queuePolicy("NotifyPolicy", s.queues.notify, []*function{s.notify}, from(onto...))
	// Of every rule on this bus that bears our name: those to providers come and go.
	dead := []statement{allow("Rules", "sqs:SendMessage").byService("events.amazonaws.com").
		when("ArnLike", "aws:SourceArn", arn("events", "rule/"+s.name("")+"/"+partName+"-*"))}
	if digests != "" {
		dead = append(dead, from(digests))
	}
	s.queuePolicy("DeadPolicy", s.queues.dead, []*function{s.notify}, dead...)

	s.feed("CheckFeed", s.queues.check, s.reconcile, 1, mostChecksAtOnce)
	s.feed("NotifyFeed", s.queues.notify, s.notify, mostMessagesAtOnce, mostDeliverAtOnce)
}

// deadLetters is where a rule leaves what it could not hand on. What it must not reach it gives up at once, what fails otherwise
// after a day.
func (s *ServiceProviderAccess) deadLetters() *awsevents.CfnRule_DeadLetterConfigProperty {
	return &awsevents.CfnRule_DeadLetterConfigProperty{Arn: s.queues.dead.AttrArn()}
}

// queuePolicy lets the senders write, over TLS.
func (s *ServiceProviderAccess) queuePolicy(id string, queue awssqs.CfnQueue, senders []*function, more ...statement) {
	statements := append(s.denyGranted("sqs:*"),
		deny("PlainText", "sqs:*").by(everybody).when("Bool", "aws:SecureTransport", "false"),
		s.denyOthers("Others", senders, "sqs:SendMessage"))
	statements = append(statements, more...)
	for i := range statements {
		statements[i] = statements[i].on(*queue.AttrArn())
	}
	awssqs.NewCfnQueuePolicy(s.Construct, &id, &awssqs.CfnQueuePolicyProps{
		Queues: &[]*string{queue.Ref()}, PolicyDocument: document(statements...),
	})
}

// feed gives a queue's messages to a function, which says of each whether it is done.
func (s *ServiceProviderAccess) feed(id string, queue awssqs.CfnQueue, fn *function, batch, atOnce float64) {
	awslambda.NewCfnEventSourceMapping(s.Construct, &id, &awslambda.CfnEventSourceMappingProps{
		EventSourceArn: queue.AttrArn(), FunctionName: fn.triggered(), BatchSize: &batch,
		FunctionResponseTypes: &[]*string{new("ReportBatchItemFailures")},
		ScalingConfig:         &awslambda.CfnEventSourceMapping_ScalingConfigProperty{MaximumConcurrency: &atOnce},
	})
}

// createTimers let reconcile look at every grant once an hour and behind each update of the stack, and say once a day how each of
// them stands. Behind an update, for cdk deploy takes off the termination protection that reconcile turned on.
func (s *ServiceProviderAccess) createTimers() {
	updated := map[string]any{
		"source": []any{"aws.cloudformation"}, "detail-type": []any{"CloudFormation Stack Status Change"},
		"detail": map[string]any{
			"stack-id": []any{ready(stackID)}, "status-details": map[string]any{"status": []any{"UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}},
		},
	}
	for _, t := range []struct {
		id, name, says, every string
		behind                any // events
		asks                  string
	}{
		{"Timer", "timer", "Countersign: brings every grant to what plan and secret say", "rate(1 hour)", updated, "all"},
		{"ReportTimer", "report", "Countersign: the same, and says how every grant stands", "rate(1 day)", nil, "report"},
	} {
		rule := awsevents.NewCfnRule(s.Construct, &t.id, &awsevents.CfnRuleProps{
			Name:               new(s.name(t.name)),
			Description:        &t.says,
			ScheduleExpression: &t.every,
			EventPattern:       t.behind,
			Targets: &[]any{&awsevents.CfnRule_TargetProperty{
				Id: new("reconcile"), Arn: s.reconcile.arn(), Input: new(`{"reconcile":"` + t.asks + `"}`),
			}},
		})
		s.reconcile.letInvoke(t.id, "events.amazonaws.com", rule.AttrArn(), nil)
	}
}
