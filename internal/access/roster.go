package access

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/customers"
	"github.com/countersign/countersign/internal/form"
	"github.com/countersign/countersign/internal/grant"
)

// Engineers says by which roles a provider's engineers reach customers.
type Engineers string

// The forms.
const (
	EngineersByTeam     Engineers = "teams"     // a role for each team: its customers, and no others
	EngineersByCustomer Engineers = "customers" // a role for each customer
	EngineersByTags     Engineers = "tags"      // one role: the customers' accounts are tags of the session, set by the identity provider
)

// The limits that a customers.yaml is held to.
const (
	MaxRoster  = 4 << 20 // bytes
	MaxMembers = 10_000
	MaxTeams   = 500
)

// Roster is customers.yaml: a provider's engineers and the customers they may enter. People write its head;
// "countersign customers export" writes the list of customers from the registry.
type Roster struct {
	File       string
	Engineers  Engineers
	Principals []string // ARNs or patterns of who may use the engineers' roles, where a team says nothing else
	Registrars []string // the same of who may write the registry
	Alerts     []string // mail addresses that are told what a person has to look at
	SAML       string   // ARN of the SAML provider whose sessions carry the tags; EngineersByTags alone
	Instance   string   // ARN of the Identity Center instance that permission sets are made in; empty: none are
	Teams      []Team
	Members    []Member
	Warnings   []Problem
}

// Team is some engineers.
type Team struct {
	Name       string
	Principals []string // empty: Roster.Principals
	Group      string   // id of a group in Identity Center; empty: its permission set is assigned by hand
}

// Member is a customer of customers.yaml.
type Member struct {
	Name, Account, Prefix, Grant string
	Kind                         customers.Kind
	Role                         string // ARN; empty: nobody has accepted one yet
	Secret                       string // ARN; of a static one the provider's own
	Teams                        []string
}

var (
	rosterKeys  = []string{"version", "engineers", "principals", "registrars", "alerts", "samlProvider", "identityCenter", "teams", "customers"}
	teamKeys    = []string{"name", "principals", "group"}
	memberKeys  = []string{"name", "account", "prefix", "grant", "kind", "role", "secret", "teams"}
	teamForm    = form.New(`^[a-z0-9][a-z0-9-]{0,39}$`)
	groupForm   = form.New(`^([0-9a-f]{10}-)?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`) // Identity Store's
	samlForm    = form.New(`^arn:aws[a-z-]*:iam::[0-9]{12}:saml-provider/[\w.-]{1,128}$`)
	ssoInstance = form.New(`^arn:aws[a-z-]*:sso:::instance/(sso)?ins-[A-Za-z0-9.-]{16}$`)
	// own matches a principal of the provider's own account, without or with the account.
	rosterPrincipal = form.New(`^(?:arn:aws[a-z-]*:iam::[0-9]{12}:)?((?:role|user)/[\w+=,.@/*?-]+)$`)
)

// LoadRoster reads and validates a customers.yaml. The error is *Problems with everything that is wrong.
func LoadRoster(path string) (*Roster, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ParseRoster(filepath.Base(path), src)
}

// ParseRoster reads and validates a file's content.
func ParseRoster(name string, src []byte) (*Roster, error) {
	r := &reader{file: name, hidden: map[int]int{}}
	if len(src) > MaxRoster {
		r.lines = []string{""}
		r.errorf(value{}, "", "", "the file is larger than %s bytes", thousands(MaxRoster))
		return nil, r.problems()
	}
	src = []byte(strings.ReplaceAll(strings.TrimPrefix(string(src), "\ufeff"), "\r\n", "\n"))
	r.lines = strings.Split(string(src), "\n")
	out := &Roster{File: name}
	if root, ok := r.parseYAML(src); ok {
		r.readRoster(root, out)
	}
	if len(r.errors) > 0 {
		return nil, r.problems()
	}
	out.Warnings = r.problems().Warnings
	return out, nil
}

