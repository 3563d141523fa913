package ses_test

import (
	"context"
	"encoding/base64"
	"errors"
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
		Thread: "<migration.444455556666.eu-west-1@example.com>",
		Tags:   map[string]string{"grant": "migration", "event": "00112233445566778899aabbccddeeff"},
	}
	sent = awstest.XML(`<SendRawEmailResponse xmlns="http://ses.amazonaws.com/doc/2010-12-01/">
  <SendRawEmailResult><MessageId>000001271b15238a-fd3ae762-2563-11df-8cd4-6d4e828a9ae8-000000</MessageId></SendRawEmailResult>
  <ResponseMetadata><RequestId>{request}</RequestId></ResponseMetadata>
</SendRawEmailResponse>`)
)

func send(ctx context.Context, cfg aws.Config) error {
	return ses.New(cfg, "countersign").SendMail(ctx, mail)
}

func TestSendMailKeepsTheAdaptersContract(t *testing.T) {
	awstest.SES.Contract(t, sent, send)
}

func TestAMailIsSentWhole(t *testing.T) {
	server := awstest.New(t, sent)
	if err := send(t.Context(), server.Config()); err != nil {
		t.Fatal(err)
	}
	form := server.Only("SendRawEmail").Form
	for key, want := range map[string]string{
		"Source": mail.From, "Destinations.member.1": mail.To[0], "Destinations.member.2": mail.To[1], "Destinations.member.3": "",
		"ConfigurationSetName": "countersign", "Tags.member.1.Name": "event", "Tags.member.1.Value": mail.Tags["event"],
		"Tags.member.2.Name": "grant", "Tags.member.2.Value": "migration", "Tags.member.3.Name": "",
	} {
		if got := form.Get(key); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
	message, err := mail.MIME()
	if err != nil {
		t.Fatal(err)
	}
	if got := form.Get("RawMessage.Data"); got != base64.StdEncoding.EncodeToString(message) {
		t.Errorf("sent %q", got)
	}
}

func TestAMailGoesWithoutAConfigurationSet(t *testing.T) {
	server := awstest.New(t, sent)
	plain := mail
	plain.Tags = nil
	if err := ses.New(server.Config(), "").SendMail(t.Context(), plain); err != nil {
		t.Fatal(err)
	}
	for key := range server.Only("SendRawEmail").Form {
		if strings.HasPrefix(key, "ConfigurationSet") || strings.HasPrefix(key, "Tags") {
			t.Errorf("sent %s", key)
		}
	}
}

func TestAMailWithALineBreakInAHeaderIsNotSent(t *testing.T) {
	for name, change := range map[string]func(*deliver.Mail){
		"subject": func(m *deliver.Mail) { m.Subject += "\r\nBcc: all@example.com" },
		"from":    func(m *deliver.Mail) { m.From += "\nBcc: all@example.com" },
		"to":      func(m *deliver.Mail) { m.To = []string{"ops@example.org\r\nBcc: all@example.com"} },
		"thread":  func(m *deliver.Mail) { m.Thread += "\rBcc: all@example.com" },
	} {
		server := awstest.New(t)
		bad := mail
		change(&bad)
		if err := ses.New(server.Config(), "").SendMail(t.Context(), bad); !errors.Is(err, deliver.ErrBadHeader) {
			t.Errorf("%s: %v", name, err)
		}
		if n := len(server.Calls()); n != 0 {
			t.Errorf("%s: SES was asked %d times", name, n)
		}
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
