package infra

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/customers"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/metric"
)

// Roster is a validated customers.yaml.
type Roster = access.Roster

// LoadRoster reads and validates a customers.yaml. The error lists everything that is wrong with it.
func LoadRoster(path string) (*Roster, error) { return access.LoadRoster(path) }

// CustomersName is the name of the provider's bus and table, and the beginning of the names of all its parts.
const CustomersName = partName + "-customers"

const (
	enrollTimeout  = 60 // seconds; a batch takes less than one
	enrollBatch    = 100
	enrollWindow   = 1 // second that a batch is waited for: a flood comes in large ones
	enrollAtOnce   = 5
	enrollReceives = 10
)

// CustomerAccessProps says what to deploy into a provider's account.
type CustomerAccessProps struct {
	Roster    *Roster // required
	Functions Code    // zero: FromModule

	// Version stands with the functions' published versions; only FromRelease takes it.
	Version string
	// Architecture of the functions as Go calls it: arm64 or amd64; empty: arm64.
	Architecture string

	// Local deploys to an emulator: the function is for the architecture of this machine.
	Local bool
}

// CustomerAccess is the provider's side in one account and Region: the bus that customers' events come to, the registry, and the
// roles of the engineers. Its parts have fixed names, so an account has it once per Region.
type CustomerAccess struct {
	constructs.Construct
	props CustomerAccessProps

	table  awsdynamodb.CfnTable
	bus    awsevents.CfnEventBus
	queue  awssqs.CfnQueue
	dead   awssqs.CfnQueue
	topic  awssns.CfnTopic
	enroll *function
}

// NewCustomerAccess adds the provider's side to a stack. Like every construct it panics if it can't be made.
func NewCustomerAccess(scope constructs.Construct, id string, props *CustomerAccessProps) *CustomerAccess {
	s := &CustomerAccess{Construct: constructs.NewConstruct(scope, &id), props: *props}
	s.createRegistry()
	s.createTopic()
	s.createBus()
	s.createEnroll()
	s.createAlarms()
	s.createRegistrar()
	s.createEngineers()
	s.createOutputs()
	return s
}

// createRegistry makes the table. It stays when the stack goes, and can be put back to any second of the last 35 days.
func (s *CustomerAccess) createRegistry() {
	attribute := func(name string) any {
		return &awsdynamodb.CfnTable_AttributeDefinitionProperty{AttributeName: &name, AttributeType: new("S")}
	}
	key := func(name, kind string) any {
		return &awsdynamodb.CfnTable_KeySchemaProperty{AttributeName: &name, KeyType: &kind}
	}
	s.table = awsdynamodb.NewCfnTable(s.Construct, new("Registry"), &awsdynamodb.CfnTableProps{
		TableName:                        new(CustomersName),
		AttributeDefinitions:             &[]any{attribute("kind"), attribute("key")},
		KeySchema:                        &[]any{key("kind", "HASH"), key("key", "RANGE")},
		BillingMode:                      new("PAY_PER_REQUEST"),
		DeletionProtectionEnabled:        !s.props.Local,
		PointInTimeRecoverySpecification: &awsdynamodb.CfnTable_PointInTimeRecoverySpecificationProperty{PointInTimeRecoveryEnabled: true},
	})
	if !s.props.Local {
		s.table.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN, nil)
	}
}

// createTopic makes the topic that people are told by. It carries customers' names and nothing that an account said.
func (s *CustomerAccess) createTopic() {
	s.topic = awssns.NewCfnTopic(s.Construct, new("Alerts"), &awssns.CfnTopicProps{TopicName: new(CustomersName)})
	for i, address := range s.props.Roster.Alerts {
		awssns.NewCfnSubscription(s.Construct, new(fmt.Sprintf("Alerts%d", i+1)), &awssns.CfnSubscriptionProps{
			TopicArn: s.topic.Ref(), Protocol: new("email"), Endpoint: &address,
		})
	}
}

// heardTypes are the events that the bus takes.
func heardTypes() (out []string) {
	for _, typ := range customers.Types() {
		out = append(out, string(typ))
	}
	return out
}

