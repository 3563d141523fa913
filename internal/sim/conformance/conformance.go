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
}

// Plans is the call to SSM.
type Plans interface {
	Plan(ctx context.Context, name grant.Name) (grant.Plan, error)
}

// Sender is the call to SQS.
type Sender interface {
	Send(ctx context.Context, body []byte, delay time.Duration) error
}

// Account is what the cases run against: the calls, and how to make what they are about.
type Account struct {
	Roles    Roles
	Inline   InlinePolicies
	Versions Versions
	Secrets  Secrets
	Plans    Plans
	Queue    Sender

	// NewRole makes a role under /countersign/ with that trust policy, with default quotas.
	NewRole func(t testing.TB, trust string) (name string)
	// NewSecret makes a secret with that value as AWSCURRENT. With rotates it has a rotation function that changes nothing
	// for as long as the case runs.
	NewSecret func(t testing.TB, value string, rotates bool) (arn string)
	// NewPrincipal makes a role that a trust policy may name; remove deletes it.
	NewPrincipal func(t testing.TB) (arn string, remove func())
	// SetPlan sets the parameter of a grant.
	SetPlan func(t testing.TB, name grant.Name, value string)
	// Settle waits until IAM's reads show its writes.
	Settle func()
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
	for _, cases := range [][]Case{trustCases(), inlineCases(), versionCases(), labelCases(), rotationCases(), otherCases()} {
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
