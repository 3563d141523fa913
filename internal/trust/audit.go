package trust

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity says how much a finding matters.
type Severity int

// The severities. From SeverityHigh on, somebody could get in, or nobody can say who gets in.
const (
	SeverityLow      Severity = iota + 1 // worth knowing
	SeverityMedium                       // weaker than it need be
	SeverityHigh                         // lets in whom it shouldn't, or can't be judged
	SeverityCritical                     // lets in everybody
)

// String is the severity in one word.
func (s Severity) String() string {
	switch s {
	case SeverityLow:
		return "low"
	case SeverityMedium:
		return "medium"
	case SeverityHigh:
		return "high"
	case SeverityCritical:
		return "critical"
	}
	return "unknown"
}

// MarshalText is String.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one thing that a reviewer of a trust policy should know. It never holds an external ID.
type Finding struct {
	Severity  Severity `json:"severity"`
	Statement string   `json:"statement"` // "statement 2 (VendorAccess)"; empty where it is the whole document
	Problem   string   `json:"problem"`
	Fix       string   `json:"fix"`
}

// AuditOptions is what a document doesn't say of itself.
type AuditOptions struct {
	// Account is the role's own account, 12 digits. Empty means not known: a trust policy doesn't say whose it is, so every
	// account that it names counts as foreign then.
	Account string
}

// Audit says what a security reviewer would object to, gravest first, then in the document's order. It judges each
// statement as it is written, whether or not a Deny elsewhere keeps everybody out now: a Deny can be lifted. Only a Deny
// that demands the external ID counts for the Allows that it covers. It looks at no clock: a statement that has ended
// still counts.
func Audit(d *Document, o AuditOptions) []Finding {
	a := &audit{d: d, o: o}
	if len(d.policy.statements) == 0 {
		a.add(nil, SeverityLow, "the document has no statement: nobody enters", "Write a statement, or leave it if nobody should enter.")
	}
	for i := range d.policy.statements {
		a.statement(&d.policy.statements[i])
	}
	slices.SortStableFunc(a.found, func(x, y Finding) int { return cmp.Compare(y.Severity, x.Severity) })
	return a.found
}

// audit is one run of Audit.
type audit struct {
	d     *Document
	o     AuditOptions
	found []Finding
}

func (a *audit) add(s *statement, severity Severity, problem, fix string) {
	f := Finding{Severity: severity, Problem: a.clean(problem), Fix: a.clean(fix)}
	if s != nil {
		f.Statement = a.clean(s.name())
	}
	if !slices.Contains(a.found, f) {
		a.found = append(a.found, f)
	}
}

// clean hides external IDs.
func (a *audit) clean(text string) string { return hide(text, a.d.policy.ids) }

// The ways into a role.
var entrances = [...]string{ActionAssumeRole, "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"}

const actionTagSession = "sts:TagSession"

// enters says whether a statement speaks of a way into the role. Where that isn't understood, it may.
func (s *statement) enters() bool {
	if (s.actions == nil) == (s.notActions == nil) {
		return true
	}
	return slices.ContainsFunc(entrances[:], s.matchesAction)
}

// statement judges one statement.
func (a *audit) statement(s *statement) {
	for _, u := range s.unclear {
		a.add(s, SeverityHigh, u+": nobody can say what it lets in", "Write it in a form that IAM documents; Countersign refuses to edit this.")
	}
	a.names(s)
	a.placeholders(s)
	if s.effect == "Deny" {
		return
	}
	a.actions(s)
	if s.enters() {
		a.everybody(s)
		a.foreignWithoutID(s)
		a.externalIDs(s)
		a.patterns(s)
		a.others(s)
	}
}

// names judges principals that name nobody.
func (a *audit) names(s *statement) {
	for _, p := range slices.Concat(s.principals.list, s.notPrincipals.list) {
		switch {
		case p.kind == principalDeleted:
			a.add(s, SeverityMedium, fmt.Sprintf("%s is what IAM shows for a deleted user or role: nobody is meant by it any more", a.short(p.raw)),
				"Take it out, or write the ARN of whom to trust instead.")
		case p.kind == principalUnclear && p.raw != "" && !a.d.policy.unfilled(p):
			a.add(s, SeverityHigh, fmt.Sprintf("%s is no principal that IAM takes", a.short(p.raw)),
				"Write an account's number or the full ARN of a user or role; narrow an account down by aws:PrincipalArn.")
		}
	}
}

// placeholders finds values that still wait for somebody to fill them in.
func (a *audit) placeholders(s *statement) {
	for _, p := range slices.Concat(s.principals.list, s.notPrincipals.list) {
		if a.d.policy.unfilled(p) {
			a.add(s, SeverityHigh, "a placeholder stands where a principal should", "Fill in whom to trust.")
		}
	}
	for i := range s.conditions {
		if c := &s.conditions[i]; slices.ContainsFunc(c.values, a.d.policy.placeholder) {
			a.add(s, SeverityHigh, "a placeholder stands where a value of "+c.key+" should", "Fill in the value.")
		}
	}
}

