package trust

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// foreignWithoutID finds other accounts that enter without an external ID.
func (a *audit) foreignWithoutID(s *statement) {
	who := a.whoIsForeign(s)
	if who == "" || len(s.idConditions()) > 0 || a.demandsID(s) || !s.matchesAction(ActionAssumeRole) {
		return
	}
	fix := "Let the provider issue an ID for you alone and demand it: StringEquals on sts:ExternalId."
	if a.o.Account == "" {
		fix += " If it is the role's own account, tell the audit so."
	}
	if a.deniesWithout(s) {
		a.add(s, SeverityHigh, "any external ID opens: a Deny asks only that there is one", "Use StringEquals with the ID itself.")
		return
	}
	if _, organization, _ := s.limits(); organization {
		a.add(s, SeverityMedium, who+" gets in without an external ID, limited only to an organization", "Right if that organization is yours. If not: "+fix)
		return
	}
	a.add(s, SeverityHigh, who+" gets in without an external ID: whoever has it act for others can have it enter here", fix)
}

// idConditions are a statement's conditions on the external ID.
func (s *statement) idConditions() (list []*condition) {
	for i := range s.conditions {
		if s.conditions[i].lower == keyExternalID {
			list = append(list, &s.conditions[i])
		}
	}
	return list
}

// demands says whether a condition of an Allow holds for certain external IDs only.
func (c *condition) demands() bool {
	return c.lower == keyExternalID && c.binds() && (c.operator.family != familyLike || !slices.ContainsFunc(c.values, matchesAll))
}

func matchesAll(pattern string) bool { return strings.Trim(pattern, "*?") == "" }

// demandsID says whether an Allow lets in with certain external IDs only, by its own conditions or because a Deny keeps
// out whoever has none of them.
func (a *audit) demandsID(s *statement) bool {
	return slices.ContainsFunc(s.idConditions(), (*condition).demands) || len(a.denied(s)) > 0
}

// denials are the conditions on the external ID of those Denies that have no other condition and cover the statement's
// principals.
func (a *audit) denials(s *statement) (list []*condition) {
	for i := range a.d.policy.statements {
		deny := &a.d.policy.statements[i]
		if deny.effect != "Deny" || len(deny.unclear) > 0 || len(deny.conditions) != 1 || deny.conditions[0].lower != keyExternalID ||
			!deny.principals.set || (deny.actions == nil) == (deny.notActions == nil) || !deny.matchesAction(ActionAssumeRole) {
			continue
		}
		covered := deny.everybody() || s.principals.set && len(s.principals.list) > 0
		for _, p := range s.principals.list {
			covered = covered && (deny.everybody() || p.coveredBy(deny.principals.list))
		}
		if covered {
			list = append(list, &deny.conditions[0])
		}
	}
	return list
}

// denied are the conditions of Denies that stop every other external ID and none.
func (a *audit) denied(s *statement) []*condition {
	return slices.DeleteFunc(a.denials(s), func(c *condition) bool {
		o := c.operator
		text := o.family == familyString || o.family == familyFold || o.family == familyLike && !slices.ContainsFunc(c.values, matchesAll)
		return !o.negated || !text || o.quantifier == anyValue || len(c.values) == 0
	})
}

// deniesWithout says whether a Deny stops who gives no external ID at all.
func (a *audit) deniesWithout(s *statement) bool {
	return slices.ContainsFunc(a.denials(s), func(c *condition) bool {
		return c.operator.family == familyNull && slices.ContainsFunc(c.values, func(v string) bool { return strings.EqualFold(v, "true") })
	})
}

// externalIDs judges how the external ID is compared and what it is.
func (a *audit) externalIDs(s *statement) {
	demanded := a.demandsID(s)
	const plain = "Use StringEquals with the ID itself."
	for _, c := range s.idConditions() {
		op := c.operator
		grave := SeverityHigh
		if demanded {
			grave = SeverityLow // another condition demands the ID
		}
		switch {
		case !op.known || slices.ContainsFunc(c.values, a.d.policy.placeholder):
			// Found before.
		case op.family == familyNull && !demanded:
			if slices.ContainsFunc(c.values, func(v string) bool { return strings.EqualFold(v, "true") }) {
				a.add(s, grave, "it lets in only who gives no external ID", plain)
			} else {
				a.add(s, grave, "any external ID opens: Null asks only that there is one", plain)
			}
		case op.family == familyNull:
		case op.negated:
			a.add(s, grave, op.name+" lets in whoever gives another external ID, or none", plain)
		case op.ifExists:
			a.add(s, grave, op.name+" lets in whoever gives no external ID", plain)
		case op.quantifier == allValues:
			a.add(s, grave, op.name+" also holds where no external ID is given", plain)
		case op.family == familyLike:
			a.idPatterns(s, c)
		case op.family == familyFold:
			a.add(s, SeverityLow, op.name+" takes the external ID in any case", plain)
		case op.family != familyString:
			a.add(s, SeverityMedium, op.name+" isn't made for external IDs", plain)
		case op.quantifier == anyValue:
			a.add(s, SeverityLow, op.name+" is for keys of several values; sts:ExternalId has one", plain)
		}
		if c.binds() {
			a.guesses(s, c)
		}
	}
	for _, c := range a.denied(s) {
		a.guesses(s, c)
	}
}

