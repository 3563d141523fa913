//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	iamapi "github.com/aws/aws-sdk-go-v2/service/iam"
	smapi "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	snsapi "github.com/aws/aws-sdk-go-v2/service/sns"
	sqsapi "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	ssmapi "github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	stsapi "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/countersign/countersign/e2e/lab"
	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/aws/awserr"
	"github.com/countersign/countersign/internal/aws/cloudformation"
	"github.com/countersign/countersign/internal/aws/iam"
	"github.com/countersign/countersign/internal/aws/secretsmanager"
	"github.com/countersign/countersign/internal/aws/sns"
	"github.com/countersign/countersign/internal/aws/sqs"
	"github.com/countersign/countersign/internal/aws/ssm"
	"github.com/countersign/countersign/internal/aws/sts"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim/conformance"
)

// bench is the customer's account of a lab as the conformance suite wants it: the calls that Countersign makes go through
// its own adapters, what only the suite needs through the SDK.
type bench struct {
	*lab.Lab
	owner   aws.Config
	outputs map[string]string // of testdata/conformance.json
	made    int
}

func newBench(t *testing.T, l *lab.Lab) *bench {
	t.Helper()
	b := &bench{Lab: l, owner: l.Owner(lab.Customer)}
	body := must[[]byte](t)(os.ReadFile(filepath.Join("testdata", "conformance.json")))
	client, stack := cfn.NewFromConfig(b.owner), "conformance"
	_, err := client.CreateStack(t.Context(), &cfn.CreateStackInput{
		StackName: &stack, TemplateBody: new(string(body)), Capabilities: []cfntypes.Capability{cfntypes.CapabilityCapabilityNamedIam}})
	wantAllowed(t, "creating the stack", err)
	eventually(t, 20*time.Second, "the stack is complete", func() bool {
		return must[*cfn.DescribeStacksOutput](t)(client.DescribeStacks(t.Context(), &cfn.DescribeStacksInput{StackName: &stack})).
			Stacks[0].StackStatus == cfntypes.StackStatusCreateComplete
	})
	b.outputs = must[map[string]string](t)(cloudformation.New(b.owner).Outputs(t.Context(), stack))
	return b
}

func (b *bench) next() string {
	b.made++
	return fmt.Sprintf("Conformance-%d", b.made)
}

func (b *bench) user(t *testing.T, account, name string) aws.Config {
	t.Helper()
	return must[aws.Config](t)(b.NewUser(t.Context(), account, name, mayAll))
}

func (b *bench) account(t *testing.T) conformance.Account {
	t.Helper()
	engineer := b.user(t, lab.Provider, "engineer")
	secrets, queues := secretsmanager.New(b.owner), sqsapi.NewFromConfig(b.owner)
	return conformance.Account{
		ID: lab.Customer, Provider: lab.Provider,
		Roles: iam.New(b.owner), Inline: iam.New(b.owner), Versions: secrets, Secrets: secrets, Plans: ssm.New(b.owner), Stacks: cloudformation.New(b.owner),
		Publish: sns.New(b.owner).Publish, Outputs: cloudformation.New(b.owner).Outputs,
		Engineer: credentials{b.Lab, engineer}, Stranger: credentials{b.Lab, b.user(t, lab.Stranger, "mallory")},
		Bus: entryway{b.owner, b.outputs["Bus"]}, ForeignBus: entryway{engineer, b.outputs["Bus"]}, Archived: b.arrived,
		NewRole: b.newRole, NewLinkedRole: b.newLinkedRole, NewPrincipal: b.newPrincipal,
		NewSecret: b.newSecret, NewKeyedSecret: b.newKeyedSecret, NewStack: b.newStack,
		Delete: func(t testing.TB, arn string) {
			_, err := smapi.NewFromConfig(b.owner).DeleteSecret(t.Context(), &smapi.DeleteSecretInput{SecretId: &arn, RecoveryWindowInDays: new(int64(30))})
			done(t, "deleting the secret", err)
		},
		Restore: func(t testing.TB, arn string) {
			_, err := smapi.NewFromConfig(b.owner).RestoreSecret(t.Context(), &smapi.RestoreSecretInput{SecretId: &arn})
			done(t, "restoring the secret", err)
		},
		NewTopic: func(t testing.TB) string {
			out, err := snsapi.NewFromConfig(b.owner).CreateTopic(t.Context(), &snsapi.CreateTopicInput{Name: new(b.next())})
			done(t, "making a topic", err)
			return *out.TopicArn
		},
		NewQueue: func(t testing.TB) conformance.Queue {
			out, err := queues.CreateQueue(t.Context(), &sqsapi.CreateQueueInput{QueueName: new(b.next()), Attributes: map[string]string{"VisibilityTimeout": "2"}})
			done(t, "making a queue", err)
			return queue{sqs.New(b.owner, *out.QueueUrl), queues, *out.QueueUrl}
		},
		SetParameter: func(ctx context.Context, name, value string) error {
			_, err := ssmapi.NewFromConfig(b.owner).PutParameter(ctx, &ssmapi.PutParameterInput{
				Name: &name, Value: &value, Type: ssmtypes.ParameterTypeString, Tier: ssmtypes.ParameterTierStandard, Overwrite: new(true)})
			return awserr.From(err)
		},
		Now: time.Now, Pass: time.Sleep, Settle: func() {},
	}
}

