package screen_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/screen"
)

const page = `# A page

<!-- recorded by make sessions: here -->
` + "```" + `
$ echo one
two

$ sh -c 'printf "Sure? [y/N] "; read x; echo "$x, 3 s ago"'
Sure? [y/N] y
y, 17 s ago
` + "```" + `

<!-- recorded by make sessions: there -->
` + "```" + `
$ echo left
` + "```" + `
`

func TestASessionIsTypedAndRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	record := func(s screen.Session) (string, error) {
		return screen.Record(s, t.TempDir(), []string{"PATH=/bin:/usr/bin"})
	}
	n, differs, err := screen.RenewFile(path, "here", false, record)
	if n != 1 || err != nil || len(differs) != 1 || !strings.Contains(differs[0], "$ echo one\none\n\n$ sh") {
		t.Fatalf("%d sessions, %v: %q", n, err, differs)
	}
	if _, _, err := screen.RenewFile(path, "here", true, record); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if want := strings.Replace(strings.Replace(page, "two", "one", 1), "17 s", "3 s", 1); err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
	if _, differs, err := screen.RenewFile(path, "here", false, record); err != nil || differs != nil {
		t.Errorf("again: %v %q", err, differs)
	}
}

func TestWhatDiffersEachTimeIsNoDifference(t *testing.T) {
	a := "rotated: #7ed06a; until today 05:56 UTC\n  0.1 s  version rotate-3aef4161bf00dc02da013186b52dd2bb\nlegacy  43 s ago  -\n"
	b := "rotated: #000000; until tomorrow 15:01 UTC\n 12.1 s  version rotate-00000000000000000000000000000000\nlegacy  2 min ago   -\n"
	if screen.Lasting(a) != screen.Lasting(b) {
		t.Errorf("%q\n%q", screen.Lasting(a), screen.Lasting(b))
	}
	for _, other := range []string{strings.Replace(a, "rotated", "revoked", 1), strings.Replace(a, "rotate-", "cut-", 1), a + "more\n"} {
		if screen.Lasting(a) == screen.Lasting(other) {
			t.Errorf("%q is taken for the same", other)
		}
	}
}
