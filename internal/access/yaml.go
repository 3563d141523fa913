package access

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/countersign/countersign/internal/form"
)

// reader walks the file's syntax tree and collects problems.
type reader struct {
	file     string
	lines    []string
	files    fs.FS
	now      time.Time
	hidden   map[int]int // line → column from which it must not be shown
	errors   []Problem
	warnings []Problem
}

// value is one place in the file.
type value struct {
	node  ast.Node // nil: the key isn't there
	token *token.Token
	field string
}

func (v value) present() bool { return v.node != nil }

// parseYAML gives the only document's root. The YAML library is known to panic on some broken input; that is reported as
// what it is, a file that can't be read.
func (r *reader) parseYAML(src []byte) (root value, ok bool) {
	start := value{token: &token.Token{Position: &token.Position{Line: 1, Column: 1}}}
	defer func() {
		if recover() != nil {
			r.errorf(start, "", "look for broken quotes, brackets and indentation", "the file is not YAML")
			root, ok = value{}, false
		}
	}()
	if !utf8.Valid(src) || strings.ContainsRune(string(src), 0) {
		r.errorf(start, "", "save it as UTF-8", "the file is not UTF-8 text")
		return value{}, false
	}
	file, err := parser.ParseBytes(src, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		at, msg := start, err.Error()
		var syntax yaml.Error
		if errors.As(err, &syntax) {
			msg = syntax.GetMessage()
			if t := syntax.GetToken(); t != nil {
				at.token = t
			}
		}
		fix := ""
		if strings.Contains(msg, "'\t'") {
			msg, fix = "a tab stands where spaces belong", "indent with spaces"
		}
		r.errorf(at, "", fix, "not valid YAML: %s", msg)
		return value{}, false
	}
	var bodies []ast.Node
	for _, d := range file.Docs {
		if d.Body != nil && d.Body.Type() != ast.CommentType && d.Body.Type() != ast.NullType {
			bodies = append(bodies, d.Body)
		}
	}
	switch len(bodies) {
	case 0:
		r.errorf(start, "", "countersign init writes one", "the file is empty")
		return value{}, false
	case 1:
		return r.at(bodies[0], ""), true
	}
	r.errorf(r.at(bodies[1], ""), "", "one document a file, without ---", "a second YAML document")
	return value{}, false
}

// at makes the place of a node: its first token.
func (r *reader) at(n ast.Node, field string) value {
	v := value{node: n, token: n.GetToken(), field: field}
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			v.token = n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		v.token = n.Key.GetToken()
	}
	return v
}

// errorf notes an error at a place.
func (r *reader) errorf(v value, why, fix, format string, args ...any) {
	r.errors = append(r.errors, r.problem(v, why, fix, fmt.Sprintf(format, args...)))
}

// warnf notes a warning at a place.
func (r *reader) warnf(v value, why, fix, format string, args ...any) {
	r.warnings = append(r.warnings, r.problem(v, why, fix, fmt.Sprintf(format, args...)))
}

// hide keeps a value, and the rest of its line, out of all problems.
func (r *reader) hide(v value) {
	p := r.problem(v, "", "", "")
	if at, ok := r.hidden[p.Line]; !ok || p.Column < at {
		r.hidden[p.Line] = p.Column
	}
}

func (r *reader) problem(v value, why, fix, message string) Problem {
	p := Problem{File: r.file, Line: 1, Column: 1, Width: 1, Field: v.field, Message: message, Why: why, Fix: fix}
	if v.token != nil && v.token.Position != nil {
		p.Line = max(1, min(v.token.Position.Line, len(r.lines)))
		p.Column = max(1, v.token.Position.Column)
		origin := strings.TrimSpace(v.token.Origin)
		if v.token.Value != "" && origin == "" {
			origin = v.token.Value
		}
		origin, _, _ = strings.Cut(origin, "\n")
		p.Width = max(1, utf8.RuneCountInString(origin))
	}
	if p.Field == "" {
		p.Field = "(file)"
	}
	p.Source = r.lines[p.Line-1]
	length := utf8.RuneCountInString(p.Source)
	p.Column = min(p.Column, length+1)
	p.Width = max(1, min(p.Width, length-p.Column+1))
	return p
}

// object reads a mapping with exactly these keys. Unknown and repeated ones are errors; ok is false if it is no mapping.
func (r *reader) object(v value, what string, keys []string) (map[string]value, bool) {
	var pairs []*ast.MappingValueNode
	switch n := v.node.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		r.errorf(v, r.found(v), "", "%s must be a mapping of %s", what, strings.Join(keys, ", "))
		return nil, false
	}
	out := map[string]value{}
	for _, pair := range pairs {
		key := r.at(pair.Key, v.field)
		text, isText := pair.Key.(*ast.StringNode)
		if !isText {
			r.errorf(key, "", "write the keys out; no anchors, merges or numbers", "a key must be plain text")
			continue
		}
		name := text.Value
		field := join(v.field, name)
		key.field = field
		if !slices.Contains(keys, name) {
			why, fix := "", "one of "+strings.Join(keys, ", ")
			if near := nearest(name, keys); near != "" {
				why, fix = "did you mean "+near+"?", near+":"
			}
			r.errorf(key, why, fix, "%s has no key %.60q", what, name)
			continue
		}
		if _, twice := out[name]; twice {
			r.errorf(key, "", "keep one of the two", "%s stands twice", name)
			continue
		}
		val := value{token: key.token, field: field}
		if pair.Value != nil {
			val = r.at(pair.Value, field)
		}
		if val.node == nil || val.node.Type() == ast.NullType {
			r.errorf(key, "", "give it a value, or leave the key out", "%s is empty", name)
			continue
		}
		out[name] = val
	}
	return out, true
}

