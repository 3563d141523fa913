package oneclick

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/access"
)

// Parameter is one question of the template.
type Parameter struct {
	Name, Group, Label, Description string

	List     bool // comma-separated
	Number   bool
	Required bool
	Default  string
	Allowed  []string
	Pattern  string // of the whole value, of each item where it is a list
	Says     string // what the pattern asks for
	Least    int    // characters, or the smallest number
	Most     int

	// sample stands for the value while the template is synthesised: nothing else in it looks like that.
	sample string
	// condition holds where the value is set; empty: it always is.
	condition string
	off       string // the value that leaves it out
}

// set is the condition that the parameter is set, in CloudFormation's words.
func (p Parameter) set() any {
	ref := any(map[string]any{"Ref": p.Name})
	if p.off == "false" {
		return map[string]any{"Fn::Equals": []any{ref, "true"}}
	}
	return map[string]any{"Fn::Not": []any{map[string]any{"Fn::Equals": []any{ref, p.off}}}}
}

// mostItems is how many items a list has that may be empty.
const mostItems = 5

// inText says that a list is a text to CloudFormation, whose conditions can't ask whether a list is empty.
func (p Parameter) inText() bool { return p.List && p.condition != "" }

// allowed is the pattern as CloudFormation holds the value to it, or each item of a list.
func (p Parameter) allowed() string {
	if !p.inText() {
		return p.Pattern
	}
	item := strings.TrimSuffix(strings.TrimPrefix(p.Pattern, "^(|"), ")$")
	return fmt.Sprintf("^(|%s(,%s){0,%d})$", item, item, mostItems-1)
}

// value is the parameter's value in CloudFormation's words: a list if it is one.
func (p Parameter) value() any {
	if p.inText() {
		return map[string]any{"Fn::Split": []any{",", map[string]any{"Ref": p.Name}}}
	}
	return map[string]any{"Ref": p.Name}
}

// joined is a list's value as one text.
func (p Parameter) joined(with string) any {
	if p.inText() && with == "," {
		return map[string]any{"Ref": p.Name}
	}
	return map[string]any{"Fn::Join": []any{with, p.value()}}
}

// The groups, in the order in which the console shows them.
var groups = []string{"Who may enter", "What they may do, and until when", "The external ID", "Who is told", "Only where a role is made elsewhere"}

var yesOrNo = []string{"false", "true"}

// overlaps are how long the previous external ID may go on. Among them is what access.yaml has for each schedule by default.
var overlaps = []string{"1h", "2h", "3h", "4h", "5h", "6h", "8h", "11h", "12h", "24h", "48h", "72h", "168h"}

// schedules are access.yaml's, less "N days", which CloudFormation can't look up.
var schedules = []access.Every{"4h", "6h", "8h", "12h", access.Daily, access.Weekly, access.Monthly, access.Never}

const (
	nameForm   = `[a-z0-9][a-z0-9-]`
	regionForm = `[a-z]{2}(-[a-z]+)+-[0-9]`
)