// done ends a case whose preparation failed.
func done(t testing.TB, act string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", act, err)
	}
}

func (b *bench) newRole(t testing.TB, trust string, maxSession time.Duration) string {
	t.Helper()
	name := b.next()
	_, err := iamapi.NewFromConfig(b.owner).CreateRole(t.Context(), &iamapi.CreateRoleInput{
		RoleName: &name, Path: new(grant.DefaultRolePath), AssumeRolePolicyDocument: &trust, MaxSessionDuration: new(int32(maxSession.Seconds()))})
	done(t, "making a role", err)
	return name
}

func (b *bench) newLinkedRole(t testing.TB) string {
	out, err := iamapi.NewFromConfig(b.owner).CreateServiceLinkedRole(t.Context(), &iamapi.CreateServiceLinkedRoleInput{
		AWSServiceName: new("autoscaling.amazonaws.com"), CustomSuffix: new(b.next())})
	done(t, "making a service-linked role", err)
	return *out.Role.RoleName
}

func (b *bench) newPrincipal(t testing.TB) conformance.Roled {
	client, name := iamapi.NewFromConfig(b.Owner(lab.Provider)), b.next()
	create := func() string {
		out, err := client.CreateRole(t.Context(), &iamapi.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: new(conformance.Closed)})
		done(t, "making a principal", err)
		return *out.Role.Arn
	}
	return conformance.Roled{ARN: create(), Remake: func() { create() }, Remove: func() {
		_, err := client.DeleteRole(t.Context(), &iamapi.DeleteRoleInput{RoleName: &name})
		done(t, "deleting a principal", err)
	}}
}

