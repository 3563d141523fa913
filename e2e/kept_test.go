//go:build e2e

package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/countersign/countersign/e2e/lab"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// TestARoleThatIsMadeElsewhere is a stack with CreateRole=false: the role is made by plain calls of IAM, as Terraform makes it, let in,
// rotated, revoked. Its stack is not deleted by the way; deleted on purpose it leaves the role closed.
func TestARoleThatIsMadeElsewhere(t *testing.T) {
	t.Parallel()
	c := clicks(t, lab.Customer)
	roles, name := iam.NewFromConfig(c.Owner(lab.Customer)), lab.RoleName("migration")
	_ = must[*iam.CreateRoleOutput](t)(roles.CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName: &name, Path: new(grant.DefaultRolePath), AssumeRolePolicyDocument: new(trust.BornDocument),
		Tags: []iamtypes.Tag{{Key: new(grant.TagGrant), Value: new("migration")}},
	}))
	_ = must[*iam.AttachRolePolicyOutput](t)(roles.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{
		RoleName: &name, PolicyArn: new("arn:aws:iam::aws:policy/AmazonS3FullAccess")}))

	values := c.values("migration")
	values["CreateRole"] = "false"
	c.create(t, "Engine", values)
	first := c.id(t, "migration")
	wantAllowed(t, "the provider with its ID", c.enters(t, "migration", first))
	wantDenied(t, "without one", c.enters(t, "migration", ""))
	live := must[aws.Config](t)(c.Enter(t.Context(), c.backend, lab.RoleARN("migration"), first, "visit"))
	wantAllowed(t, "its session", listBuckets(t.Context(), live))

	secret, token := must[string](t)(c.Secret(t.Context(), "migration")), "requested-by-hand-"+strings.Repeat("7", 32)
	_ = must[*secretsmanager.RotateSecretOutput](t)(secretsmanager.NewFromConfig(c.Owner(lab.Customer)).RotateSecret(t.Context(),
		&secretsmanager.RotateSecretInput{SecretId: &secret, ClientRequestToken: &token}))
	eventually(t, 60*time.Second, "another ID is current", func() bool { return c.id(t, "migration") != first })
	ids := []string{first, c.id(t, "migration")}
	wantAllowed(t, "the new ID", c.enters(t, "migration", ids[1]))

	c.revokedAndSeen(t, "migration", "Engine")
	c.refusesToGo(t, "Engine")
	wantDenied(t, "the session, revoked", listBuckets(t.Context(), live))
	c.unprotect(t, "Engine")
	c.remove(t, "Engine")

	closed := func() {
		t.Helper()
		policies := must[*iam.ListRolePoliciesOutput](t)(roles.ListRolePolicies(t.Context(), &iam.ListRolePoliciesInput{RoleName: &name})).PolicyNames
		if !slices.Equal(policies, []string{grant.KeptClosedPolicy}) {
			t.Errorf("the role that stays has the inline policies %v", policies)
		}
		doc := must[string](t)(url.QueryUnescape(must[string](t)(c.Trust(t.Context(), "migration"))))
		if parsed := must[*trust.Document](t)(trust.Parse([]byte(doc))); !parsed.Closed() {
			t.Error("the trust policy of the role that stays is not closed")
		}
		for _, id := range append(ids, "") {
			wantDenied(t, "an ID from before", c.enters(t, "migration", id))
		}
		wantDenied(t, "the session from before", listBuckets(t.Context(), live))
	}
	closed()

	if status := c.tryCreate(t, "Again", values); status != cfntypes.StackStatusRollbackComplete {
		t.Errorf("another stack over the closed role: %s", status)
	}
	if why := c.why(t, "Again"); !strings.Contains(why, "take its inline policy CountersignClosed off") {
		t.Errorf("the reason is %s", why)
	}
	closed()
}

// revokedAndSeen revokes a grant without any part of Countersign's, and has reconcile look, as the timer does within an hour.
func (c *clicked) revokedAndSeen(t *testing.T, grant, stack string) {
	t.Helper()
	owner := c.Owner(lab.Customer)
	out := must[lab.Output](t)(c.Countersign(t.Context(), owner, "revoke", grant, "--stack", stack, "--direct", "--reason", "ended", "--yes"))
	if out.Code != 0 {
		t.Fatalf("%+v", out)
	}
	got := must[lab.Answer](t)(c.Call(t.Context(), &owner, "lambda", http.MethodPost,
		c.Endpoint+"/2015-03-31/functions/countersign-reconcile-"+grant+"/invocations", "application/json", `{"reconcile":"all"}`))
	if got.Status != http.StatusOK || strings.Contains(got.Body, "errorMessage") {
		t.Fatalf("the timer's look: %+v", got)
	}
}

// refusesToGo asserts that a stack can't be deleted, and stays as it is.
func (c *clicked) refusesToGo(t *testing.T, stack string) {
	t.Helper()
	_, err := c.cfn.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: &stack})
	if err == nil || !strings.Contains(err.Error(), "cannot be deleted while TerminationProtection is enabled") {
		t.Errorf("the stack of a revoked grant is deleted by the way: %v", err)
	}
	if got := c.describe(t, stack); !strings.HasSuffix(string(got.StackStatus), "_COMPLETE") || !aws.ToBool(got.EnableTerminationProtection) {
		t.Errorf("status %s", got.StackStatus)
	}
}

func (c *clicked) unprotect(t *testing.T, stack string) {
	t.Helper()
	_ = must[*cloudformation.UpdateTerminationProtectionOutput](t)(c.cfn.UpdateTerminationProtection(t.Context(),
		&cloudformation.UpdateTerminationProtectionInput{StackName: &stack, EnableTerminationProtection: new(false)}))
}
