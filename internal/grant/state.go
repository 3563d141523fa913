package grant

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

// Role is what GetRole tells. It prints without the trust policy, which holds external IDs.
type Role struct {
	ARN      string
	Trust    []byte // trust policy as JSON, decoded
	Tags     map[string]string
	LastUsed time.Time // zero: never, or too long ago for IAM to know
}

// String is the role's ARN.
func (r Role) String() string { return r.ARN }

// Format prints String whatever the verb.
func (r Role) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue hides the trust policy from structured logs.
func (r Role) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalText hides the trust policy from encoders.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// The bodies of the inline policy CountersignRevocation. OpenRevocation stands in the template and is frozen: changing a
// byte of it makes the next deploy overwrite the Deny of every revoked grant, which reopens them.
const (
	OpenRevocation = `{"Version":"2012-10-17","Statement":[{"Sid":"CountersignOpen","Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"1970-01-01T00:00:00Z"}}}]}`
	DenyRevocation = `{"Version":"2012-10-17","Statement":[{"Sid":"CountersignRevoked","Effect":"Deny","Action":"*","Resource":"*"}]}`
)

// RevokeLine is the one AWS CLI call that takes a role's access away, live sessions included, without any part of
// Countersign. Running it again does no harm.
func RevokeLine(roleName string) string {
	return "aws iam put-role-policy --role-name " + roleName + " --policy-name " + RevocationPolicy +
		" --policy-document '" + DenyRevocation + "'"
}

// Closure says which of the three marks of a closed grant stand. Any one closes.
type Closure struct {
	Deny     bool   // unconditional Deny in CountersignRevocation
	Trust    bool   // CountersignClosed in the trust policy
	Tag      bool   // countersign:revoked without countersign:restored of the same id
	RevokeID string // of the tag; may be empty while Deny or Trust stands
}

// Closed says whether any mark stands.
func (c Closure) Closed() bool { return c.Deny || c.Trust || c.Tag }

// Missing lists the marks that don't stand: deny, trust, tag.
func (c Closure) Missing() []string {
	var out []string
	for _, mark := range []struct {
		name   string
		stands bool
	}{{"deny", c.Deny}, {"trust", c.Trust}, {"tag", c.Tag}} {
		if !mark.stands {
			out = append(out, mark.name)
		}
	}
	return out
}

// Complete says whether all three marks stand.
func (c Closure) Complete() bool { return c.Deny && c.Trust && c.Tag }

// ClosureOf reads the three marks. inline is the body of CountersignRevocation, nil where the role has none.
func ClosureOf(inline []byte, doc *trust.Document, tags map[string]string) Closure {
	revoked, restored := tags[TagRevoked], tags[TagRestored]
	return Closure{
		Deny:     DeniesAll(inline),
		Trust:    doc != nil && doc.Closed(),
		Tag:      revoked != "" && revoked != restored,
		RevokeID: revoked,
	}
}

// oneOrMany reads IAM's scalar-or-list.
type oneOrMany []string

func (o *oneOrMany) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*o = oneOrMany{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(o))
}

type identityStatement struct {
	Sid, Effect      string
	Action, Resource oneOrMany
	Condition        map[string]any
}

// DeniesAll says whether an inline policy denies everything without a condition, whatever the Sid. A policy that can't be
// read counts as a Deny: what we don't understand must not open.
func DeniesAll(inline []byte) bool {
	if len(inline) == 0 {
		return false
	}
	var policy struct{ Statement json.RawMessage }
	if json.Unmarshal(inline, &policy) != nil {
		return true
	}
	var many []identityStatement
	if json.Unmarshal(policy.Statement, &many) != nil {
		var one identityStatement
		if json.Unmarshal(policy.Statement, &one) != nil {
			return true
		}
		many = []identityStatement{one}
	}
	return slices.ContainsFunc(many, func(s identityStatement) bool {
		return s.Effect == "Deny" && len(s.Condition) == 0 && slices.Contains(s.Action, "*") && slices.Contains(s.Resource, "*")
	})
}

// NewRevokeID names one revocation: "rv-", the time, eight hex digits.
func NewRevokeID(now time.Time, rand io.Reader) (string, error) {
	buf := make([]byte, 4)
	if _, err := io.ReadFull(rand, buf); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return "rv-" + now.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(buf), nil
}
