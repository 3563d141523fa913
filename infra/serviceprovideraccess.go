// Package infra is Countersign's stack as a CDK construct: per grant a role, a secret, a plan and Custom::Grant, and the
// functions, key, bus, queues and API that they share.
//
// It decides who may do what: every permission stands here, at the place where a part is made. It trusts access.yaml once
// internal/access has validated it, and the account's administrators. It never writes an external ID into a template, and
// it never writes into a role's trust policy after the birth document that lets nobody in.
package infra

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigateway"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsses"
	"github.com/aws/constructs-go/constructs/v10"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

// Access is a validated access.yaml.
type Access = access.Access

// LoadAccess reads and validates an access.yaml. The error lists everything that is wrong with it.
func LoadAccess(path string) (*Access, error) { return access.Load(path) }

// MostGrantsIndented is how many grants fit into a stack's template of 1 MB with CDK's indentation. A stack with more needs
// StackProps.SuppressTemplateIndentation.
const MostGrantsIndented = 20

// ServiceProviderAccessProps says what to deploy.
type ServiceProviderAccessProps struct {
	Access    *Access // required
	Shard     int     // which of Access.Shards this construct is, 0 for the first. Each belongs into a stack of its own
	Functions Code    // zero: FromModule

	// Architecture of the functions as Go calls it; empty: "arm64".
	Architecture string
	// Name tells the parts of this stack from those of others in the account and Region: all that Countersign names there ends
	// in it. Empty where an account has one access.yaml. CloudFormation can't rename a live stack's parts, so it stays what it is.
	Name string

	// Version is told in each event as metadata.stackVersion; empty: "dev".
	Version string
	// Local deploys to an emulator: functions for the architecture of this machine, and a settle time of one second.
	Local bool
	// RevokeConcurrency is kept free for functions/revoke, so that other functions can't use up the account's limit.
	// Zero reserves none: new accounts have 10 concurrent executions and refuse every reservation.
	RevokeConcurrency int
}

// ServiceProviderAccess is one shard of Countersign in one account and Region. Its parts have fixed names, so an account
// has it once per Region and shard.
type ServiceProviderAccess struct {
	constructs.Construct
	site

	props   ServiceProviderAccessProps
	entries []access.Entry

	key    awskms.CfnKey
	bus    awsevents.CfnEventBus
	queues queues
	trail  awslogs.CfnLogGroup
	api    awsapigateway.CfnRestApi
	pickUp awscdk.CfnResource // the policy by which sessions read their own grant's secret

	mailSet awsses.CfnConfigurationSet // nil: nobody is told by mail

	rotate, reconcile, revoke, operate, confirm, notify *function

	forwards    map[*access.Provider]awscdk.CfnResource // the rule that serves a provider's bus; none: it named no bus
	layout      awscdk.CfnResource
	grants      []*grantParts
	permissions []awscdk.CfnResource // of rotate and reconcile on the grants: what Custom::Grant can't work without
}

// NewServiceProviderAccess adds a shard to a stack. Like every construct it panics if it can't be made.
func NewServiceProviderAccess(scope constructs.Construct, id string, props *ServiceProviderAccessProps) *ServiceProviderAccess {
	s := &ServiceProviderAccess{
		Construct: constructs.NewConstruct(scope, &id),
		site:      site{shard: props.Shard, suffix: suffix(props.Name)},
		props:     *props,
		entries:   props.Access.Shard(props.Shard),
		forwards:  map[*access.Provider]awscdk.CfnResource{},
	}
	s.createKey()
	s.createBus()
	s.createQueues()
	s.createMail()
	s.createFunctions()
	s.createAPI()
	s.closeBusAndQueues()
	s.createTrail()
	s.forwardEvents()
	s.createLayout()
	s.createPickUp()
	for _, e := range s.entries {
		s.createGrant(e)
	}
	s.permitFunctions()
	s.permitDigests()
	for _, g := range s.grants {
		s.scheduleRotation(g)
		s.startGrant(g)
	}
	s.createTimers()
	s.createAlarms()
	s.createOutputs()
	return s
}

