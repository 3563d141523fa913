package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// Parse reads a trust policy as JSON or URL-encoded JSON, as GetRole returns it. It refuses, with the position, what IAM
// would not take as a policy at all: invalid JSON, comments, trailing commas, duplicate keys, an unknown Version,
// characters outside IAM's set. What it merely doesn't understand is for Evaluate and Apply to judge.
func Parse(src []byte) (*Document, error) {
	if trimmed := bytes.TrimLeft(src, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '%' {
		plain, err := url.PathUnescape(string(src))
		if err != nil {
			return nil, refuse("", "%s: the document looks URL-encoded, but this escape is broken", at(src, brokenEscape(src)))
		}
		src = []byte(plain)
	}
	src = bytes.Clone(src)
	if err := checkCharacters(src); err != nil {
		return nil, err
	}
	if !json.Valid(src) {
		return nil, syntaxRefusal(src)
	}
	tree, err := hujson.Parse(src) // takes more than JSON: comments, trailing commas
	if err != nil {
		return nil, refuse("", "the document is not valid JSON")
	}
	if err := checkDuplicates(src, &tree); err != nil {
		return nil, err
	}
	return newDocument(src, tree, nil)
}

// newDocument reads the policy that a tree of standard JSON holds. Statements that have an origin were read before.
func newDocument(src []byte, tree hujson.Value, origins []*statement) (*Document, error) {
	d := &Document{src: src, tree: tree, size: size(src)}
	var err error
	d.policy, err = readPolicy(src, &d.tree, origins)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// brokenEscape is where the first % stands that two hex digits don't follow.
func brokenEscape(src []byte) int {
	for i, b := range src {
		if b != '%' {
			continue
		}
		if _, err := url.PathUnescape(string(src[i:min(i+3, len(src))])); err != nil {
			return i
		}
	}
	return len(src)
}

func refuse(statement, format string, args ...any) error {
	return &Refusal{Statement: statement, Reason: fmt.Sprintf(format, args...)}
}

// at says where a byte is, for a person.
func at(src []byte, offset int) string {
	offset = min(offset, len(src))
	before := src[:offset]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return fmt.Sprintf("line %d, column %d", line, column)
}

// checkCharacters holds a document to the characters that IAM takes: tab, line feed, carriage return, U+0020 to U+00FF.
func checkCharacters(src []byte) error {
	for i := 0; i < len(src); {
		if b := src[i]; b < utf8.RuneSelf {
			if b < 0x20 && b != '\t' && b != '\n' && b != '\r' {
				return refuse("", "%s: a control character, which IAM refuses", at(src, i))
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && n == 1 {
			return refuse("", "%s: not UTF-8", at(src, i))
		}
		if r > 0xff {
			return refuse("", "%s: a character that IAM refuses: it takes U+0020 to U+00FF", at(src, i))
		}
		i += n
	}
	return nil
}

// syntaxRefusal says what is wrong with invalid JSON, without quoting it.
func syntaxRefusal(src []byte) error {
	if len(bytes.TrimSpace(src)) == 0 {
		return refuse("", "the document is empty")
	}
	var syntax *json.SyntaxError
	if !errors.As(json.Unmarshal(src, new(json.RawMessage)), &syntax) {
		return refuse("", "the document is not valid JSON")
	}
	offset := max(int(syntax.Offset)-1, 0)
	where := at(src, offset)
	if offset >= len(src) || int(syntax.Offset) == len(src) && !bytes.ContainsAny(src[offset:], "}]/") {
		return refuse("", "%s: the document is not valid JSON: it ends too early or something is left open", where)
	}
	switch c := src[offset]; {
	case c == '/':
		return refuse("", "%s: JSON has no comments", where)
	case (c == '}' || c == ']') && bytes.HasSuffix(bytes.TrimRight(src[:offset], " \t\r\n"), []byte(",")):
		return refuse("", "%s: a trailing comma, which JSON doesn't allow", where)
	}
	return refuse("", "%s: the document is not valid JSON", where)
}

// checkDuplicates refuses an object with two members of the same name: readers disagree which one counts.
func checkDuplicates(src []byte, v *hujson.Value) error {
	switch t := v.Value.(type) {
	case *hujson.Object:
		for i := range t.Members {
			name := t.Members[i].Name
			for j := range i {
				if sameName(t.Members[j].Name.Value, name.Value) {
					return refuse("", "%s: the same key a second time in one object", at(src, name.StartOffset))
				}
			}
			if err := checkDuplicates(src, &t.Members[i].Value); err != nil {
				return err
			}
		}
	case *hujson.Array:
		for i := range t.Elements {
			if err := checkDuplicates(src, &t.Elements[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
