package trust

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Entry is one way in that an Allow gives: who, with which external ID, until when. It holds the ID's fingerprint only.
type Entry struct {
	Principal   string    // as written, or "everybody"
	Fingerprint string    // of the external ID; empty where none is demanded
	Until       time.Time // zero: without an end
	If          []string  // further conditions: operator and key
}

// String is the entry in words.
func (e Entry) String() string {
	out := e.Principal
	if e.Fingerprint != "" {
		out += " under " + e.Fingerprint
	}
	if len(e.If) > 0 {
		out += " if " + strings.Join(e.If, ", ")
	}
	if !e.Until.IsZero() {
		out += " until " + formatDate(e.Until)
	}
	return out
}

// MarshalJSON leaves out what doesn't limit.
func (e Entry) MarshalJSON() ([]byte, error) {
	out := struct {
		Principal  string   `json:"principal"`
		ExternalID string   `json:"externalId,omitempty"`
		Until      string   `json:"until,omitempty"`
		If         []string `json:"if,omitempty"`
	}{e.Principal, e.Fingerprint, "", e.If}
	if !e.Until.IsZero() {
		out.Until = formatDate(e.Until)
	}
	return json.Marshal(out)
}

// way is what makes two entries the same way in, whatever their ends.
func (e Entry) way() string {
	return strings.Join([]string{e.Principal, e.Fingerprint, strings.Join(e.If, ",")}, "\x00")
}

// Changes is who gains and who loses by the step from one document to another, and who keeps an entry with another end
// or under other conditions.
type Changes struct {
	Gains, Loses []Entry
	Keeps        []Entry // as they are afterwards
}

// Compare says who gains and who loses. Where a Deny keeps everybody out, nobody has an entry. It speaks of Allow
// statements of sts:AssumeRole as they are written, conditions by operator and key; other Denies, the values of other
// conditions and what isn't understood it leaves to Diff.
func Compare(before, after *Document) Changes {
	had, has := before.entries(ActionAssumeRole), after.entries(ActionAssumeRole)
	same := func(x, y Entry) bool { return x.way() == y.way() && x.Until.Equal(y.Until) }
	left := func(list, other []Entry) []Entry {
		return slices.DeleteFunc(slices.Clone(list), func(e Entry) bool {
			return slices.ContainsFunc(other, func(o Entry) bool { return same(e, o) })
		})
	}
	var c Changes
	gone := left(had, has)
	for _, e := range left(has, had) {
		i := slices.IndexFunc(gone, func(o Entry) bool { return o.Principal == e.Principal && o.Fingerprint == e.Fingerprint })
		if i < 0 {
			c.Gains = append(c.Gains, e)
			continue
		}
		gone = slices.Delete(gone, i, i+1)
		c.Keeps = append(c.Keeps, e)
	}
	c.Loses = gone
	return c
}

// Entrances are a document's ways in by whatever action, sessions of identity providers included, each with its latest end.
// Countersign's own Denies are set aside; where another one keeps everybody out there is none.
func (d *Document) Entrances() []Entry {
	open, err := d.withoutDenies()
	if err != nil {
		open = d // can't be edited: as it stands
	}
	return open.entries(entrances[:]...)
}

// entries are a document's ways in by one of the actions, each with its latest end.
func (d *Document) entries(actions ...string) (list []Entry) {
	if slices.ContainsFunc(d.policy.statements, func(s statement) bool { return s.deniesEverybody() }) {
		return nil
	}
	for i := range d.policy.statements {
		s := &d.policy.statements[i]
		if s.effect != "Allow" || !slices.ContainsFunc(actions, s.matchesAction) {
			continue
		}
		until, _ := s.limit()
		var more []string
		for j := range s.conditions {
			if c := &s.conditions[j]; c != s.plainID() && (c.lower != keyCurrentTime || c.operator.name != "DateLessThan") {
				more = append(more, hide(c.operator.name+" "+c.key, d.policy.ids))
			}
		}
		slices.Sort(more)
		who, prints := s.who(), []string{""}
		if c := s.plainID(); c != nil {
			prints = nil
			for _, id := range c.values {
				prints = append(prints, Fingerprint(id))
			}
		}
		for _, p := range who {
			for _, id := range prints {
				e := Entry{hide(p, d.policy.ids), id, until, more}
				at := slices.IndexFunc(list, func(o Entry) bool { return o.way() == e.way() })
				switch {
				case at < 0:
					list = append(list, e)
				case until.IsZero() || list[at].Until.IsZero():
					list[at].Until = time.Time{}
				case until.After(list[at].Until):
					list[at].Until = until
				}
			}
		}
	}
	return list
}

// who are a statement's principals for a person.
func (s *statement) who() []string {
	var names []string
	list := s.principals.list
	if s.notPrincipals.set {
		list = s.notPrincipals.list
	}
	for _, p := range list {
		switch {
		case p.kind == principalEveryone:
			names = append(names, "everybody")
		case p.raw == "":
			names = append(names, "somebody unclear")
		default:
			names = append(names, p.raw)
		}
	}
	if s.notPrincipals.set {
		return []string{"everybody but " + strings.Join(names, ", ")}
	}
	return names
}
