package trust

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// policy is what a document says, as far as it is understood. It is only ever read; edits happen on the tree.
type policy struct {
	version    string // "" where absent, which means 2008-10-17
	statements []statement
	extra      []string // canonical text of members beside Version and Statement
	unclear    string   // what isn't understood beside the statements, in words
	ids        []string // values of sts:ExternalId anywhere in it, to be hidden from every text
}

// variables says whether ${…} is a policy variable in this version.
func (p *policy) variables() bool { return p.version == "2012-10-17" }

// statement is one statement. What isn't understood of it stands in unclear, in words.
type statement struct {
	number        int // from 1
	sid           string
	effect        string
	principals    principals // of Principal
	notPrincipals principals // of NotPrincipal
	actions       []string
	notActions    []string
	conditions    []condition
	unclear       []string
	extra         []string // canonical text of what isn't understood
	meaning       string   // canonical text of all of it, by which statements are compared
}

// principals is the content of a Principal or NotPrincipal element.
type principals struct {
	set  bool
	list []principal
}

// condition is one operator with one key.
type condition struct {
	operator operator
	key      string // as written
	lower    string // in lower case: keys know no case
	values   []string
}

// name is the statement for a person.
func (s *statement) name() string {
	if s.sid == "" {
		return fmt.Sprintf("statement %d", s.number)
	}
	return fmt.Sprintf("statement %d (%s)", s.number, s.sid)
}

// named is the first such one among the principals that a statement names or excepts; nil where there is none.
func (s *statement) named(is func(p principal) bool) *principal {
	for _, list := range [...][]principal{s.principals.list, s.notPrincipals.list} {
		if i := slices.IndexFunc(list, is); i >= 0 {
			return &list[i]
		}
	}
	return nil
}

func ofKind(kind principalKind) func(principal) bool {
	return func(p principal) bool { return p.kind == kind }
}

func (s *statement) unclearf(v *hujson.Value, format string, args ...any) {
	s.unclear = append(s.unclear, fmt.Sprintf(format, args...))
	s.extra = append(s.extra, minimal(v))
}

// minimal is a value without white space, to compare what isn't understood.
func minimal(v *hujson.Value) string {
	c := v.Clone()
	c.Minimize()
	return string(c.Pack())
}

func readPolicy(src []byte, v *hujson.Value, origins []*statement) (policy, error) {
	var p policy
	root, ok := v.Value.(*hujson.Object)
	if !ok {
		return p, refuse("", "a policy is a JSON object")
	}
	found := false
	for i := range root.Members {
		m := &root.Members[i]
		switch nameOf(m) {
		case "Version":
			version, ok := literalText(m.Value.Value)
			if !ok || version != "2012-10-17" && version != "2008-10-17" {
				return p, refuse("", "%s: Version is neither 2012-10-17 nor 2008-10-17", at(src, m.Value.StartOffset))
			}
			p.version = version
		case "Statement":
			found = true
			if err := p.readStatements(src, &m.Value, origins); err != nil {
				return p, err
			}
		case "Id":
			p.extra = append(p.extra, minimal(&m.Name)+":"+minimal(&m.Value))
		default:
			p.extra = append(p.extra, minimal(&m.Name)+":"+minimal(&m.Value))
			p.unclear = "an element that a trust policy doesn't have, at " + at(src, m.Name.StartOffset)
		}
	}
	if !found {
		return p, refuse("", "the document has no Statement")
	}
	slices.Sort(p.extra)
	for i := range p.statements {
		for _, c := range p.statements[i].conditions {
			if c.lower == keyExternalID {
				for _, id := range c.values {
					if !slices.Contains(p.ids, id) {
						p.ids = append(p.ids, id)
					}
				}
			}
		}
	}
	return p, nil
}

func (p *policy) readStatements(src []byte, v *hujson.Value, origins []*statement) error {
	elements := []hujson.Value{*v}
	if a, ok := v.Value.(*hujson.Array); ok {
		elements = a.Elements
	}
	p.statements = make([]statement, len(elements))
	for i := range elements {
		o, ok := elements[i].Value.(*hujson.Object)
		if !ok {
			return refuse("", "%s: a statement is a JSON object", at(src, elements[i].StartOffset))
		}
		if origins != nil && origins[i] != nil {
			p.statements[i] = *origins[i]
			p.statements[i].number = i + 1
			continue
		}
		p.statements[i].number = i + 1
		if err := p.statements[i].read(src, o); err != nil {
			return err
		}
	}
	return nil
}

