// Package languages runs the loops of docs/for-saas.md, in each language, against the sandbox.
package languages

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/provider"
	"github.com/countersign/countersign/provider/providertest"
)

const tools = "../../../.tools"

// language is one in which the page shows the loop.
type language struct {
	fence, snippet, driver string
	needs                  []string // programs
	compile, run           []string
	link                   string   // node_modules
	poison                 []string // what it answers to a poisoned secret: one of these
}

func languages(t *testing.T) []language {
	t.Helper()
	at := func(path string) string {
		abs, err := filepath.Abs(filepath.Join(tools, path))
		if err != nil {
			t.Fatal(err)
		}
		return abs
	}
	modules, python := at("provider-typescript/node_modules"), at("provider-python/bin/python")
	tsc := filepath.Join(modules, ".bin/tsc")
	return []language{
		{"go", "snippet.go", "driver.go", []string{"go"}, []string{"go", "build", "-o", "driver", "."}, []string{"./driver"}, "", nil},
		{"python", "snippet.py", "driver.py", []string{python}, nil, []string{python, "driver.py"}, "", []string{"ValueError"}},
		{"typescript", "snippet.ts", "driver.ts", []string{"node", tsc},
			[]string{tsc, "--strict", "--noUncheckedIndexedAccess", "--skipLibCheck", "--module", "nodenext", "--target", "es2022", "--types", "node", "snippet.ts", "driver.ts"},
			[]string{"node", "driver.js"}, modules, []string{"Error: not"}},
	}
}

// onThePage is the one snippet in this language.
func (l language) onThePage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/for-saas.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?ms)^```"+l.fence+"\n(.*?)^```$").FindAllSubmatch(page, -1)
	if len(found) != 1 {
		t.Fatalf("docs/for-saas.md holds %d snippets in %s, want 1", len(found), l.fence)
	}
	return string(found[0][1])
}

// program is a loop that runs.
type program struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

// answer is what became of a line.
type answer struct{ Error, Confirmed, ID string }

// start builds the snippet and its driver in a folder of the module, which Go needs, and starts it beside an account.
func (l language) start(t *testing.T, account *providertest.Account) *program {
	t.Helper()
	return l.startAs(t, account, account.Customer())
}