// suffix is a stack's name at the end of its parts' names.
func suffix(name string) string {
	if name == "" {
		return ""
	}
	return "-" + name
}

// stackVersion is what events say of the template.
func (s *ServiceProviderAccess) stackVersion() string {
	if s.props.Version == "" {
		return "dev"
	}
	return s.props.Version
}

// createLayout makes the custom resource that refuses a changed number of shards, another name, and to take away what says that a
// grant is revoked. All grants wait for it, so that a refused change has touched none; and it waits for all functions, so that none
// reads a plan that a later version wrote.
func (s *ServiceProviderAccess) createLayout() {
	grants, forced := []any{}, []any{}
	byName := slices.SortedFunc(slices.Values(s.entries), func(a, b access.Entry) int { return cmp.Compare(a.Grant.Name, b.Grant.Name) })
	for _, e := range byName { // the file's order says nothing
		parts := map[string]any{"Name": string(e.Grant.Name), "Role": e.Grant.RolePath + e.Grant.RoleName, "Secret": fmt.Sprint(e.Grant.ExternalID)}
		if e.Grant.IssuedBy == grant.IssuedByProvider {
			parts["IssuedBy"] = string(e.Grant.IssuedBy)
		}
		if e.Grant.Adopted {
			parts["Adopted"] = "true"
		}
		grants = append(grants, parts)
	}
	for _, name := range s.props.Access.RemoveRevoked {
		forced = append(forced, string(name))
	}
	properties := map[string]any{
		"ServiceToken":   s.reconcile.serviceToken(),
		"ServiceTimeout": fmt.Sprint(customResourceTimeout),
		"Shards":         fmt.Sprint(s.props.Access.Shards),
		"ReshardedFrom":  fmt.Sprint(s.props.Access.ReshardedFrom),
		"Grants":         grants,
		"RemoveRevoked":  forced,
	}
	if s.props.Name != "" {
		properties["Name"] = s.props.Name
	}
	s.layout = awscdk.NewCfnResource(s.Construct, new("Layout"), &awscdk.CfnResourceProps{
		Type: new("Custom::Layout"), Properties: &properties,
	})
	for _, f := range s.functions() {
		if f != s.reconcile { // it is called
			s.layout.AddResourceDependency(f.lambda, nil)
		}
	}
}

// createOutputs tells what the CLI, and a person with nothing but the AWS CLI, need. Nothing here lets anybody in.
func (s *ServiceProviderAccess) createOutputs() {
	s.output("ApiUrl", "Countersign's API, IAM-authorised", s.apiURL())
	s.output("BusName", "event bus on which changes are announced", s.name(""))
	s.output("DeliveriesUrl", "queue of what is still to be told", *s.queues.notify.Ref())
	s.output("DeadLettersUrl", "queue of what could not be told", *s.queues.dead.Ref())
	s.output("TrailLogGroup", "log group of all that is said on the bus", s.trailGroup())
	s.output("Version", "version of Countersign that was deployed", s.stackVersion())
	if s.mailSet != nil {
		s.output("MailFrom", "sender of mails", s.props.Access.MailFrom)
		s.output("MailSet", "SES configuration set of mails", *s.mailSet.Ref())
	}
	if len(s.entries) > 0 {
		s.output("Grants", "names of the grants in this stack", s.grantNames())
	}
	for _, g := range s.grants {
		part := access.Logical(g.Grant.Name)
		s.output("RoleArn"+part, "role of grant "+string(g.Grant.Name), g.roleARN())
		s.output("Revoke"+part, "takes grant "+string(g.Grant.Name)+" away at once, live sessions included", grant.RevokeLine(g.Grant.RoleName))
	}
}

// output adds a stack output under exactly this name.
func (s *ServiceProviderAccess) output(name, description, value string) {
	awscdk.NewCfnOutput(s.Construct, &name, &awscdk.CfnOutputProps{Description: &description, Value: &value}).OverrideLogicalId(&name)
}
