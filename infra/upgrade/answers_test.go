package upgrade

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/infra/oneclick"
)

// answers are those of the stack from a link that stands. Each question changes some.
var answers = map[string]string{
	"ProviderName": "hestio", "ProviderAccount": "111122223333", "Principals": "arn:aws:iam::111122223333:role/Engineers-*",
	"GrantName": "migration", "Permissions": "arn:aws:iam::aws:policy/AmazonS3FullAccess", "PermissionsBoundary": "arn:aws:iam::444455556666:policy/Bound",
	"MaxSessionSeconds": "7200", "Expires": "2099-12-31T23:59:59Z", "Prefix": "hestio", "RotateEvery": "monthly", "Overlap": "24h", "WhenUnconfirmed": "cut",
	"NotifyTopic": "arn:aws:sns:eu-west-1:444455556666:on-call", "NotifyWebhook": "https://hooks.example.com/countersign",
	"NotifyWebhookSecret": "arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook-AbCdEf", "MailFrom": "countersign@example.com", "NotifyMail": "ops@example.com",
}

// How an answer changes.
const (
	another = "another"
	given   = "given"   // where none was
	emptied = "emptied" // where one was
)

// question is a parameter of the one-click template that is answered otherwise on a live stack.
type question struct {
	row
	parameter, how string
	was, is        []string // name, value, name, value, …: what differs from answers before, and what the update says
}

func asked(parameter, how string, was, is []string, becomes outcome, so string) question {
	return question{row{yaml: parameter + ": " + how, becomes: becomes, so: so}, parameter, how, was, is}
}

// questions are all parameters in all the ways in which an answer changes.
var questions = slices.Concat(
	[]question{asked("ProviderName", another, nil, []string{"ProviderName", "hestia"}, same, "a word in the plan and in the role's description")},
	[]question{asked("ProviderAccount", another, nil, []string{"ProviderAccount", "777788889999", "Principals", "arn:aws:iam::777788889999:role/Engineers-*"}, others,
		"the ID stays; it opens to the new account alone. `Principals` of the old one have to go too, or nobody gets in")},
	[]question{asked("Principals", another, nil, []string{"Principals", "arn:aws:iam::111122223333:role/Operations-*"}, others, "the ID stays; it opens to the new callers alone")},
	optional("Principals", same, "the ID stays; empty, it opens to whoever the provider's account lets"),
	[]question{asked("Organization", given, nil, []string{"Organization", "o-abc1234567"}, others, "the ID stays; it opens to members of the organization alone")},
	[]question{asked("Organization", emptied, []string{"Organization", "o-abc1234567"}, []string{"Organization", ""}, same, "the ID stays; it opens to others, too")},

	[]question{asked("GrantName", another, nil, []string{"GrantName", "moving"}, refused,
		"refused by `Custom::Layout`, before anything of the grant. AWS documents that CloudFormation itself takes no other service token, either")},
	[]question{asked("Permissions", another, nil, []string{"Permissions", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}, same, "what a session may do; not who gets in")},
	changed("AdministratorAccessFor", "111122223333", same, "asked by a rule, before anything is made"),
	changed("PermissionsBoundary", "arn:aws:iam::444455556666:policy/Bounds", same, "what a session may do; not who gets in"),
	onAndOff("MayShareResources", "what the guard leaves a session"),
	[]question{asked("MaxSessionSeconds", another, nil, []string{"MaxSessionSeconds", "14400"}, same, "for new sessions")},
	changed("Expires", "2098-12-31T23:59:59Z", same, "a date in the trust policy and in `CountersignExpiry`; emptied, IAM ends nothing"),

	changed("Prefix", "hestioacme", same, "IDs that are in keep theirs; the next rotation's is as the template says"),
	[]question{
		asked("RotateEvery", another, nil, []string{"RotateEvery", "weekly"}, same, "`RotateImmediatelyOnUpdate` is false: nothing rotates by it"),
		asked("RotateEvery", "to never", nil, []string{"RotateEvery", "never"}, same, noRules),
		asked("RotateEvery", "from never", []string{"RotateEvery", "never"}, []string{"RotateEvery", "monthly"}, same, "`RotateImmediatelyOnUpdate` is false: nothing rotates by it"),
		asked("Overlap", "shorter", nil, []string{"Overlap", "12h"}, sooner, "a deadline that runs ends sooner, never later"),
		asked("Overlap", "longer", nil, []string{"Overlap", "48h"}, same, "a longer one is for the next rotation, which waits until then"),
		asked("WhenUnconfirmed", another, nil, []string{"WhenUnconfirmed", "extend"}, same, "decided at each promotion: a deadline that runs stays"),
	},
	onAndOff("SourceIdentity", "a statement of its own, for who gets in anyway"),

	changed("NotifyTopic", "arn:aws:sns:eu-west-1:444455556666:duty", same, "who is told"),
	[]question{
		asked("NotifyWebhook", another, nil, []string{"NotifyWebhook", "https://hooks.example.com/others"}, same, "who is told"),
		asked("NotifyWebhookSecret", another, nil, []string{"NotifyWebhookSecret", "arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook2-AbCdEf"}, same, "who is told"),
		asked("MailFrom", another, nil, []string{"MailFrom", "access@example.com"}, same, "the function that mails is told"),
		asked("NotifyMail", another, nil, []string{"NotifyMail", "duty@example.com"}, same, "who is told"),
	},
	together("NotifyWebhook", "NotifyWebhookSecret"),
	together("MailFrom", "NotifyMail"),

	[]question{
		asked("CreateRole", "off", nil, []string{"CreateRole", "false"}, refused, handsOver),
		asked("CreateRole", "on", []string{"CreateRole", "false"}, []string{"CreateRole", "true"}, refused, handsOver),
	},
)