func (r *reader) readRoster(root value, out *Roster) {
	keys, ok := r.object(root, "customers.yaml", rosterKeys)
	if !ok {
		return
	}
	r.readVersion(root, keys["version"])
	out.Engineers = EngineersByTeam
	if form, ok := r.text(keys["engineers"], "engineers"); ok {
		out.Engineers = Engineers(form)
		if !slices.Contains([]Engineers{EngineersByTeam, EngineersByCustomer, EngineersByTags}, out.Engineers) {
			r.errorf(keys["engineers"], "", "engineers: teams", "engineers is teams, customers or tags: %.40q", form)
		}
	}
	out.Principals = r.ownPrincipals(keys["principals"])
	out.Registrars = r.ownPrincipals(keys["registrars"])
	for _, item := range r.list(keys["alerts"], "alerts") {
		out.Alerts = append(out.Alerts, r.mailAddress(item, "an alert's address"))
	}
	if arn, ok := r.text(keys["identityCenter"], "identityCenter"); ok {
		if out.Instance = arn; !ssoInstance.MatchString(arn) {
			r.errorf(keys["identityCenter"], "", "identityCenter: arn:aws:sso:::instance/ssoins-0123456789abcdef", "not the ARN of an Identity Center instance: %.80q", arn)
		}
	}
	if arn, ok := r.text(keys["samlProvider"], "samlProvider"); ok {
		if out.SAML = arn; !samlForm.MatchString(arn) {
			r.errorf(keys["samlProvider"], "", "samlProvider: arn:aws:iam::111122223333:saml-provider/corp", "not the ARN of a SAML provider: %.80q", arn)
		}
	}
	if out.Engineers == EngineersByTags && out.SAML == "" && out.Instance == "" {
		r.errorf(keys["engineers"], "whoever may tag its own session could name any customer", "samlProvider: or identityCenter: beside it",
			"session tags must come from an identity provider")
	}
	teams := map[string]bool{}
	for _, item := range r.list(keys["teams"], "teams") {
		r.readTeam(item, out, teams)
	}
	if len(out.Teams) > MaxTeams {
		r.errorf(keys["teams"], "", "engineers: tags", "%s teams, and a stack holds %s", thousands(len(out.Teams)), thousands(MaxTeams))
	}
	seen := map[string]string{}
	for _, item := range r.list(keys["customers"], "customers") {
		r.readMember(item, out, teams, seen)
	}
	if len(out.Members) > MaxMembers {
		r.errorf(keys["customers"], "", "", "%s customers, at most %s", thousands(len(out.Members)), thousands(MaxMembers))
	}
}

// ownPrincipals reads roles and users of the provider's own account.
func (r *reader) ownPrincipals(v value) (out []string) {
	for _, item := range r.list(v, "principals") {
		s, ok := r.text(item, "a principal")
		m := rosterPrincipal.FindStringSubmatch(s)
		switch {
		case !ok:
		case m == nil || strings.Contains(s, "//"):
			r.errorf(item, "", "- role/Engineers-*", "a principal is role/… or user/… of your own account, * and ? allowed: %.100q", s)
		case slices.Contains(out, m[1]):
			r.errorf(item, "", "keep one of the two", "%s stands twice", m[1])
		default:
			out = append(out, m[1])
		}
	}
	return out
}

func (r *reader) readTeam(v value, out *Roster, seen map[string]bool) {
	keys, ok := r.object(v, "a team", teamKeys)
	if !ok {
		return
	}
	name, ok := r.text(keys["name"], "name")
	switch {
	case !ok && !keys["name"].present():
		r.errorf(v, "", "name: blue", "a team needs a name")
	case !ok:
	case !teamForm.MatchString(name):
		r.errorf(keys["name"], "", "name: blue", "a team's name is 1 to 40 lower-case letters, digits and hyphens: %.60q", name)
	case seen[name]:
		r.errorf(keys["name"], "", "keep one of the two", "team %s stands twice", name)
	}
	if out.Instance != "" && len(name) > 22 {
		r.errorf(keys["name"], "a permission set's name has 32", "", "beside identityCenter a team's name has at most 22 characters: %.60q", name)
	}
	seen[name] = true
	team := Team{Name: name, Principals: r.ownPrincipals(keys["principals"])}
	if id, ok := r.text(keys["group"], "group"); ok {
		if team.Group = id; !groupForm.MatchString(id) {
			r.errorf(keys["group"], "", "", "not a group's id in Identity Center: %.60q", id)
		}
	}
	out.Teams = append(out.Teams, team)
}

