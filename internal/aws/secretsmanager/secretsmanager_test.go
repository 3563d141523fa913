package secretsmanager_test

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/aws/awsconfig"
	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/secretsmanager"
	"github.com/countersign/countersign/internal/grant"
)

const (
	arn      = "arn:aws:secretsmanager:eu-central-1:444455556666:secret:countersign/migration-a1b2c3"
	version  = "cut-0123456789abcdef0123456789abcdef"
	current  = "EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE"
	secretID = "Zx81QmPwT7aLbC3dEfG5hJkR9sUvWyN0"
	value    = `{"grant":"migration","roleArn":"arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration","externalId":"` + secretID + `"}`
)

var (
	described = awstest.JSON(`{
  "ARN": "` + arn + `", "Name": "countersign/migration", "KmsKeyId": "alias/countersign",
  "RotationEnabled": true, "RotationLambdaARN": "arn:aws:lambda:eu-central-1:444455556666:function:countersign-rotate",
  "RotationRules": {"ScheduleExpression": "cron(0 3 14 * ? *)", "Duration": "1h"},
  "LastRotatedDate": 1523477145.713, "LastChangedDate": 1523477145.729, "NextRotationDate": 1526083199,
  "Tags": [{"Key": "countersign:grant", "Value": "migration"}, {"Key": "countersign:rotated", "Value": ""}],
  "VersionIdsToStages": {"` + current + `": ["AWSCURRENT"], "EXAMPLE2-90ab-cdef-fedc-ba987EXAMPLE": ["AWSPREVIOUS", "AWSPENDING"]},
  "CreatedDate": 1521534252.66}`)
	valued = awstest.JSON(`{"ARN": "` + arn + `", "Name": "countersign/migration", "VersionId": "` + version + `",
  "SecretString": ` + quote(value) + `, "VersionStages": ["AWSPENDING"], "CreatedDate": 1523477145.713}`)
	listed = awstest.JSON(`{"ARN": "` + arn + `", "Name": "countersign/migration", "Versions": [
  {"VersionId": "` + current + `", "VersionStages": ["AWSCURRENT"], "CreatedDate": 1523477145.713, "LastAccessedDate": 1523404800},
  {"VersionId": "` + version + `", "VersionStages": ["AWSPENDING", "mine"], "CreatedDate": 1523486221.391},
  {"VersionId": "unlabelled", "CreatedDate": 1523486000}]}`)
	put     = awstest.JSON(`{"ARN": "` + arn + `", "Name": "countersign/migration", "VersionId": "` + version + `", "VersionStages": ["AWSPENDING"]}`)
	moved   = awstest.JSON(`{"ARN": "` + arn + `", "Name": "countersign/migration"}`)
	tagged  = awstest.JSON(``)
	rotated = awstest.JSON(`{"ARN": "` + arn + `", "Name": "countersign/migration", "VersionId": "` + version + `"}`)
)

func quote(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }

// The calls, each with fixed arguments.
func describe(ctx context.Context, cfg aws.Config) error {
	_, err := secretsmanager.New(cfg).Describe(ctx, arn)
	return err
}

func readVersion(ctx context.Context, cfg aws.Config) error {
	_, err := secretsmanager.New(cfg).Version(ctx, arn, version)
	return err
}

func history(ctx context.Context, cfg aws.Config) error {
	_, err := secretsmanager.New(cfg).History(ctx, arn)
	return err
}

func listVersions(ctx context.Context, cfg aws.Config) error {
	_, err := secretsmanager.New(cfg).Versions(ctx, arn)
	return err
}

func putVersion(ctx context.Context, cfg aws.Config) error {
	return secretsmanager.New(cfg).PutVersion(ctx, arn, version, []byte(value), grant.StagePending)
}

func moveStage(ctx context.Context, cfg aws.Config) error {
	return secretsmanager.New(cfg).MoveStage(ctx, arn, grant.StageCurrent, version, current)
}

func tag(ctx context.Context, cfg aws.Config) error {
	return secretsmanager.New(cfg).Tag(ctx, arn, map[string]string{grant.FactRotated.Tag(): version})
}

func rotate(ctx context.Context, cfg aws.Config) error {
	return secretsmanager.New(cfg).Rotate(ctx, arn, version)
}

func atStage(ctx context.Context, cfg aws.Config) error {
	_, err := secretsmanager.New(cfg).AtStage(ctx, arn, grant.StagePrevious)
	return err
}

func secretString(ctx context.Context, cfg aws.Config) error {
	_, err := secretsmanager.New(cfg).SecretString(ctx, arn)
	return err
}