// Parameters are the template's, in the order of the console.
func Parameters() []Parameter {
	var every []string
	for _, e := range schedules {
		every = append(every, string(e))
	}
	return []Parameter{
		{Name: "ProviderName", Group: groups[0], Label: "Provider", Required: true,
			Description: "Short name of who enters, for example hestio. It stands in mails and reports.",
			Pattern:     "^" + nameForm + "{0,39}$", Says: "1 to 40 lower-case letters, digits and hyphens, not starting with a hyphen", sample: "the-provider"},
		{Name: "ProviderAccount", Group: groups[0], Label: "Provider's AWS account", Required: true,
			Description: "The 12 digits of the AWS account that they enter from. Compare them with what the provider told you.",
			Pattern:     `^[0-9]{12}$`, Says: "12 digits", sample: "999900009999"},
		{Name: "Principals", Group: groups[0], Label: "Provider's roles and users", List: true,
			Description: "ARNs in the provider's account, separated by commas, 5 at the most; * stands for any letters. Empty: whoever that account lets.",
			Pattern:     `^(|arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[A-Za-z0-9_+=.@/*?-]{1,160})$`, Says: "ARNs of roles or users, separated by commas without spaces",
			sample: "arn:aws:iam::999900009999:role/the-principals", condition: "HasPrincipals"},
		{Name: "Organization", Group: groups[0], Label: "Provider's AWS organization",
			Description: "If given, only principals of this organization enter.",
			Pattern:     `^(|o-[a-z0-9]{10,32})$`, Says: "o- and 10 to 32 lower-case letters and digits", sample: "o-theorganization", condition: "HasOrganization"},

		{Name: "GrantName", Group: groups[1], Label: "Name of the access", Required: true,
			Description: "What it is for, for example migration. It can't be changed later: roles, secrets and functions are named after it.",
			Pattern:     "^" + nameForm + "{0,35}$", Says: "1 to 36 lower-case letters, digits and hyphens, not starting with a hyphen", sample: "the-grant"},
		{Name: "Permissions", Group: groups[1], Label: "Permissions", List: true, Required: true,
			Description: "ARNs of managed policies, separated by commas, 9 at the most: AWS's or your own.",
			Pattern:     `^arn:aws[a-z-]*:iam::(aws|[0-9]{12}):policy/[A-Za-z0-9_+=.@/-]{1,512}$`, Says: "ARNs of managed policies, separated by commas without spaces",
			sample: "arn:aws:iam::aws:policy/ThePermissions"},
		{Name: "AdministratorAccessFor", Group: groups[1], Label: "Administrator-like permissions for",
			Description: "Only if the permissions hold one of " + strings.Join(access.Powerful(), ", ") + ": the provider's account once more.",
			Pattern:     `^(|[0-9]{12})$`, Says: "empty, or 12 digits"},
		{Name: "PermissionsBoundary", Group: groups[1], Label: "Permissions boundary",
			Description: "ARN of a managed policy beyond which the role can't go, whatever its permissions.",
			Pattern:     `^(|arn:aws[a-z-]*:iam::(aws|[0-9]{12}):policy/[A-Za-z0-9_+=,.@/-]{1,512})$`, Says: "the ARN of a managed policy",
			sample: "arn:aws:iam::aws:policy/TheBoundary", condition: "HasBoundary"},
		{Name: "MayShareResources", Group: groups[1], Label: "May share resources", Default: "false", Allowed: yesOrNo,
			Description: "true: the provider may open buckets, keys and the like to others. A revocation would not undo that.",
			condition:   "MaySharesResources", off: "false"},
		{Name: "MaxSessionSeconds", Group: groups[1], Label: "Longest session", Number: true, Default: "3600", Least: 3600, Most: 43200,
			Description: "In seconds, 3600 to 43200. Providers that come from a role get 3600 at the most.", sample: "11h7m"},
		{Name: "Expires", Group: groups[1], Label: "Ends at",
			Description: "UTC, to the second, for example 2027-06-30T23:59:59Z: IAM itself refuses from then on. Empty: no end.",
			Pattern:     `^(|20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)$`, Says: "like 2027-06-30T23:59:59Z",
			sample: "2099-12-31T23:59:58Z", condition: "HasExpiry"},

		{Name: "Prefix", Group: groups[2], Label: "Provider's prefix",
			Description: "What the provider wants in front of each external ID, so that its customers can't pose as one another.",
			Pattern:     `^(|[a-z0-9]{4,32})$`, Says: "4 to 32 lower-case letters and digits", sample: "theprefix", condition: "HasPrefix"},
		{Name: "RotateEvery", Group: groups[2], Label: "New external ID", Default: string(access.Monthly), Allowed: every,
			Description: "How often the external ID changes by itself.", condition: "IsScheduled", off: string(access.Never)},
		{Name: "Overlap", Group: groups[2], Label: "Previous external ID goes on for", Default: "24h", Allowed: overlaps,
			Description: "Both are accepted that long after a change. It must end before the next one.", sample: "37h13m"},
		{Name: "WhenUnconfirmed", Group: groups[2], Label: "If the provider doesn't confirm", Default: "auto", Allowed: []string{"auto", "cut", "extend"},
			Description: "auto: the previous one ends if this provider has confirmed before, else it waits. cut: it ends. extend: it waits."},
		{Name: "SourceIdentity", Group: groups[2], Label: "May set a source identity", Default: "false", Allowed: yesOrNo,
			Description: "true: the provider says in CloudTrail which of its people entered.", condition: "WantsSourceIdentity", off: "false"},

		{Name: "NotifyTopic", Group: groups[3], Label: "Your people: SNS topic",
			Description: "ARN of a topic that is told of changes and alarms.",
			Pattern:     `^(|arn:aws[a-z-]*:sns:` + regionForm + `:[0-9]{12}:[A-Za-z0-9_-]{1,256})$`, Says: "the ARN of a standard SNS topic",
			sample: "arn:aws:sns:eu-west-1:999900009998:the-topic", condition: "HasTopic"},
		{Name: "NotifyWebhook", Group: groups[3], Label: "Provider: webhook",
			Description: "HTTPS address that is told of each change, never of an external ID. It needs the next one too.",
			Pattern:     `^(|https://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?/[A-Za-z0-9_.~/%?&=+-]{0,512})$`, Says: "an https:// address with a path",
			sample: "https://the-webhook.example.com/hook"},
		{Name: "NotifyWebhookSecret", Group: groups[3], Label: "Provider: webhook's key",
			Description: "ARN of a secret of yours that holds the key which signs, as docs/webhooks.md says.",
			Pattern:     `^(|arn:aws[a-z-]*:secretsmanager:` + regionForm + `:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]{1,512})$`, Says: "the ARN of a secret",
			sample: "arn:aws:secretsmanager:eu-west-1:999900009998:secret:the-hook-AbCdEf", condition: "HasWebhook"},
		{Name: "MailFrom", Group: groups[3], Label: "Mail: sender",
			Description: "An address that SES may send from in this account and Region. It needs the next one too.",
			Pattern:     `^(|[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,100})$`, Says: "a mail address",
			sample: "the-sender@example.com", condition: "HasMail"},
		{Name: "NotifyMail", Group: groups[3], Label: "Mail: recipient",
			Description: "The provider's address for mails about its access.",
			Pattern:     `^(|[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,189})$`, Says: "a mail address",
			sample: "the-recipient@example.com"},

		{Name: "CreateRole", Group: groups[4], Label: "Make the role", Default: "true", Allowed: []string{"true", "false"},
			Description: "false: /countersign/ServiceProvider-NAME exists already, as Terraform makes it. Then its permissions, boundary and session length are not this stack's."},
	}
}

