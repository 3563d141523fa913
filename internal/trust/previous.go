package trust

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tailscale/hujson"
)

// previousCopy makes of a copy of a statement the one in which the previous ID lives on: same principals, actions and
// other conditions, this ID only, until the deadline or the statement's own date if that is earlier, and not in sessions
// named confirm-*.
func (a *adoption) previousCopy(o *hujson.Object, s *statement) (hujson.ValueTrimmed, error) {
	own, ok := s.limit()
	if !ok {
		return nil, refuse(s.name(), "its date limit is not understood")
	}
	externalIDs(o).Value = hujson.String(a.p.Previous.ID)
	setLimit(o, earlier(own, a.p.Previous.Until))
	excludeConfirm(o)
	if member(o, named("Sid")) != nil {
		setMember(o, "Sid", hujson.String(SidPrevious))
		return o, nil
	}
	first := hujson.ObjectMember{Name: hujson.Value{Value: hujson.String("Sid")}, Value: hujson.Value{Value: hujson.String(SidPrevious)}}
	first.Name.BeforeExtra = o.Members[0].Name.BeforeExtra
	first.Value.BeforeExtra = o.Members[0].Value.BeforeExtra
	o.Members = append([]hujson.ObjectMember{first}, o.Members...)
	return o, nil
}

// conditionKey finds the member of a condition, in any case of its key, and the object that it stands in.
func conditionKey(o *hujson.Object, operator, key string) (keys *hujson.Object, m *hujson.ObjectMember) {
	block := member(o, named("Condition"))
	if block == nil {
		return nil, nil
	}
	op := member(block.Value.Value.(*hujson.Object), named(operator))
	if op == nil {
		return nil, nil
	}
	keys = op.Value.Value.(*hujson.Object)
	return keys, member(keys, func(name string) bool { return strings.EqualFold(name, key) })
}

// setCondition gives a condition one value, in a statement that has a Condition.
func setCondition(o *hujson.Object, operator, key, value string) {
	keys, m := conditionKey(o, operator, key)
	switch {
	case m != nil:
		m.Value.Value = hujson.String(value)
	case keys != nil:
		setMember(keys, key, hujson.String(value))
	default:
		one := &hujson.Object{Members: []hujson.ObjectMember{{Name: hujson.Value{Value: hujson.String(key)}, Value: hujson.Value{Value: hujson.String(value)}}}}
		setMember(member(o, named("Condition")).Value.Value.(*hujson.Object), operator, one)
	}
}

// setLimit makes a statement end at a date; zero leaves it without an end. A date that already says so keeps its bytes.
func setLimit(o *hujson.Object, end time.Time) {
	if end.IsZero() {
		return
	}
	if _, m := conditionKey(o, "DateLessThan", keyCurrentTime); m != nil {
		if list, ok := texts(&m.Value); ok && len(list) == 1 {
			if t, readable := readDate(list[0]); readable && formatDate(t) == formatDate(end) {
				return
			}
		}
	}
	setCondition(o, "DateLessThan", "aws:CurrentTime", formatDate(end))
}

// excludeConfirm keeps a statement from opening sessions named confirm-*. Names that it already excludes stay: the values
// of a negated operator must all miss.
func excludeConfirm(o *hujson.Object) {
	_, m := conditionKey(o, "StringNotLike", keyRoleSessionName)
	if m == nil {
		setCondition(o, "StringNotLike", "sts:RoleSessionName", ConfirmSessions)
		return
	}
	if has(&m.Value, ConfirmSessions) {
		return
	}
	switch list, ok := m.Value.Value.(*hujson.Array); {
	case !ok:
		wrap(&m.Value, hujson.String(ConfirmSessions))
	case len(list.Elements) == 0:
		m.Value.Value = hujson.String(ConfirmSessions)
	default:
		insertValue(list, len(list.Elements)-1, hujson.String(ConfirmSessions))
	}
}

