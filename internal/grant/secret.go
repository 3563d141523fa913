package grant

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// BornSecret is the constant value of a secret in the template. It holds no ID, so that no deploy ever publishes one.
const BornSecret = `{"countersign":"born"}`

// Staging labels of Secrets Manager.
const (
	StageCurrent  = "AWSCURRENT"
	StagePending  = "AWSPENDING"
	StagePrevious = "AWSPREVIOUS"
)

// Secret is what DescribeSecret tells: no value.
type Secret struct {
	ARN             string
	Stages          map[string][]string // version id → labels
	Tags            map[string]string
	RotationEnabled bool
	NextRotation    time.Time // zero: none
	LastRotated     time.Time // zero: never
	Deleted         bool
}

// At is the version that carries the label, "" where none does.
func (s Secret) At(stage string) string {
	for id, stages := range s.Stages {
		if slices.Contains(stages, stage) {
			return id
		}
	}
	return ""
}

// Version is one version of a secret with its value. It prints without the value.
type Version struct {
	ID      string
	Value   []byte
	Created time.Time // set by AWS, to the second or finer
}

// String is the version's id and its length.
func (v Version) String() string { return fmt.Sprintf("version %s (%d bytes)", v.ID, len(v.Value)) }

// Format prints String whatever the verb.
func (v Version) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, v.String()) }

// LogValue hides the value from structured logs.
func (v Version) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalText hides the value from encoders.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// VersionInfo is a version without its value.
type VersionInfo struct {
	ID      string
	Stages  []string
	Created time.Time
}

type secretValue struct {
	Grant      Name   `json:"grant"`
	RoleARN    string `json:"roleArn"`
	ExternalID string `json:"externalId"`
}

// EncodeValue is the secret's value for an ID.
func (p Plan) EncodeValue(id ID) ([]byte, error) {
	return json.Marshal(secretValue{p.Grant, p.RoleARN, id.Reveal()})
}

// DecodeValue reads the ID from a secret's value, as foreign input: unknown fields, another grant or role than the plan's
// and IDs not in our own form (in AWS's, where the provider issues them) are refused with ErrForeignValue (another role's also with ErrOtherRole), the template's
// constant with ErrNotFound. No error tells the value.
func (p Plan) DecodeValue(value []byte) (ID, error) {
	if string(bytes.TrimSpace(value)) == BornSecret {
		return ID{}, fmt.Errorf("secret of %s holds no external ID yet: %w", p.Grant, ErrNotFound)
	}
	var v secretValue
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.DisallowUnknownFields()
	if dec.Decode(&v) != nil || dec.More() {
		return ID{}, fmt.Errorf("secret of %s: %w", p.Grant, ErrForeignValue)
	}
	if v.Grant != p.Grant {
		return ID{}, fmt.Errorf("secret of %s names another grant: %w", p.Grant, ErrForeignValue)
	}
	if v.RoleARN != p.RoleARN {
		return ID{}, fmt.Errorf("secret of %s: %w: %w", p.Grant, ErrForeignValue, ErrOtherRole)
	}
	id, err := p.parseID(v.ExternalID)
	if err != nil {
		return ID{}, fmt.Errorf("secret of %s: %w: %w", p.Grant, ErrForeignValue, err)
	}
	return id, nil
}

// parseID takes an external ID in our own form, or in any that AWS takes where the provider issues them. Its prefix may be one
// that the plan had before.
func (p Plan) parseID(value string) (ID, error) {
	if p.IssuedBy == IssuedByProvider {
		return ParseID(value)
	}
	return ParseMadeID(value)
}

// Makes says whether a new ID of this plan may look like that: with exactly its prefix, unless the provider issues the IDs.
func (p Plan) Makes(id ID) bool {
	return p.IssuedBy == IssuedByProvider || id.madeWith(p.Prefix)
}

// Purpose is what a secret's version is for. It stands at the head of the version id, which we choose.
type Purpose string

// The purposes. A version with another id, as a scheduled rotation makes it, has the configured overlap.
const (
	Scheduled Purpose = ""
	Birth     Purpose = "birth"   // the grant's first ID
	Cut       Purpose = "cut"     // no overlap: the previous ID leaked
	Restore   Purpose = "restore" // after a revocation
	OnDemand  Purpose = "rotate"  // an operator wants it now, with the configured overlap
)

// PurposeOf reads a version id.
func PurposeOf(versionID string) Purpose {
	for _, p := range []Purpose{Birth, Cut, Restore} {
		if strings.HasPrefix(versionID, string(p)+"-") {
			return p
		}
	}
	return Scheduled
}

// BirthToken is the version id of a grant's first ID. It follows from the request that asks for it, so that the same
// request again starts no second rotation.
func BirthToken(request ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(request, "\x00")))
	return string(Birth) + "-" + hex.EncodeToString(sum[:16])
}

// CauseOf is why a version was made, in the words of events.ExternalIDRotated.
func CauseOf(versionID string) string {
	switch PurposeOf(versionID) {
	case Cut:
		return "leaked"
	case Restore:
		return "restored"
	}
	if strings.HasPrefix(versionID, string(OnDemand)+"-") {
		return "requested"
	}
	return "scheduled"
}

// BySchedule says whether AWS's schedule started the rotation that made a version: no purpose of ours stands at its head.
func BySchedule(versionID string) bool {
	return PurposeOf(versionID) == Scheduled && CauseOf(versionID) == "scheduled"
}

// NewToken makes a ClientRequestToken, 39 characters at most: purpose, hyphen, 32 hex digits.
func NewToken(rand io.Reader, p Purpose) (string, error) {
	buf := make([]byte, 16)
	if _, err := io.ReadFull(rand, buf); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return string(p) + "-" + hex.EncodeToString(buf), nil
}

// A run is many rotations that belong together. Its number stands at the head of their version ids, behind the purpose, so
// that the labels of a secret say whether the run was there.

const runDigits = 12

// NewRun makes a run's number: 12 hex digits.
func NewRun(rand io.Reader) (string, error) {
	buf := make([]byte, runDigits/2)
	if _, err := io.ReadFull(rand, buf); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return hex.EncodeToString(buf), nil
}

// CheckRun says what is wrong with a run's number.
func CheckRun(run string) error {
	if b, err := hex.DecodeString(run); err != nil || len(b) != runDigits/2 || strings.ToLower(run) != run {
		return fmt.Errorf("run %.40q: %d hex digits in lower case", run, runDigits)
	}
	return nil
}

// NewRunToken is NewToken for a rotation of a run; an empty run is none.
func NewRunToken(rand io.Reader, p Purpose, run string) (string, error) {
	token, err := NewToken(rand, p)
	if err != nil {
		return "", err
	}
	head := runHead(p, run) // takes the place of as many random digits
	return head + token[len(head):], nil
}

// InRun says whether a version was made by a run, for that purpose.
func InRun(versionID string, p Purpose, run string) bool {
	return run != "" && strings.HasPrefix(versionID, runHead(p, run))
}

func runHead(p Purpose, run string) string { return string(p) + "-" + run }

// OverlapOf is how long the ID before this version stays accepted once it is promoted.
func (p Plan) OverlapOf(versionID string) time.Duration {
	if PurposeOf(versionID) == Scheduled {
		return time.Duration(p.Overlap)
	}
	return 0
}
