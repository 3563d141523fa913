package trust

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The condition keys that this package knows by name, in lower case.
const (
	keyExternalID       = "sts:externalid"
	keyRoleSessionName  = "sts:rolesessionname"
	keyCurrentTime      = "aws:currenttime"
	keyEpochTime        = "aws:epochtime"
	keyPrincipalARN     = "aws:principalarn"
	keyPrincipalAccount = "aws:principalaccount"
)

// ActionAssumeRole and ActionSetSourceIdentity are what Evaluate answers; every other action is unknown.
const (
	ActionAssumeRole        = "sts:AssumeRole"
	ActionSetSourceIdentity = "sts:SetSourceIdentity"
)

// Effect is the answer of an evaluation.
type Effect string

// The three answers. Unknown means that something decides that this package doesn't understand.
const (
	Allow   Effect = "allow"
	Deny    Effect = "deny"
	Unknown Effect = "unknown"
)

// Request is one AssumeRole call as IAM sees it. Keys implied by Principal and At need not be in Context; every other
// key that isn't given is absent. External ID goes into Context as "sts:ExternalId". A session's ARN doesn't tell its
// role's path: without "aws:PrincipalArn" there is none, and a policy that names one makes the answer unknown.
type Request struct {
	Principal string    // ARN of the caller
	Action    string    // empty means sts:AssumeRole
	At        time.Time // zero: aws:CurrentTime is absent
	Context   map[string][]string
}

// Verdict is an answer with its explanation, one line a statement, IDs as fingerprints.
type Verdict struct {
	Effect Effect
	Why    []string
}

// facts is a request as conditions see it.
type facts struct {
	caller principal
	action string
	role   string // ARN of the caller's role, where it is one
	noPath bool   // that role is taken to have no path, because nobody told
	at     time.Time
	keys   []fact   // few: a map would be slower
	silent bool     // nobody wants to know why
	given  []string // external IDs of the request, whatever the action
}

// fact is a condition key, in lower case, with its values.
type fact struct {
	key    string
	values []string
}

// lookup gives a key's values. What the time implies is worked out when somebody asks: most policies name no date.
func (f *facts) lookup(lower string) (values []string, present bool) {
	for i := range f.keys {
		if f.keys[i].key == lower {
			return f.keys[i].values, len(f.keys[i].values) > 0
		}
	}
	if f.at.IsZero() {
		return nil, false
	}
	switch lower {
	case keyCurrentTime:
		f.set(lower, []string{f.at.UTC().Format(time.RFC3339)})
	case keyEpochTime:
		f.set(lower, []string{strconv.FormatInt(f.at.Unix(), 10)})
	default:
		return nil, false
	}
	return f.lookup(lower)
}

func (f *facts) set(lower string, values []string) {
	f.drop(lower)
	f.keys = append(f.keys, fact{lower, values})
}

func (f *facts) drop(lower string) {
	f.keys = slices.DeleteFunc(f.keys, func(one fact) bool { return one.key == lower })
}

func newFacts(r Request) *facts {
	f := &facts{caller: readPrincipal(r.Principal), action: r.Action, at: r.At, keys: make([]fact, 0, len(r.Context)+4)}
	if f.action == "" {
		f.action = ActionAssumeRole
	}
	if f.caller.kind == principalUnclear && strings.HasSuffix(r.Principal, ".amazonaws.com") {
		f.caller.kind = principalService
	}
	arn := r.Principal
	switch f.caller.kind {
	case principalSession:
		arn = "arn:" + f.caller.partition + ":iam::" + f.caller.account + ":role/" + f.caller.name
	case principalAccount:
		if f.caller.partition == "" {
			arn = "arn:aws:iam::" + f.caller.account + ":root"
		}
	}
	if f.caller.account != "" {
		f.set(keyPrincipalARN, []string{arn})
		f.set(keyPrincipalAccount, []string{f.caller.account})
	}
	f.noPath = f.caller.kind == principalSession
	for k, v := range r.Context {
		f.set(strings.ToLower(k), v)
		f.noPath = f.noPath && !strings.EqualFold(k, keyPrincipalARN)
	}
	f.given, _ = f.lookup(keyExternalID)
	if arns, _ := f.lookup(keyPrincipalARN); f.caller.kind == principalSession && len(arns) == 1 {
		f.role = arns[0]
	}
	if !strings.EqualFold(f.action, ActionAssumeRole) {
		f.drop(keyExternalID) // the key exists for AssumeRole only
	}
	return f
}

// give makes the request one with another external ID; "" is none.
func (f *facts) give(id string) {
	f.given = nil
	f.drop(keyExternalID)
	if id == "" {
		return
	}
	f.given = []string{id}
	if strings.EqualFold(f.action, ActionAssumeRole) {
		f.set(keyExternalID, f.given)
	}
}

// Evaluate answers as IAM would for the role's side of the call, Deny first. A caller in another account also needs its
// own account's permission, which this doesn't see.
func (d *Document) Evaluate(r Request) Verdict { return d.evaluate(newFacts(r)) }