// keepPrevious brings Countersign's CountersignPrevious statements to what the plan asks: those of the plan's previous ID
// with its deadline, none of any other. copies are what the holders gave up just now.
func (a *adoption) keepPrevious(e *draft, holders []int, copies []hujson.ValueTrimmed) (drift []string, err error) {
	var originals []hujson.ValueTrimmed // what the holders of the current ID would have given up
	if a.p.Previous.ID != "" {
		for _, i := range holders {
			if slices.Contains(a.d.policy.statements[i].plainID().values, a.p.Current) {
				c, err := a.previousCopy(e.copyOf(i), &a.d.policy.statements[i])
				if err != nil {
					return nil, err
				}
				originals = append(originals, c)
			}
		}
	}
	kept, mend := map[string]bool{}, false
	for i := len(a.d.policy.statements) - 1; i >= 0; i-- {
		s := &a.d.policy.statements[i]
		if !isPrevious(s.sid) || !a.concerns(s, holders) || a.mayBeAnothers(s) {
			continue
		}
		want := a.counterpart(s, slices.Concat(copies, originals))
		if want == nil {
			if a.p.Previous.ID != "" && slices.Contains(ids(s), a.p.Previous.ID) {
				drift = append(drift, s.name()+" was not as Countersign wrote it: "+s.describe()+"; replaced")
				mend = true
			}
			e.drop(i)
			continue
		}
		w, err := readTree(want)
		if err != nil {
			return nil, err
		}
		if kept[w.canonical(withoutSid)] {
			e.drop(i)
			continue
		}
		kept[w.canonical(withoutSid)] = true
		if s.canonical(withoutSid) != w.canonical(withoutSid) {
			setMember(want.(*hujson.Object), "Sid", hujson.String(s.sid))
			e.replace(i, want)
		}
	}
	if mend && len(kept) == 0 {
		copies = slices.Concat(copies, originals)
	}
	for _, c := range copies {
		w, err := readTree(c)
		if err != nil {
			return nil, err
		}
		if kept[w.canonical(withoutSid)] {
			continue
		}
		kept[w.canonical(withoutSid)] = true
		setMember(c.(*hujson.Object), "Sid", hujson.String(e.freePrevious()))
		e.add(c)
	}
	return drift, nil
}

// concerns says whether a CountersignPrevious statement lets in one of the plan's principals, or, where the plan names
// none, one of those that its IDs let in. Another integration's rotation leaves it alone.
func (a *adoption) concerns(s *statement, holders []int) bool {
	who := slices.Clone(a.who)
	if len(a.who) == 0 {
		if slices.ContainsFunc(ids(s), func(id string) bool { return slices.Contains(a.over, id) }) {
			return true
		}
		for _, i := range holders {
			who = append(who, a.d.policy.statements[i].principals.list...)
		}
	}
	return len(s.principals.list) == 0 || slices.ContainsFunc(s.principals.list, func(p principal) bool {
		return p.kind == principalUnclear || slices.ContainsFunc(who, p.touches)
	})
}

// mayBeAnothers says whether a CountersignPrevious statement can be of another integration with the same principals: such
// a one stands in the document, the ID isn't the plan's, and the statement ends by itself.
func (a *adoption) mayBeAnothers(s *statement) bool {
	unknown := func(id string) bool { return !slices.Contains(a.ids, id) }
	until, ok := s.limit()
	if !ok || until.IsZero() || len(ids(s)) == 0 || !unknown(ids(s)[0]) {
		return false
	}
	return slices.ContainsFunc(a.d.policy.statements, func(o statement) bool {
		return foreign(&o) && slices.ContainsFunc(ids(&o), unknown) &&
			slices.ContainsFunc(o.principals.list, func(p principal) bool { return slices.ContainsFunc(s.principals.list, p.touches) })
	})
}

// counterpart finds the copy that a CountersignPrevious statement was made as, deadlines aside.
func (a *adoption) counterpart(s *statement, copies []hujson.ValueTrimmed) hujson.ValueTrimmed {
	const same = withoutSid | withoutDate
	for _, c := range copies {
		if w, err := readTree(c); err == nil && w.canonical(same) == s.canonical(same) {
			return c
		}
	}
	return nil
}

func readTree(v hujson.ValueTrimmed) (*statement, error) {
	s := &statement{}
	return s, s.read(nil, v.(*hujson.Object))
}

// freePrevious is the first Sid of CountersignPrevious, CountersignPrevious2, … that no statement has.
func (e *draft) freePrevious() string {
	for n := 1; ; n++ {
		sid := SidPrevious
		if n > 1 {
			sid = fmt.Sprintf("%s%d", SidPrevious, n)
		}
		taken := false
		for i := range e.statements {
			taken = taken || e.sid(i) == sid
		}
		if !taken {
			return sid
		}
	}
}
