package trust

import (
	"slices"
	"strings"
)

// lines says what differs between two documents, statement by statement.
func lines(before, after *Document) []string {
	var out []string
	olds, news := before.policy.statements, after.policy.statements
	pair := make([]int, len(news)) // index into olds, -1 for a new statement
	used := make([]bool, len(olds))
	texts := make([]string, len(olds))
	for i := range olds {
		texts[i] = olds[i].meaning
	}
	find := func(fits func(i int) bool) int {
		for i := range olds {
			if !used[i] && fits(i) {
				used[i] = true
				return i
			}
		}
		return -1
	}
	for n := range news {
		text := news[n].meaning
		pair[n] = find(func(i int) bool { return texts[i] == text })
	}
	for n := range news {
		s := &news[n]
		if pair[n] >= 0 {
			continue
		}
		i := find(func(i int) bool { return olds[i].sid == s.sid && (s.sid != "" || i == n) })
		if i < 0 {
			out = append(out, "added "+s.name()+": "+s.describe())
			continue
		}
		out = append(out, changes(&olds[i], s)...)
	}
	for i := range olds {
		if !used[i] {
			out = append(out, "removed "+olds[i].name()+": "+olds[i].describe())
		}
	}
	if before.policy.version != after.policy.version {
		out = append(out, "Version is "+after.policy.version+" now")
	}
	if len(out) == 0 {
		out = append(out, "the document changed")
	}
	return out
}

// changes says how one statement became another.
func changes(b, s *statement) []string {
	var out []string
	had, has := ids(b), ids(s)
	for _, id := range has {
		if !slices.Contains(had, id) {
			out = append(out, s.name()+": accepts "+Fingerprint(id)+" from now on")
		}
	}
	for _, id := range had {
		if !slices.Contains(has, id) {
			out = append(out, s.name()+": no longer accepts "+Fingerprint(id))
		}
	}
	x, _ := b.limit()
	y, _ := s.limit()
	switch {
	case x.Equal(y):
	case y.IsZero():
		out = append(out, s.name()+": no longer ends at "+formatDate(x))
	default:
		out = append(out, s.name()+": ends at "+formatDate(y))
	}
	if b.canonical(withoutID|withoutDate) != s.canonical(withoutID|withoutDate) || len(out) == 0 {
		out = append(out, s.name()+" rewritten: "+s.describe())
	}
	return out
}

// ids are the external IDs that an Allow accepts by StringEquals.
func ids(s *statement) []string {
	if c := s.plainID(); c != nil {
		return c.values
	}
	return nil
}

// describe is a statement in words.
func (s *statement) describe() string {
	if s.sid == SidClosed && s.deniesEverybody() || s.sid == SidBorn && s.deniesEverybody() {
		return "nobody enters"
	}
	var out strings.Builder
	switch s.effect {
	case "Allow":
		out.WriteString("lets in ")
	case "Deny":
		out.WriteString("keeps out ")
	default:
		out.WriteString("does something unclear to ")
	}
	list := s.principals.list
	if s.notPrincipals.set {
		out.WriteString("everybody but ")
		list = s.notPrincipals.list
	}
	names := make([]string, len(list))
	for i, p := range list {
		if names[i] = p.raw; p.kind == principalEveryone {
			names[i] = "everybody"
		}
	}
	out.WriteString(strings.Join(names, ", "))
	if !slices.ContainsFunc(s.actions, func(a string) bool { return strings.EqualFold(a, ActionAssumeRole) }) {
		out.WriteString(" to " + strings.Join(slices.Concat(s.actions, s.notActions), ", "))
	}
	if list := ids(s); len(list) > 0 {
		prints := make([]string, len(list))
		for i, id := range list {
			prints[i] = Fingerprint(id)
		}
		out.WriteString(" with " + strings.Join(prints, " or "))
	}
	if t, ok := s.limit(); ok && !t.IsZero() {
		out.WriteString(" until " + formatDate(t))
	}
	if n := len(s.conditions); n > 0 {
		var more []string
		for i := range s.conditions {
			if c := &s.conditions[i]; c != s.plainID() && c.lower != keyCurrentTime {
				more = append(more, c.operator.name+" "+c.key)
			}
		}
		if len(more) > 0 {
			out.WriteString(" if " + strings.Join(more, ", "))
		}
	}
	return out.String()
}
