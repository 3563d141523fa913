package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

// forwarded are the events that a provider's own bus is handed.
func forwarded() (out []any) {
	for _, typ := range events.Types() {
		if typ.Forwarded() {
			out = append(out, string(typ))
		}
	}
	return out
}

// forwardEvents hands each provider that named a bus the events on its own grants. EventBridge tries for 24 hours; what it gives
// up lies with the dead letters, from where "countersign deliveries redrive" replays it to that rule alone. The provider's
// grants wait for the rule, so that it hears of their start and of their end.
func (s *ServiceProviderAccess) forwardEvents() {
	for i := range s.props.Access.Providers {
		if p := &s.props.Access.Providers[i]; p.Bus != "" && s.has(p) {
			s.forward(p)
		}
	}
}

// has says whether a grant of the provider lies in this shard.
func (s *ServiceProviderAccess) has(p *access.Provider) bool {
	for _, e := range s.entries {
		if e.Provider == p {
			return true
		}
	}
	return false
}

func (s *ServiceProviderAccess) forward(p *access.Provider) {
	name, id := s.name("forward-"+p.Name), "Forward"+access.Logical(grant.Name(p.Name))
	self := arn("events", "rule/"+s.name("")+"/"+name)
	role := awsiam.NewCfnRole(s.Construct, new(id+"Role"), &awsiam.CfnRoleProps{
		Description: new("Countersign: hands events to the bus of " + p.Name),
		AssumeRolePolicyDocument: document(allow("Rule", "sts:AssumeRole").byService("events.amazonaws.com").
			when("StringEquals", "aws:SourceAccount", account).when("ArnEquals", "aws:SourceArn", self)),
		Policies: &[]any{&awsiam.CfnRole_PolicyProperty{
			PolicyName: new("Forward"), PolicyDocument: document(allow("Forward", "events:PutEvents").on(p.Bus)),
		}},
	})
	rule := awsevents.NewCfnRule(s.Construct, new(id+"Rule"), &awsevents.CfnRuleProps{
		Name:         &name,
		Description:  new("Countersign: what " + p.Name + " is told, on its own bus"),
		EventBusName: s.bus.Ref(),
		EventPattern: map[string]any{
			"source":      []any{events.Source},
			"account":     []any{ready(account)}, // set by EventBridge, not by the sender
			"detail-type": forwarded(),
			"detail":      map[string]any{"data": map[string]any{"provider": []any{p.Name}}},
		},
		Targets: &[]any{&awsevents.CfnRule_TargetProperty{
			Id: new("bus"), Arn: &p.Bus, RoleArn: role.AttrArn(), DeadLetterConfig: s.deadLetters(),
		}},
	})
	s.forwards[p] = rule
	s.output("ForwardTo"+access.Logical(grant.Name(p.Name)), "bus that events on grants of "+p.Name+" are handed to", p.Bus)
}
