package sim

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/countersign/countersign/internal/grant"
)

// inTag says whether a character may stand in a tag.
func inTag(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.Is(unicode.Z, r) || strings.ContainsRune("_.:/=+-@", r)
}

// checkTags refuses what every service refuses: keys of 1 to 128 characters, values of at most 256, letters, digits, spaces
// and _.:/=+-@, no key that begins with aws:, 50 tags on one resource.
func checkTags(have, add map[string]string, invalid, tooMany string) error {
	n := len(have)
	for key, value := range add {
		if key == "" || utf8.RuneCountInString(key) > 128 || utf8.RuneCountInString(value) > 256 ||
			strings.ContainsFunc(key+value, func(r rune) bool { return !inTag(r) }) {
			return refuse(nil, invalid, "tag %q: 1 to 128 characters for the key, at most 256 for the value, of letters, digits, spaces and _.:/=+-@", clip(key))
		}
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return refuse(nil, invalid, "tag %q: the prefix aws: is reserved", clip(key))
		}
		if _, ok := have[key]; !ok {
			n++
		}
	}
	if n > 50 {
		return refuse(grant.ErrQuota, tooMany, "more than 50 tags")
	}
	return nil
}