// Effect is Evaluate without the explanation.
func (d *Document) Effect(r Request) Effect {
	f := newFacts(r)
	f.silent = true
	return d.evaluate(f).Effect
}

func (d *Document) evaluate(f *facts) Verdict {
	if !strings.EqualFold(f.action, ActionAssumeRole) && !strings.EqualFold(f.action, ActionSetSourceIdentity) {
		return Verdict{Unknown, []string{"only " + ActionAssumeRole + " and " + ActionSetSourceIdentity + " are evaluated"}}
	}
	if f.caller.kind == principalUnclear || f.caller.kind == principalEveryone || f.caller.kind == principalDeleted {
		return Verdict{Unknown, []string{"the caller is no principal's ARN"}}
	}
	denied, allowed := no, no
	var why []string
	if !f.silent {
		why = make([]string, 0, len(d.policy.statements)+1)
	}
	for i := range d.policy.statements {
		s := &d.policy.statements[i]
		t, reason := s.applies(f, d.policy.variables())
		if t != no {
			if s.effect != "Allow" {
				denied = or(denied, t)
			}
			if s.effect != "Deny" {
				allowed = or(allowed, t)
			}
		}
		if !f.silent {
			why = append(why, s.name()+": "+reason)
		}
	}
	effect, last := Unknown, "unknown: what isn't understood decides"
	switch {
	case denied == yes:
		effect, last = Deny, "denied: a Deny stands above every Allow"
	case d.policy.unclear != "":
		last = "unknown: " + d.policy.unclear
	case allowed == no:
		effect, last = Deny, "denied: no statement allows it"
	case denied == no && allowed == yes:
		effect, last = Allow, "allowed"
	}
	if f.silent {
		return Verdict{Effect: effect}
	}
	why = append(why, last)
	hidden := append(slices.Clone(f.given), d.policy.ids...)
	for i := range why {
		why[i] = hide(why[i], hidden)
	}
	return Verdict{effect, why}
}

// applies says whether a statement speaks of the request, with the reason.
func (s *statement) applies(f *facts, variables bool) (truth, string) {
	who := s.matchPrincipal(f.caller, f.role)
	if who == no {
		return no, "names other principals"
	}
	if (s.actions == nil) != (s.notActions == nil) && !s.matchesAction(f.action) {
		return no, "names other actions"
	}
	verb := "allows it"
	if s.effect == "Deny" {
		verb = "denies it"
	}
	t, open := who, ""
	if who == maybe {
		open = "its principals are not understood"
	}
	for i := range s.conditions {
		c := &s.conditions[i]
		switch holds := c.holds(f, variables); holds {
		case no:
			if f.silent {
				return no, ""
			}
			return no, "condition " + c.operator.name + " " + c.key + " fails: " + c.explain(f)
		case maybe:
			t, open = maybe, "condition "+c.operator.name+" "+c.key+" is not understood"
		}
	}
	if len(s.unclear) > 0 {
		return maybe, s.unclear[0]
	}
	if t == maybe {
		return maybe, open
	}
	return yes, verb
}

// holds says whether a condition is met.
func (c *condition) holds(f *facts, variables bool) truth {
	if !c.operator.known {
		return maybe
	}
	have, present := f.lookup(c.lower)
	if c.operator.family == familyNull {
		t := no
		for _, want := range c.values {
			if !isBool(want) {
				return maybe
			}
			t = or(t, truthOf(strings.EqualFold(want, "true") != present))
		}
		return t
	}
	if !present {
		switch {
		case c.operator.quantifier == anyValue:
			return no // with IfExists, too: that speaks of each value
		case c.operator.quantifier == allValues, c.operator.ifExists:
			return yes
		}
		return truthOf(c.operator.negated)
	}
	switch c.operator.quantifier {
	case anyValue:
		t := no
		for _, v := range have {
			t = or(t, c.one(v, f, variables))
		}
		return t
	case allValues:
		t := yes
		for _, v := range have {
			t = and(t, c.one(v, f, variables))
		}
		return t
	}
	if len(have) > 1 {
		return maybe // a key of several values needs ForAnyValue or ForAllValues
	}
	return c.one(have[0], f, variables)
}

// one holds one value of the request against the policy's values, of which one is enough, or, negated, none may match.
func (c *condition) one(have string, f *facts, variables bool) truth {
	t := no
	for _, want := range c.values {
		if t = or(t, c.operator.compare(have, want, f, variables)); t == yes {
			break
		}
		if f.noPath && c.lower == keyPrincipalARN && otherPath(want, have) {
			t = maybe
		}
	}
	if c.operator.negated {
		return not(t)
	}
	return t
}

// explain says what the request has and what the condition wants, external IDs as fingerprints.
func (c *condition) explain(f *facts) string {
	show := func(values []string) string {
		if len(values) == 0 {
			return "nothing"
		}
		if c.lower != keyExternalID {
			return strings.Join(values, ", ")
		}
		prints := make([]string, len(values))
		for i, v := range values {
			prints[i] = Fingerprint(v)
		}
		return strings.Join(prints, ", ")
	}
	have, _ := f.lookup(c.lower)
	return fmt.Sprintf("the request has %s, the policy names %s", show(have), show(c.values))
}
