package access

import (
	_ "embed"
	"slices"
)

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema of access.yaml, for editors. Parse knows more than it can say.
func Schema() []byte { return slices.Clone(schema) }
