package trust

import (
	"slices"

	"github.com/tailscale/hujson"
)

// draft is a document in the making. It shares what it doesn't edit with the document that it comes from.
type draft struct {
	of         *Document
	root       hujson.Value // with members of its own
	statements []draftStatement
	edited     bool
}

// draftStatement is one statement of a draft. origin is what it was read as, nil once it was edited.
type draftStatement struct {
	hujson.Value
	origin *statement
}

func (d *Document) draft() *draft {
	root := *d.tree.Value.(*hujson.Object)
	root.Members = slices.Clone(root.Members)
	e := &draft{of: d, root: d.tree}
	e.root.Value = &root
	v := e.slot()
	elements := []hujson.Value{{Value: v.Value}}
	if a, ok := v.Value.(*hujson.Array); ok {
		elements = a.Elements
	}
	e.statements = make([]draftStatement, len(elements), len(elements)+4)
	for i := range elements {
		e.statements[i] = draftStatement{elements[i], &d.policy.statements[i]}
	}
	return e
}

// slot is the value of the member Statement; Parse made sure that there is one.
func (e *draft) slot() *hujson.Value {
	return &member(e.root.Value.(*hujson.Object), named("Statement")).Value
}

// sid is the Sid of statement i.
func (e *draft) sid(i int) string {
	if s := e.statements[i].origin; s != nil {
		return s.sid
	}
	m := member(e.statements[i].Value.Value.(*hujson.Object), named("Sid"))
	if m == nil {
		return ""
	}
	s, _ := literalText(m.Value.Value)
	return s
}

// copyOf is a copy of statement i.
func (e *draft) copyOf(i int) *hujson.Object {
	return copied(e.statements[i].Value.Value).(*hujson.Object)
}

// edit gives statement i for editing.
func (e *draft) edit(i int) *hujson.Object {
	e.edited = true
	s := &e.statements[i]
	if s.origin != nil {
		s.Value.Value, s.origin = copied(s.Value.Value), nil
	}
	return s.Value.Value.(*hujson.Object)
}

// replace puts another statement in the place of statement i.
func (e *draft) replace(i int, v hujson.ValueTrimmed) {
	e.edited = true
	e.statements[i].Value.Value, e.statements[i].origin = v, nil
}

// add appends a statement in the white space of the one before.
func (e *draft) add(v hujson.ValueTrimmed) {
	e.edited = true
	s := draftStatement{Value: hujson.Value{Value: v}}
	if n := len(e.statements); n > 0 {
		s.BeforeExtra = e.statements[n-1].BeforeExtra
	}
	e.statements = append(e.statements, s)
}

// drop removes statement i; what stands before the first statement stays before the first.
func (e *draft) drop(i int) {
	e.edited = true
	if i == 0 && len(e.statements) > 1 {
		e.statements[1].BeforeExtra = e.statements[0].BeforeExtra
	}
	e.statements = slices.Delete(e.statements, i, i+1)
	if n := len(e.statements); n > 0 {
		e.statements[n-1].AfterExtra = nil // would print as a trailing comma
	}
}

// setVersion gives the document the Version that this package writes.
func (e *draft) setVersion() {
	e.edited = true
	root := e.root.Value.(*hujson.Object)
	if member(root, named("Version")) == nil {
		first := hujson.ObjectMember{Name: hujson.Value{BeforeExtra: root.Members[0].Name.BeforeExtra, Value: hujson.String("Version")}}
		first.Value.BeforeExtra = root.Members[0].Value.BeforeExtra
		root.Members = append([]hujson.ObjectMember{first}, root.Members...)
	}
	setMember(root, "Version", hujson.String("2012-10-17"))
}

// document closes the draft. One that nobody edited is the document that it comes from.
func (e *draft) document() (*Document, error) {
	if !e.edited {
		return e.of, nil
	}
	v := e.slot()
	origins := make([]*statement, len(e.statements))
	list := &hujson.Array{Elements: make([]hujson.Value, len(e.statements))}
	for i := range e.statements {
		list.Elements[i], origins[i] = e.statements[i].Value, e.statements[i].origin
	}
	a, isList := v.Value.(*hujson.Array)
	switch {
	case isList:
		list.AfterExtra = a.AfterExtra
		v.Value = list
	case len(list.Elements) == 1:
		v.Value = list.Elements[0].Value
	default:
		v.Value = list
	}
	return newDocument(e.root.Pack(), e.root, origins)
}