func (b *bench) newSecret(t testing.TB, value string, rotates bool) string {
	t.Helper()
	client := smapi.NewFromConfig(b.owner)
	out, err := client.CreateSecret(t.Context(), &smapi.CreateSecretInput{Name: new(b.next()), SecretString: &value})
	done(t, "making a secret", err)
	if !rotates {
		return *out.ARN
	}
	_, err = client.RotateSecret(t.Context(), &smapi.RotateSecretInput{
		SecretId: out.ARN, RotationLambdaARN: new(b.outputs["Function"]), RotateImmediately: new(false),
		RotationRules: &smtypes.RotationRulesType{AutomaticallyAfterDays: new(int64(30))}})
	done(t, "giving the secret its rotation function", err)
	for range 100 { // until testSecret's version is gone
		described, err := client.DescribeSecret(t.Context(), &smapi.DescribeSecretInput{SecretId: out.ARN})
		done(t, "looking at the secret", err)
		if len(described.VersionIdsToStages) == 1 {
			time.Sleep(200 * time.Millisecond)
			return *out.ARN
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("the test of the rotation function does not end")
	return ""
}

func (b *bench) newStack(t testing.TB) (string, func() error, func() error) {
	client, name := cfn.NewFromConfig(b.owner), b.next()
	out, err := client.CreateStack(t.Context(), &cfn.CreateStackInput{StackName: &name, TemplateBody: new(
		`{"Resources":{"Part":{"Type":"AWS::SSM::Parameter","Properties":{"Name":"/conformance/` + name + `","Type":"String","Value":"x"}}}}`)})
	done(t, "making a stack", err)
	for range 100 {
		described, err := client.DescribeStacks(t.Context(), &cfn.DescribeStacksInput{StackName: out.StackId})
		done(t, "looking at the stack", err)
		if described.Stacks[0].StackStatus == cfntypes.StackStatusCreateComplete {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return *out.StackId, func() error {
			_, err := client.DeleteStack(t.Context(), &cfn.DeleteStackInput{StackName: out.StackId})
			return err
		}, func() error {
			_, err := client.UpdateTerminationProtection(t.Context(), &cfn.UpdateTerminationProtectionInput{StackName: out.StackId, EnableTerminationProtection: new(false)})
			return err
		}
}

func (b *bench) newKeyedSecret(t testing.TB, value string) (string, func(bool)) {
	key := b.outputs["Key"]
	out, err := smapi.NewFromConfig(b.owner).CreateSecret(t.Context(), &smapi.CreateSecretInput{Name: new(b.next()), SecretString: &value, KmsKeyId: &key})
	done(t, "making a secret", err)
	return *out.ARN, func(enabled bool) {
		target := "TrentService.DisableKey"
		if enabled {
			target = "TrentService.EnableKey"
		}
		answer, err := b.CallTarget(t.Context(), &b.owner, "kms", target, `{"KeyId":"`+key+`"}`)
		done(t, "switching the key", err)
		if answer.Status != http.StatusOK {
			t.Fatalf("switching the key: %+v", answer)
		}
	}
}

// arrived waits for an event of that detail type in the queue where the bus's rule puts all of them.
func (b *bench) arrived(t testing.TB, detailType string) events.Envelope {
	client := sqsapi.NewFromConfig(b.owner)
	for range 50 {
		out, err := client.ReceiveMessage(t.Context(), &sqsapi.ReceiveMessageInput{QueueUrl: new(b.outputs["Events"]), MaxNumberOfMessages: 10})
		done(t, "looking for the event", err)
		for _, m := range out.Messages {
			var e events.Envelope
			if json.Unmarshal([]byte(*m.Body), &e) == nil && string(e.DetailType) == detailType {
				return e
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("event %q did not arrive", detailType)
	return events.Envelope{}
}

// credentials are somebody's keys.
type credentials struct {
	lab *lab.Lab
	cfg aws.Config
}

func (c credentials) Enter(ctx context.Context, e conformance.Entry) (conformance.Session, error) {
	in := &stsapi.AssumeRoleInput{RoleArn: &e.RoleARN, RoleSessionName: &e.SessionName}
	if e.ExternalID != "" {
		in.ExternalId = &e.ExternalID
	}
	if e.SourceIdentity != "" {
		in.SourceIdentity = &e.SourceIdentity
	}
	if e.Duration > 0 {
		in.DurationSeconds = new(int32(e.Duration.Seconds()))
	}
	out, err := stsapi.NewFromConfig(c.cfg).AssumeRole(ctx, in)
	if err != nil {
		return nil, awserr.From(err)
	}
	keys := out.Credentials
	return session{credentials{c.lab, c.lab.With(*keys.AccessKeyId, *keys.SecretAccessKey, *keys.SessionToken)}}, nil
}

type session struct{ credentials }

func (s session) Caller(ctx context.Context) (account, arn string, err error) {
	return sts.New(s.cfg).Caller(ctx)
}

func (s session) ReadRole(ctx context.Context, roleName string) error {
	_, err := iam.New(s.cfg).Role(ctx, roleName)
	return err
}

// entryway puts entries on a bus with one principal's credentials.
type entryway struct {
	cfg aws.Config
	bus string
}

func (e entryway) PutEntry(ctx context.Context, source, detailType, detail string) error {
	out, err := eventbridge.NewFromConfig(e.cfg).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{
		{EventBusName: &e.bus, Source: &source, DetailType: &detailType, Detail: &detail}}})
	if err != nil {
		return awserr.From(err)
	}
	if out.FailedEntryCount > 0 {
		return fmt.Errorf("%s: %s", aws.ToString(out.Entries[0].ErrorCode), aws.ToString(out.Entries[0].ErrorMessage))
	}
	return nil
}

// queue is one queue by the adapter, received from by the SDK.
type queue struct {
	*sqs.Queue
	api *sqsapi.Client
	url string
}

func (q queue) Receive(ctx context.Context) ([]conformance.Received, error) {
	out, err := q.api.ReceiveMessage(ctx, &sqsapi.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: 10,
		MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameApproximateReceiveCount}})
	if err != nil {
		return nil, awserr.From(err)
	}
	var got []conformance.Received
	for _, m := range out.Messages {
		r := conformance.Received{Receipt: *m.ReceiptHandle, Body: *m.Body}
		if _, err := fmt.Sscan(m.Attributes["ApproximateReceiveCount"], &r.Receives); err != nil {
			return nil, fmt.Errorf("a message without a count of receives: %w", err)
		}
		got = append(got, r)
	}
	return got, nil
}