func (l language) startAs(t *testing.T, account *providertest.Account, c provider.Customer) *program {
	t.Helper()
	for _, needed := range l.needs {
		if _, err := exec.LookPath(needed); err != nil {
			t.Fatalf("%s is missing, so the loop in %s was not run: make for-saas installs it", needed, l.fence)
		}
	}
	dir, err := os.MkdirTemp(".", "_run-") //nolint:usetesting // within the module, for go build
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	driver, err := os.ReadFile(filepath.Join("testdata", l.driver))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{l.snippet: l.onThePage(t), l.driver: string(driver), "package.json": `{"type": "module"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if l.link != "" {
		if err := os.Symlink(l.link, filepath.Join(dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
	}
	if l.compile != nil {
		build := exec.CommandContext(t.Context(), l.compile[0], l.compile[1:]...)
		build.Dir = dir
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", l.compile[0], err, out)
		}
	}
	state, err := account.Store().Load(t.Context(), c.Name)
	if err != nil {
		t.Fatal(err)
	}
	row, err := json.Marshal(map[string]any{
		"account": c.Account, "roleArn": c.RoleARN, "grant": c.Grant, "prefix": c.Prefix, "secretArn": c.SecretARN, "confirmUrl": c.ConfirmURL,
		"externalId": state.ID.Reveal(), "created": 0, "confirmed": "", "checked": 0,
	})
	if err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), l.run[0], append(l.run[1:], string(row))...)
	run.Dir, run.Stderr = dir, os.Stderr
	run.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+account.URL(), "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=sandbox", "AWS_SECRET_ACCESS_KEY=sandbox",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent", "PYTHONDONTWRITEBYTECODE=1", "NODE_NO_WARNINGS=1")
	in, err := run.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = run.Wait() })
	return &program{t, in, bufio.NewReader(out)}
}

// do hands the program a line and reads what became of it.
func (p *program) do(line string) (a answer) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		p.t.Fatal(err)
	}
	said, err := p.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(said, &a)
	}
	if err != nil {
		p.t.Fatalf("%s: %v %q", line, err, said)
	}
	return a
}

func (p *program) follows(what, version string) answer {
	p.t.Helper()
	p.do("ring")
	a := p.do("enter")
	if a.Error != "" || a.Confirmed != version {
		p.t.Errorf("%s: confirmed %q, current is %s: %s", what, a.Confirmed, version, a.Error)
	}
	return a
}

func TestTheLoopFollows(t *testing.T) {
	for _, l := range languages(t) {
		t.Run(l.fence, func(t *testing.T) {
			account := providertest.New(t)
			p := l.start(t, account)
			first := p.follows("the first ID", account.Version())
			calls := len(account.Calls())
			if a := p.do("enter"); a.Error != "" || len(account.Calls()) > calls+2 {
				t.Errorf("looked again without a reason: %d calls, %s", len(account.Calls())-calls, a.Error)
			}
			for range 2 {
				account.Rotate()
				if a := p.follows("a rotation", account.Version()); a.ID == first.ID {
					t.Error("the ID is still the first one")
				}
				if left := account.Until().Sub(account.Clock()); left > 15*time.Minute {
					t.Errorf("confirmed, and the ID before stays for %s", left)
				}
			}

			was := p.do("enter")
			account.Lag(10 * time.Minute)
			account.Rotate()
			p.do("ring")
			if a := p.do("enter"); a.Error != "" || a.ID != was.ID {
				t.Errorf("IAM doesn't show the new ID yet, and the old one was given up: %+v", a)
			}
			account.Lag(0)
			account.Revoke()
			account.Restore() // the clock goes on beyond the lag; the old IDs are dead
			if a := p.do("enter"); a.Error == "" {
				t.Error("entered with an ID from before a revocation")
			}
		})
	}
}

func TestTheLoopRefusesPoison(t *testing.T) {
	random := strings.Repeat("q", 32)
	for _, l := range languages(t) {
		t.Run(l.fence, func(t *testing.T) {
			account := providertest.New(t)
			p := l.start(t, account)
			version := account.Version()
			was := p.follows("the first ID", version)
			role := account.Customer().RoleARN
			for i, value := range []map[string]string{
				{"grant": "migration", "roleArn": strings.Replace(role, "4444", "7777", 1), "externalId": "hestio-" + random},
				{"grant": "migration", "roleArn": strings.Replace(role, "migration", "nightly", 1), "externalId": "hestio-" + random},
				{"grant": "nightly", "roleArn": role, "externalId": "hestio-" + random},
				{"grant": "migration", "roleArn": role, "externalId": "hestio2-" + random},
				{"grant": "migration", "roleArn": role, "externalId": "hestia-" + random},
				{"grant": "migration", "roleArn": role, "externalId": random},
				{"grant": "migration", "roleArn": role, "externalId": "x-hestio-" + random},
				{"grant": "migration", "roleArn": role, "externalId": "hestio-" + random + "\n"},
			} {
				text, err := json.Marshal(value)
				if err != nil {
					t.Fatal(err)
				}
				account.Poison(fmt.Sprintf("poison-%032d", i), string(text))
				p.do("ring")
				a := p.do("enter")
				if a.ID != was.ID || a.Confirmed != version {
					t.Errorf("poison %d was followed", i)
				}
				refused := len(l.poison) == 0 // package provider goes on with the ID that works, and logs
				for _, word := range l.poison {
					refused = refused || strings.HasPrefix(a.Error, word)
				}
				if !refused {
					t.Errorf("poison %d: %q", i, a.Error)
				}
			}
			poison, err := provider.ParseExternalID("hestio-" + random)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range account.Calls() {
				if c.Action == "AssumeRole" && (c.On != role || c.ID == poison.Fingerprint()) {
					t.Errorf("%+v", c)
				}
			}
		})
	}
}

// The customer's API is the customer's: where it sends us on may be within our own network. Package provider's own test is
// TestNoRedirectIsFollowed.
func TestTheLoopFollowsNoRedirect(t *testing.T) {
	for _, l := range languages(t) {
		if l.fence == "go" {
			continue
		}
		t.Run(l.fence, func(t *testing.T) {
			var inside atomic.Int32
			internal := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inside.Add(1) }))
			defer internal.Close()
			asked, status := 0, 0
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				http.Redirect(w, r, internal.URL, status)
			}))
			defer front.Close()
			account := providertest.New(t)
			c := account.Customer()
			c.ConfirmURL = front.URL + "/v1/grants/migration/confirm"
			p := l.startAs(t, account, c)
			for i, redirect := range []int{301, 302, 303, 307, 308} {
				status = redirect
				p.do("ring")
				if a := p.do("enter"); a.Error == "" || a.Confirmed != "" || asked != i+1 || inside.Load() != 0 {
					t.Errorf("%d: %+v, asked %d times, followed %d times", status, a, asked, inside.Load())
				}
			}
		})
	}
}
