//go:build e2e

package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/countersign/countersign/e2e/lab"
)

func (s *story) maxSession(t *testing.T, grant string) int32 {
	t.Helper()
	role := must[*iam.GetRoleOutput](t)(iam.NewFromConfig(s.Owner(lab.Customer)).GetRole(t.Context(), &iam.GetRoleInput{RoleName: new(lab.RoleName(grant))}))
	return *role.Role.MaxSessionDuration
}

// destroy is refused while the grant is revoked. Then it deletes the stack all the same, with a session from before the revoke trying all the time. It may
// get in between the deletions of the Deny and of the role; that time is measured.
func (s *story) destroy(t *testing.T) {
	stackID := s.stackID(t)
	s.timerFires(t)
	if err := s.Destroy(t.Context(), s.second); err == nil || !strings.Contains(err.Error(), "cannot be deleted while TerminationProtection is enabled") {
		t.Fatalf("the stack of a revoked grant is destroyed by the way: %v", err)
	}
	_ = must[*cloudformation.UpdateTerminationProtectionOutput](t)(cloudformation.NewFromConfig(s.Owner(lab.Customer)).UpdateTerminationProtection(t.Context(),
		&cloudformation.UpdateTerminationProtectionInput{StackName: &stackID, EnableTerminationProtection: new(false)}))
	ctx, cancel := context.WithCancel(t.Context())
	var letIn []time.Time
	tries, done := 0, make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if at := time.Now(); listBuckets(ctx, s.live) == nil {
				letIn = append(letIn, at)
			}
			tries++
			time.Sleep(2 * time.Millisecond)
		}
	}()
	err := s.Destroy(t.Context(), s.second)
	cancel()
	<-done
	if err != nil {
		t.Fatal(err)
	}
	deny, role, between := s.deletions(t, stackID)
	t.Logf("the role outlived its Deny by %d ms and %d other deletions; of %d tries with a session from before the revoke %d were let in",
		role.Sub(deny).Milliseconds(), between, tries, len(letIn))
	const slack = 50 * time.Millisecond // an event is written before or after what it tells
	for _, at := range letIn {
		if at.Before(deny.Add(-slack)) || at.After(role.Add(slack)) {
			t.Errorf("the session from before the revoke was let in at %s, not between %s and %s", clock(at), clock(deny), clock(role))
		}
	}
	wantDenied(t, "that session afterwards", listBuckets(t.Context(), s.live))

	owner := s.Owner(lab.Customer)
	roles := must[*iam.ListRolesOutput](t)(iam.NewFromConfig(owner).ListRoles(t.Context(), &iam.ListRolesInput{}))
	for _, role := range roles.Roles {
		if !strings.HasPrefix(*role.RoleName, "cdk-hnb659fds-") {
			t.Errorf("role %s is left", *role.RoleName)
		}
	}
	policies := must[*iam.ListPoliciesOutput](t)(iam.NewFromConfig(owner).ListPolicies(t.Context(), &iam.ListPoliciesInput{Scope: iamtypes.PolicyScopeTypeLocal}))
	for _, policy := range policies.Policies {
		t.Errorf("policy %s is left", *policy.PolicyName)
	}
	secrets := must[*secretsmanager.ListSecretsOutput](t)(secretsmanager.NewFromConfig(owner).ListSecrets(t.Context(), &secretsmanager.ListSecretsInput{}))
	for _, secret := range secrets.SecretList {
		if *secret.ARN != s.around.WebhookSecret {
			t.Errorf("secret %s is left", *secret.Name)
		}
	}
	for _, grant := range []string{"migration", "nightly", "platform", "legacy", "telemetry", "snapshots"} {
		wantDenied(t, "entering "+grant, s.enters(t, s.engineer, grant, "hestio-00000000000000000000000000000000"))
	}
}

func (s *story) stackID(t *testing.T) string {
	t.Helper()
	out := must[*cloudformation.DescribeStacksOutput](t)(cloudformation.NewFromConfig(s.Owner(lab.Customer)).DescribeStacks(t.Context(),
		&cloudformation.DescribeStacksInput{StackName: new(lab.Stack)}))
	return *out.Stacks[0].StackId
}

// deletions are when the revoked role's Deny and the role itself were gone, as the stack's events tell it, and how many
// resources went in between.
func (s *story) deletions(t *testing.T, stackID string) (deny, role time.Time, between int) {
	t.Helper()
	var gone []cfntypes.StackEvent // the oldest first
	pages := cloudformation.NewDescribeStackEventsPaginator(cloudformation.NewFromConfig(s.Owner(lab.Customer)),
		&cloudformation.DescribeStackEventsInput{StackName: &stackID})
	for pages.HasMorePages() {
		page := must[*cloudformation.DescribeStackEventsOutput](t)(pages.NextPage(t.Context()))
		for _, e := range page.StackEvents {
			if e.ResourceStatus == cfntypes.ResourceStatusDeleteComplete {
				gone = append([]cfntypes.StackEvent{e}, gone...)
			}
		}
	}
	find := func(kind, part string) int {
		return slices.IndexFunc(gone, func(e cfntypes.StackEvent) bool {
			id := strings.ToLower(*e.LogicalResourceId)
			return *e.ResourceType == kind && strings.Contains(id, revoked) && strings.Contains(id, part)
		})
	}
	guardAt, denyAt, roleAt := find("AWS::IAM::Policy", "guard"), find("AWS::IAM::Policy", "revocation"), find("AWS::IAM::Role", "role")
	if guardAt < 0 || denyAt < guardAt || roleAt < denyAt {
		t.Fatalf("guard, Deny and role were deleted as numbers %d, %d and %d; want this order", guardAt, denyAt, roleAt)
	}
	return *gone[denyAt].Timestamp, *gone[roleAt].Timestamp, roleAt - denyAt - 1
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }
