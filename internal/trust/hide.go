package trust

import (
	"slices"
	"strings"
	"unicode"
)

// isIDByte says whether a byte can stand in an external ID.
func isIDByte(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || strings.IndexByte("_+=,.@:/-", b) >= 0
}

// hide puts fingerprints in place of external IDs in a text for people. IDs of one to three characters are hidden only
// where they stand alone; inside words they tell nothing. Nothing that a terminal obeys is left.
func hide(text string, ids []string) string {
	var found []string
	for _, id := range ids {
		if id != "" && strings.Contains(text, id) && strings.Trim(id, "*?") != "" {
			found = append(found, id)
		}
	}
	slices.SortFunc(found, func(a, b string) int { return len(b) - len(a) }) // an ID may be within another
	for _, id := range found {
		var out strings.Builder
		for {
			i := strings.Index(text, id)
			if i < 0 {
				break
			}
			end := i + len(id)
			for j := i + 1; j < end; j++ {
				if strings.HasPrefix(text[j:], id) {
					end = j + len(id) // an ID that repeats itself, once more
				}
			}
			inside := i > 0 && isIDByte(text[i-1]) || end < len(text) && isIDByte(text[end])
			if len(id) < 4 && inside {
				out.WriteString(text[:end])
			} else {
				out.WriteString(text[:i] + Fingerprint(id))
			}
			text = text[end:]
		}
		out.WriteString(text)
		text = out.String()
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}

// hidden is hide for an error of this package.
func hidden(err error, ids []string) error {
	if r, ok := err.(*Refusal); ok {
		return &Refusal{Statement: hide(r.Statement, ids), Reason: hide(r.Reason, ids)}
	}
	return err
}
