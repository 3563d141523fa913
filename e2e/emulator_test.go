//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/countersign/countersign/e2e/lab"
)

const mayAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// TestEmulator tries the supplement itself, on a small stack of its own, so that what the other tests see is Countersign.
func TestEmulator(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	secretARN, roleARN := deployRotation(t, l)
	owner := secretsmanager.NewFromConfig(l.Owner(lab.Customer))

	describe := func() *secretsmanager.DescribeSecretOutput {
		return must[*secretsmanager.DescribeSecretOutput](t)(owner.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &secretARN}))
	}
	stages := func(version string) []string { return describe().VersionIdsToStages[version] }
	rotate := func(token string) error {
		_, err := owner.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{SecretId: &secretARN, ClientRequestToken: &token})
		return err
	}
	steps := func(version string) []string { return must[[]string](t)(l.Steps(t.Context(), "rotator", version)) }

	t.Run("a schedule without rotating at once runs testSecret only", func(t *testing.T) {
		var runs []lab.Invocation
		eventually(t, 10*time.Second, "the function ran", func() bool {
			runs = must[[]lab.Invocation](t)(l.Invocations(t.Context()))
			return len(runs) > 0 && !runs[len(runs)-1].End.IsZero()
		})
		if len(runs) != 1 || runs[0].Step != "testSecret" {
			t.Errorf("runs %+v", runs)
		}
		eventually(t, 5*time.Second, "the version that was tested is gone", func() bool { return len(describe().VersionIdsToStages) == 1 })
		if d := describe(); d.NextRotationDate == nil || d.NextRotationDate.UTC().Day() != 4 || d.NextRotationDate.UTC().Hour() != 4 {
			t.Errorf("next rotation by %v, want a 4th at 4:00 UTC", d.NextRotationDate)
		}
	})
	first := "first-" + strings.Repeat("1", 32)
	t.Run("a rotation runs the four steps and moves the labels", func(t *testing.T) {
		eventually(t, 5*time.Second, "the rotation is taken", func() bool { return rotate(first) == nil })
		eventually(t, 10*time.Second, "the new version is current", func() bool { return slices.Contains(stages(first), "AWSCURRENT") })
		if got := steps(first); !slices.Equal(got, fourSteps) {
			t.Errorf("steps %v", got)
		}
		eventually(t, 5*time.Second, "the date is noted", func() bool { return describe().LastRotatedDate != nil })
	})
	t.Run("the same token again is the same request", func(t *testing.T) {
		if err := rotate(first); err != nil {
			t.Error(err)
		}
		if got := len(steps(first)); got != 4 {
			t.Errorf("%d steps ran, want the 4 of before", got)
		}
	})
	t.Run("the same token with other data is refused", func(t *testing.T) {
		_, err := owner.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &secretARN, ClientRequestToken: &first, SecretString: new("other")})
		wantCode(t, err, "ResourceExistsException")
	})
	t.Run("a schedule fires by itself", func(t *testing.T) {
		before := describe()
		if err := l.OpenNextWindow(t.Context(), secretARN); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, "another version is current", func() bool { return !slices.Contains(stages(first), "AWSCURRENT") })
		if after := describe().NextRotationDate; !after.After(*before.NextRotationDate) {
			t.Errorf("next rotation by %v, before it was %v", after, before.NextRotationDate)
		}
	})
	t.Run("a failed rotation is tried again and then blocks the next", func(t *testing.T) {
		token := "broken-" + strings.Repeat("2", 32)
		eventually(t, 5*time.Second, "the rotation before it has ended", func() bool { return rotate(token) == nil })
		_, err := owner.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &secretARN, VersionId: &token})
		wantCode(t, err, "ResourceNotFoundException") // made empty, never filled
		eventually(t, 15*time.Second, "three attempts", func() bool { return len(steps(token)) == 3 })
		wantCode(t, rotate("next-"+strings.Repeat("3", 32)), "InvalidRequestException")
		_, err = owner.UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{SecretId: &secretARN, VersionStage: new("AWSPENDING"), RemoveFromVersionId: &token})
		wantAllowed(t, "clearing the pending label", err)
		if got := steps(token); !slices.Equal(got, []string{"createSecret", "createSecret", "createSecret"}) {
			t.Errorf("steps %v, want the first one in three attempts", got)
		}
		eventually(t, 5*time.Second, "the next rotation is taken", func() bool { return rotate("next-"+strings.Repeat("3", 32)) == nil })
	})

	t.Run("another account reads the secret where secret, key and its own policies allow it", func(t *testing.T) {
		read := func(who aws.Config) error {
			_, err := secretsmanager.NewFromConfig(who).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &secretARN})
			return err
		}
		engineer := must[aws.Config](t)(l.NewUser(t.Context(), lab.Provider, "engineer", mayAll))
		idle := must[aws.Config](t)(l.NewUser(t.Context(), lab.Provider, "idle", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`))
		stranger := must[aws.Config](t)(l.NewUser(t.Context(), lab.Stranger, "stranger", mayAll))
		wantAllowed(t, "the engineer", read(engineer))
		wantAllowed(t, "the provider's root", read(l.Owner(lab.Provider)))
		wantDenied(t, "a user without permission", read(idle))
		wantDenied(t, "the stranger", read(stranger))
		wantDenied(t, "the stranger's root", read(l.Owner(lab.Stranger)))
		_, err := secretsmanager.NewFromConfig(engineer).PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &secretARN, SecretString: new("mine")})
		wantDenied(t, "the engineer writing", err)
		_, err = owner.TagResource(t.Context(), &secretsmanager.TagResourceInput{SecretId: &secretARN, Tags: []smtypes.Tag{{Key: new("revoked"), Value: new("two")}}})
		wantAllowed(t, "changing a tag that the secret's policy compares", err)
		wantDenied(t, "the engineer after that", read(engineer))
	})
	t.Run("who may not use the key or the function may not use the secret", func(t *testing.T) {
		user := must[aws.Config](t)(l.NewUser(t.Context(), lab.Customer, "keyless",
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}]}`))
		client := secretsmanager.NewFromConfig(user)
		_, err := client.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &secretARN})
		wantAllowed(t, "describing the secret", err)
		_, err = client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &secretARN})
		wantDenied(t, "reading it without kms:Decrypt", err)
		_, err = client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &secretARN, SecretString: new("mine")})
		wantDenied(t, "writing it without kms:GenerateDataKey", err)
		_, err = client.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{SecretId: &secretARN})
		wantDenied(t, "rotating it without lambda:InvokeFunction", err)
	})
	t.Run("roles are known by their whole ARN", func(t *testing.T) {
		user := must[aws.Config](t)(l.NewUser(t.Context(), lab.Customer, "reader",
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:GetRole","Resource":"`+roleARN+`"}]}`))
		_, err := iam.NewFromConfig(user).GetRole(t.Context(), &iam.GetRoleInput{RoleName: new("rotator")})
		wantAllowed(t, "reading the role that the policy names with its path", err)
	})
	t.Run("a bus policy decides by the role behind a session", func(t *testing.T) {
		user := must[aws.Config](t)(l.NewUser(t.Context(), lab.Customer, "gossip", mayAll))
		put := func(who aws.Config) error {
			_, err := eventbridge.NewFromConfig(who).PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{{
				EventBusName: new("guarded"), Source: new("test"), DetailType: new("Test"), Detail: new("{}"),
			}}})
			return err
		}
		wantDenied(t, "a user", put(user))
		_, err := iam.NewFromConfig(l.Owner(lab.Customer)).UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{RoleName: new("rotator"),
			PolicyDocument: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + lab.Customer + `:root"},"Action":"sts:AssumeRole"}]}`)})
		wantAllowed(t, "opening the role", err)
		wantAllowed(t, "the named role's session", put(must[aws.Config](t)(l.Enter(t.Context(), user, roleARN, "", "session"))))
	})
}

