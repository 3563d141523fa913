package trust

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// literalText is the text of a string, number or boolean. ok is false for anything else.
func literalText(v hujson.ValueTrimmed) (text string, ok bool) {
	l, isLiteral := v.(hujson.Literal)
	if !isLiteral || len(l) == 0 {
		return "", false
	}
	switch l.Kind() {
	case '"':
		if bytes.IndexByte(l, '\\') < 0 {
			return string(l[1 : len(l)-1]), true
		}
		var s string
		if json.Unmarshal(l, &s) != nil || strings.ContainsRune(s, utf8.RuneError) {
			return "", false // half of a surrogate pair is no text
		}
		return s, true
	case '0', 't', 'f':
		return string(l), true
	}
	return "", false
}

func nameOf(m *hujson.ObjectMember) string {
	s, _ := literalText(m.Name.Value)
	return s
}

func sameName(a, b hujson.ValueTrimmed) bool {
	x, xok := a.(hujson.Literal)
	y, yok := b.(hujson.Literal)
	if xok && yok && bytes.IndexByte(x, '\\') < 0 && bytes.IndexByte(y, '\\') < 0 {
		return bytes.Equal(x, y)
	}
	s, _ := literalText(a)
	t, _ := literalText(b)
	return s == t
}

// copied is a value that can be edited without the original. Literals and white space, whose bytes nobody edits, are shared.
func copied(v hujson.ValueTrimmed) hujson.ValueTrimmed {
	switch v := v.(type) {
	case *hujson.Object:
		o := &hujson.Object{Members: slices.Clone(v.Members), AfterExtra: v.AfterExtra}
		for i := range o.Members {
			o.Members[i].Value.Value = copied(o.Members[i].Value.Value)
		}
		return o
	case *hujson.Array:
		a := &hujson.Array{Elements: slices.Clone(v.Elements), AfterExtra: v.AfterExtra}
		for i := range a.Elements {
			a.Elements[i].Value = copied(a.Elements[i].Value)
		}
		return a
	}
	return v
}

// texts reads IAM's scalar or list. ok is false where something else is among it.
func texts(v *hujson.Value) (list []string, ok bool) {
	if a, isArray := v.Value.(*hujson.Array); isArray {
		list = make([]string, 0, len(a.Elements))
		for i := range a.Elements {
			s, ok := literalText(a.Elements[i].Value)
			if !ok {
				return nil, false
			}
			list = append(list, s)
		}
		return list, true
	}
	s, ok := literalText(v.Value)
	if !ok {
		return nil, false
	}
	return []string{s}, true
}

// member finds a member by a test of its name, nil where there is none.
func member(o *hujson.Object, is func(name string) bool) *hujson.ObjectMember {
	for i := range o.Members {
		if is(nameOf(&o.Members[i])) {
			return &o.Members[i]
		}
	}
	return nil
}

func named(want string) func(string) bool { return func(name string) bool { return name == want } }

// setMember gives a member a value, and adds it, in the white space of its neighbours, where it is missing.
func setMember(o *hujson.Object, name string, v hujson.ValueTrimmed) {
	if m := member(o, named(name)); m != nil {
		m.Value.Value = v
		return
	}
	m := hujson.ObjectMember{Name: hujson.Value{Value: hujson.String(name)}, Value: hujson.Value{Value: v}}
	if len(o.Members) > 0 {
		m.Name.BeforeExtra = o.Members[0].Name.BeforeExtra
		m.Value.BeforeExtra = o.Members[0].Value.BeforeExtra
	}
	o.Members = append(o.Members, m)
}

// insertValue puts a literal behind element i of a list, in the white space of its neighbours.
func insertValue(a *hujson.Array, i int, l hujson.Literal) {
	v := hujson.Value{Value: l}
	switch {
	case len(a.Elements) > 1:
		v.BeforeExtra = a.Elements[1].BeforeExtra
	case bytes.IndexByte(a.Elements[0].BeforeExtra, '\n') >= 0:
		v.BeforeExtra = a.Elements[0].BeforeExtra
	}
	if i < len(a.Elements)-1 {
		v.AfterExtra = a.Elements[i].AfterExtra
	}
	rest := append([]hujson.Value{v}, a.Elements[i+1:]...)
	a.Elements = append(a.Elements[:i+1:i+1], rest...)
}

// removeElement takes element i out of a list; what stands before the first element stays before the first.
func removeElement(a *hujson.Array, i int) {
	if i == 0 && len(a.Elements) > 1 {
		a.Elements[1].BeforeExtra = a.Elements[0].BeforeExtra
	}
	a.Elements = append(a.Elements[:i:i], a.Elements[i+1:]...)
	if n := len(a.Elements); n > 0 {
		a.Elements[n-1].AfterExtra = nil // would print as a trailing comma
	}
}

// beside is the white space that marks a list as one that Countersign made from a lone value, so that it can become a
// lone value again.
var beside = hujson.Extra(" ")

// wrap makes a list of a lone value and one more.
func wrap(v *hujson.Value, more hujson.Literal) {
	v.Value = &hujson.Array{Elements: []hujson.Value{{Value: v.Value}, {BeforeExtra: beside, Value: more}}}
}

// wrapped says whether wrap could have made this list.
func wrapped(a *hujson.Array) bool {
	return len(a.Elements) == 2 && len(a.AfterExtra) == 0 &&
		len(a.Elements[0].BeforeExtra) == 0 && len(a.Elements[0].AfterExtra) == 0 &&
		bytes.Equal(a.Elements[1].BeforeExtra, beside) && len(a.Elements[1].AfterExtra) == 0
}

// parseValue reads JSON that this package wrote itself.
func parseValue(src []byte) (hujson.ValueTrimmed, error) {
	v, err := hujson.Parse(src)
	if err != nil {
		return nil, refuse("", "a statement of Countersign's could not be built")
	}
	return v.Value, nil
}
