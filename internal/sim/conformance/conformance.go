// Package conformance says what AWS documents of the calls that Countersign makes, as cases that run against anything that
// answers these calls: the embedded AWS always, an emulator or AWS itself through the adapters.
//
// It decides nothing and knows no implementation. A case that an implementation gets wrong is a difference to be listed
// beside it, by name, with its reason.
package conformance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// Roles are the calls to IAM.
type Roles interface {
	Role(ctx context.Context, roleName string) (grant.Role, error)
	SetTrust(ctx context.Context, roleName string, document []byte) error
	TagRole(ctx context.Context, roleName string, tags map[string]string) error
}

// InlinePolicies are the calls to IAM about a role's inline policies.
type InlinePolicies interface {
	InlinePolicy(ctx context.Context, roleName, policyName string) ([]byte, error)
	PutInlinePolicy(ctx context.Context, roleName, policyName string, document []byte) error
}

// Versions are the calls to Secrets Manager about versions and their labels.
type Versions interface {
	Version(ctx context.Context, secretARN, versionID string) (grant.Version, error)
	Versions(ctx context.Context, secretARN string) ([]grant.VersionInfo, error)
	PutVersion(ctx context.Context, secretARN, versionID string, value []byte, stages ...string) error
	MoveStage(ctx context.Context, secretARN, stage, toVersion, fromVersion string) error
}

// Secrets are the other calls to Secrets Manager.
type Secrets interface {
	Describe(ctx context.Context, secretARN string) (grant.Secret, error)
	Tag(ctx context.Context, secretARN string, tags map[string]string) error
	Rotate(ctx context.Context, secretARN, token string) error
	SecretString(ctx context.Context, secretARN string) (string, error)
	AtStage(ctx context.Context, secretARN, stage string) (grant.Version, error)
}

// Plans is the call to SSM.
type Plans interface {
	Plan(ctx context.Context, name grant.Name) (grant.Plan, error)
}

// Stacks are the calls to CloudFormation about a stack, named by its ARN.
type Stacks interface {
	Deletable(ctx context.Context, stackARN string) (bool, error)
	Protect(ctx context.Context, stackARN string) error
}

// Queue are the calls to SQS about one queue, whose messages are hidden for two seconds once they are received.
type Queue interface {
	Send(ctx context.Context, body []byte, delay time.Duration) error
	// Receive takes what is visible now; it doesn't wait.
	Receive(ctx context.Context) ([]Received, error)
	Hide(ctx context.Context, receipt string, d time.Duration) error
	Delete(ctx context.Context, receipt string) error
}

// Received is a message as a consumer gets it.
type Received struct {
	Receipt, Body string
	Receives      int // this time included
}

// Entry is one AssumeRole.
type Entry struct {
	RoleARN, ExternalID, SessionName, SourceIdentity string
	Duration                                         time.Duration // zero: AWS's default
}

// Principal is somebody with credentials of an account, whose own policies let it assume every role.
type Principal interface {
	Enter(ctx context.Context, e Entry) (Session, error)
}

// Session is what AssumeRole gives.
type Session interface {
	Principal // role chaining
	// Caller is GetCallerIdentity.
	Caller(ctx context.Context) (account, arn string, err error)
	// ReadRole is GetRole: a call that the role's policies decide about.
	ReadRole(ctx context.Context, roleName string) error
}

// Roled is a role of the provider's that a trust policy may name.
type Roled struct {
	ARN            string
	Remove, Remake func() // the latter makes one of the same name
}

// Entryway is the call to EventBridge, with the credentials of one account.
type Entryway interface {
	PutEntry(ctx context.Context, source, detailType, detail string) error
}

// Account is what the cases run against: the calls, and how to make what they are about.
type Account struct {
	ID       string // 12 digits
	Provider string // the account of Engineer and of NewPrincipal

	Roles    Roles
	Inline   InlinePolicies
	Versions Versions
	Secrets  Secrets
	Plans    Plans
	Stacks   Stacks
	Publish  func(ctx context.Context, topicARN, subject, message string) error
	Outputs  func(ctx context.Context, stack string) (map[string]string, error)

	Engineer, Stranger Principal // users of the provider's account and of a third one
	Bus, ForeignBus    Entryway  // to one bus; the latter with credentials of the provider's account, which the bus lets in
	// Archived waits for the archived event of that detail type.
	Archived func(t testing.TB, detailType string) events.Envelope

	// NewRole makes a role under /countersign/ with that trust policy and longest session, with default quotas.
	NewRole func(t testing.TB, trust string, maxSession time.Duration) (name string)
	// NewLinkedRole makes a service-linked role.
	NewLinkedRole func(t testing.TB) (name string)
	// NewSecret makes a secret with that value as AWSCURRENT. With rotates it has a rotation function that changes nothing
	// for as long as the case runs.
	NewSecret func(t testing.TB, value string, rotates bool) (arn string)
	// NewKeyedSecret makes a secret under a customer-managed key, and a switch to disable the key and enable it again.
	NewKeyedSecret func(t testing.TB, value string) (arn string, enable func(bool))
	// Delete marks a secret as deleted, with a recovery window; Restore takes that back.
	Delete, Restore func(t testing.TB, secretARN string)
	NewPrincipal    func(t testing.TB) Roled
	NewTopic        func(t testing.TB) (arn string)
	NewQueue        func(t testing.TB) Queue
	// NewStack makes a stack, and gives what deletes it and what takes its termination protection off.
	NewStack func(t testing.TB) (arn string, remove, unprotect func() error)
	// SetParameter sets a standard parameter.
	SetParameter func(ctx context.Context, name, value string) error

	Now    func() time.Time
	Pass   func(time.Duration) // lets time go by
	Settle func()              // waits until IAM's reads show its writes
}

func (a Account) newRole(t testing.TB, trust string) (name string) {
	return a.NewRole(t, trust, time.Hour)
}

// Case is one thing that AWS documents.
type Case struct {
	Name  string
	Says  string // where AWS says it
	Check func(t testing.TB, a Account)
}

// All are the cases of all services.
func All() []Case {
	var out []Case
	for _, cases := range [][]Case{
		trustCases(), inlineCases(), entryCases(), sessionCases(), versionCases(), labelCases(), rotationCases(), messageCases(), otherCases(),
	} {
		out = append(out, cases...)
	}
	return out
}

// Closed is a trust policy that admits nobody.
const Closed = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}]}`

// want fails the test unless err is of the kind; nil means no error.
func want(t testing.TB, act string, err, kind error) {
	t.Helper()
	switch {
	case kind == nil && err != nil:
		t.Errorf("%s: %v, want no error", act, err)
	case kind != nil && !errors.Is(err, kind):
		t.Errorf("%s: %v, want %v", act, err, kind)
	}
}

// wantCode fails the test unless AWS's error code is the one given.
func wantCode(t testing.TB, act string, err error, code string) {
	t.Helper()
	var e interface{ ErrorCode() string }
	if !errors.As(err, &e) || e.ErrorCode() != code {
		t.Errorf("%s: %v, want the code %s", act, err, code)
	}
}

func must(t testing.TB, act string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", act, err)
	}
}

// token makes a version id of 39 characters.
func token(purpose string, n int) string { return fmt.Sprintf("%s-%032x", purpose, n) }

// padded is a trust policy of exactly n characters that count, with white space besides.
func padded(n int) string {
	const form = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"%s"}}}]}`
	body := fmt.Sprintf(form, strings.Repeat("x", n-len(form)+2))
	return strings.Replace(body, ",", ",\n      ", 1)
}