const handsOver = "refused by `Custom::Layout`, before anything else: the one role would be deleted, and the other's name is taken"

// optional are the two ways of a parameter that may be empty.
func optional(parameter string, becomes outcome, so string) []question {
	none, one := []string{parameter, ""}, []string{parameter, answers[parameter]}
	return []question{asked(parameter, given, none, one, becomes, so), asked(parameter, emptied, one, none, becomes, so)}
}

// changed are the three ways of a parameter that may be empty.
func changed(parameter, to string, becomes outcome, so string) []question {
	one, other, none := []string{parameter, answers[parameter]}, []string{parameter, to}, []string{parameter, ""}
	if answers[parameter] == "" {
		return []question{asked(parameter, given, none, other, becomes, so), asked(parameter, emptied, other, none, becomes, so)}
	}
	return append([]question{asked(parameter, another, one, other, becomes, so)}, optional(parameter, becomes, so)...)
}

func onAndOff(parameter, so string) []question {
	on, off := []string{parameter, "true"}, []string{parameter, "false"}
	return []question{asked(parameter, "on", off, on, same, so), asked(parameter, "off", on, off, same, so)}
}

// together are the two ways of two parameters of which one is nothing without the other.
func together(a, b string) []question {
	none, both := []string{a, "", b, ""}, []string{a, answers[a], b, answers[b]}
	label := a + "`, `" + b
	return []question{asked(label, given, none, both, same, "who is told"), asked(label, emptied, both, none, same, "who is told")}
}

// with are answers of which some are others.
func with(answers map[string]string, others []string) map[string]string {
	out := maps.Clone(answers)
	for i := 0; i < len(others); i += 2 {
		out[others[i]] = others[i+1]
	}
	return out
}

func TestEveryParameterIsChangedInEveryWay(t *testing.T) {
	ways := map[string]map[string]bool{}
	for _, q := range questions {
		for _, parameter := range strings.Split(q.parameter, "`, `") {
			if ways[parameter] == nil {
				ways[parameter] = map[string]bool{}
			}
			ways[parameter][q.how] = true
		}
	}
	for _, p := range oneclick.Parameters() {
		var want []string
		switch {
		case p.Default == "" && !p.Required:
			want = []string{given, emptied}
		case len(p.Allowed) == 2 && slices.Contains(p.Allowed, "true"):
			want = []string{"on", "off"}
		case p.Name == "Overlap":
			want = []string{"shorter", "longer"}
		default:
			want = []string{another}
		}
		for _, how := range want {
			if !ways[p.Name][how] {
				t.Errorf("%s, %s: what does an update do that changes it on a live stack?", p.Name, how)
			}
		}
		delete(ways, p.Name)
	}
	for name := range ways {
		t.Errorf("there is no parameter %s", name)
	}
}