func TestEveryCallKeepsTheAdaptersContract(t *testing.T) {
	for name, tc := range map[string]struct {
		success awstest.Answer
		call    func(context.Context, aws.Config) error
		secrets []string // what it sends and must not repeat
	}{
		"Describe":     {described, describe, nil},
		"Version":      {valued, readVersion, nil},
		"Versions":     {listed, listVersions, nil},
		"History":      {listed, history, nil},
		"PutVersion":   {put, putVersion, []string{secretID}},
		"MoveStage":    {moved, moveStage, nil},
		"Tag":          {tagged, tag, nil},
		"Rotate":       {rotated, rotate, nil},
		"SecretString": {valued, secretString, nil},
		"AtStage":      {valued, atStage, nil},
	} {
		t.Run(name, func(t *testing.T) { awstest.SecretsManager.Contract(t, tc.success, tc.call, tc.secrets...) })
	}
}

func TestRequestsSayExactlyThis(t *testing.T) {
	for name, tc := range map[string]struct {
		success   awstest.Answer
		operation string
		call      func(context.Context, aws.Config) error
		want      map[string]any
	}{
		"a secret is described": {described, "DescribeSecret", describe, map[string]any{"SecretId": arn}},
		"a value is read by version id alone, never by label": {
			valued, "GetSecretValue", readVersion, map[string]any{"SecretId": arn, "VersionId": version},
		},
		"one page of 100 versions, the unlabelled ones left out": {
			listed, "ListSecretVersionIds", listVersions, map[string]any{"SecretId": arn, "MaxResults": 100.0},
		},
		"and all of them where rotations that were given up matter": {
			listed, "ListSecretVersionIds", history, map[string]any{"SecretId": arn, "MaxResults": 100.0, "IncludeDeprecated": true},
		},
		"a new version gets our id and our labels": {put, "PutSecretValue", putVersion, map[string]any{
			"SecretId": arn, "ClientRequestToken": version, "SecretString": value, "VersionStages": []any{grant.StagePending},
		}},
		"a label moves": {moved, "UpdateSecretVersionStage", moveStage, map[string]any{
			"SecretId": arn, "VersionStage": grant.StageCurrent, "MoveToVersionId": version, "RemoveFromVersionId": current,
		}},
		"a label is dropped": {moved, "UpdateSecretVersionStage", func(ctx context.Context, cfg aws.Config) error {
			return secretsmanager.New(cfg).MoveStage(ctx, arn, grant.StagePending, "", version)
		}, map[string]any{"SecretId": arn, "VersionStage": grant.StagePending, "RemoveFromVersionId": version}},
		"a label is new": {moved, "UpdateSecretVersionStage", func(ctx context.Context, cfg aws.Config) error {
			return secretsmanager.New(cfg).MoveStage(ctx, arn, grant.StagePending, version, "")
		}, map[string]any{"SecretId": arn, "VersionStage": grant.StagePending, "MoveToVersionId": version}},
		"tags go in order": {tagged, "TagResource", func(ctx context.Context, cfg aws.Config) error {
			return secretsmanager.New(cfg).Tag(ctx, arn, map[string]string{"b": "2", "a": ""})
		}, map[string]any{"SecretId": arn, "Tags": []any{
			map[string]any{"Key": "a", "Value": ""}, map[string]any{"Key": "b", "Value": "2"},
		}}},
		"a rotation starts at once, under our token": {
			rotated, "RotateSecret", rotate,
			map[string]any{"SecretId": arn, "ClientRequestToken": version, "RotateImmediately": true},
		},
		"a signing secret is read by its label": {
			valued, "GetSecretValue", secretString, map[string]any{"SecretId": arn, "VersionStage": grant.StageCurrent},
		},
		"and so is the one before": {
			valued, "GetSecretValue", atStage, map[string]any{"SecretId": arn, "VersionStage": grant.StagePrevious},
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := awstest.New(t, tc.success)
			if err := tc.call(t.Context(), server.Config()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, server.Only(tc.operation).JSON); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARetriedWriteSendsTheSameTokenAndValue(t *testing.T) {
	// The first answer is lost after Secrets Manager stored the version: the same token and value again is no conflict.
	server := awstest.New(t, awstest.Lost, put)
	if err := putVersion(t.Context(), server.Config()); err != nil {
		t.Fatal(err)
	}
	calls := server.Calls()
	if len(calls) != 2 || !reflect.DeepEqual(calls[0].JSON, calls[1].JSON) {
		t.Errorf("the retry differs: %d requests", len(calls))
	}
}

func TestDescribeTellsLabelsTagsAndDates(t *testing.T) {
	server := awstest.New(t, described)
	got, err := secretsmanager.New(server.Config()).Describe(t.Context(), arn)
	if err != nil {
		t.Fatal(err)
	}
	if got.ARN != arn || !got.RotationEnabled || got.Deleted {
		t.Errorf("secret = %+v", got)
	}
	if got.At(grant.StageCurrent) != current || got.At(grant.StagePending) == "" || got.At("absent") != "" {
		t.Errorf("labels = %v", got.Stages)
	}
	if want := map[string]string{grant.TagGrant: "migration", "countersign:rotated": ""}; !maps.Equal(got.Tags, want) {
		t.Errorf("tags = %v, want %v", got.Tags, want)
	}
	if want := time.Unix(1526083199, 0); !got.NextRotation.Equal(want) {
		t.Errorf("next rotation = %v, want %v", got.NextRotation, want)
	}
	if want := time.UnixMilli(1523477145713); !got.LastRotated.Equal(want) {
		t.Errorf("last rotated = %v, want %v", got.LastRotated, want)
	}
	t.Run("a secret that waits for its deletion, never rotated", func(t *testing.T) {
		server := awstest.New(t, awstest.JSON(`{"ARN": "`+arn+`", "DeletedDate": 1523477145.713}`))
		got, err := secretsmanager.New(server.Config()).Describe(t.Context(), arn)
		if err != nil || !got.Deleted || got.RotationEnabled || !got.NextRotation.IsZero() || !got.LastRotated.IsZero() {
			t.Errorf("secret = %+v, %v", got, err)
		}
	})
}

func TestVersionGivesTheValue(t *testing.T) {
	for name, body := range map[string]string{
		"as text":   `{"VersionId": "` + version + `", "CreatedDate": 1523477145.713, "SecretString": ` + quote(value) + `}`,
		"as binary": `{"VersionId": "` + version + `", "CreatedDate": 1523477145.713, "SecretBinary": "eyJhIjoxfQ=="}`,
	} {
		t.Run(name, func(t *testing.T) {
			server := awstest.New(t, awstest.JSON(body))
			got, err := secretsmanager.New(server.Config()).Version(t.Context(), arn, version)
			want := map[string]string{"as text": value, "as binary": `{"a":1}`}[name]
			if err != nil || got.ID != version || string(got.Value) != want || !got.Created.Equal(time.UnixMilli(1523477145713)) {
				t.Errorf("version = %+v, %v", got, err)
			}
		})
	}
	for name, answer := range map[string]awstest.Answer{
		"a pending version without a value": awstest.JSON(`{"VersionId": "` + version + `", "CreatedDate": 1523477145.713}`),
		"a value of no bytes":               awstest.JSON(`{"VersionId": "` + version + `", "SecretString": ""}`),
		"no value under that version": awstest.JSONError(400, "ResourceNotFoundException",
			"Secrets Manager can't find the specified secret value for VersionId: "+version),
	} {
		t.Run(name+" is not found", func(t *testing.T) {
			server := awstest.New(t, answer)
			if _, err := secretsmanager.New(server.Config()).Version(t.Context(), arn, version); !errors.Is(err, grant.ErrNotFound) {
				t.Errorf("error = %v, want not found", err)
			}
		})
	}
}

func TestVersionsListsWhatCarriesALabel(t *testing.T) {
	server := awstest.New(t, listed)
	got, err := secretsmanager.New(server.Config()).Versions(t.Context(), arn)
	if err != nil {
		t.Fatal(err)
	}
	want := []grant.VersionInfo{
		{ID: current, Stages: []string{"AWSCURRENT"}, Created: time.UnixMilli(1523477145713)},
		{ID: version, Stages: []string{"AWSPENDING", "mine"}, Created: time.UnixMilli(1523486221391)},
	}
	if !slices.EqualFunc(got, want, func(a, b grant.VersionInfo) bool {
		return a.ID == b.ID && slices.Equal(a.Stages, b.Stages) && a.Created.Equal(b.Created)
	}) {
		t.Errorf("versions = %+v, want %+v", got, want)
	}
	t.Run("a page that is not the last is refused, not taken for the whole", func(t *testing.T) {
		server := awstest.New(t, awstest.JSON(`{"ARN": "`+arn+`", "NextToken": "more", "Versions": [{"VersionId": "`+current+`", "VersionStages": ["AWSCURRENT"]}]}`))
		if got, err := secretsmanager.New(server.Config()).Versions(t.Context(), arn); !errors.Is(err, grant.ErrUnavailable) || got != nil {
			t.Errorf("versions = %v, %v, want none and unavailable", got, err)
		}
	})
}

func TestRefusalsAreNamed(t *testing.T) {
	other := errors.New("no sentinel")
	for _, tc := range []struct {
		name, code, message string
		call                func(context.Context, aws.Config) error
		want                error
	}{
		{"no such secret", "ResourceNotFoundException", "Secrets Manager can't find the specified secret.", describe, grant.ErrNotFound},
		{"the id exists with another value", "ResourceExistsException", "A resource with the ID you requested already exists.", putVersion, grant.ErrConflict},
		{"the value quoted", "ResourceExistsException", "You can't use ClientRequestToken with " + value, putVersion, grant.ErrConflict},
		{"too many labels", "LimitExceededException", "The request failed because it would exceed one of the Secrets Manager quotas.", moveStage, grant.ErrQuota},
		{"the key is out of reach", "AccessDeniedException", "Access to KMS is not allowed", readVersion, grant.ErrDenied},
		{"a rotation under way", "InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted.", rotate, grant.ErrBusy},
		{"marked for deletion", "InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.", rotate, other},
		{"a label that is elsewhere", "InvalidParameterException", "The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to version x.", moveStage, other},
		{"a key that is disabled", "DecryptionFailure", "Secrets Manager can't decrypt the protected secret text using the provided KMS key.", readVersion, other},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answers := []awstest.Answer{awstest.JSONError(400, tc.code, tc.message)}
			if tc.want == grant.ErrQuota {
				answers = awstest.Times(awsconfig.Attempts, answers[0]) // the SDK takes this code for a throttle
			}
			server := awstest.New(t, answers...)
			err := tc.call(t.Context(), server.Config())
			if tc.want == other {
				for _, kind := range []error{grant.ErrNotFound, grant.ErrBusy, grant.ErrConflict, grant.ErrDenied, grant.ErrUnavailable} {
					if err == nil || errors.Is(err, kind) {
						t.Errorf("error = %v, want one without a sentinel", err)
					}
				}
			} else if !errors.Is(err, tc.want) {
				t.Errorf("error = %v, want %v", err, tc.want)
			}
			awstest.Withheld(t, err, secretID, value)
		})
	}
}

func TestTheSDKsOwnErrorIsFoundToo(t *testing.T) {
	server := awstest.New(t, awstest.JSONError(400, "ResourceExistsException", "exists"))
	var typed *types.ResourceExistsException
	if err := putVersion(t.Context(), server.Config()); !errors.As(err, &typed) {
		t.Errorf("%v hides the SDK's error", err)
	}
}

func TestASecretThatCannotBeReadIsNotQuoted(t *testing.T) {
	for name, answer := range map[string]awstest.Answer{
		"not JSON":         awstest.JSON(value[:60] + secretID),
		"of another type":  awstest.JSON(`{"SecretString": {"externalId": "` + secretID + `"}}`),
		"cut in the value": awstest.Cut(`{"SecretString": ` + quote(value)),
	} {
		t.Run(name, func(t *testing.T) {
			server := awstest.New(t, awstest.Times(awsconfig.Attempts, answer)...)
			_, err := secretsmanager.New(server.Config()).Version(t.Context(), arn, version)
			if !errors.Is(err, grant.ErrUnavailable) {
				t.Errorf("error = %v, want unavailable", err)
			}
			awstest.Withheld(t, err, secretID, value)
		})
	}
}

func TestAnAnswerThatSaysNothingIsNoAnswer(t *testing.T) {
	for name, call := range map[string]func(context.Context, aws.Config) error{
		"Describe": describe, "Version": readVersion, "Versions": listVersions, "History": history,
	} {
		t.Run(name, func(t *testing.T) {
			awstest.Refused(t, awstest.JSON(`{}`), grant.ErrUnavailable, call)
		})
	}
	t.Run("another version than the one that was asked for", func(t *testing.T) {
		other := awstest.JSON(`{"VersionId": "` + current + `", "SecretString": ` + quote(value) + `}`)
		awstest.Refused(t, other, grant.ErrUnavailable, readVersion, secretID)
	})
}

func TestAVersionByItsLabelHasItsDate(t *testing.T) {
	server := awstest.New(t, valued)
	got, err := secretsmanager.New(server.Config()).AtStage(t.Context(), arn, grant.StagePrevious)
	if err != nil || got.ID != version || string(got.Value) != value || !got.Created.Equal(time.UnixMilli(1523477145713)) {
		t.Errorf("version = %+v, %v", got, err)
	}
}

func TestSecretStringNeedsText(t *testing.T) {
	server := awstest.New(t, awstest.JSON(`{"SecretBinary": "eyJhIjoxfQ=="}`))
	if _, err := secretsmanager.New(server.Config()).SecretString(t.Context(), arn); !errors.Is(err, grant.ErrNotFound) {
		t.Errorf("error = %v, want not found", err)
	}
}
