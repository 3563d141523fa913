package sesv2_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/sesv2"
	"github.com/countersign/countersign/internal/doctor"
	"github.com/countersign/countersign/internal/grant"
)

func account(ctx context.Context, cfg aws.Config) error {
	_, err := sesv2.New(cfg).Account(ctx)
	return err
}

func identity(ctx context.Context, cfg aws.Config) error {
	_, err := sesv2.New(cfg).Identity(ctx, "example.com")
	return err
}

func set(ctx context.Context, cfg aws.Config) error {
	_, err := sesv2.New(cfg).Set(ctx, "countersign")
	return err
}

func TestAccountKeepsTheAdaptersContract(t *testing.T) {
	awstest.SESv2.Contract(t, awstest.JSON(`{}`), account)
}

func TestIdentityKeepsTheAdaptersContract(t *testing.T) {
	awstest.SESv2.Contract(t, awstest.JSON(`{}`), identity)
}

func TestAnAccountInTheSandbox(t *testing.T) {
	server := awstest.New(t, awstest.JSON(`{"DedicatedIpAutoWarmupEnabled":false,"EnforcementStatus":"HEALTHY","ProductionAccessEnabled":false,
		"SendQuota":{"Max24HourSend":200.0,"MaxSendRate":1.0,"SentLast24Hours":3.0},"SendingEnabled":true}`))
	got, err := sesv2.New(server.Config()).Account(t.Context())
	want := doctor.MailAccount{Sending: true, Enforcement: "HEALTHY", DailyQuota: 200, SentToday: 3}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	server.Only("GET /v2/email/account")
}

func TestADomainAsSESKnowsIt(t *testing.T) {
	server := awstest.New(t, awstest.JSON(`{"IdentityType":"DOMAIN","VerifiedForSendingStatus":true,"VerificationStatus":"SUCCESS",
		"DkimAttributes":{"SigningEnabled":true,"Status":"SUCCESS","Tokens":["a","b","c"]},
		"MailFromAttributes":{"MailFromDomain":"mail.example.com","MailFromDomainStatus":"PENDING","BehaviorOnMxFailure":"USE_DEFAULT_VALUE"}}`))
	got, err := sesv2.New(server.Config()).Identity(t.Context(), "example.com")
	want := doctor.MailIdentity{Verified: true, Status: "SUCCESS", Signing: true, DKIM: "SUCCESS", MailFrom: "mail.example.com", MailFromWord: "PENDING"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	server.Only("GET /v2/email/identities/example.com")
}

func TestWhatSESDoesNotKnow(t *testing.T) {
	awstest.Refused(t, awstest.JSONError(404, "NotFoundException", "Email identity example.com does not exist."), grant.ErrNotFound, identity)
	awstest.Refused(t, awstest.JSONError(404, "NotFoundException", "Configuration set <countersign> does not exist."), grant.ErrNotFound, set)
}

func TestAConfigurationSetTellsWhatItPublishesToEventBridge(t *testing.T) {
	const bus = `"EventBridgeDestination":{"EventBusArn":"arn:aws:events:eu-west-1:444455556666:event-bus/default"}`
	for name, c := range map[string]struct {
		set, destinations string
		want              doctor.MailSet
	}{
		"as deployed": {`{"SendingOptions":{"SendingEnabled":true}}`, `{"Name":"events","Enabled":true,"MatchingEventTypes":["BOUNCE","COMPLAINT"],` + bus + `}`,
			doctor.MailSet{Sending: true, Events: []string{"BOUNCE", "COMPLAINT"}}},
		"paused":         {`{"SendingOptions":{"SendingEnabled":false}}`, ``, doctor.MailSet{}},
		"switched off":   {`{}`, `{"Name":"events","Enabled":false,"MatchingEventTypes":["BOUNCE"],` + bus + `}`, doctor.MailSet{Sending: true}},
		"elsewhere only": {`{}`, `{"Name":"events","Enabled":true,"MatchingEventTypes":["BOUNCE"],"SnsDestination":{"TopicArn":"arn:aws:sns:eu-west-1:444455556666:x"}}`, doctor.MailSet{Sending: true}},
	} {
		server := awstest.New(t, awstest.JSON(c.set), awstest.JSON(`{"EventDestinations":[`+c.destinations+`]}`))
		got, err := sesv2.New(server.Config()).Set(t.Context(), "countersign")
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
		for _, call := range server.Calls() {
			if call.Operation != "GET /v2/email/configuration-sets/countersign" && call.Operation != "GET /v2/email/configuration-sets/countersign/event-destinations" {
				t.Errorf("%s: asked %s", name, call.Operation)
			}
		}
	}
}
