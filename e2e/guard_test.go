//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/countersign/countersign/e2e/lab"
)

// guard tries what the provider's sessions may and may not do: one with S3 full and EC2 read, one of an administrator.
func (s *story) guard(t *testing.T) {
	migration := must[aws.Config](t)(s.Enter(t.Context(), s.engineer, lab.RoleARN("migration"), s.current(t, "migration").ExternalID, "jdoe"))
	platform := must[aws.Config](t)(s.Enter(t.Context(), s.engineer, lab.RoleARN("platform"), s.current(t, "platform").ExternalID, "jdoe"))

	t.Run("S3 is allowed", func(t *testing.T) {
		client := storage(migration)
		_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: new("migration-data")})
		wantAllowed(t, "making a bucket", err)
		_, err = client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: new("migration-data"), Key: new("a"), Body: strings.NewReader("b")})
		wantAllowed(t, "writing", err)
		_, err = client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: new("migration-data")})
		wantAllowed(t, "listing", err)
	})
	t.Run("EC2 may be read", func(t *testing.T) {
		got := must[lab.Answer](t)(s.Call(t.Context(), &migration, "ec2", http.MethodPost, s.Endpoint+"/", "application/x-www-form-urlencoded", "Action=DescribeInstances&Version=2016-11-15"))
		if got.Status != http.StatusOK {
			t.Errorf("describing instances: %+v", got)
		}
	})
	t.Run("EKS is denied", func(t *testing.T) {
		got := must[lab.Answer](t)(s.Call(t.Context(), &migration, "eks", http.MethodGet, s.Endpoint+"/clusters", "", ""))
		if !got.Refused() {
			t.Errorf("listing clusters: %+v", got)
		}
	})
	t.Run("the administrator is one", func(t *testing.T) {
		got := must[lab.Answer](t)(s.Call(t.Context(), &platform, "eks", http.MethodGet, s.Endpoint+"/clusters", "", ""))
		if got.Status != http.StatusOK {
			t.Errorf("listing clusters: %+v", got)
		}
	})
	for name, who := range map[string]aws.Config{"with S3 full": migration, "as administrator": platform} {
		t.Run(name, func(t *testing.T) { s.ownParts(t, who) })
	}
}