func (s *statement) read(src []byte, o *hujson.Object) error {
	hasAction, hasNotAction := false, false
	for i := range o.Members {
		name, v := nameOf(&o.Members[i]), &o.Members[i].Value
		ok := true
		switch name {
		case "Sid":
			s.sid, ok = literalText(v.Value)
		case "Effect":
			s.effect, ok = literalText(v.Value)
			ok = ok && (s.effect == "Allow" || s.effect == "Deny")
		case "Principal":
			s.principals, ok = readPrincipals(v)
		case "NotPrincipal":
			s.notPrincipals, ok = readPrincipals(v)
		case "Action":
			s.actions, ok = texts(v)
			hasAction = true
		case "NotAction":
			s.notActions, ok = texts(v)
			hasNotAction = true
		case "Condition":
			if err := s.readConditions(src, v); err != nil {
				return err
			}
		default:
			s.unclearf(&o.Members[i].Name, "an element that a trust policy doesn't have, at %s", at(src, o.Members[i].Name.StartOffset))
			s.extra = append(s.extra, minimal(v))
		}
		if !ok {
			s.unclearf(v, "%s is not understood, at %s", name, at(src, v.StartOffset))
		}
	}
	if s.effect == "" {
		s.unclear = append(s.unclear, "it has no Effect")
	}
	if hasAction == hasNotAction {
		s.unclear = append(s.unclear, "it needs either Action or NotAction")
	}
	if s.principals.set == s.notPrincipals.set {
		s.unclear = append(s.unclear, "it needs either Principal or NotPrincipal")
	}
	s.meaning = s.canonical(everything)
	return nil
}

func (s *statement) readConditions(src []byte, v *hujson.Value) error {
	block, ok := v.Value.(*hujson.Object)
	if !ok {
		s.unclearf(v, "Condition is not understood, at %s", at(src, v.StartOffset))
		return nil
	}
	for i := range block.Members {
		m := &block.Members[i]
		op := readOperator(nameOf(m))
		keys, ok := m.Value.Value.(*hujson.Object)
		if !ok || !op.known {
			s.unclearf(&m.Name, "a condition operator that is not understood, at %s", at(src, m.Name.StartOffset))
			s.extra = append(s.extra, minimal(&m.Value))
			s.readHidden(keys, op)
			continue
		}
		for j := range keys.Members {
			k := &keys.Members[j]
			c := condition{operator: op, key: nameOf(k)}
			c.lower = strings.ToLower(c.key)
			if slices.ContainsFunc(s.conditions, func(o condition) bool { return o.operator.name == op.name && o.lower == c.lower }) {
				return refuse("", "%s: the same condition key a second time, in another case", at(src, k.Name.StartOffset))
			}
			if c.values, ok = texts(&k.Value); !ok {
				s.unclearf(&k.Value, "the values of a condition are not understood, at %s", at(src, k.Value.StartOffset))
				s.extra = append(s.extra, minimal(&k.Name))
				continue
			}
			s.conditions = append(s.conditions, c)
		}
	}
	return nil
}

// readHidden keeps the keys of an operator that isn't understood, so that the external IDs among them are known.
func (s *statement) readHidden(keys *hujson.Object, op operator) {
	if keys == nil {
		return
	}
	for j := range keys.Members {
		k := &keys.Members[j]
		if values, ok := texts(&k.Value); ok {
			s.conditions = append(s.conditions, condition{operator: op, key: nameOf(k), lower: strings.ToLower(nameOf(k)), values: values})
		}
	}
}

// placeholder says whether a value waits to be filled in. A policy variable is none, but in 2008-10-17 there are none.
func (p *policy) placeholder(v string) bool {
	if strings.Contains(v, "{{") || strings.Contains(v, "<") && strings.Contains(v, ">") {
		return true
	}
	for rest, found := v, true; found; {
		var name string
		if _, rest, found = strings.Cut(rest, "${"); !found {
			break
		}
		name, rest, _ = strings.Cut(rest, "}")
		name, _, _ = strings.Cut(name, ",")
		if name = strings.TrimSpace(name); !p.variables() || !policyVariable(name) {
			return true
		}
	}
	return false
}

// unfilled says whether a principal waits to be filled in. IAM takes policy variables in conditions, not in principals.
func (p *policy) unfilled(who principal) bool {
	return strings.Contains(who.raw, "${") || p.placeholder(who.raw)
}

// policyVariable says whether a name between ${ and } is one of IAM's: a condition key, or a wildcard taken literally.
func policyVariable(name string) bool {
	if name == "*" || name == "?" || name == "$" {
		return true
	}
	service, key, ok := strings.Cut(name, ":")
	return ok && service != "" && key != "" && !strings.Contains(key, ":") && strings.Trim(strings.ToLower(service), "abcdefghijklmnopqrstuvwxyz0123456789.-") == ""
}
