package infra

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssso"
	"github.com/aws/constructs-go/constructs/v10"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

// IdentityCenterProps says what to deploy into the account that administers IAM Identity Center.
type IdentityCenterProps struct {
	Roster  *Roster // required, with its Instance
	Account string  // the provider's, where CustomerAccess is deployed
}

// NewIdentityCenter adds permission sets to a stack: one for each team, or one for all where tags say who may enter what. They
// hold nothing themselves but the names of the policies that CustomerAccess makes in the provider's account, so that both always
// say the same. A team with a group is assigned, the others by hand.
func NewIdentityCenter(scope constructs.Construct, id string, props *IdentityCenterProps) constructs.Construct {
	at := constructs.NewConstruct(scope, &id)
	set := func(name, policy string, policies int, group string) {
		part := access.Logical(grant.Name(name))
		var references []any
		for i := range policies {
			references = append(references, &awssso.CfnPermissionSet_CustomerManagedPolicyReferenceProperty{Name: new(policyName(policy, i))})
		}
		made := awssso.NewCfnPermissionSet(at, new("Set"+part), &awssso.CfnPermissionSetProps{
			InstanceArn: &props.Roster.Instance, Name: new("Customers-" + name), SessionDuration: new("PT8H"),
			Description: new("Countersign: enter customers, " + name), CustomerManagedPolicyReferences: &references,
		})
		if group == "" {
			return
		}
		awssso.NewCfnAssignment(at, new("Assign"+part), &awssso.CfnAssignmentProps{
			InstanceArn: &props.Roster.Instance, PermissionSetArn: made.AttrPermissionSetArn(), PrincipalId: &group, PrincipalType: new("GROUP"),
			TargetId: &props.Account, TargetType: new("AWS_ACCOUNT"),
		})
	}
	if props.Roster.Engineers == access.EngineersByTags {
		set("all", Engineer, 1, "")
		return at
	}
	if props.Roster.Engineers == access.EngineersByCustomer {
		panic(fmt.Errorf("customers.yaml: permission sets are a team's: say engineers: teams, or leave identityCenter out"))
	}
	for _, team := range props.Roster.Teams {
		name := Engineer + "-" + team.Name
		set(team.Name, name, len(enter(name, membersOf(props.Roster, team.Name))), team.Group)
	}
	awscdk.NewCfnOutput(at, new("PermissionSets"), &awscdk.CfnOutputProps{
		Description: new("how many permission sets there are"), Value: new(fmt.Sprint(len(props.Roster.Teams))),
	}).OverrideLogicalId(new("PermissionSets"))
	return at
}