// createBus makes the bus and the way from it to the queue. Any account may put our events on it: a policy that named customers
// would end at some hundreds of them. EventBridge vouches for the account of each event, and enroll drops those that nobody
// invited.
func (s *CustomerAccess) createBus() {
	s.bus = awsevents.NewCfnEventBus(s.Construct, new("Bus"), &awsevents.CfnEventBusProps{
		Name: new(CustomersName), Description: new("Countersign: what customers' accounts say of the access that they grant"),
	})
	open := allow("AnyAccount", "events:PutEvents").by(everybody).on(*s.bus.AttrArn()).
		when("StringEquals", "events:source", events.Source).when("StringEquals", "events:detail-type", heardTypes()...)
	awsevents.NewCfnEventBusPolicy(s.Construct, new("BusAnyAccount"), &awsevents.CfnEventBusPolicyProps{
		EventBusName: s.bus.Ref(), StatementId: new("AnyAccount"), Statement: map[string]any(open),
	})

	s.dead = awssqs.NewCfnQueue(s.Construct, new("Dead"), &awssqs.CfnQueueProps{
		QueueName: new(CustomersName + "-dead"), SqsManagedSseEnabled: true, MessageRetentionPeriod: new(float64(deadLetterSeconds)),
	})
	s.queue = awssqs.NewCfnQueue(s.Construct, new("Queue"), &awssqs.CfnQueueProps{
		QueueName: new(CustomersName), SqsManagedSseEnabled: true, MessageRetentionPeriod: new(float64(notifyKeptSeconds)),
		VisibilityTimeout: new(float64(visibilityFactor * enrollTimeout)),
		RedrivePolicy:     map[string]any{"deadLetterTargetArn": s.dead.AttrArn(), "maxReceiveCount": enrollReceives},
	})
	var types []any
	for _, typ := range heardTypes() {
		types = append(types, typ)
	}
	rule := awsevents.NewCfnRule(s.Construct, new("Rule"), &awsevents.CfnRuleProps{
		Name: new(CustomersName), Description: new("Countersign: what customers' accounts say, to the registry"), EventBusName: s.bus.Ref(),
		EventPattern: map[string]any{"source": []any{events.Source}, "detail-type": types},
		Targets: &[]any{&awsevents.CfnRule_TargetProperty{
			Id: new("queue"), Arn: s.queue.AttrArn(), DeadLetterConfig: &awsevents.CfnRule_DeadLetterConfigProperty{Arn: s.dead.AttrArn()},
		}},
	})
	for i, queue := range []awssqs.CfnQueue{s.queue, s.dead} {
		awssqs.NewCfnQueuePolicy(s.Construct, new([]string{"QueuePolicy", "DeadPolicy"}[i]), &awssqs.CfnQueuePolicyProps{
			Queues: &[]*string{queue.Ref()},
			PolicyDocument: document(
				allow("Rule", "sqs:SendMessage").byService("events.amazonaws.com").on(*queue.AttrArn()).when("ArnEquals", "aws:SourceArn", *rule.AttrArn()),
				deny("PlainText", "sqs:*").by(everybody).on(*queue.AttrArn()).when("Bool", "aws:SecureTransport", "false")),
		})
	}
}