// ownParts tries to reach what belongs to Countersign and to CDK from a session of the provider.
func (s *story) ownParts(t *testing.T, who aws.Config) {
	ctx := t.Context()
	assets := "cdk-hnb659fds-assets-" + lab.Customer + "-" + lab.Region
	_, err := storage(who).PutObject(ctx, &s3.PutObjectInput{Bucket: &assets, Key: new("x.zip"), Body: strings.NewReader("mine")})
	wantDenied(t, "writing to the CDK assets bucket", err)
	_, err = storage(who).ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &assets})
	wantDenied(t, "listing the CDK assets bucket", err)
	_, err = storage(who).DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &assets})
	wantDenied(t, "deleting the CDK assets bucket", err)

	for _, function := range []string{"rotate", "reconcile", "revoke", "operate", "confirm", "notify"} {
		path := s.Endpoint + "/2015-03-31/functions/countersign-" + function
		for what, call := range map[string][2]string{"invoking": {http.MethodPost, "/invocations"}, "replacing the code of": {http.MethodPut, "/code"}, "deleting": {http.MethodDelete, ""}} {
			if got := must[lab.Answer](t)(s.Call(ctx, &who, "lambda", call[0], path+call[1], "application/json", "{}")); !got.Refused() {
				t.Errorf("%s %s: %+v", what, function, got)
			}
		}
	}
	for _, path := range []string{"/grants", "/grants/migration"} {
		s.wantRefused(t, "the API", &who, http.MethodGet, path, "")
	}
	for _, path := range []string{"/grants/migration/revoke", "/grants/migration/restore", "/grants/nightly/pause"} {
		s.wantRefused(t, "the API", &who, http.MethodPost, path, `{"reason":"mine"}`)
	}

	other := must[string](t)(s.Secret(ctx, "nightly"))
	secrets := secretsmanager.NewFromConfig(who)
	_, err = secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &other})
	wantDenied(t, "reading another grant's secret", err)
	_, err = secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &other, SecretString: new("mine")})
	wantDenied(t, "writing another grant's secret", err)
	_, err = secrets.RotateSecret(ctx, &secretsmanager.RotateSecretInput{SecretId: &other})
	wantDenied(t, "rotating another grant's secret", err)

	roles := iam.NewFromConfig(who)
	_, err = roles.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: new(lab.RoleName("platform")), PolicyName: new("CountersignGuard")})
	wantDenied(t, "taking the guard off", err)
	_, err = roles.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: new(lab.RoleName("platform")), PolicyDocument: new(mayAll)})
	wantDenied(t, "writing the trust policy", err)
	_, err = roles.CreateUser(ctx, &iam.CreateUserInput{UserName: new("backdoor")})
	wantDenied(t, "making a user", err)
	_, err = sts.NewFromConfig(who).AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: new("arn:aws:iam::" + lab.Customer + ":role/cdk-hnb659fds-deploy-role-" + lab.Customer + "-" + lab.Region), RoleSessionName: new("mine")})
	wantDenied(t, "entering CDK's deploy role", err)

	_, err = ssm.NewFromConfig(who).PutParameter(ctx, &ssm.PutParameterInput{Name: new("/countersign/migration"), Value: new("{}"), Overwrite: new(true)})
	wantDenied(t, "writing a plan", err)
	_, err = eventbridge.NewFromConfig(who).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{{
		EventBusName: new("countersign"), Source: new("countersign"), DetailType: new("Access Granted"), Detail: new("{}"),
	}}})
	wantDenied(t, "speaking on the bus", err)
	_, err = sqs.NewFromConfig(who).SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: new(s.Endpoint + "/" + lab.Customer + "/countersign-check"), MessageBody: new(`{"grant":"migration"}`)})
	wantDenied(t, "asking for a check", err)
	_, err = cloudformation.NewFromConfig(who).DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: new(lab.Stack)})
	wantDenied(t, "deleting the stack", err)
}

// storage is S3 by path: the emulator has no names for buckets.
func storage(who aws.Config) *s3.Client {
	return s3.NewFromConfig(who, func(o *s3.Options) { o.UsePathStyle = true })
}

// wantRefused calls the API and wants it to refuse.
func (s *story) wantRefused(t *testing.T, what string, who *aws.Config, method, path, body string) {
	t.Helper()
	if got := must[lab.Answer](t)(s.Call(t.Context(), who, "execute-api", method, s.api+path, "application/json", body)); !got.Refused() {
		t.Errorf("%s %s by %s: %+v", method, path, what, got)
	}
}

// refusedRevokes tries every way to revoke that must not work. That no function ran is part of the chapter around it.
func (s *story) refusedRevokes(t *testing.T) {
	keys := must[aws.Credentials](t)(s.operator.Credentials.Retrieve(t.Context()))
	forged := s.With(keys.AccessKeyID, strings.Repeat("x", len(keys.SecretAccessKey)), "")
	unknown := s.With("AKIAIOSFODNN7EXAMPLE", keys.SecretAccessKey, "")
	for what, who := range map[string]*aws.Config{
		"nobody, unsigned":              nil,
		"the operator, wrongly signed":  &forged,
		"an unknown key":                &unknown,
		"a user without permission":     &s.clerk,
		"the provider's engineer":       &s.engineer,
		"a third account's user":        &s.stranger,
		"the provider's user, no match": &s.outsider,
	} {
		s.wantRefused(t, what, who, http.MethodPost, "/grants/migration/revoke", `{"reason":"not mine to say"}`)
	}
	wantAllowed(t, "the provider, after all those", s.enters(t, s.engineer, "migration", s.current(t, "migration").ExternalID))
}