// deployRotation deploys testdata/rotation.json and gives the ARNs of its secret and role.
func deployRotation(t *testing.T, l *lab.Lab) (secretARN, roleARN string) {
	t.Helper()
	body := must[[]byte](t)(os.ReadFile(filepath.Join("testdata", "rotation.json")))
	client := cloudformation.NewFromConfig(l.Owner(lab.Customer))
	name := "rotation"
	_ = must[*cloudformation.CreateStackOutput](t)(client.CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: &name, TemplateBody: new(string(body)), Capabilities: []cfntypes.Capability{cfntypes.CapabilityCapabilityNamedIam},
	}))
	var stack cfntypes.Stack
	eventually(t, 20*time.Second, "the stack is complete", func() bool {
		stack = must[*cloudformation.DescribeStacksOutput](t)(client.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: &name})).Stacks[0]
		if strings.HasSuffix(string(stack.StackStatus), "FAILED") || strings.HasPrefix(string(stack.StackStatus), "ROLLBACK") {
			t.Fatalf("%s: %s", stack.StackStatus, aws.ToString(stack.StackStatusReason))
		}
		return stack.StackStatus == cfntypes.StackStatusCreateComplete
	})
	for _, out := range stack.Outputs {
		switch *out.OutputKey {
		case "Secret":
			secretARN = *out.OutputValue
		case "Role":
			roleARN = *out.OutputValue
		}
	}
	return secretARN, roleARN
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), code) {
		t.Errorf("want %s, got %v", code, err)
	}
}

