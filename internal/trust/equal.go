package trust

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// Equal says whether two documents mean the same, whatever order and unwrapping IAM applied.
func (d *Document) Equal(other *Document) bool {
	if d == nil || other == nil {
		return d == other
	}
	return d == other || bytes.Equal(d.src, other.src) || d.policy.equal(&other.policy)
}

func (p *policy) equal(q *policy) bool {
	return p.variables() == q.variables() && slices.Equal(p.extra, q.extra) && slices.Equal(p.meanings(), q.meanings())
}

// meanings are the statements' meanings in an order of their own.
func (p *policy) meanings() []string {
	list := make([]string, len(p.statements))
	for i := range p.statements {
		list[i] = p.statements[i].meaning
	}
	slices.Sort(list)
	return list
}

// aspect says what canonical leaves out.
type aspect int

const (
	everything  aspect = 0
	withoutSid  aspect = 1 << iota
	withoutDate        // DateLessThan on aws:CurrentTime
	withoutID          // the values of StringEquals on sts:ExternalId
)

// canonical is a text that two statements share if they mean the same.
func (s *statement) canonical(leave aspect) string {
	b := make([]byte, 0, 512)
	if leave&withoutSid == 0 {
		b = putText(b, s.sid)
	}
	b = putText(b, s.effect)
	names := make([]string, 0, 8)
	for _, ps := range [...]*principals{&s.principals, &s.notPrincipals} {
		names = names[:0]
		for i := range ps.list {
			names = append(names, ps.list[i].canonical())
		}
		b = putSet(append(b, mark(ps.set)), names)
	}
	for _, actions := range [...][]string{s.actions, s.notActions} {
		names = names[:0]
		for _, a := range actions {
			names = append(names, strings.ToLower(a))
		}
		b = putSet(append(b, mark(actions != nil)), names)
	}
	conditions := make([]string, 0, len(s.conditions))
	for i := range s.conditions {
		c := &s.conditions[i]
		if leave&withoutDate != 0 && c.operator.name == "DateLessThan" && c.lower == keyCurrentTime {
			continue
		}
		names = names[:0]
		if leave&withoutID == 0 || !c.operator.plain() || c.lower != keyExternalID {
			names = append(names, c.values...)
		}
		one := putText(putText(make([]byte, 0, 128), c.operator.name), c.lower)
		conditions = append(conditions, string(putSet(one, names)))
	}
	return string(putList(putSet(b, conditions), s.extra))
}

func mark(set bool) byte {
	if set {
		return '+'
	}
	return '-'
}

// putText appends a text so that nothing in it can be taken for what follows.
func putText(b []byte, s string) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	return append(append(b, ':'), s...)
}

func putList(b []byte, list []string) []byte {
	b = strconv.AppendInt(b, int64(len(list)), 10)
	b = append(b, '[')
	for _, s := range list {
		b = putText(b, s)
	}
	return b
}

// putSet appends a list whose order and repetitions don't count. It sorts the list in place.
func putSet(b []byte, list []string) []byte {
	slices.Sort(list)
	return putList(b, slices.Compact(list))
}