// Together are parameters of which one is nothing without the other. The first has the condition for both.
var Together = [][2]string{{"NotifyWebhookSecret", "NotifyWebhook"}, {"MailFrom", "NotifyMail"}}

// named are the parameters by name.
func named() map[string]Parameter {
	out := map[string]Parameter{}
	for _, p := range Parameters() {
		out[p.Name] = p
	}
	return out
}

// samples are the values for which everything is synthesised, or left out by name.
func samples(without ...string) map[string]string {
	out := map[string]string{"RotateEvery": string(access.Monthly), "MayShareResources": "true", "SourceIdentity": "true", "WhenUnconfirmed": "auto"}
	for _, p := range Parameters() {
		if p.sample != "" {
			out[p.Name] = p.sample
		}
	}
	for _, name := range without {
		out[name] = named()[name].off
		for _, pair := range Together {
			if pair[0] == name {
				out[pair[1]] = ""
			}
		}
	}
	return out
}

// optional are the parameters that may be left out, each with a condition.
func optional() []Parameter {
	return slices.DeleteFunc(Parameters(), func(p Parameter) bool { return p.condition == "" })
}

// sampled are the parameters that have a sample, the longest first: a sample may be part of another.
func sampled() []Parameter {
	out := slices.DeleteFunc(slices.Collect(maps.Values(named())), func(p Parameter) bool { return p.sample == "" })
	slices.SortFunc(out, func(a, b Parameter) int {
		if len(a.sample) != len(b.sample) {
			return len(b.sample) - len(a.sample)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}
