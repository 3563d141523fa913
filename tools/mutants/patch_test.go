package main

import (
	"errors"
	"strings"
	"testing"
)

const (
	source  = "package p\n\nfunc a() int {\n\treturn 1\n}\n\nfunc b() int {\n\treturn 1\n}\n"
	changes = "--- a/p/p.go\n+++ b/p/p.go\n"
	inB     = "# B is one too many.\n" + changes + "@@ -7,2 +7,2 @@\n func b() int {\n-\treturn 1\n+\treturn 2\n"
)

func TestAPatchSaysWhatItIs(t *testing.T) {
	const head = "# Deny loses its precedence:\n# an Allow wins.\n# expect: TestA|TestB\n# expect: closed wins\n"
	m, err := readPatch([]byte(head + strings.SplitN(inB, "\n", 2)[1]))
	if err != nil {
		t.Fatal(err)
	}
	if m.bug != "Deny loses its precedence: an Allow wins." || len(m.expect) != 2 || m.expect[1].String() != "closed wins" {
		t.Errorf("got %q, %v", m.bug, m.expect)
	}
}

func TestRefusedPatches(t *testing.T) {
	hunk := strings.SplitN(inB, "\n", 4)[3]
	for name, c := range map[string]struct{ src, want string }{
		"nothing":               {"", "which bug"},
		"no words":              {changes + hunk, "which bug"},
		"expect alone":          {"# expect: TestA\n" + changes + hunk, "which bug"},
		"a line without #":      {"# b\nwords\n" + changes + hunk, "only lines that begin"},
		"no diff":               {"# b\n", "no diff"},
		"a bad regexp":          {"# b\n# expect: (\n" + changes + hunk, "missing closing"},
		"a hunk cut off":        {strings.TrimSuffix(inB, "+\treturn 2\n"), "fragment header miscounts"},
		"a test":                {"# b\n" + strings.ReplaceAll(changes, "p.go", "p_test.go") + hunk, "changes no test"},
		"a file outside":        {"# b\n" + strings.ReplaceAll(changes, "p/p.go", "../p.go") + hunk, "not a path below"},
		"a new file":            {"# b\n--- /dev/null\n+++ b/p/q.go\n@@ -0,0 +1 @@\n+package p\n", "files that stay"},
		"a deleted file":        {"# b\n--- a/p/p.go\n+++ /dev/null\n@@ -1 +0,0 @@\n-package p\n", "files that stay"},
		"a change of its right": {"# b\ndiff --git a/p/p.go b/p/p.go\nold mode 100644\nnew mode 100755\n", "files that stay"},
	} {
		if _, err := readPatch([]byte(c.src)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error that says %q", name, err, c.want)
		}
	}
}

func TestAHunkFitsInOnePlaceOnly(t *testing.T) {
	const twice = "# b\n" + changes + "@@ -8 +8 @@\n-\treturn 1\n+\treturn 2\n"
	want := strings.Replace(source, "b() int {\n\treturn 1", "b() int {\n\treturn 2", 1)
	for name, c := range map[string]struct{ patch, source, want string }{
		"exactly":                  {inB, source, want},
		"as git writes it":         {strings.Replace(inB, "---", "diff --git a/p/p.go b/p/p.go\nindex 1..2 100644\n---", 1), source, want},
		"moved by an edit above":   {inB, "// Package p.\n" + source, "// Package p.\n" + want},
		"moved to the beginning":   {inB, source[strings.Index(source, "func b"):], want[strings.Index(want, "func b"):]},
		"another context":          {inB, strings.Replace(source, "b() int", "b() int64", 1), ""},
		"other white space":        {inB, strings.ReplaceAll(source, "\t", "    "), ""},
		"the bug is there already": {inB, want, ""},
		"a line that ends so":      {inB, strings.Replace(source, "func b", "/* */ func b", 1), ""},
		"two places":               {twice, source, ""},
		"two hunks":                {inB + "@@ -3,2 +3,2 @@\n func a() int {\n-\treturn 1\n+\treturn 3\n", source, strings.Replace(want, "a() int {\n\treturn 1", "a() int {\n\treturn 3", 1)},
	} {
		m, err := readPatch([]byte(c.patch))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		files, err := m.apply(func(path string) ([]byte, error) {
			if path != "p/p.go" {
				return nil, errors.New("no such file: " + path)
			}
			return []byte(c.source), nil
		})
		if c.want == "" {
			if err == nil || !strings.Contains(err.Error(), "must stand once") {
				t.Errorf("%s: %v, want a refusal", name, err)
			}
			continue
		}
		if err != nil || string(files["p/p.go"]) != c.want {
			t.Errorf("%s: %v\n%s", name, err, files["p/p.go"])
		}
	}
}