// createEnroll makes the function that writes what accounts say. The partition keys say what it may: it reads who is invited and
// what people decided, and writes what was heard.
func (s *CustomerAccess) createEnroll() {
	s.enroll = newFunction(s.Construct, functionProps{
		name: "enroll", called: CustomersName + "-enroll", purpose: "hears what customers' accounts say", timeout: enrollTimeout,
		code: s.props.Functions, architecture: s.props.Architecture, version: s.props.Version, local: s.props.Local,
		environment: &map[string]*string{
			"COUNTERSIGN_TABLE": s.table.Ref(), "COUNTERSIGN_TOPIC": s.topic.Ref(), "COUNTERSIGN_STACK": s.stackName(),
		},
	},
		allow("Receive", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes").on(*s.queue.AttrArn()),
		rowsOnly("Guests", "dynamodb:Query", string(customers.FieldGrant)).on(registry()),
		rowsOnly("Read", "dynamodb:BatchGetItem", "customer", "heard").on(registry()),
		rowsOnly("Note", "dynamodb:PutItem", "heard").on(registry()),
		allow("Tell", "sns:Publish").on(*s.topic.Ref()))
	awslambda.NewCfnEventSourceMapping(s.Construct, new("EnrollEvents"), &awslambda.CfnEventSourceMappingProps{
		EventSourceArn: s.queue.AttrArn(), FunctionName: s.enroll.triggered(), BatchSize: new(float64(enrollBatch)),
		MaximumBatchingWindowInSeconds: new(float64(enrollWindow)),
		FunctionResponseTypes:          &[]*string{new("ReportBatchItemFailures")},
		ScalingConfig:                  &awslambda.CfnEventSourceMapping_ScalingConfigProperty{MaximumConcurrency: new(float64(enrollAtOnce))},
	})
}

// createAlarms makes the alarms, which tell the topic.
func (s *CustomerAccess) createAlarms() {
	own := func(name metric.Name) source {
		return source{metric.Namespace, string(name), metric.Stack, s.stackName()}
	}
	queue := func(name string, q awssqs.CfnQueue) source {
		return source{"AWS/SQS", name, "QueueName", q.AttrQueueName()}
	}
	const page = "customers"
	for _, a := range []alarm{
		{"proposed", page, "A customer's account speaks of another role or secret than was accepted. First: countersign customers list, and ask the customer. Nothing has changed: you enter as before.",
			own(metric.BindingsProposed), "Sum", 5 * minutes, 1, 1, quiet},
		{"refused", page, "An invited account sent events that can't be believed: parts of another account, or a future date. First: read the reasons in the log of " + CustomersName + "-enroll. They changed nothing.",
			own(metric.EventsRefused), "Sum", 5 * minutes, 1, 1, quiet},
		{"dead", page, "Events of customers could not be written and were set aside. First: read the log of " + CustomersName + "-enroll, then start the redrive of the queue " + CustomersName + "-dead. The registry may not know of a revocation.",
			queue("ApproximateNumberOfMessagesVisible", s.dead), "Maximum", 5 * minutes, 1, 1, asBefore},
		{"crashed", page, "The function that hears customers died. First: read its log, " + CustomersName + "-enroll. Its events come again.",
			source{"AWS/Lambda", "Errors", "FunctionName", s.enroll.lambda.Ref()}, "Sum", 5 * minutes, 3, 3, quiet},
	} {
		awscloudwatch.NewCfnAlarm(s.Construct, new("Alarm"+access.Logical(grant.Name(a.name))), a.props(CustomersName+"-"+a.name, []any{s.topic.Ref()}))
	}
	awssns.NewCfnTopicPolicy(s.Construct, new("AlertsPolicy"), &awssns.CfnTopicPolicyProps{
		Topics: &[]*string{s.topic.Ref()},
		PolicyDocument: document(
			allow("Enroll", "sns:Publish").by(*s.enroll.role.AttrArn()).on(*s.topic.Ref()),
			allow("Alarms", "sns:Publish").byService("cloudwatch.amazonaws.com").on(*s.topic.Ref()).when("StringEquals", "aws:SourceAccount", account),
			deny("PlainText", "sns:Publish").by(everybody).on(*s.topic.Ref()).when("Bool", "aws:SecureTransport", "false")),
	})
}

// createOutputs tells what customers and the CLI need.
func (s *CustomerAccess) createOutputs() {
	s.output("BusArn", "for customers: providers[].bus in their access.yaml", *s.bus.AttrArn())
	s.output("Table", "the registry, countersign customers --table", *s.table.Ref())
	s.output("DeadLettersUrl", "events that could not be written", *s.dead.Ref())
	s.output("AlertsTopic", "what a person has to look at", *s.topic.Ref())
}

func (s *CustomerAccess) output(name, description, value string) {
	awscdk.NewCfnOutput(s.Construct, &name, &awscdk.CfnOutputProps{Description: &description, Value: &value}).OverrideLogicalId(&name)
}

// stackName is the dimension of this stack's metrics.
func (s *CustomerAccess) stackName() *string { return awscdk.Stack_Of(s.Construct).StackName() }
