package grant

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unique"

	"github.com/countersign/countersign/internal/form"
	"github.com/countersign/countersign/internal/trust"
)

// ID is an external ID. It prints as its fingerprint in every format and encoder; Reveal is the only way to its value.
//
// The value lies behind a handle, because fmt can't call the methods of an ID in somebody's unexported field and prints
// what it finds by reflection: there that is an address. Two IDs are == if their values are.
type ID struct{ value unique.Handle[string] }

// hold wraps a value; the empty one is the zero ID.
func hold(value string) ID {
	if value == "" {
		return ID{}
	}
	return ID{unique.Make(value)}
}

const (
	randomLength = 32 // characters; 32 of 62 is 190 bits
	alphabet     = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

var (
	anyID    = form.New(`^[\w+=,.@:/-]{2,}$`) // STS API model; regexp counts to 1,000 only
	prefixID = form.New(`^[a-z0-9]{4,32}$`)
	randomID = form.New(`^[A-Za-z0-9]{32}$`)
	madeID   = form.New(`^([a-z0-9]{4,32}-)?[A-Za-z0-9]{32}$`)
)

// ErrInvalidID says that a value can't be an external ID. It never carries the value.
var ErrInvalidID = errors.New("invalid external ID")

// NewID makes an ID: 32 alphanumerics from rand behind prefix (may be empty) and one hyphen.
func NewID(rand io.Reader, prefix string) (ID, error) {
	if prefix != "" && !prefixID.MatchString(prefix) {
		return ID{}, fmt.Errorf("%w: prefix is 4 to 32 lower-case letters and digits", ErrInvalidID)
	}
	var out strings.Builder
	if prefix != "" {
		out.WriteString(prefix + "-")
	}
	buf := make([]byte, 1)
	for n := 0; n < randomLength; {
		if _, err := io.ReadFull(rand, buf); err != nil {
			return ID{}, fmt.Errorf("reading randomness: %w", err)
		}
		if int(buf[0]) >= 256-256%len(alphabet) {
			continue // rejected, so that every letter is as likely as any other
		}
		out.WriteByte(alphabet[int(buf[0])%len(alphabet)])
		n++
	}
	return hold(out.String()), nil
}

// ParseID takes any value that AWS accepts as an external ID.
func ParseID(value string) (ID, error) {
	if len(value) > 1224 || !anyID.MatchString(value) {
		return ID{}, fmt.Errorf("%w: 2 to 1,224 letters, digits and +=,.@:/-_", ErrInvalidID)
	}
	return hold(value), nil
}

// ParseOwnID takes a value in the form that NewID makes, with exactly this prefix. It reads from the right: what stands
// before the random part is the prefix, all of it.
func ParseOwnID(value, prefix string) (ID, error) {
	rest := value
	if prefix != "" {
		var ok bool
		if rest, ok = strings.CutPrefix(value, prefix+"-"); !ok {
			return ID{}, fmt.Errorf("%w: another prefix than the plan's", ErrInvalidID)
		}
	}
	if !randomID.MatchString(rest) {
		return ID{}, fmt.Errorf("%w: not in the form that Countersign makes", ErrInvalidID)
	}
	return hold(value), nil
}

// ParseMadeID takes a value in the form that NewID makes, with whatever prefix or none: a plan's prefix may have been another one
// when the ID was made.
func ParseMadeID(value string) (ID, error) {
	if !madeID.MatchString(value) {
		return ID{}, fmt.Errorf("%w: not in the form that Countersign makes", ErrInvalidID)
	}
	return hold(value), nil
}

// madeWith says whether NewID makes such an ID with exactly this prefix.
func (id ID) madeWith(prefix string) bool {
	_, err := ParseOwnID(id.Reveal(), prefix)
	return err == nil
}

// Reveal is the value itself. A test lists its callers.
func (id ID) Reveal() string {
	if id.IsZero() {
		return ""
	}
	return id.value.Value()
}

// IsZero says whether there is no ID.
func (id ID) IsZero() bool { return id == ID{} }

// Equal compares two IDs.
func (id ID) Equal(other ID) bool { return id == other }

// Fingerprint is "#" and six hex digits; see trust.Fingerprint.
func (id ID) Fingerprint() string { return trust.Fingerprint(id.Reveal()) }

// String is the fingerprint.
func (id ID) String() string { return id.Fingerprint() }

// Format prints the fingerprint whatever the verb.
func (id ID) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, id.Fingerprint()) }

// LogValue is the fingerprint.
func (id ID) LogValue() slog.Value { return slog.StringValue(id.Fingerprint()) }

// MarshalText is the fingerprint; encoding/json and encoding/xml use it too.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.Fingerprint()), nil }
