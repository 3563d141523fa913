package ses_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/ses"
	"github.com/countersign/countersign/internal/deliver"
)

var (
	mail = deliver.Mail{
		From: "countersign@example.com", To: []string{"ops@example.org", "second@example.org"},
		Subject: "A new external ID for migration", Text: "Grüße & 100 % = fertig", HTML: "<p>Gr&uuml;&szlig;e</p>",
	}
	sent = awstest.XML(`<SendEmailResponse xmlns="http://ses.amazonaws.com/doc/2010-12-01/">
  <SendEmailResult><MessageId>000001271b15238a-fd3ae762-2563-11df-8cd4-6d4e828a9ae8-000000</MessageId></SendEmailResult>
  <ResponseMetadata><RequestId>{request}</RequestId></ResponseMetadata>
</SendEmailResponse>`)
)

func send(ctx context.Context, cfg aws.Config) error { return ses.New(cfg).SendMail(ctx, mail) }

func TestSendMailKeepsTheAdaptersContract(t *testing.T) {
	awstest.SES.Contract(t, sent, send)
}

func TestAMailIsSentWhole(t *testing.T) {
	server := awstest.New(t, sent)
	if err := send(t.Context(), server.Config()); err != nil {
		t.Fatal(err)
	}
	form := server.Only("SendEmail").Form
	for key, want := range map[string]string{
		"Source":                           mail.From,
		"Destination.ToAddresses.member.1": mail.To[0],
		"Destination.ToAddresses.member.2": mail.To[1],
		"Message.Subject.Data":             mail.Subject,
		"Message.Subject.Charset":          "UTF-8",
		"Message.Body.Text.Data":           mail.Text,
		"Message.Body.Text.Charset":        "UTF-8",
		"Message.Body.Html.Data":           mail.HTML,
		"Message.Body.Html.Charset":        "UTF-8",
	} {
		if got := form.Get(key); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
	for key := range form {
		if strings.HasPrefix(key, "Destination.") && !strings.HasPrefix(key, "Destination.ToAddresses.member.") {
			t.Errorf("sends to %s besides", key)
		}
	}
}

func TestAMailWithoutHTMLIsTextOnly(t *testing.T) {
	server := awstest.New(t, sent)
	plain := mail
	plain.HTML = ""
	if err := ses.New(server.Config()).SendMail(t.Context(), plain); err != nil {
		t.Fatal(err)
	}
	if form := server.Only("SendEmail").Form; form.Has("Message.Body.Html.Data") {
		t.Errorf("an empty HTML body was sent")
	}
}

func TestAnUnverifiedSenderIsSaidInAWSsWords(t *testing.T) {
	const message = "Email address is not verified. The following identities failed the check in region EU-CENTRAL-1: countersign@example.com"
	server := awstest.New(t, awstest.XMLError(400, "MessageRejected", message))
	if err := send(t.Context(), server.Config()); err == nil || !strings.Contains(err.Error(), message) {
		t.Errorf("error = %v, want AWS's message", err)
	}
	if n := len(server.Calls()); n != 1 {
		t.Errorf("requests = %d, want 1", n)
	}
}
