package trust

import (
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// adoption is one application of a plan to an adopted role.
type adoption struct {
	d    *Document
	p    Plan
	ids  []string // all of the plan's
	over []string // IDs that must go from where they stand: the previous one and the retired ones
	who  []principal
}

// applyAdopted edits what is Countersign's in somebody else's document: its own statements by Sid, and in the others the
// values that are the plan's IDs for the plan's principals. Every other byte stays.
func applyAdopted(d *Document, p Plan) (*Document, []string, error) {
	a := &adoption{d: d, p: p, ids: p.ids(), over: slices.Clone(p.Retired)}
	switch {
	case p.NoExternalID:
		return nil, nil, refuse("", "an adopted role without an external ID has nothing to rotate")
	case p.Current == "":
		return nil, nil, refuse("", "the plan has no current external ID")
	}
	if p.Previous.ID != "" {
		a.over = append(a.over, p.Previous.ID)
	}
	if err := d.checkOwnDenies(Adopted); err != nil {
		return nil, nil, err
	}
	for _, raw := range p.Principals {
		who := readPrincipal(raw)
		if who.kind == principalUnclear || who.kind == principalEveryone || who.kind == principalDeleted {
			return nil, nil, refuse("", "a principal of the plan is neither an account nor the ARN of a principal: %.100q", raw)
		}
		a.who = append(a.who, who)
	}
	holders, err := a.holders()
	if err != nil {
		return nil, nil, err
	}
	if d.policy.unclear != "" {
		return nil, nil, refuse("", "%s", d.policy.unclear)
	}
	e := d.draft()
	copies, err := a.rotate(e, holders)
	if err != nil {
		return nil, nil, err
	}
	drift, err := a.keepPrevious(e, holders, copies)
	if err != nil {
		return nil, nil, err
	}
	if err := a.gate(e); err != nil {
		return nil, nil, err
	}
	after, err := e.document()
	return after, drift, err
}

// foreign says whether a statement is not Countersign's. On an adopted role only the Denies and CountersignPrevious are.
func foreign(s *statement) bool {
	return s.sid != SidClosed && s.sid != SidBorn && !isPrevious(s.sid)
}

// holders are the statements (by index) that accept one of the plan's IDs for the plan's principals. It refuses where one
// of them can't be edited for certain.
func (a *adoption) holders() ([]int, error) {
	var list []int
	current, previous := false, a.p.Previous.ID == ""
	for i := range a.d.policy.statements {
		s := &a.d.policy.statements[i]
		if !foreign(s) {
			previous = previous || isPrevious(s.sid) && slices.Contains(ids(s), a.p.Previous.ID)
			continue
		}
		holds, err := a.judge(s)
		if err != nil {
			return nil, err
		}
		if !holds {
			continue
		}
		list = append(list, i)
		current = current || slices.Contains(s.plainID().values, a.p.Current)
		previous = previous || slices.Contains(s.plainID().values, a.p.Previous.ID)
	}
	switch {
	case !current:
		return nil, refuse("", "the current ID %s is in no statement that Countersign may edit: check the ID, the principals and which phase is due",
			Fingerprint(a.p.Current))
	case !previous:
		return nil, refuse("", "the previous ID %s is in no statement: nothing accepts it that could be given a deadline", Fingerprint(a.p.Previous.ID))
	}
	return list, nil
}

// judge says whether a foreign statement holds one of the plan's IDs and may be edited.
func (a *adoption) judge(s *statement) (bool, error) {
	if len(s.unclear) > 0 {
		return false, refuse(s.name(), "%s", s.unclear[0])
	}
	if p := s.named(a.d.policy.unfilled); p != nil {
		return false, refuse(s.name(), "a principal in it is a placeholder, not a principal: %.100q", p.raw)
	}
	if p := s.named(ofKind(principalUnclear)); p != nil {
		return false, refuse(s.name(), "a principal is neither \"*\" nor an account nor the ARN of a principal: %.100q", p.raw)
	}
	if p := s.named(ofKind(principalDeleted)); p != nil {
		return false, refuse(s.name(), "%.100q is what IAM shows for a deleted principal; decide whom to trust instead, "+
			"and write its ARN, before anything else is changed", p.raw)
	}
	plain, other, variable := false, "", false
	for i := range s.conditions {
		c := &s.conditions[i]
		if c.lower != keyExternalID {
			continue
		}
		if slices.ContainsFunc(c.values, a.d.policy.placeholder) {
			return false, refuse(s.name(), "the external ID in it is a placeholder, not an ID")
		}
		variable = variable || len(a.who) > 0 && slices.ContainsFunc(c.values, func(v string) bool { return strings.Contains(v, "${") })
		switch {
		case c.operator.plain():
			plain = slices.ContainsFunc(a.ids, func(id string) bool { return slices.Contains(c.values, id) })
		case a.touched(c):
			other = c.operator.name
		}
	}
	if !plain && other == "" && !variable {
		return false, nil
	}
	all, some := a.relation(s)
	everyone := slices.ContainsFunc(s.principals.list, func(p principal) bool { return p.kind == principalEveryone })
	switch {
	case s.effect == "Allow" && everyone:
		return false, refuse(s.name(), "it lets in everybody who knows the external ID: name the principals first")
	case s.effect == "Deny" && !some:
		return false, nil
	case s.notPrincipals.set:
		return false, refuse(s.name(), "it holds the external ID under NotPrincipal: name the principals instead")
	case s.effect == "Deny":
		return false, refuse(s.name(), "a Deny names the external ID; it would stop the next one or keep the old one out of an overlap")
	case slices.ContainsFunc(s.principals.list, func(p principal) bool { return p.kind == principalService || p.kind == principalOther }):
		return false, refuse(s.name(), "services or identity providers stand beside the external ID: give them a statement of their own")
	case !some:
		return false, nil
	case variable:
		return false, refuse(s.name(), "a policy variable stands for the external ID, so the caller may choose it: write the ID")
	case other != "":
		return false, refuse(s.name(), "the external ID stands under %s; only StringEquals can be rotated", other)
	case !all:
		return false, refuse(s.name(), "it lets in more principals than the plan's: name them all in the plan, or give them a statement of their own")
	}
	return true, nil
}

// touched says whether a condition other than a plain one names or meets one of the plan's IDs.
func (a *adoption) touched(c *condition) bool {
	if c.operator.family == familyNull {
		return false
	}
	return slices.ContainsFunc(a.ids, func(id string) bool {
		if slices.Contains(c.values, id) {
			return true
		}
		f := &facts{keys: []fact{{keyExternalID, []string{id}}}}
		return c.holds(f, a.d.policy.variables()) != no
	})
}

// relation says whether all, and whether some, of a statement's principals are the plan's. A plan that names none means
// every AWS principal of the statements that hold its IDs.
func (a *adoption) relation(s *statement) (all, some bool) {
	if len(a.who) == 0 || s.notPrincipals.set {
		return true, true
	}
	all = true
	for _, p := range s.principals.list {
		all = all && p.coveredBy(a.who)
		some = some || slices.ContainsFunc(a.who, p.touches)
	}
	return all, some
}

// externalIDs is the value that holds the external IDs of a statement with a plain condition on them.
func externalIDs(o *hujson.Object) *hujson.Value {
	block := member(o, named("Condition")).Value.Value.(*hujson.Object)
	keys := member(block, named("StringEquals")).Value.Value.(*hujson.Object)
	return &member(keys, func(name string) bool { return strings.EqualFold(name, keyExternalID) }).Value
}

// rotate edits the holders and gives the copies of those that held the previous ID, as they were before.
func (a *adoption) rotate(e *draft, holders []int) (copies []hujson.ValueTrimmed, err error) {
	for _, i := range holders {
		values := a.d.policy.statements[i].plainID().values
		if a.p.Previous.ID != "" && slices.Contains(values, a.p.Previous.ID) {
			c, err := a.previousCopy(e.copyOf(i), &a.d.policy.statements[i])
			if err != nil {
				return nil, err
			}
			copies = append(copies, c)
		}
		extend := a.p.Pending != "" && !slices.Contains(values, a.p.Pending)
		if !extend && !slices.ContainsFunc(a.over, func(id string) bool { return slices.Contains(values, id) }) {
			continue
		}
		v := externalIDs(e.edit(i))
		a.replaceIDs(v)
		if extend && has(v, a.p.Current) {
			insertID(v, a.p.Current, hujson.String(a.p.Pending))
		}
	}
	return copies, nil
}

// replaceIDs takes the IDs that are over out of a statement; the current one takes the first one's place.
func (a *adoption) replaceIDs(v *hujson.Value) {
	list, isList := v.Value.(*hujson.Array)
	if !isList {
		if s, _ := literalText(v.Value); slices.Contains(a.over, s) {
			v.Value = hujson.String(a.p.Current)
		}
		return
	}
	wasOurs, placed := wrapped(list), false
	for i := 0; i < len(list.Elements); i++ {
		s, _ := literalText(list.Elements[i].Value)
		switch {
		case slices.Contains(a.over, s) && !placed:
			list.Elements[i].Value = hujson.String(a.p.Current)
			placed = true
		case slices.Contains(a.over, s):
			removeElement(list, i)
			i--
		}
	}
	if !placed {
		return
	}
	seen := false
	for i := 0; i < len(list.Elements); i++ {
		if s, _ := literalText(list.Elements[i].Value); s != a.p.Current {
			continue
		}
		if seen {
			removeElement(list, i)
			i--
		}
		seen = true
	}
	if wasOurs && len(list.Elements) == 1 {
		v.Value = list.Elements[0].Value
	}
}

// has says whether a value or list holds a text.
func has(v *hujson.Value, want string) bool {
	list, _ := texts(v)
	return slices.Contains(list, want)
}

// insertID puts an ID behind another one; a lone value becomes a list.
func insertID(v *hujson.Value, behind string, id hujson.Literal) {
	list, ok := v.Value.(*hujson.Array)
	if !ok {
		wrap(v, id)
		return
	}
	for i := range list.Elements {
		if s, _ := literalText(list.Elements[i].Value); s == behind {
			insertValue(list, i, id)
			return
		}
	}
}

// gate mends or removes the Denies. Keep leaves CountersignBorn too: on an adopted role no template put it there.
func (a *adoption) gate(e *draft) error {
	if !a.d.marked(SidBorn) && !a.d.marked(SidClosed) {
		return nil
	}
	deny, want, err := readBlock(closedBlock())
	if err != nil {
		return err
	}
	kept := false
	for i := len(e.statements) - 1; i >= 0; i-- {
		switch sid := e.sid(i); {
		case sid == SidBorn && a.p.Gate == Open, sid == SidClosed && (a.p.Gate == Open || kept):
			e.drop(i)
		case sid == SidClosed:
			kept = true
			if s := e.statements[i].origin; s.meaning != want.meaning {
				e.replace(i, deny)
			}
		}
	}
	return nil
}
