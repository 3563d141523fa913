// Package accesstest holds the corpus of access.yaml files that every route's validation is held to. It is for tests only.
package accesstest

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/cockroachdb/datadriven"
)

// Policies is the folder beside each access.yaml of the corpus.
func Policies() fs.FS {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	statement := func(s string) *fstest.MapFile {
		return file(`{"Version":"2012-10-17","Statement":[` + s + `]}`)
	}
	return fstest.MapFS{
		"policies/custom.json":    statement(`{"Sid":"Read","Effect":"Allow","Action":["s3:GetObject","kms:Decrypt"],"Resource":"*"}`),
		"policies/broken.json":    file(`{"Version":"2012-10-17",`),
		"policies/twice.json":     statement(`{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}`),
		"policies/principal.json": statement(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`),
		"policies/old.json":       file(`{"Version":"2008-10-17","Statement":[]}`),
		"policies/effect.json":    statement(`{"Effect":"allow","Action":"*","Resource":"*"}`),
		"policies/actions.json":   statement(`{"Effect":"Allow","Action":[],"Resource":"*"}`),
		"policies/empty.json":     file(`{"Version":"2012-10-17","Statement":[]}`),
		"policies/huge.json":      statement(`{"Effect":"Allow","Action":"` + strings.Repeat("x", 7000) + `","Resource":"*"}`),
	}
}

const (
	// ProviderHead is the beginning of a file, up to a provider's account.
	ProviderHead = "version: 1\nproviders:\n  - name: hestio\n    account: \"111122223333\"\n"

	grantHead = ProviderHead + "    grants:\n      - "

	// NamedGrant is a file of one grant that lines can be added to, indented by eight.
	NamedGrant = grantHead + "name: migration\n        permissions: [ReadOnlyAccess]\n"
)

// Source makes the file of a case of testdata/problems.txt.
func Source(d *datadriven.TestData) string {
	input := d.Input
	if input != "" {
		input += "\n"
	}
	switch {
	case d.Cmd == "file":
		return input
	case d.Cmd == "provider":
		return ProviderHead + indent(input, "    ") + "    grants: [{name: migration, permissions: [ReadOnlyAccess]}]\n"
	case d.HasArg("bare"):
		return grantHead + strings.TrimLeft(indent(input, "        "), " ")
	}
	return NamedGrant + indent(input, "        ")
}

// indent puts spaces in front of each line; the first one has them already where it stands behind a dash.
func indent(text, spaces string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(spaces + line)
	}
	return out.String()
}

// Case is a file of the corpus and where it stands there.
type Case struct{ Pos, Source string }

// Cases are those of a file like testdata/problems.txt.
func Cases(t *testing.T, file string) (out []Case) {
	t.Helper()
	datadriven.RunTest(t, file, func(_ *testing.T, d *datadriven.TestData) string {
		out = append(out, Case{d.Pos, Source(d)})
		return d.Expected
	})
	return out
}