// list reads a sequence. Nothing there is an empty list.
func (r *reader) list(v value, what string) []value {
	if !v.present() {
		return nil
	}
	n, ok := v.node.(*ast.SequenceNode)
	if !ok {
		fix := ""
		if s, isText := v.node.(*ast.StringNode); isText {
			fix = entry(v, "["+s.Value+"]")
		}
		r.errorf(v, r.found(v), fix, "%s must be a list", what)
		return nil
	}
	var out []value
	for i, item := range n.Values {
		field := fmt.Sprintf("%s[%d]", v.field, i)
		if item == nil || item.Type() == ast.NullType {
			at := v
			if item != nil {
				at = r.at(item, field)
			}
			r.errorf(at, "", "give it a value, or leave it out", "an item of %s is empty", what)
			continue
		}
		out = append(out, r.at(item, field))
	}
	return out
}

// text reads a string. ok is false if there is none, or nothing at all.
func (r *reader) text(v value, what string) (string, bool) {
	switch n := v.node.(type) {
	case nil:
		return "", false
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		r.errorf(v, "", "write it on one line", "%s must be one line", what)
		return "", false
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		r.errorf(v, r.found(v), entry(v, strconv.Quote(n.GetToken().Value)), "%s must be text", what)
		return "", false
	}
	r.errorf(v, r.found(v), "", "%s must be text", what)
	return "", false
}

// boolean reads true or false.
func (r *reader) boolean(v value, what string, absent bool) bool {
	switch n := v.node.(type) {
	case nil:
		return absent
	case *ast.BoolNode:
		return n.Value
	}
	meant := !absent
	if s, ok := r.scalar(v); ok {
		meant = !slices.Contains([]string{"false", "no", "off", "n", "0"}, strings.ToLower(s))
	}
	r.errorf(v, r.found(v), entry(v, strconv.FormatBool(meant)), "%s must be true or false", what)
	return absent
}

// integer reads a whole number between low and high.
func (r *reader) integer(v value, what string, low, high, absent int) int {
	if !v.present() {
		return absent
	}
	if n, ok := v.node.(*ast.IntegerNode); ok {
		if got, err := strconv.Atoi(n.Token.Value); err == nil && got >= low && got <= high {
			return got
		}
	}
	r.errorf(v, r.found(v), "", "%s must be a whole number from %s to %s", what, thousands(low), thousands(high))
	return absent
}

// found names what stands there, where it isn't what was expected.
func (r *reader) found(v value) string {
	switch n := v.node.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "this is a number"
	case *ast.BoolNode:
		return "this is true or false"
	case *ast.StringNode, *ast.LiteralNode:
		return "this is text"
	case *ast.SequenceNode:
		return "this is a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "this is a mapping"
	case *ast.AnchorNode, *ast.AliasNode:
		return "anchors and aliases are not read: write it out"
	case *ast.TagNode:
		return "tags are not read: leave it out"
	default:
		return fmt.Sprintf("this is a %s", strings.ToLower(n.Type().String()))
	}
}

func quoted(v value) bool {
	return v.token != nil && (v.token.Type == token.SingleQuoteType || v.token.Type == token.DoubleQuoteType)
}

func join(field, key string) string {
	if field == "" {
		return key
	}
	return field + "." + key
}

// entry is a line of the file: the value's key, or a list's dash, with another text.
func entry(v value, text string) string {
	if strings.HasSuffix(v.field, "]") {
		return "- " + text
	}
	return v.field[strings.LastIndexByte(v.field, '.')+1:] + ": " + text
}

// nearest is the key that was probably meant, "" if none is near.
func nearest(got string, keys []string) string {
	flat := func(s string) string {
		return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
	}
	if got = flat(got); len(got) > 64 {
		return ""
	}
	best, bestDistance := "", 3
	for _, k := range keys {
		if d := form.Distance(got, flat(k)); d < bestDistance && d <= len(k)/3 {
			best, bestDistance = k, d
		}
	}
	return best
}

// asList is the items of a sequence, empty ones too.
func (v value) asList() ([]ast.Node, bool) {
	n, ok := v.node.(*ast.SequenceNode)
	if !ok {
		return nil, false
	}
	return n.Values, true
}

// scalar is the text of a string or number, as written.
func (r *reader) scalar(v value) (string, bool) {
	switch n := v.node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode:
		return n.Token.Value, true
	}
	return "", false
}

func isMapping(v value) bool {
	switch v.node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

func isBooleanNode(v value) bool {
	_, ok := v.node.(*ast.BoolNode)
	return ok
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