// The provider's template takes the events of the customer's account, and of no other; a rule with a role hands them over.
func TestTheProvidersTemplate(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	theirs := must[map[string]string](t)(l.Subscribe(t.Context()))
	events := []ebtypes.PutEventsRequestEntry{{EventBusName: new("mine"), Source: new("countersign"), DetailType: new("Test"), Detail: new(`{"from":"the customer"}`)}}
	for _, account := range []string{lab.Customer, lab.Stranger} {
		owner := l.Owner(account)
		role := must[string](t)(l.NewRole(t.Context(), account, "forward", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"events:PutEvents","Resource":"`+theirs["BusArn"]+`"}]}`))
		client := eventbridge.NewFromConfig(owner)
		_ = must[*eventbridge.CreateEventBusOutput](t)(client.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: new("mine")}))
		_ = must[*eventbridge.PutRuleOutput](t)(client.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: new("forward"), EventBusName: new("mine"), EventPattern: new(`{"source":["countersign"]}`)}))
		_ = must[*eventbridge.PutTargetsOutput](t)(client.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: new("forward"), EventBusName: new("mine"),
			Targets: []ebtypes.Target{{Id: new("bus"), Arn: new(theirs["BusArn"]), RoleArn: &role}}}))
		_ = must[*eventbridge.PutEventsOutput](t)(client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: events}))
		events[0].Detail = new(`{"from":"a stranger"}`)
	}
	eventually(t, 5*time.Second, "the customer's event in the provider's queue", func() bool {
		return strings.Contains(must[string](t)(l.Waiting(t.Context(), theirs["QueueUrl"])), "the customer")
	})
	if there := must[string](t)(l.Waiting(t.Context(), theirs["QueueUrl"])); strings.Contains(there, "a stranger") {
		t.Errorf("the stranger's event was taken: %s", there)
	}
}

func TestEmulatorsOwnTests(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "../.tools/emulator/bin/python", "-m", "unittest", "discover", "--start-directory", "emulator", "--top-level-directory", ".")
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "OK") || strings.Contains(string(out), "Ran 0 tests") {
		t.Errorf("%v\n%s", err, out)
	}
}
