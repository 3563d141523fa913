// Package trust decides who gets in: it parses a role's trust policy, evaluates it and edits it to what a Plan asks for.
//
// It is pure: values in, values out, no clock, no I/O. It trusts nothing in a document that it doesn't understand, and
// refuses to edit it. It never prints an external ID: explanations and errors name fingerprints.
package trust

import (
	"errors"
	"time"
)

// ErrRefused is what every refusal of Parse and Apply wraps; see Refusal for the statement and the reason.
var ErrRefused = errors.New("refused")

// Document is a parsed trust policy that remembers every byte it was parsed from.
type Document struct{ src []byte }

// Parse reads a trust policy as JSON or URL-encoded JSON, as GetRole returns it.
func Parse(src []byte) (*Document, error) { panic("trust.Parse") }

// Bytes is the document as JSON.
func (d *Document) Bytes() []byte { return d.src }

// Size is the length that counts against the quota: characters without white space outside strings.
func (d *Document) Size() int { panic("") }

// Equal says whether two documents mean the same, whatever order and unwrapping IAM applied.
func (d *Document) Equal(other *Document) bool { panic("") }

// Born says whether the template's constant Deny, CountersignBorn, stands in the document.
func (d *Document) Born() bool { panic("") }

// Closed says whether CountersignClosed stands in the document, as an unconditional Deny for everybody.
func (d *Document) Closed() bool { panic("") }

// Holds says whether any Allow statement of the document accepts the external ID (by StringEquals, until whatever date).
func (d *Document) Holds(id string) bool { panic("") }

// Deadline is until when id is accepted by our CountersignPrevious statements; ok is false where none holds it.
func (d *Document) Deadline(id string) (until time.Time, ok bool) { panic("") }

// Effect is the answer of an evaluation.
type Effect string

// The three answers. Unknown means that something decides that this package doesn't understand.
const (
	Allow   Effect = "allow"
	Deny    Effect = "deny"
	Unknown Effect = "unknown"
)

// Request is one AssumeRole call as IAM sees it. Keys implied by Principal and At need not be in Context; every other
// key that isn't given is absent. External ID goes into Context as "sts:ExternalId".
type Request struct {
	Principal string    // ARN of the caller
	Action    string    // empty means sts:AssumeRole
	At        time.Time // zero: aws:CurrentTime is absent
	Context   map[string][]string
}

// Verdict is an answer with its explanation, one line a statement, IDs as fingerprints.
type Verdict struct {
	Effect Effect
	Why    []string
}

// Evaluate answers as IAM would, Deny first.
func (d *Document) Evaluate(r Request) Verdict { panic("") }

// Diff is what changed, in lines a person can read, IDs as fingerprints. Empty means nothing to write.
type Diff struct {
	Lines []string
	// Drift names what was found beside the plan: statements of ours that had to be mended, foreign ones on a created role.
	Drift []string
}

// Empty says whether the document already was what the plan asks for.
func (d Diff) Empty() bool { return len(d.Lines) == 0 }

// Apply gives the document that the plan asks for, from whatever document there is. It refuses rather than guess.
func Apply(d *Document, p Plan) (*Document, Diff, error) { panic("") }

// Largest is the size of the largest document that the plan goes through, every phase and the closing Deny included. IDs
// not yet known count as they will be made.
func Largest(d *Document, p Plan) (int, error) { panic("") }

// BornDocument is the constant trust policy of a created role's first deploy: nobody enters.
const BornDocument = `{"Version":"2012-10-17","Statement":[{"Sid":"CountersignBorn","Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}]}`
