package access

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/countersign/countersign/internal/grant"
)

// Adoption is a grant of an adopted role, to be written into a file.
type Adoption struct {
	Provider, Account  string // the provider's
	Grant              grant.Name
	RoleName, RolePath string
	RotateEvery        string // empty: the default
	PickUp             string // session or account alone; empty: both
}

// ErrByHand says that a file can't be changed without touching what a person wrote there.
var ErrByHand = errors.New("the file is not of the form that is changed by a program")

// Adopt writes a grant into a file's content: every line that is there stays as it is, comments too. Without content it makes
// a whole file. The result is valid, and says of all other grants what it said before. The error is ErrByHand where the lines
// have to be put in by a person, and *Problems where the grant is no valid one, or the file wasn't before.
func Adopt(name string, src []byte, n Adoption, files fs.FS, now time.Time) ([]byte, error) {
	if len(bytes.TrimSpace(src)) == 0 {
		out := "# Who may enter this account, as what, and for how long. \"countersign explain\" says it in plain words.\n" +
			"version: 1\n\nproviders:\n" + indented(n.provider(), "  ")
		_, err := Parse(name, []byte(out), files, now)
		return []byte(out), err
	}
	before, err := Parse(name, src, files, now)
	if err != nil {
		return nil, err
	}
	if bytes.ContainsAny(src, "\r\t") {
		return nil, ErrByHand
	}
	providers, ok := providersOf(src)
	if !ok {
		return nil, ErrByHand
	}
	at, lines := providers, n.provider()
	for i := range before.Providers {
		if before.Providers[i].Name == n.Provider {
			if at, ok = sequence(providers.Values[i], "grants"); !ok {
				return nil, ErrByHand
			}
			lines = n.grant()
		}
	}
	out, err := appendTo(src, at, lines)
	if err != nil {
		return nil, err
	}
	after, err := Parse(name, out, files, now)
	if err != nil {
		return nil, err
	}
	if !saysThe(after, before, n) {
		return nil, ErrByHand
	}
	return out, nil
}

// Text is the grant as it would stand in the file, for whoever writes it by hand.
func (n Adoption) Text() string { return indented(n.provider(), "  ") }

// provider are the lines of a provider with the grant.
func (n Adoption) provider() []string {
	out := []string{"- name: " + n.Provider, fmt.Sprintf("  account: %q", n.Account), "  grants:"}
	for _, line := range n.grant() {
		out = append(out, "    "+line)
	}
	return out
}

// grant are the grant's lines.
func (n Adoption) grant() []string {
	role := "  role: {name: " + text(n.RoleName)
	if n.RolePath != "/" {
		role += ", path: " + text(n.RolePath)
	}
	out := []string{"- name: " + text(string(n.Grant)), role + ", adopted: true}"}
	if n.RotateEvery != "" {
		out = append(out, "  rotateEvery: "+n.RotateEvery)
	}
	if n.PickUp != "" {
		out = append(out, "  pickUp: ["+n.PickUp+"]")
	}
	return out
}

// text quotes what YAML might read as something else than text.
func text(s string) string {
	plain := strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./") == "" &&
		strings.ContainsAny(s[:1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/") && len(s) > 5
	if plain {
		return s
	}
	return fmt.Sprintf("%q", s)
}

func indented(lines []string, by string) string {
	return by + strings.Join(lines, "\n"+by) + "\n"
}

// providersOf is the list of providers of a file that can be changed by a program.
func providersOf(src []byte) (list *ast.SequenceNode, ok bool) {
	defer func() {
		if recover() != nil { // the YAML library is known to panic on some input
			list, ok = nil, false
		}
	}()
	file, err := parser.ParseBytes(src, parser.ParseComments)
	if err != nil || len(file.Docs) != 1 {
		return nil, false
	}
	return sequence(file.Docs[0].Body, "providers")
}

// sequence is the list in block style under a key of a mapping.
func sequence(node ast.Node, key string) (*ast.SequenceNode, bool) {
	var values []*ast.MappingValueNode
	switch m := node.(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	}
	for _, v := range values {
		if v.Key.GetToken().Value != key {
			continue
		}
		list, ok := v.Value.(*ast.SequenceNode)
		return list, ok && !list.IsFlowStyle && len(list.Values) > 0
	}
	return nil, false
}

// appendTo puts lines behind the last element of a list.
func appendTo(src []byte, list *ast.SequenceNode, lines []string) ([]byte, error) {
	column := list.Start.Position.Column - 1 // of the dashes
	all := strings.SplitAfter(string(src), "\n")
	from := list.Values[len(list.Values)-1].GetToken().Position.Line
	end := from // lines up to here belong to the last element
	for i := from; i < len(all); i++ {
		line := strings.TrimRight(all[i], "\n ")
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case trimmed == "":
			continue
		case len(line)-len(trimmed) > column:
			end = i + 1
			continue
		case strings.HasPrefix(trimmed, "#"):
			continue
		}
		break
	}
	return insertAt(all, end, indented(lines, strings.Repeat(" ", column))), nil
}

func insertAt(all []string, at int, text string) []byte {
	head := strings.Join(all[:at], "")
	if !strings.HasSuffix(head, "\n") {
		head += "\n"
	}
	return []byte(head + text + strings.Join(all[at:], ""))
}

// saysThe says whether a file says what it said before, and the grant besides.
func saysThe(after, before *Access, n Adoption) bool {
	added := 0
	for i := range after.Providers {
		p := &after.Providers[i]
		for j := len(p.Grants) - 1; j >= 0; j-- {
			if g := &p.Grants[j]; g.Name == n.Grant && g.Adopted && g.RoleName == n.RoleName && g.RolePath == n.RolePath && p.Account == n.Account {
				p.Grants = append(p.Grants[:j:j], p.Grants[j+1:]...)
				added++
			}
		}
	}
	if last := len(after.Providers) - 1; last == len(before.Providers) && len(after.Providers[last].Grants) == 0 {
		after.Providers = after.Providers[:last]
	}
	after.Warnings, before.Warnings = nil, nil
	return added == 1 && reflect.DeepEqual(after, before)
}
