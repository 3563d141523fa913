// Package adopttest has the shapes of trust policy that adopting is tried with, on the embedded AWS and on the emulator. It is
// for tests only.
package adopttest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// ID is the external ID of the provider, account 111122223333, in every shape.
const ID = "northwind-0042"

// Shape is a trust policy of the trust engine's corpus.
type Shape struct {
	Name     string
	Document []byte
	Enters   string // the provider's user that enters; empty: whoever its account lets
	Whole    bool   // others enter the role too
	Several  bool   // it accepts other external IDs besides
}

var shapes = []Shape{
	{Name: "plain-scalar"},
	{Name: "lone-object"},
	{Name: "list-of-three", Enters: "loader", Whole: true, Several: true},
	{Name: "list-one-line", Whole: true, Several: true},
	{Name: "list-of-one"},
	{Name: "unicode-escape"},
	{Name: "old-version"},
	{Name: "no-version"},
	{Name: "tag-session-beside"},
	{Name: "service-in-its-own-statement", Whole: true},
}

// Shapes reads the ten shapes, from the repository's root.
func Shapes(root string) ([]Shape, error) {
	out := slices.Clone(shapes)
	for i := range out {
		var err error
		if out[i].Document, err = os.ReadFile(filepath.Join(root, "internal/trust/testdata/policies", out[i].Name+".json")); err != nil {
			return nil, fmt.Errorf("reading shape %s: %w", out[i].Name, err)
		}
		out[i].Document = []byte(strings.ReplaceAll(string(out[i].Document), `northwind\u002d0042`, ID))
	}
	return out, nil
}

var externalID = regexp.MustCompile(`(?i)("sts:externalid"\s*:\s*)("[^"]*"|\[[^\]]*\])`)

// Foreign gives the statements that aren't Countersign's, byte for byte, with the external IDs left out that are ours. What it
// gives must be the same whatever Countersign writes.
func Foreign(document []byte, ours ...string) ([]string, error) {
	var top struct{ Version, Statement json.RawMessage }
	if err := json.Unmarshal(document, &top); err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if json.Unmarshal(top.Statement, &list) != nil {
		list = []json.RawMessage{top.Statement}
	}
	var out []string
	for _, raw := range list {
		var s struct{ Sid string }
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, err
		}
		if strings.HasPrefix(s.Sid, "Countersign") {
			continue
		}
		out = append(out, externalID.ReplaceAllStringFunc(string(raw), func(m string) string {
			parts := externalID.FindStringSubmatch(m)
			var values []string
			if json.Unmarshal([]byte(parts[2]), &values) != nil {
				values = []string{strings.Trim(parts[2], `"`)}
			}
			values = slices.DeleteFunc(values, func(id string) bool { return slices.Contains(ours, id) })
			return parts[1] + strings.Join(values, " ")
		}))
	}
	return out, nil
}
