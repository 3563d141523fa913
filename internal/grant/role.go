package grant

import (
	"fmt"
	"io"
	"log/slog"
	"time"
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