// actions judges what may be done beside entering.
func (a *audit) actions(s *statement) {
	switch wide := func(action string) bool { return strings.ContainsAny(action, "*?") }; {
	case s.notActions != nil:
		a.add(s, SeverityMedium, "NotAction allows every action but the named ones", "Name the actions: sts:AssumeRole, and what else is needed.")
	case slices.ContainsFunc(s.actions, wide):
		a.add(s, SeverityMedium, "a wildcard in Action allows more than it seems to", "Name the actions: sts:AssumeRole, and what else is needed.")
	}
	if (s.actions == nil) == (s.notActions == nil) || !s.matchesAction(actionTagSession) {
		return
	}
	for i := range s.conditions {
		if c := &s.conditions[i]; c.lower == "aws:tagkeys" || strings.HasPrefix(c.lower, "aws:requesttag/") {
			return
		}
	}
	if who := a.whoIsForeign(s); who != "" || s.everybody() {
		a.add(s, SeverityMedium, "another account may choose the session's tags (sts:TagSession), and policies may trust those",
			"Leave sts:TagSession out, or limit the tags by aws:RequestTag and aws:TagKeys.")
	}
}

// everybody says whether a statement's principals are everybody, conditions aside.
func (s *statement) everybody() bool {
	return s.notPrincipals.set || slices.ContainsFunc(s.principals.list, func(p principal) bool { return p.kind == principalEveryone })
}

// everybody judges wildcards as principals by what else limits them.
func (a *audit) everybody(s *statement) {
	if !s.everybody() {
		return
	}
	what, fix := "\"*\" lets in every AWS account", "Name the accounts or the ARNs in Principal."
	if s.notPrincipals.set {
		what, fix = "Allow with NotPrincipal lets in everybody but the named", "Name in Principal whom to let in."
	}
	accounts, organization, other := s.limits()
	switch {
	case len(accounts) > 0:
	case organization:
		a.add(s, SeverityMedium, what+", limited only to an organization", fix)
	case a.demandsID(s):
		a.add(s, SeverityHigh, what+", limited only by an external ID, which isn't a secret", fix)
	case other:
		a.add(s, SeverityHigh, what+", limited only by keys that don't say who calls", fix)
	default:
		a.add(s, SeverityCritical, what+", and nothing limits it", fix)
	}
}

// binds says whether a condition holds for some values of a key only, and not where the key is absent.
func (c *condition) binds() bool {
	o := c.operator
	return o.known && !o.negated && !o.ifExists && o.quantifier != allValues && o.family != familyNull && len(c.values) > 0
}

// limits says how conditions limit who calls: to accounts, to an organization, or by other keys that bind.
func (s *statement) limits() (accounts []string, organization, other bool) {
	for i := range s.conditions {
		c := &s.conditions[i]
		if !c.binds() || c.lower == keyExternalID {
			continue
		}
		switch c.lower {
		case keyPrincipalAccount, keyPrincipalARN:
			named := make([]string, 0, len(c.values))
			for _, v := range c.values {
				if parts, ok := arnParts(v); ok && c.lower == keyPrincipalARN {
					v = parts[4]
				}
				if isAccountID(v) {
					named = append(named, v)
				}
			}
			if len(named) == len(c.values) {
				accounts = append(accounts, named...)
			}
		case "aws:principalorgid", "aws:principalorgpaths":
			organization = organization || !slices.ContainsFunc(c.values, func(v string) bool {
				v, _, _ = strings.Cut(v, "/")
				return v == "" || strings.ContainsAny(v, "*?")
			})
		case keyRoleSessionName, keyCurrentTime, keyEpochTime:
		default:
			other = true
		}
	}
	return accounts, organization, other
}

// foreign says whether an account isn't the role's own.
func (a *audit) foreign(account string) bool { return account != "" && account != a.o.Account }

// whoIsForeign names the foreign accounts of a statement, by principals or, for "*", by conditions.
func (a *audit) whoIsForeign(s *statement) string {
	var named []string
	for _, p := range s.principals.list {
		named = append(named, p.account)
	}
	if s.everybody() {
		accounts, _, _ := s.limits()
		named = append(named, accounts...)
	}
	slices.Sort(named)
	named = slices.DeleteFunc(slices.Compact(named), func(account string) bool { return !a.foreign(account) })
	switch n := len(named); {
	case n == 0:
		return ""
	case n == 1:
		return "account " + named[0]
	case n <= 3:
		return "accounts " + strings.Join(named, ", ")
	default:
		return fmt.Sprintf("%d accounts, %s among them,", n, named[0])
	}
}

// short is a name in quotation marks, cut where it would fill a line; never within an external ID.
func (a *audit) short(name string) string {
	name = hide(name, a.d.policy.ids)
	if r := []rune(name); len(r) > 60 {
		name = string(r[:59]) + "…"
	}
	return `"` + name + `"`
}
