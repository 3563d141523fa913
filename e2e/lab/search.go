package lab

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// piece is the length of the parts of an ID that are searched for. Twelve characters of 62 are 71 bits: no accident.
const piece = 12

// Searcher finds external IDs in text: as they are, URL-encoded, base64-encoded at any offset, in hex, and cut into
// pieces of 12 characters. It needs only one piece to find an ID.
type Searcher struct {
	// windows holds, by length, every stretch of text that gives an ID away, with what it is.
	windows map[int]map[string]string
}

// NewSearcher takes the IDs. An ID that is shorter than a piece is an error: it could not be searched for.
func NewSearcher(ids []string) (*Searcher, error) {
	s := &Searcher{windows: map[int]map[string]string{}}
	for i, id := range ids {
		if len(id) < piece {
			return nil, fmt.Errorf("ID %d is shorter than %d characters", i, piece)
		}
		random := id[strings.LastIndexByte(id, '-')+1:]
		if len(random) < piece {
			random = id
		}
		for at := 0; at+piece <= len(random); at++ {
			part := random[at : at+piece]
			s.add(part, i, "raw")
			s.add(hex.EncodeToString([]byte(part)), i, "hex")
			s.add(strings.ToUpper(hex.EncodeToString([]byte(part))), i, "hex")
			s.add(percent(part), i, "URL-encoded")
			s.add(strings.ToLower(percent(part)), i, "URL-encoded")
			// Twelve characters are sixteen of base64 when they begin at a multiple of three; every offset of the
			// surrounding text lets some piece of the ID begin at one. The two alphabets differ in +/ and -_ only.
			s.add(base64.StdEncoding.EncodeToString([]byte(part)), i, "base64")
			s.add(base64.URLEncoding.EncodeToString([]byte(part)), i, "base64")
		}
	}
	return s, nil
}

func (s *Searcher) add(window string, id int, form string) {
	if s.windows[len(window)] == nil {
		s.windows[len(window)] = map[string]string{}
	}
	s.windows[len(window)][window] = fmt.Sprintf("ID %d, %s", id, form)
}

// percent is URL-encoding in which no character is left as it is.
func percent(s string) string {
	var out strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&out, "%%%02X", c)
	}
	return out.String()
}

// Find says which IDs stand in text and how, without repeating them. Nil means none.
func (s *Searcher) Find(text string) []string {
	seen := map[string]bool{}
	var found []string
	for length, windows := range s.windows {
		for at := 0; at+length <= len(text); at++ {
			if what, ok := windows[text[at:at+length]]; ok && !seen[what] {
				seen[what] = true
				found = append(found, what)
			}
		}
	}
	return found
}
