package trust

import (
	"fmt"
	"log/slog"
	"time"
)

// RoleKind says who wrote the role: the template (Created) or somebody else, before Countersign came (Adopted).
type RoleKind int

// The two kinds of role that Apply edits.
const (
	Created RoleKind = iota
	Adopted
)

// Gate says what Apply does to CountersignClosed, the Deny that keeps everybody out.
type Gate int

// The three moves. Only restore passes Open, only revoke and reconcile pass Close.
const (
	Keep Gate = iota
	Close
	Open
)

// DefaultQuota is AWS's default limit of a trust policy in characters, white space aside.
const DefaultQuota = 2048

// Conditions are further conditions of a created role's Allows: operator, key, values.
type Conditions map[string]map[string][]string

// Previous is an ID that is accepted until a deadline. The zero value means none.
type Previous struct {
	ID    string
	Until time.Time // UTC, to the second; zero means: until somebody ends it
	// Endless says that the document may have it without an end although there is one now: then that is no drift.
	Endless bool
}

// Plan is the trust policy that is wanted. External IDs are plain strings here because this package writes them into
// documents; every way of printing a Plan hides them.
type Plan struct {
	Role       RoleKind
	Principals []string   // AWS principals: ARNs or 12-digit account ids
	Conditions Conditions // created roles only

	Current  string // empty only with Open to everybody in Principals: NoExternalID
	Pending  string
	Previous Previous
	Retired  []string // IDs that must stand nowhere any more (adopted roles; created roles drop what isn't in the plan)

	NoExternalID   bool      // created roles whose grant has external IDs switched off
	SourceIdentity bool      // add the statement that allows sts:SetSourceIdentity (created roles)
	Expires        time.Time // end of the grant (created roles); zero means none

	Gate  Gate
	Quota int // characters, white space aside; zero means DefaultQuota
}

// String describes the plan with fingerprints in place of IDs.
func (p Plan) String() string {
	return fmt.Sprintf("trust.Plan{current %s, pending %s, previous %s until %s, gate %d}",
		Fingerprint(p.Current), Fingerprint(p.Pending), Fingerprint(p.Previous.ID), p.Previous.Until.UTC().Format(time.RFC3339), p.Gate)
}

// Format makes every fmt verb print String.
func (p Plan) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, p.String()) }

// LogValue hides the IDs from structured logs.
func (p Plan) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalJSON refuses to put IDs into JSON: it writes String.
func (p Plan) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%q", p.String()), nil }
