package operator_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/aws/awsconfig"
	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/operator"
)

const shared = `[default]
region = eu-west-1
aws_access_key_id = AKIADEFAULT
aws_secret_access_key = example

[profile prod]
region = eu-central-1
aws_access_key_id = AKIAPROD
aws_secret_access_key = example

[profile nowhere]
aws_access_key_id = AKIANOWHERE
aws_secret_access_key = example
`

func setShared(t *testing.T) {
	t.Helper()
	for _, key := range []string{
		"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_ENDPOINT_URL",
	} {
		t.Setenv(key, "")
	}
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(shared), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", file)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func TestLoadFollowsFlagsThenEnvironmentThenProfile(t *testing.T) {
	for _, tc := range []struct {
		name, profile, region string
		env                   map[string]string
		wantKey, wantRegion   string
	}{
		{"nothing given", "", "", nil, "AKIADEFAULT", "eu-west-1"},
		{"a profile", "prod", "", nil, "AKIAPROD", "eu-central-1"},
		{"a Region", "", "us-east-1", nil, "AKIADEFAULT", "us-east-1"},
		{"both", "prod", "us-east-1", nil, "AKIAPROD", "us-east-1"},
		{"the environment's profile", "", "", map[string]string{"AWS_PROFILE": "prod"}, "AKIAPROD", "eu-central-1"},
		{"a flag over the environment's Region", "", "us-east-1", map[string]string{"AWS_REGION": "eu-north-1"}, "AKIADEFAULT", "us-east-1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			setShared(t)
			for key, value := range tc.env {
				t.Setenv(key, value)
			}
			cfg, err := operator.Load(t.Context(), tc.profile, tc.region)
			if err != nil {
				t.Fatal(err)
			}
			creds, err := cfg.Credentials.Retrieve(t.Context())
			if err != nil || creds.AccessKeyID != tc.wantKey || cfg.Region != tc.wantRegion {
				t.Errorf("key %q in %q, %v, want %q in %q", creds.AccessKeyID, cfg.Region, err, tc.wantKey, tc.wantRegion)
			}
			if n := cfg.Retryer().MaxAttempts(); n != awsconfig.Attempts {
				t.Errorf("attempts = %d, want %d", n, awsconfig.Attempts)
			}
		})
	}
}

func TestLoadRefusesWhatItCannotUse(t *testing.T) {
	setShared(t)
	if _, err := operator.Load(t.Context(), "absent", ""); err == nil {
		t.Error("a profile that does not exist was taken")
	}
	if _, err := operator.Load(t.Context(), "nowhere", ""); !errors.Is(err, operator.ErrNoRegion) {
		t.Errorf("error = %v, want %v", err, operator.ErrNoRegion)
	}
}

const (
	memberRole = "arn:aws:iam::444455556666:role/OrganizationAccountAccessRole"
	assumed    = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
  <AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>inside</SecretAccessKey><SessionToken>token</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>`
)

func TestEnterKeepsTheAdaptersContract(t *testing.T) {
	awstest.STS.Contract(t, awstest.XML(assumed), func(ctx context.Context, cfg aws.Config) error {
		_, err := operator.Enter(ctx, cfg, memberRole, "ines=INC-812")
		return err
	})
}

func TestEnterIsInsideTheRole(t *testing.T) {
	server := awstest.New(t, awstest.XML(assumed))
	outside := server.Config()
	inside, err := operator.Enter(t.Context(), outside, memberRole, "ines=INC-812")
	if err != nil {
		t.Fatal(err)
	}
	creds, err := inside.Credentials.Retrieve(t.Context())
	if err != nil || creds.AccessKeyID != "ASIAIOSFODNN7EXAMPLE" || creds.SessionToken != "token" || inside.Region != outside.Region {
		t.Errorf("inside as %q in %q, %v", creds.AccessKeyID, inside.Region, err)
	}
	if own, err := outside.Credentials.Retrieve(t.Context()); err != nil || own.AccessKeyID == creds.AccessKeyID {
		t.Errorf("outside as %q, %v", own.AccessKeyID, err)
	}
	if form := server.Only("AssumeRole").Form; form.Get("RoleArn") != memberRole || form.Get("RoleSessionName") != "ines=INC-812" {
		t.Errorf("asked with %v", form)
	}
}
