package trust

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Born says whether the template's constant Deny, CountersignBorn, stands in the document.
func (d *Document) Born() bool {
	return slices.ContainsFunc(d.policy.statements, func(s statement) bool { return s.sid == SidBorn && s.effect == "Deny" })
}

// Closed says whether CountersignClosed stands in the document, as an unconditional Deny for everybody.
func (d *Document) Closed() bool {
	return slices.ContainsFunc(d.policy.statements, func(s statement) bool { return s.sid == SidClosed && s.deniesEverybody() })
}

// deniesEverybody says whether a statement keeps everybody from assuming the role, without a condition.
func (s *statement) deniesEverybody() bool {
	return s.effect == "Deny" && len(s.unclear) == 0 && len(s.conditions) == 0 && s.notActions == nil && s.matchesAction(ActionAssumeRole) &&
		slices.ContainsFunc(s.principals.list, func(p principal) bool { return p.kind == principalEveryone })
}

// plainID is the statement's condition on the external ID if it is an Allow that compares it by StringEquals.
func (s *statement) plainID() *condition {
	if s.effect != "Allow" {
		return nil
	}
	for i := range s.conditions {
		if c := &s.conditions[i]; c.lower == keyExternalID && c.operator.plain() {
			return c
		}
	}
	return nil
}

// limit is the date from which a statement stops to allow, by DateLessThan on aws:CurrentTime. Several dates are OR-ed,
// so the latest counts. ok is false where there is a limit that can't be read or never holds.
func (s *statement) limit() (until time.Time, ok bool) {
	for i := range s.conditions {
		c := &s.conditions[i]
		if c.lower != keyCurrentTime || c.operator.name != "DateLessThan" {
			continue
		}
		if len(c.values) == 0 {
			return time.Time{}, false
		}
		for _, v := range c.values {
			t, readable := readDate(v)
			if !readable {
				return time.Time{}, false
			}
			if t.After(until) {
				until = t
			}
		}
	}
	return until, true
}

// Holds says whether any Allow statement of the document accepts the external ID (by StringEquals, until whatever date).
func (d *Document) Holds(id string) bool {
	return slices.ContainsFunc(d.policy.statements, func(s statement) bool {
		c := s.plainID()
		return c != nil && slices.Contains(c.values, id)
	})
}

// isPrevious says whether a Sid is CountersignPrevious, CountersignPrevious2, ….
func isPrevious(sid string) bool {
	rest, ok := strings.CutPrefix(sid, SidPrevious)
	return ok && isDigits(rest)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// Deadline is until when id is accepted by our CountersignPrevious statements: the latest date of them, zero where one of
// them has none. ok is false where none holds it.
func (d *Document) Deadline(id string) (until time.Time, ok bool) {
	endless := false
	for i := range d.policy.statements {
		s := &d.policy.statements[i]
		c := s.plainID()
		if c == nil || !isPrevious(s.sid) || !slices.Contains(c.values, id) {
			continue
		}
		t, _ := s.limit()
		endless = endless || t.IsZero()
		if t.After(until) {
			until = t
		}
		ok = true
	}
	if endless {
		until = time.Time{}
	}
	return until, ok
}

// Accepted is an external ID that a document accepts. However it is printed, the ID shows as its fingerprint.
type Accepted struct {
	ID    string
	Until time.Time // zero: without an end
}

// Accepted lists the external IDs that Allow statements accept by StringEquals, each once, in the document's order. An ID
// that several statements accept has the latest end.
func (d *Document) Accepted() []Accepted {
	var list []Accepted
	for i := range d.policy.statements {
		s := &d.policy.statements[i]
		c := s.plainID()
		if c == nil {
			continue
		}
		until, _ := s.limit()
		for _, id := range c.values {
			at := slices.IndexFunc(list, func(a Accepted) bool { return a.ID == id })
			switch {
			case at < 0:
				list = append(list, Accepted{id, until})
			case until.IsZero() || list[at].Until.IsZero():
				list[at].Until = time.Time{}
			case until.After(list[at].Until):
				list[at].Until = until
			}
		}
	}
	return list
}

// String names the ID by its fingerprint.
func (a Accepted) String() string {
	if a.Until.IsZero() {
		return Fingerprint(a.ID)
	}
	return Fingerprint(a.ID) + " until " + formatDate(a.Until)
}

// Format makes every fmt verb print String.
func (a Accepted) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, a.String()) }

// LogValue hides the ID from structured logs.
func (a Accepted) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalText hides the ID from encoders.
func (a Accepted) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// formatDate is the one form of a date that this package writes: UTC, to the second, never rounded up.
func formatDate(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