func (r *reader) readMember(v value, out *Roster, teams map[string]bool, seen map[string]string) {
	keys, ok := r.object(v, "a customer", memberKeys)
	if !ok {
		return
	}
	m := Member{Kind: customers.KindCountersign}
	for _, part := range []struct {
		key string
		to  *string
	}{{"name", &m.Name}, {"prefix", &m.Prefix}, {"grant", &m.Grant}, {"role", &m.Role}, {"secret", &m.Secret}} {
		*part.to, _ = r.text(keys[part.key], part.key)
	}
	if kind, ok := r.text(keys["kind"], "kind"); ok {
		m.Kind = customers.Kind(kind)
	}
	switch {
	case !keys["name"].present():
		r.errorf(v, "", "name: acme", "a customer needs a name")
		return
	case !keys["account"].present():
		r.errorf(v, "", `account: "444455556666"`, "a customer needs an account")
		return
	}
	if m.Account = r.account(keys["account"]); m.Account == "" {
		return // told already
	}
	for _, item := range r.list(keys["teams"], "teams") {
		team, ok := r.text(item, "a team")
		switch {
		case !ok:
		case len(teams) > 0 && !teams[team]:
			r.errorf(item, "", "", "customer %.40s: there is no team %.60q above", m.Name, team)
		case slices.Contains(m.Teams, team):
			r.errorf(item, "", "keep one of the two", "team %s stands twice", team)
		default:
			m.Teams = append(m.Teams, team)
		}
	}
	if err := m.check(); err != nil {
		r.errorf(v, "", "", "%s", err)
		return
	}
	for _, one := range [][2]string{{"name", m.Name}, {"role", m.Role}, {"secret", m.Secret}} {
		what, value := one[0], one[1]
		if by, twice := seen[what+value]; twice && value != "" {
			r.errorf(v, "", "one customer, one role, one secret", "%s %.150s is customer %s's already", what, value, by)
		}
		seen[what+value] = m.Name
	}
	for _, pair := range [][3]string{{"prefix ", m.Prefix, m.Account}, {"account ", m.Account, m.Prefix}} {
		if was, ok := seen[pair[0]+pair[1]]; ok && was != pair[2] && m.Prefix != "" {
			r.errorf(v, "", "an account has one prefix, and no other has it", "%s%s goes with %s, not with %s", pair[0], pair[1], was, pair[2])
		}
		if m.Prefix != "" {
			seen[pair[0]+pair[1]] = pair[2]
		}
	}
	out.Members = append(out.Members, m)
}

// check holds a customer to the forms of the registry.
func (m Member) check() error {
	if err := customers.CheckName(m.Name); err != nil {
		return err
	}
	if err := grant.CheckAccount(m.Account); err != nil {
		return fmt.Errorf("customer %s: %w", m.Name, err)
	}
	if m.Prefix != "" {
		if err := grant.CheckPrefix(m.Prefix); err != nil {
			return fmt.Errorf("customer %s: %w", m.Name, err)
		}
	}
	b := customers.Binding{Account: m.Account, Prefix: m.Prefix, Grant: m.Grant, RoleARN: m.Role, SecretARN: m.Secret}
	var err error
	switch {
	case m.Kind == customers.KindCountersign && m.Role != "":
		err = b.Check()
	case m.Kind == customers.KindCountersign && m.Secret != "":
		err = fmt.Errorf("a secret without its role")
	case m.Kind == customers.KindCountersign:
	case m.Kind != customers.KindStatic && m.Kind != customers.KindNone:
		err = fmt.Errorf("kind %.20q: countersign, static or none", m.Kind)
	case m.Role == "":
		err = fmt.Errorf("a customer that doesn't run Countersign needs its role")
	case m.Kind == customers.KindNone && m.Secret != "":
		err = fmt.Errorf("kind none has no secret: its role takes no external ID; write kind: static, or leave the secret out")
	default:
		err = b.CheckRole()
		if err == nil && m.Kind == customers.KindStatic {
			err = customers.CheckStatic(m.Secret)
		}
	}
	if err != nil {
		return fmt.Errorf("customer %s: %w", m.Name, err)
	}
	return nil
}

// WriteMembers writes the list of customers of a customers.yaml. Everything in it has the registry's forms, so that quotes are
// all it needs.
func WriteMembers(members []Member) string {
	var b strings.Builder
	if len(members) == 0 {
		return "customers: []\n"
	}
	b.WriteString("customers:\n")
	for _, m := range members {
		fmt.Fprintf(&b, "  - name: %q\n    account: %q\n", m.Name, m.Account)
		kind := string(m.Kind)
		if m.Kind == customers.KindCountersign {
			kind = ""
		}
		for _, part := range [][2]string{{"kind", kind}, {"prefix", m.Prefix}, {"grant", m.Grant}, {"role", m.Role}, {"secret", m.Secret}} {
			if part[1] != "" {
				fmt.Fprintf(&b, "    %s: %q\n", part[0], part[1])
			}
		}
		if len(m.Teams) > 0 {
			fmt.Fprintf(&b, "    teams: [%s]\n", `"`+strings.Join(m.Teams, `", "`)+`"`)
		}
	}
	return b.String()
}
