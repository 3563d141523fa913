// Package trust decides who gets in: it parses a role's trust policy, evaluates it and edits it to what a Plan asks for.
//
// It is pure: values in, values out, no clock, no I/O. It trusts nothing in a document that it doesn't understand: there
// Evaluate answers unknown and Apply refuses. Edits happen on the syntax tree, so that every byte which isn't Countersign's
// stays as it was. It never prints an external ID: explanations, differences and errors name fingerprints. It never opens
// what is closed unless the plan says Open.
package trust

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// BornDocument is the constant trust policy of a created role's first deploy: nobody enters.
const BornDocument = `{"Version":"2012-10-17","Statement":[{"Sid":"CountersignBorn","Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}]}`

// The Sids of Countersign's own statements.
const (
	SidBorn           = "CountersignBorn"
	SidClosed         = "CountersignClosed"
	SidCurrent        = "CountersignCurrent"
	SidPrevious       = "CountersignPrevious" // further ones on an adopted role: CountersignPrevious2, …
	SidSourceIdentity = "CountersignSourceIdentity"
)

// ConfirmSessions is the pattern of session names that the previous ID can't open.
const ConfirmSessions = "confirm-*"

// ErrRefused is what every refusal of Parse, Apply and Check wraps; see Refusal for the statement and the reason.
var ErrRefused = errors.New("refused")

// Refusal is why a document wasn't read, edited or accepted. It never holds an external ID.
type Refusal struct {
	Statement string // which statement, for a person: "statement 2 (VendorAccess)"; empty where it is the whole document
	Reason    string // what is wrong and what to do about it
}

// Error is the statement and the reason.
func (r *Refusal) Error() string {
	if r.Statement == "" {
		return "refused: " + r.Reason
	}
	return "refused: " + r.Statement + ": " + r.Reason
}

// Unwrap gives ErrRefused.
func (r *Refusal) Unwrap() error { return ErrRefused }

// Document is a parsed trust policy that remembers every byte it was parsed from. It doesn't change; Apply makes new ones.
type Document struct {
	src    []byte
	tree   hujson.Value
	policy policy
	size   int
}

// Bytes is the document as JSON, with every byte as parsed.
func (d *Document) Bytes() []byte { return bytes.Clone(d.src) }

// Size is the length that counts against the quota: characters without white space outside strings.
func (d *Document) Size() int { return d.size }

// size counts the characters of valid JSON, white space between its tokens aside.
func size(src []byte) int {
	n, inside := utf8.RuneCount(src), false
	for i := 0; i < len(src); i++ {
		switch c := src[i]; {
		case c == '\\':
			i++ // the next character is escaped; this happens in strings only
		case c > '"': // most
		case c == '"':
			inside = !inside
		case !inside: // tab, line feed, carriage return, space
			n--
		}
	}
	return n
}
