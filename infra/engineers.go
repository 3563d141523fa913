package infra

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

// Names of the roles, and of the policies that they share with permission sets of Identity Center.
const (
	Registrar = "CountersignRegistrar" // writes the registry
	Engineer  = "CountersignEngineer"  // of all, by session tags; of a team, with a hyphen and its name
	OfOne     = "CountersignCustomer"  // of one customer, with a hyphen and its name
)

// The limits of IAM and CloudFormation that the forms run into. docs/provider.md reckons with them.
const (
	mostPolicies  = 10  // managed ones of a role: AWS's default quota
	mostRoles     = 235 // in a stack of 500 resources: a role and a policy each, and the others
	taggedAtOnce  = 20  // customers that the tags of one session can name, of 50 tags
	tagOfCustomer = Engineer
)

// createRegistrar makes the role that may change the registry; none where customers.yaml names nobody: then administrators do.
func (s *CustomerAccess) createRegistrar() {
	who := s.props.Roster.Registrars
	if len(who) == 0 {
		return
	}
	awsiam.NewCfnRole(s.Construct, new("Registrar"), &awsiam.CfnRoleProps{
		RoleName: new(Registrar), Description: new("Countersign: invites and accepts customers"),
		AssumeRolePolicyDocument: document(own(who)),
		Policies: &[]any{&awsiam.CfnRole_PolicyProperty{PolicyName: new("Registry"), PolicyDocument: document(
			mayRead(),
			rowsOnly("Write", "dynamodb:PutItem", "customer", "grant", "role", "secret", "prefix", "account").on(registry()),
			rowsOnly("Remove", "dynamodb:DeleteItem", "customer", "grant", "role", "secret", "heard").on(registry()),
		)}},
	})
}

// rowsOnly limits an action to rows of some kinds: no prefix is ever given away, and nobody says what an account said.
func rowsOnly(sid, action string, kinds ...string) statement {
	return allow(sid, action).when("ForAllValues:StringEquals", "dynamodb:LeadingKeys", kinds...).when("Null", "dynamodb:LeadingKeys", "false")
}

// registry is the table's ARN, known before the table is.
func registry() string { return arn("dynamodb", "table/"+CustomersName) }

// own lets principals of this account assume a role: patterns, so that they may be made anew.
func own(principals []string) statement {
	var arns []string
	for _, p := range principals {
		arns = append(arns, "arn:"+partition+":iam::"+account+":"+p)
	}
	return allow("Own", "sts:AssumeRole", "sts:SetSourceIdentity").by(root(account)).when("ArnLike", "aws:PrincipalArn", arns...)
}

// mayRead is what everybody needs to find a customer.
func mayRead() statement {
	return allow("Find", "dynamodb:BatchGetItem", "dynamodb:Query").on(registry())
}

// createEngineers makes the roles by which engineers enter.
func (s *CustomerAccess) createEngineers() {
	roster := s.props.Roster
	switch roster.Engineers {
	case access.EngineersByTags:
		s.createTagged()
	case access.EngineersByCustomer:
		entered := 0
		for _, m := range roster.Members {
			if m.Role == "" {
				continue
			}
			if entered++; entered > mostRoles {
				panic(fmt.Errorf("customers.yaml: more than %d customers with a role each don't fit into a stack of 500 resources; say engineers: teams, or tags", mostRoles))
			}
			s.createEngineer(OfOne+"-"+m.Name, "of customer "+m.Name, s.principalsOf(m.Teams), []access.Member{m})
		}
	default:
		for _, team := range roster.Teams {
			s.createEngineer(Engineer+"-"+team.Name, "of team "+team.Name, s.principalsOf([]string{team.Name}), membersOf(roster, team.Name))
		}
	}
}

// membersOf are the customers of a team that were accepted.
func membersOf(roster *Roster, team string) (its []access.Member) {
	for _, m := range roster.Members {
		if m.Role != "" && slices.Contains(m.Teams, team) {
			its = append(its, m)
		}
	}
	return its
}

// principalsOf are who may use the role of these teams: theirs, or those of all.
func (s *CustomerAccess) principalsOf(teams []string) (out []string) {
	for _, team := range s.props.Roster.Teams {
		if slices.Contains(teams, team.Name) {
			out = append(out, team.Principals...)
		}
	}
	if len(out) == 0 {
		out = s.props.Roster.Principals
	}
	if len(out) == 0 {
		panic(fmt.Errorf("customers.yaml: who may use the role of %s? Give principals, of the team or of all", strings.Join(append(teams, "engineers")[:1], "")))
	}
	return out
}

// createEngineer makes one role that enters exactly these customers.
func (s *CustomerAccess) createEngineer(name, of string, principals []string, its []access.Member) {
	documents := enter(name, its)
	part := access.Logical(grant.Name(strings.ToLower(name)))
	role := awsiam.NewCfnRole(s.Construct, new(part), &awsiam.CfnRoleProps{
		RoleName: &name, Description: new("Countersign: engineers " + of), AssumeRolePolicyDocument: document(own(principals)),
	})
	for i, d := range documents {
		awsiam.NewCfnManagedPolicy(s.Construct, new(fmt.Sprintf("%sPolicy%d", part, i+1)), &awsiam.CfnManagedPolicyProps{
			ManagedPolicyName: new(policyName(name, i)), Description: new("Countersign: engineers " + of), PolicyDocument: d, Roles: &[]any{role.Ref()},
		})
	}
}

func policyName(role string, i int) string { return fmt.Sprintf("%s-%d", role, i+1) }

