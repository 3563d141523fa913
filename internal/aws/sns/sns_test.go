package sns_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/sns"
	"github.com/countersign/countersign/internal/grant"
)

const topic = "arn:aws:sns:eu-central-1:444455556666:operators"

var published = awstest.XML(`<PublishResponse xmlns="https://sns.amazonaws.com/doc/2010-03-31/">
  <PublishResult><MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult>
  <ResponseMetadata><RequestId>{request}</RequestId></ResponseMetadata>
</PublishResponse>`)

func publish(ctx context.Context, cfg aws.Config) error {
	return sns.New(cfg).Publish(ctx, topic, "Access revoked: migration", "line 1\nline 2")
}

func TestPublishKeepsTheAdaptersContract(t *testing.T) {
	awstest.SNS.Contract(t, published, publish)
}

func TestAMessageIsPublishedWhole(t *testing.T) {
	server := awstest.New(t, published)
	if err := publish(t.Context(), server.Config()); err != nil {
		t.Fatal(err)
	}
	form := server.Only("Publish").Form
	if form.Get("TopicArn") != topic || form.Get("Subject") != "Access revoked: migration" || form.Get("Message") != "line 1\nline 2" {
		t.Errorf("published %v", form)
	}
	server = awstest.New(t, published)
	if err := sns.New(server.Config()).Publish(t.Context(), topic, "", "x"); err != nil {
		t.Fatal(err)
	}
	if server.Only("Publish").Form.Has("Subject") {
		t.Error("an empty subject was sent, which SNS refuses")
	}
}

func TestRefusalsAreNamed(t *testing.T) {
	awstest.Refused(t, awstest.XMLError(404, "NotFound", "Topic does not exist"), grant.ErrNotFound, publish)
	awstest.Refused(t, awstest.XMLError(400, "KMSAccessDenied", "no access to the key"), grant.ErrDenied, publish)
}