// idPatterns judges StringLike on the external ID by how much its patterns leave open.
func (a *audit) idPatterns(s *statement, c *condition) {
	if !slices.ContainsFunc(c.values, func(v string) bool { return strings.ContainsAny(v, "*?") }) {
		a.add(s, SeverityLow, c.operator.name+" without a wildcard: Countersign can't rotate it", "Use StringEquals.")
	}
	for _, v := range c.values {
		fixed, _, open := strings.Cut(v, "*")
		if i := strings.IndexByte(fixed, '?'); i >= 0 {
			fixed, open = fixed[:i], true
		}
		switch {
		case !open:
		case matchesAll(v):
			a.add(s, SeverityHigh, "any external ID opens: its pattern is all wildcard", "Use StringEquals with the ID itself.")
		case len(fixed) >= 4 && strings.ContainsAny(fixed[len(fixed)-1:], "@:/=,"):
			a.add(s, SeverityMedium, "the pattern "+Fingerprint(v)+" takes every external ID with the same beginning, up to a separator",
				"Right only if the provider gives that beginning to you alone; better StringEquals.")
		default:
			a.add(s, SeverityHigh, "a wildcard in the external ID "+Fingerprint(v)+" also fits what other customers may have", "Use StringEquals with the ID itself.")
		}
	}
}

// guesses judges external IDs by how easily somebody else has or guesses the same.
func (a *audit) guesses(s *statement, c *condition) {
	for _, id := range c.values {
		if a.d.policy.placeholder(id) || c.operator.family == familyLike && strings.ContainsAny(id, "*?") {
			continue
		}
		severity, why := a.guess(s, id)
		if severity != 0 {
			a.add(s, severity, fmt.Sprintf("external ID %s %s", Fingerprint(id), why), "Replace it with one that is random and yours alone, 32 characters or more.")
		}
	}
}

