package infra

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsses"

	"github.com/countersign/countersign/internal/grant"
)

// sendsMail says whether anybody of this shard is told by mail, and there is a sender to do it.
func (s *ServiceProviderAccess) sendsMail() bool {
	if s.props.Access.MailFrom == "" {
		return false
	}
	for _, e := range s.entries {
		if len(e.Grant.Notify.By(grant.Mail)) > 0 {
			return true
		}
	}
	return false
}

// createMail makes the configuration set by which notify sends, and lets SES say what became of its mails. SES publishes to the
// account's default bus and to no other.
func (s *ServiceProviderAccess) createMail() {
	if !s.sendsMail() {
		return
	}
	s.mailSet = awsses.NewCfnConfigurationSet(s.Construct, new("ConfigurationSet"), &awsses.CfnConfigurationSetProps{Name: new(s.name(""))})
	awsses.NewCfnConfigurationSetEventDestination(s.Construct, new("MailEvents"), &awsses.CfnConfigurationSetEventDestinationProps{
		ConfigurationSetName: s.mailSet.Ref(),
		EventDestination: &awsses.CfnConfigurationSetEventDestination_EventDestinationProperty{
			Name: new("events"), Enabled: true,
			MatchingEventTypes: &[]*string{new("bounce"), new("complaint"), new("reject"), new("renderingFailure")},
			EventBridgeDestination: &awsses.CfnConfigurationSetEventDestination_EventBridgeDestinationProperty{
				EventBusArn: text(arn("events", "event-bus/default")),
			},
		},
	})
}

// mail lets notify send mail from access.yaml's sender, to whomever: in SES's sandbox AWS asks for permission on the
// recipients' identities too, and for a configuration set in any case.
func (s *ServiceProviderAccess) mail() []statement {
	if !s.sendsMail() {
		return nil
	}
	return []statement{allow("Mail", "ses:SendRawEmail").
		on(arn("ses", "identity/*"), arn("ses", "configuration-set/"+s.name(""))).
		when("StringEquals", "ses:FromAddress", s.props.Access.MailFrom)}
}

// handed are the parts of SES's event that notify gets: the mail's own tags and what became of it. Addresses, subjects and the
// other server's answer stay on the default bus.
var handed = map[string]string{
	"said":        "$.detail-type",
	"messageId":   "$.detail.mail.messageId",
	"grant":       "$.detail.mail.tags.grant[0]",
	"event":       "$.detail.mail.tags.event[0]",
	"destination": "$.detail.mail.tags.destination[0]",
}

// handedOfBounces are only in these: a path that leads nowhere would leave a hole in the message.
var handedOfBounces = map[string]string{
	"bounceType": "$.detail.bounce.bounceType",
	"cause":      "$.detail.bounce.bounceSubType",
}

// hearOfMails hands notify what SES says of its mails, and gives the ARNs of the rules that do. They have no queue for what
// EventBridge could not deliver: whole events would lie there, recipients included.
func (s *ServiceProviderAccess) hearOfMails() []string {
	if !s.sendsMail() {
		return nil
	}
	return []string{
		s.hearOf("Bounces", "bounces", "mails that bounced", []any{"Email Bounced"}, handed, handedOfBounces),
		s.hearOf("Complaints", "complaints", "mails that were called spam or not sent",
			[]any{"Email Complaint Received", "Email Rejected", "Email Rendering Failed"}, handed),
	}
}

func (s *ServiceProviderAccess) hearOf(id, name, what string, said []any, parts ...map[string]string) string {
	paths := map[string]*string{}
	for _, part := range parts {
		for key, path := range part {
			paths[key] = &path
		}
	}
	var members []string
	for _, key := range slices.Sorted(maps.Keys(paths)) {
		members = append(members, fmt.Sprintf(`%q:<%s>`, key, key))
	}
	rule := awsevents.NewCfnRule(s.Construct, new(id+"Rule"), &awsevents.CfnRuleProps{
		Name:        new(s.name(name)),
		Description: new("Countersign: " + what),
		EventPattern: map[string]any{
			"source":      []any{"aws.ses"}, // AWS's own: nobody else can put events under it
			"account":     []any{ready(account)},
			"detail-type": said,
			"detail":      map[string]any{"mail": map[string]any{"tags": map[string]any{"ses:configuration-set": []any{s.name("")}}}},
		},
		Targets: &[]any{&awsevents.CfnRule_TargetProperty{
			Id: new("notify"), Arn: s.queues.notify.AttrArn(),
			InputTransformer: &awsevents.CfnRule_InputTransformerProperty{
				InputPathsMap: &paths, InputTemplate: new(`{"mail":{` + strings.Join(members, ",") + `}}`),
			},
		}},
	})
	return *rule.AttrArn()
}
