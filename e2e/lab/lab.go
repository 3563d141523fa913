// Package lab is three AWS accounts on a local emulator: the customer's with the real stack in it, the provider's and a
// stranger's. The end-to-end tests and `make local` use it.
//
// It decides nothing about Countersign. It trusts the emulator's answers as far as docs/emulator.md says, listens on the
// loopback only, and never talks to AWS: every process that it starts gets the emulator's address and made-up keys.
package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/countersign/countersign/internal/aws/awsconfig"
)

// The three accounts, and where they are.
const (
	Customer = "444455556666"
	Provider = "111122223333"
	Stranger = "777788889999"
	Region   = "us-east-1"
	Stack    = "ServiceProviderAccess"
)

// Lab is a running emulator and the folders of one run.
type Lab struct {
	Root     string // of the repository
	Dir      string // of this run
	Endpoint string // of the emulator, without a slash at the end

	settings []string
	names    []string // environment of AWSNames
	emulator *process
	http     *awshttp.BuildableClient // of all clients, so that they share connections

	mu      sync.Mutex
	outputs []Output
}

// Output is what one run of the command-line tool printed.
type Output struct {
	Args           string
	Stdout, Stderr string
	Code           int
}

// StoppedClock is a setting of the emulator: no rotation window opens but by OpenNextWindow.
const StoppedClock = "ROTATION_CLOCK=stopped"

// Start starts the emulator of the repository at root, with the settings as NAME=VALUE, and waits until it answers. What
// it writes goes to dir. Stop ends it.
func Start(ctx context.Context, root, dir string, settings ...string) (*Lab, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	l := &Lab{Root: root, Dir: dir, settings: settings, http: awshttp.NewBuildableClient()}
	if err := l.startEmulator(ctx); err != nil {
		l.Stop()
		return nil, err
	}
	return l, nil
}

// Stop ends the emulator with every function that it runs.
func (l *Lab) Stop() {
	if l.emulator != nil {
		l.emulator.stop()
	}
}

// Built says what has to be built before a lab can deploy, and how; nil if it is all there.
func Built(root string) error {
	for path, how := range map[string]string{
		"bin/countersign":                    "make cli",
		"bin/countersign-app":                "make app",
		"dist/functions/enroll/bootstrap":    "make functions ARCH=$(go env GOHOSTARCH)",
		"dist/functions/rotate/bootstrap":    "make functions ARCH=$(go env GOHOSTARCH)",
		".tools/emulator/bin/python":         "make e2e",
		".tools/node/node_modules/.bin/cdk":  "make e2e",
		"dist/functions/reconcile/bootstrap": "make functions ARCH=$(go env GOHOSTARCH)",
	} {
		if _, err := os.Stat(filepath.Join(root, path)); err != nil {
			return fmt.Errorf("%s is missing: run %s", path, how)
		}
	}
	return nil
}

// Owner is the root user of an account: the emulator takes the account's number as its key and checks no policy. Tests
// set things up and look at them with it; they prove nothing with it.
func (l *Lab) Owner(account string) aws.Config { return l.with(account, "test", "") }

// With is the configuration of a key pair, or of a session.
func (l *Lab) With(key, secret, session string) aws.Config { return l.with(key, secret, session) }

func (l *Lab) with(key, secret, session string) aws.Config {
	return aws.Config{
		Region: Region, BaseEndpoint: new(l.Endpoint), HTTPClient: l.http, RetryMaxAttempts: 3,
		Credentials: credentials.NewStaticCredentialsProvider(key, secret, session),
		APIOptions:  []func(*middleware.Stack) error{awsconfig.KeepAnswer}, // a server on the same machine is that fast
	}
}

// NewUser makes an IAM user with a key and an inline policy. Its requests are signed and checked.
func (l *Lab) NewUser(ctx context.Context, account, name, policy string) (aws.Config, error) {
	client := iam.NewFromConfig(l.Owner(account))
	if _, err := client.CreateUser(ctx, &iam.CreateUserInput{UserName: &name}); err != nil {
		return aws.Config{}, fmt.Errorf("creating user %s: %w", name, err)
	}
	if _, err := client.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: &name, PolicyName: new("may"), PolicyDocument: &policy}); err != nil {
		return aws.Config{}, fmt.Errorf("giving %s its policy: %w", name, err)
	}
	key, err := client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		return aws.Config{}, fmt.Errorf("creating the key of %s: %w", name, err)
	}
	return l.with(*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey, ""), nil
}

// NewRole makes a role that everybody in its own account may assume.
func (l *Lab) NewRole(ctx context.Context, account, name, policy string) (arn string, err error) {
	client := iam.NewFromConfig(l.Owner(account))
	role, err := client.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: new(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:root"},"Action":"sts:AssumeRole"}]}`)})
	if err != nil {
		return "", fmt.Errorf("creating role %s: %w", name, err)
	}
	if _, err := client.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &name, PolicyName: new("may"), PolicyDocument: &policy}); err != nil {
		return "", fmt.Errorf("giving %s its policy: %w", name, err)
	}
	return *role.Role.Arn, nil
}

// Enter assumes a role. externalID may be empty.
func (l *Lab) Enter(ctx context.Context, who aws.Config, roleARN, externalID, session string) (aws.Config, error) {
	in := &sts.AssumeRoleInput{RoleArn: &roleARN, RoleSessionName: &session}
	if externalID != "" {
		in.ExternalId = &externalID
	}
	out, err := sts.NewFromConfig(who).AssumeRole(ctx, in)
	if err != nil {
		return aws.Config{}, err
	}
	return l.with(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken), nil
}

// Denied says whether AWS refused a call for lack of permission, as opposed to any other failure.
func Denied(err error) bool {
	var answer smithy.APIError
	return errors.As(err, &answer) && (strings.HasPrefix(answer.ErrorCode(), "AccessDenied") || answer.ErrorCode() == "Forbidden")
}

// Outputs is what every run of the command-line tool printed so far.
func (l *Lab) Outputs() []Output {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Output(nil), l.outputs...)
}

// EmulatorLog is where the emulator's own output goes.
func (l *Lab) EmulatorLog() string { return filepath.Join(l.Dir, "emulator.log") }