var uuid = regexp.MustCompile(`^(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// minID is below which length an ID counts as short: 16 random letters and digits are 95 bits.
const minID = 16

// guess says what makes an external ID easy to have or to guess; severity 0 means nothing.
func (a *audit) guess(s *statement, id string) (Severity, string) {
	letters := strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return -1
	}, id))
	numbered := a.o.Account != "" && strings.Contains(id, a.o.Account)
	for _, p := range s.principals.list {
		numbered = numbered || p.account != "" && strings.Contains(id, p.account)
	}
	switch {
	case len(id) < 2 || len(id) > 1224 || strings.ContainsFunc(id, func(r rune) bool { return r > 0x7f || !isIDByte(byte(r)) }) && !strings.Contains(id, "${"):
		return SeverityMedium, "is none that AWS takes (2 to 1,224 characters of letters, digits and _+=,.@:/-): nobody can give it"
	case strings.Contains(id, "${"):
		return SeverityMedium, "is made from what the caller brings along"
	case commonIDs[letters] && len(id) < len(letters)+8 || len(id) < 4:
		return SeverityHigh, "is one that others use as well"
	case isAccountID(id), numbered:
		return SeverityMedium, "is or holds an account's number, which many know"
	case strings.HasPrefix(id, "arn:"):
		return SeverityMedium, "is an ARN, which many know"
	case uuid.MatchString(id):
		return 0, ""
	case len(id) < minID:
		return SeverityMedium, fmt.Sprintf("is short: under %d characters", minID)
	case changes62(id) < 6:
		return SeverityMedium, "looks like a name or a number, which can be guessed"
	}
	return 0, ""
}

// changes62 counts where an ID goes from one kind of character to another among lower case, upper case and digits. Names
// change a few times, random text every second or third character.
func changes62(id string) (n int) {
	last := rune(0)
	for _, r := range id {
		kind := rune(0)
		switch {
		case unicode.IsDigit(r):
			kind = '0'
		case unicode.IsUpper(r):
			kind = 'A'
		case unicode.IsLower(r):
			kind = 'a'
		default:
			continue
		}
		if last != 0 && kind != last {
			n++
		}
		last = kind
	}
	return n
}

// commonIDs are IDs, digits and signs aside, that examples and defaults have.
var commonIDs = map[string]bool{
	"test": true, "testing": true, "example": true, "exampleid": true, "externalid": true, "external": true, "changeme": true,
	"secret": true, "password": true, "admin": true, "default": true, "demo": true, "foo": true, "foobar": true, "bar": true,
	"abc": true, "abcd": true, "abcde": true, "abcdef": true, "qwerty": true, "yourexternalid": true, "myexternalid": true,
	"someexternalid": true, "uniqueid": true, "id": true, "string": true, "placeholder": true, "todo": true, "none": true,
	"null": true, "xxx": true, "xxxx": true, "sample": true, "dev": true, "prod": true, "production": true, "staging": true,
	"exampleexternalid": true, "exampleuniqueidentifier": true, "uniqueidentifier": true, "testexternalid": true,
}

// patterns judges conditions on aws:PrincipalArn by who at the provider can match them.
func (a *audit) patterns(s *statement) {
	for i := range s.conditions {
		c := &s.conditions[i]
		if c.lower != keyPrincipalARN || c.operator.negated || !c.operator.known || c.operator.family != familyARN && c.operator.family != familyLike {
			continue
		}
		for _, v := range c.values {
			account, resource := "*", "*"
			if parts, ok := arnParts(v); ok {
				account, resource = parts[4], parts[5]
			}
			if !strings.ContainsAny(account+resource, "*?") || account == a.o.Account && account != "" ||
				isAccountID(account) && !a.foreign(account) || !s.everybody() && a.whoIsForeign(s) == "" {
				continue
			}
			_, name, found := strings.Cut(resource, "/")
			switch {
			case strings.ContainsAny(account, "*?") && s.everybody():
				a.add(s, SeverityHigh, c.operator.name+" "+c.key+" "+a.short(v)+" fits principals of any account", "Name the account in the pattern and in Principal.")
			case !found || matchesAll(name):
				a.add(s, SeverityMedium, c.operator.name+" "+c.key+" "+a.short(v)+" fits anybody at the provider", "Name the role that the provider enters from.")
			case strings.HasPrefix(name, "aws-reserved/") && !matchesAll(name[strings.LastIndexByte(name, '/')+1:]):
				// Only Identity Center makes such roles; the end of the name is random.
			case strings.ContainsAny(name, "*?"):
				a.add(s, SeverityLow, c.operator.name+" "+c.key+" "+a.short(v)+" fits whatever role the provider names so", "Name the role that the provider enters from.")
			}
		}
	}
	narrowed := slices.ContainsFunc(s.conditions, func(c condition) bool { return c.lower == keyPrincipalARN || c.lower == "aws:userid" })
	for _, p := range s.principals.list {
		if p.kind == principalAccount && a.foreign(p.account) && !narrowed {
			a.add(s, SeverityLow, "whomever account "+p.account+" permits to can enter, not one role of it", "Name the role that the provider enters from, if the provider tells it.")
		}
	}
}

// others judges services and identity providers.
func (a *audit) others(s *statement) {
	var aws, service, federated bool
	for _, p := range s.principals.list {
		switch p.kind {
		case principalService:
			service = true
			if strings.ContainsAny(p.raw, "*?") {
				a.add(s, SeverityHigh, "a wildcard as service lets in any service, for anybody", "Name the service.")
			}
		case principalOther:
			federated = true
			a.provider(s, p)
		default:
			aws = true
		}
	}
	if aws && (service || federated) {
		a.add(s, SeverityMedium, "services or identity providers stand beside AWS principals: a condition that fits one locks out or frees the other",
			"Give them a statement of their own.")
	}
	sourced := slices.ContainsFunc(s.conditions, func(c condition) bool { return strings.HasPrefix(c.lower, "aws:source") && c.binds() })
	if service && !sourced {
		a.add(s, SeverityLow, "a service may act here for any account", "Add aws:SourceAccount or aws:SourceArn where the service sends them.")
	}
}

// provider judges an identity provider of OpenID Connect, one of the account's or one that AWS knows by its host: some claim
// beside the audience must say who may enter.
func (a *audit) provider(s *statement, p principal) {
	_, host, ok := strings.Cut(p.raw, ":oidc-provider/")
	switch {
	case ok:
	case p.name == "Federated" && !strings.Contains(p.raw, ":"):
		host = p.raw // cognito-identity.amazonaws.com, accounts.google.com, …
	default:
		return
	}
	host = strings.ToLower(host)
	severity, problem := SeverityHigh, "everybody who can log in at "+a.short(host)+" gets in"
	for i := range s.conditions {
		c := &s.conditions[i]
		claim, ok := strings.CutPrefix(c.lower, host+":")
		switch {
		case !ok || !c.binds() || slices.ContainsFunc(c.values, matchesAll):
		case claim != "aud" && claim != "app_id":
			return
		case host != "token.actions.githubusercontent.com": // whose callers choose the audience
			severity, problem = SeverityMedium, "everybody whom "+a.short(host)+" issues that audience gets in"
		}
	}
	a.add(s, severity, problem, "Demand the subject and the audience: StringEquals on "+host+":sub and "+host+":aud.")
}
