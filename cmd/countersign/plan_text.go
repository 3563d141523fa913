package main

import (
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/trust"
)

// text is one grant for a terminal; nothing where nothing of it is worth a line.
func (g change) text() string {
	who := g.Provider + " (" + g.ProviderAccount + ")"
	b := block{}
	switch g.Kind {
	case added:
		b.head(g.Grant, "NEW: "+who+" may enter as role "+g.Role)
	case removed:
		text := "REMOVED: " + who + " loses role " + g.Role + ", live sessions too"
		if g.Revoked {
			text = "REMOVED: " + who + " had role " + g.Role + ", revoked already"
		}
		b.head(g.Grant, text)
	case changed:
		b.head(g.Grant, "CHANGED: "+who+" in role "+g.Role)
	case unchanged:
		if g.Problem == "" && len(g.Notes) == 0 {
			return ""
		}
		b.head(g.Grant, "unchanged: "+who+" in role "+g.Role)
	}
	if g.Revoked && g.Kind != removed {
		b.row("revoked", "stays revoked: a deploy opens nothing")
	}
	for _, group := range []struct {
		label   string
		entries []trust.Entry
	}{{"gains", g.Gains}, {"loses", g.Loses}, {"keeps", g.Keeps}} {
		for _, e := range group.entries {
			b.row(group.label, printable(e.String()))
		}
	}
	for _, part := range g.Deletes {
		b.row("deletes", printable(part))
	}
	for _, f := range g.Fields {
		b.row(f.label, printable(f.text()))
	}
	for _, n := range g.Notes {
		b.row("note", printable(n))
	}
	if g.Problem != "" {
		b.row("problem", printable(g.Problem))
	}
	return b.String() + "\n"
}

// text says what became of a field: one value for another, or what a list gains and loses.
func (f field) text() string {
	switch {
	case len(f.Before) == 0:
		return strings.Join(f.After, ", ")
	case len(f.After) == 0:
		return "not any more: " + strings.Join(f.Before, ", ")
	case len(f.Before) == 1 && len(f.After) == 1:
		return f.After[0] + "; was " + f.Before[0]
	}
	only := func(list, other []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
	}
	var parts []string
	if gained := only(f.After, f.Before); len(gained) > 0 {
		parts = append(parts, "gains "+strings.Join(gained, ", "))
	}
	if lost := only(f.Before, f.After); len(lost) > 0 {
		parts = append(parts, "loses "+strings.Join(lost, ", "))
	}
	if len(parts) == 0 {
		return "the same in another order"
	}
	return strings.Join(parts, "; ")
}
