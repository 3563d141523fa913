package customers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/form"
)

// mostNear is how many names an error lists.
const mostNear = 3

// Unknown is ErrUnknown for a name, with the names that were probably meant.
func Unknown(name string, names []string) error {
	if near := Near(name, names); len(near) > 0 {
		return fmt.Errorf("customer %.60q: %w; did you mean %s?", name, ErrUnknown, strings.Join(near, " or "))
	}
	return fmt.Errorf("customer %.60q: %w", name, ErrUnknown)
}

// Near gives up to three names that name may stand for: those that hold it, then those that are a few letters away.
func Near(name string, names []string) []string {
	type candidate struct {
		name string
		far  int
	}
	var found []candidate
	if name == "" || len(name) > 64 {
		return nil
	}
	for _, n := range names {
		switch {
		case strings.Contains(n, name):
			found = append(found, candidate{n, 0})
		default:
			if d := form.Distance(name, n); d <= max(1, len(name)/3) {
				found = append(found, candidate{n, d})
			}
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.far, b.far), cmp.Compare(len(a.name), len(b.name)), cmp.Compare(a.name, b.name))
	})
	var out []string
	for _, c := range found[:min(mostNear, len(found))] {
		out = append(out, c.name)
	}
	return out
}
