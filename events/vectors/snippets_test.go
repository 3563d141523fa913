package vectors_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// language is one in which docs/webhooks.md shows a receiver.
type language struct {
	fence          string            // of the snippet on the page
	snippet        string            // the file that it becomes
	driver         string            // the file of testdata that hands vectors to it
	needs          map[string]string // the programs that must be there, and where they are got
	compile, drive []string
}

// tsc checks the types and translates: Node 20 runs no TypeScript by itself.
const tsc = "../../.tools/typescript/node_modules/.bin/tsc"

func languages(t *testing.T) []language {
	t.Helper()
	compiler, err := filepath.Abs(tsc)
	if err != nil {
		t.Fatal(err)
	}
	return []language{
		{"go", "snippet.go", "driver.go", map[string]string{"go": "install Go 1.26 or later"},
			[]string{"go", "vet", "snippet.go", "driver.go"}, []string{"go", "run", "snippet.go", "driver.go"}},
		{"python", "snippet.py", "driver.py", map[string]string{"python3": "install Python 3.11 or later"}, nil, []string{"python3", "driver.py"}},
		{"typescript", "snippet.ts", "driver.ts", map[string]string{compiler: "make webhooks installs it", "node": "install Node.js 20 or later"},
			[]string{compiler, "--strict", "--noUncheckedIndexedAccess", "--module", "nodenext", "--target", "es2022", "--types", "node",
				"--typeRoots", filepath.Join(filepath.Dir(compiler), "../@types"), "snippet.ts", "driver.ts"},
			[]string{"node", "driver.js"}},
	}
}

// TestTheSnippetsOfTheDocs runs each receiver of docs/webhooks.md on every vector.
func TestTheSnippetsOfTheDocs(t *testing.T) {
	for _, l := range languages(t) {
		t.Run(l.fence, func(t *testing.T) {
			got := l.run(t, l.onThePage(t))
			if diff := cmp.Diff(wanted(), got); diff != "" {
				t.Errorf("verdicts (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTheVectorsNoticeMistakes makes those that receivers in the field have made. Each must show in a verdict.
func TestTheVectorsNoticeMistakes(t *testing.T) {
	python := languages(t)[1]
	page := python.onThePage(t)
	for _, tt := range []struct{ mistake, is, becomes string }{
		{"old deliveries are taken", "abs(now - int(sent)) > 300", "int(sent) - now > 300"},
		{"deliveries of the future are taken", "abs(now - int(sent)) > 300", "now - int(sent) > 300"},
		{"the window is a little too wide", "> 300", "> 301"},
		{"the window is a little too narrow", "> 300", ">= 300"},
		{"no window", "or abs(now - int(sent)) > 300", ""},
		{"one signature is expected", `.split()`, `.split("\n")`},
		{"only the first signature counts", `.split()`, `.split()[:1]`},
		{"only the last signature counts", `.split()`, `.split()[-1:]`},
		{"commas part signatures too", `.split()`, `.replace(",v1", " v1").split()`},
		{"the version is dropped", "compare_digest(want, signature", `compare_digest(want[3:], signature.rpartition(",")[2]`},
		{"the beginning is enough", "hmac.compare_digest(want, signature.encode())", "want.startswith(signature.encode())"},
		{"text is compared, not bytes", "hmac.compare_digest(want, signature.encode())", "hmac.compare_digest(want.decode(), signature)"},
		{"only the first key is tried", "in secrets:", "in secrets[:1]:"},
		{"only the last key is tried", "in secrets:", "in secrets[-1:]:"},
		{"no key, no verification", "    raise ValueError(\"not signed", "    if not secrets: return id\n    raise ValueError(\"not signed"},
		{"the key is taken for its text", `base64.b64decode(secret.removeprefix("whsec_"), validate=True)`, "secret.encode()"},
		{"the id isn't signed", `f"{id}.{sent}."`, `f"{sent}."`},
		{"the time isn't signed", `f"{id}.{sent}."`, `f"{id}."`},
		{"the body isn't signed", `.encode() + body`, `.encode()`},
		{"the body is stripped", `.encode() + body`, `.encode() + body.strip()`},
		{"the body is taken for Latin-1", `.encode() + body`, `.encode() + body.decode("latin-1").encode()`},
		{"the body is written anew", `.encode() + body`, `.encode() + __import__("json").dumps(__import__("json").loads(body or b"0"), separators=(",", ":"), ensure_ascii=False).encode()`},
		{"an absent id is fine", "not id or ", ""},
		{"an absent time is now", `"webhook-timestamp", "")`, `"webhook-timestamp", str(int(now)))`},
		{"a time may be words", `not re.fullmatch("[0-9]{1,12}", sent) or `, `"," in sent and __import__("os")._exit(1) or `},
		{"what fails to verify is taken", "return 401", "pass"},
		{"ids count before they are verified", "    try:\n        id =", "    try:\n        take(headers.get(\"webhook-id\", \"\"), body)\n    except Exception:\n        return 500\n    try:\n        id ="},
		{"failed work counts as done", "return 500", "return 204"},
	} {
		if strings.Count(page, tt.is) != 1 {
			t.Errorf("%s: %q stands %d times in the snippet", tt.mistake, tt.is, strings.Count(page, tt.is))
			continue
		}
		if got, err := python.try(t, strings.Replace(page, tt.is, tt.becomes, 1)); err == nil && cmp.Equal(wanted(), got) {
			t.Errorf("%s: no vector notices", tt.mistake)
		}
	}
}

// wanted are the verdicts by name of the vector.
func wanted() map[string][]verdict {
	out := map[string][]verdict{}
	for name, v := range all() {
		for _, d := range v.Deliveries {
			out[name] = append(out[name], d.Verdict)
		}
	}
	return out
}

// onThePage is the one snippet in this language.
func (l language) onThePage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?ms)^```"+l.fence+"\n(.*?)^```$").FindAllSubmatch(page, -1)
	if len(found) != 1 {
		t.Fatalf("docs/webhooks.md holds %d snippets in %s, want 1", len(found), l.fence)
	}
	return string(found[0][1])
}

func (l language) run(t *testing.T, snippet string) map[string][]verdict {
	t.Helper()
	got, err := l.try(t, snippet)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// try gives the verdicts of a snippet in a folder of its own.
func (l language) try(t *testing.T, snippet string) (map[string][]verdict, error) {
	t.Helper()
	for program, get := range l.needs {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is missing, so the snippet in %s was not run: %s", filepath.Base(program), l.fence, get)
		}
	}
	dir := t.TempDir()
	driver, err := os.ReadFile(filepath.Join("testdata", l.driver))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		l.snippet: snippet, l.driver: string(driver), "package.json": `{"type": "module"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if l.compile != nil {
		if out, err := command(t, dir, l.compile).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", l.compile[0], err, out)
		}
	}
	drive := command(t, dir, l.drive)
	var errors bytes.Buffer
	drive.Stdin, drive.Stderr = bytes.NewReader(vectorFiles(t)), &errors
	out, err := drive.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", l.drive[0], err, errors.String())
	}
	var verdicts map[string][]verdict
	return verdicts, json.Unmarshal(out, &verdicts)
}

func command(t *testing.T, dir string, words []string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), words[0], words[1:]...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GO111MODULE=off", "PYTHONDONTWRITEBYTECODE=1")
	return c
}

// vectorFiles are the files as one object, by name.
func vectorFiles(t *testing.T) []byte {
	t.Helper()
	all := map[string]json.RawMessage{}
	for _, file := range files(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(file, ".json")] = text
	}
	out, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
