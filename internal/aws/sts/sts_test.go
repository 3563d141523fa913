package sts_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/sts"
	"github.com/countersign/countersign/internal/grant"
)

var identity = awstest.XML(`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult>
    <Arn>arn:aws:sts::444455556666:assumed-role/operators/ines</Arn>
    <UserId>AROA123EXAMPLE123:ines</UserId>
    <Account>444455556666</Account>
  </GetCallerIdentityResult>
  <ResponseMetadata><RequestId>{request}</RequestId></ResponseMetadata>
</GetCallerIdentityResponse>`)

func caller(ctx context.Context, cfg aws.Config) error {
	_, _, err := sts.New(cfg).Caller(ctx)
	return err
}

func TestCallerKeepsTheAdaptersContract(t *testing.T) {
	awstest.STS.Contract(t, identity, caller)
}

func TestCallerTellsAccountAndARN(t *testing.T) {
	server := awstest.New(t, identity)
	account, arn, err := sts.New(server.Config()).Caller(t.Context())
	if err != nil || account != "444455556666" || arn != "arn:aws:sts::444455556666:assumed-role/operators/ines" {
		t.Errorf("caller = %q, %q, %v", account, arn, err)
	}
	server.Only("GetCallerIdentity")
	if _, _, at, err := sts.New(awstest.New(t, identity).Config()).CallerAt(t.Context()); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("answered at %s, %v", at, err)
	}
}

func TestCredentialsThatAWSDoesNotTakeAreDenied(t *testing.T) {
	for code, message := range map[string]string{
		"InvalidClientTokenId":  "The security token included in the request is invalid.",
		"SignatureDoesNotMatch": "The request signature we calculated does not match the signature you provided.",
		"ExpiredToken":          "The security token included in the request is expired",
	} {
		awstest.Refused(t, awstest.XMLError(403, code, message), grant.ErrDenied, caller)
	}
}
