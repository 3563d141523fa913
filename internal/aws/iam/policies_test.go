package iam_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/iam"
	"github.com/countersign/countersign/internal/grant"
)

const (
	policyARN = "arn:aws:iam::444455556666:policy/uploads"
	readOnly  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`
)

func attachedAnswer(truncated string) awstest.Answer {
	return awstest.XML(`<ListAttachedRolePoliciesResponse><ListAttachedRolePoliciesResult><AttachedPolicies>` +
		`<member><PolicyName>AmazonS3FullAccess</PolicyName><PolicyArn>arn:aws:iam::aws:policy/AmazonS3FullAccess</PolicyArn></member>` +
		`<member><PolicyName>uploads</PolicyName><PolicyArn>` + policyARN + `</PolicyArn></member>` +
		`</AttachedPolicies><IsTruncated>` + truncated + `</IsTruncated></ListAttachedRolePoliciesResult></ListAttachedRolePoliciesResponse>`)
}

var (
	managedAnswer = awstest.XML(`<GetPolicyResponse><GetPolicyResult><Policy><Arn>` + policyARN + `</Arn><DefaultVersionId>v3</DefaultVersionId>` +
		`<Description>Countersign: uploads.json of grant migration</Description></Policy></GetPolicyResult></GetPolicyResponse>`)
	versionAnswer = awstest.XML(`<GetPolicyVersionResponse><GetPolicyVersionResult><PolicyVersion><Document>` + encode(readOnly) +
		`</Document><VersionId>v3</VersionId></PolicyVersion></GetPolicyVersionResult></GetPolicyVersionResponse>`)
)

func readAttached(ctx context.Context, cfg aws.Config) error {
	_, err := iam.New(cfg).Attached(ctx, role)
	return err
}

func readManaged(ctx context.Context, cfg aws.Config) error {
	_, err := iam.New(cfg).Policy(ctx, policyARN)
	return err
}

func readVersion(ctx context.Context, cfg aws.Config) error {
	_, err := iam.New(cfg).PolicyDocument(ctx, policyARN, "v3")
	return err
}

func TestReadingManagedPoliciesKeepsTheContract(t *testing.T) {
	t.Run("Attached", func(t *testing.T) { awstest.IAM.Contract(t, attachedAnswer("false"), readAttached) })
	t.Run("Policy", func(t *testing.T) { awstest.IAM.Contract(t, managedAnswer, readManaged) })
	t.Run("PolicyDocument", func(t *testing.T) { awstest.IAM.Contract(t, versionAnswer, readVersion) })
}

func TestManagedPoliciesAreReadWhole(t *testing.T) {
	server := awstest.New(t, attachedAnswer("false"), managedAnswer, versionAnswer)
	c := iam.New(server.Config())
	arns, err := c.Attached(t.Context(), role)
	if err != nil || !slices.Equal(arns, []string{"arn:aws:iam::aws:policy/AmazonS3FullAccess", policyARN}) {
		t.Errorf("attached %v, %v", arns, err)
	}
	policy, err := c.Policy(t.Context(), policyARN)
	if err != nil || policy != (iam.Policy{Description: "Countersign: uploads.json of grant migration", Version: "v3"}) {
		t.Errorf("policy %+v, %v", policy, err)
	}
	document, err := c.PolicyDocument(t.Context(), policyARN, policy.Version)
	if err != nil || string(document) != readOnly {
		t.Errorf("document %s, %v", document, err)
	}
	calls := server.Calls()
	for i, want := range []map[string]string{
		{"Action": "ListAttachedRolePolicies", "RoleName": role}, {"Action": "GetPolicy", "PolicyArn": policyARN},
		{"Action": "GetPolicyVersion", "PolicyArn": policyARN, "VersionId": "v3"},
	} {
		for key, value := range want {
			if got := calls[i].Form.Get(key); got != value {
				t.Errorf("call %d: %s = %q, want %q", i, key, got, value)
			}
		}
	}
}

func TestHalfAnAnswerAboutPoliciesIsNone(t *testing.T) {
	for name, tc := range map[string]struct {
		answer awstest.Answer
		call   func(context.Context, aws.Config) error
	}{
		"more pages":        {attachedAnswer("true"), readAttached},
		"without a policy":  {awstest.XML(`<GetPolicyResponse><GetPolicyResult></GetPolicyResult></GetPolicyResponse>`), readManaged},
		"without a version": {awstest.XML(`<GetPolicyVersionResponse><GetPolicyVersionResult></GetPolicyVersionResult></GetPolicyVersionResponse>`), readVersion},
	} {
		if err := tc.call(t.Context(), awstest.New(t, tc.answer).Config()); !errors.Is(err, grant.ErrUnavailable) {
			t.Errorf("%s: %v, want unavailable", name, err)
		}
	}
}

func TestRolesAreListedUnderAPath(t *testing.T) {
	page := awstest.XML(`<ListRolesResponse><ListRolesResult><IsTruncated>false</IsTruncated><Roles><member><RoleName>ServiceProvider-audit</RoleName>` +
		`<Path>/countersign/</Path><Arn>arn:aws:iam::444455556666:role/countersign/ServiceProvider-audit</Arn><CreateDate>2026-01-05T09:00:00Z</CreateDate></member></Roles></ListRolesResult></ListRolesResponse>`)
	call := func(ctx context.Context, cfg aws.Config) error {
		_, err := iam.New(cfg).Roles(ctx, grant.DefaultRolePath)
		return err
	}
	awstest.IAM.Contract(t, page, call)
	server := awstest.New(t, page)
	roles, err := iam.New(server.Config()).Roles(t.Context(), grant.DefaultRolePath)
	if err != nil || len(roles) != 1 || roles[0].Name != "ServiceProvider-audit" {
		t.Errorf("roles = %v, %v", roles, err)
	}
	if form := server.Only("ListRoles").Form; form.Get("PathPrefix") != "/countersign/" {
		t.Errorf("asked with %v", form)
	}
}