// enter are the policies for these customers, as many as it takes.
func enter(name string, its []access.Member) []map[string]any {
	documents := enterDocuments(its, mayRead(), readOnly())
	if len(documents) > mostPolicies {
		panic(fmt.Errorf("customers.yaml: the %d customers of %s need %d managed policies of 6,144 characters, and a role has %d: make smaller teams, or say engineers: tags",
			len(its), name, len(documents), mostPolicies))
	}
	return documents
}

// readOnly keeps engineers from writing the registry, whatever else their role is given.
func readOnly() statement {
	return deny("RegistryIsReadOnly", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem",
		"dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate", "dynamodb:PartiQLDelete").on(registry())
}

// enterDocuments fills policies of a managed policy's size in the order of customers.yaml: the first holds what is the same for
// all, each its own customers.
func enterDocuments(its []access.Member, always ...statement) (out []map[string]any) {
	statements, room, first := append(always, decryptSecrets()), access.MaxPolicyFile-sameForAll, 0
	for i, m := range its {
		if takes := charactersOf(m); takes > room && i > first {
			out = append(out, document(append(statements, enterStatements(its[first:i])...)...))
			statements, room, first = nil, access.MaxPolicyFile-sameOfEach, i
		}
		room -= charactersOf(m)
	}
	return append(out, document(append(statements, enterStatements(its[first:])...)...))
}

// How many characters a policy has beside its customers, in the partition and Region with the longest names, rounded up: the
// first one, and each other. The Terraform module customer-access reckons with the same numbers.
const (
	sameForAll = 1_020
	sameOfEach = 340
)

// charactersOf is what a customer takes in a policy: its role twice, once to enter it and once to say who, and its secret, in
// lists. Roles without a secret have a statement of their own, and each is reckoned as if it brought it.
func charactersOf(m access.Member) int {
	const statement, quoted = 85, len(`"","","",`)
	if m.Secret == "" {
		return 2*len(m.Role) + statement + quoted
	}
	return 2*len(m.Role) + len(m.Secret) + quoted
}

// enterStatements lets a role enter exactly these customers, and read exactly their secrets. The external ID is a condition here,
// too: no role that needs one is entered without it.
func enterStatements(its []access.Member) (out []statement) {
	var closed, open, all, secrets []string
	for _, m := range its {
		all = append(all, m.Role)
		if m.Secret == "" {
			open = append(open, m.Role)
		} else {
			closed, secrets = append(closed, m.Role), append(secrets, m.Secret)
		}
	}
	if len(closed) > 0 {
		out = append(out, allow("Enter", "sts:AssumeRole").on(closed...).when("Null", "sts:ExternalId", "false"),
			allow("ReadSecrets", "secretsmanager:GetSecretValue").on(secrets...))
	}
	if len(open) > 0 {
		out = append(out, allow("EnterWithoutID", "sts:AssumeRole").on(open...))
	}
	if len(all) > 0 {
		out = append(out, allow("SayWho", "sts:SetSourceIdentity").on(all...))
	}
	return out
}

// decryptSecrets is constant: through Secrets Manager alone, which asks for the secret besides.
func decryptSecrets() statement {
	return allow("Decrypt", "kms:Decrypt").on("arn:"+partition+":kms:*:*:key/*").when("StringLike", "kms:ViaService", "secretsmanager.*."+urlSuffix)
}

// createTagged makes the one role whose sessions name their customers' accounts by tags. Only an identity provider may set them:
// whoever may tag its own session could name any customer.
func (s *CustomerAccess) createTagged() {
	roster := s.props.Roster
	policy := &awsiam.CfnManagedPolicyProps{
		ManagedPolicyName: new(policyName(Engineer, 0)), Description: new("Countersign: engineers, by the tags of their session"),
		PolicyDocument: document(append([]statement{mayRead(), readOnly(), decryptSecrets()}, tagged()...)...),
	}
	if roster.SAML != "" {
		role := awsiam.NewCfnRole(s.Construct, new("Engineer"), &awsiam.CfnRoleProps{
			RoleName: new(Engineer), Description: new("Countersign: engineers, by the tags of their session"),
			AssumeRolePolicyDocument: document(allow("SignIn", "sts:AssumeRoleWithSAML", "sts:TagSession", "sts:SetSourceIdentity").
				with("Principal", map[string]any{"Federated": roster.SAML}).
				when("StringEquals", "SAML:aud", "https://signin.aws.amazon.com/saml")),
		})
		policy.Roles = &[]any{role.Ref()}
	}
	awsiam.NewCfnManagedPolicy(s.Construct, new("EngineerPolicy1"), policy)
}

// tagged enters Countersign's roles, and reads its secrets, in the accounts that the session's tags name.
func tagged() []statement {
	var accounts []string
	for i := range taggedAtOnce {
		accounts = append(accounts, fmt.Sprintf("${aws:PrincipalTag/%s%d, 'none'}", tagOfCustomer, i+1))
	}
	roles := "arn:" + partition + ":iam::*:role" + grant.DefaultRolePath + "*"
	return []statement{
		allow("Enter", "sts:AssumeRole").on(roles).when("StringEquals", "aws:ResourceAccount", accounts...).when("Null", "sts:ExternalId", "false"),
		allow("SayWho", "sts:SetSourceIdentity").on(roles).when("StringEquals", "aws:ResourceAccount", accounts...),
		allow("ReadSecrets", "secretsmanager:GetSecretValue").on("arn:"+partition+":secretsmanager:*:*:secret:"+grant.SecretPrefix+"*").
			when("StringEquals", "aws:ResourceAccount", accounts...),
	}
}
