package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/screen"
)

// shells are those that sudo is tried with, and what a person's own files of them say: a prompt, and variables that lead elsewhere.
var shells = []struct {
	name  string
	files map[string]string
	code  string // of the last command
}{
	{"bash", map[string]string{".bashrc": "PS1='MINE> '\nexport AWS_PROFILE=elsewhere AWS_ACCESS_KEY_ID=AKIAELSEWHERE AWS_SECRET_ACCESS_KEY=x\nMINE=read\nPROMPT_COMMAND='MINE2=read'\n"}, "$?"},
	{"zsh", map[string]string{
		".zshenv":    "export ZDOTDIR=$HOME/zsh MINE2=read\n",
		"zsh/.zshrc": "PROMPT='MINE> '\nexport AWS_PROFILE=elsewhere AWS_ACCESS_KEY_ID=AKIAELSEWHERE AWS_SECRET_ACCESS_KEY=x\nMINE=read\n",
	}, "$?"},
	{"fish", map[string]string{
		".local/share/fish/generated_completions/none.fish": "", // or fish makes them, for minutes
		".config/fish/config.fish":                          "function fish_prompt; echo -n 'MINE> '; end\nset -gx AWS_PROFILE elsewhere\nset -gx AWS_ACCESS_KEY_ID AKIAELSEWHERE\nset -gx AWS_SECRET_ACCESS_KEY x\nset -U AWS_SESSION_TOKEN x\nset MINE read\nset MINE2 read\n",
	}, "$status"},
	{"sh", nil, "$?"},
}

// terminal is a screen whose failures are the test's.
type terminal struct {
	*screen.Screen
	t *testing.T
}

func startScreen(t *testing.T, env map[string]string, name string, args ...string) terminal {
	t.Helper()
	list := []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	for key, value := range env {
		list = append(list, key+"="+value)
	}
	s, err := screen.Start("", list, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return terminal{s, t}
}

func (s terminal) typed(text string) {
	s.t.Helper()
	if err := s.Type(text); err != nil {
		s.t.Fatal(err)
	}
}

// expect reads until a text stands on the screen that stood there not before.
func (s terminal) expect(text string) {
	s.t.Helper()
	if _, err := s.Expect(text, 2*time.Minute); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits for the program's end.
func (s terminal) ends(code int) {
	s.t.Helper()
	if got := s.Ends(); got != code {
		s.t.Errorf("ended with %d, want %d", got, code)
	}
}

func TestSudoOpensAPersonsOwnShell(t *testing.T) {
	tried := 0
	for _, sh := range shells {
		path, err := exec.LookPath(sh.name)
		if err != nil {
			if sh.name == "bash" || sh.name == "sh" || os.Getenv("COUNTERSIGN_ALL_SHELLS") != "" {
				t.Errorf("%s isn't installed", sh.name)
			}
			t.Logf("%s isn't installed: not tried", sh.name)
			continue
		}
		tried++
		t.Run(sh.name, func(t *testing.T) {
			home := t.TempDir()
			_, env := serveCustomers(t, home)
			for name, content := range sh.files {
				file := filepath.Join(home, name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			prompt, mine := func(who string) string { return "[CUSTOMER " + who + " 4444…6666 59m] MINE> " }, "m:readread"
			if sh.name == "sh" { // its prompt stands
				prompt, mine = func(who string) string { return "[CUSTOMER " + who + " 4444…6666] $ " }, "m:"
			}
			env["SHELL"], env["TMPDIR"] = path, filepath.Join(home, "tmp")
			if err := os.Mkdir(env["TMPDIR"], 0o700); err != nil {
				t.Fatal(err)
			}
			s := startScreen(t, env, "countersign", "sudo", "acme", "--reason", "INC-812")
			s.expect("acme (444455556666), role ServiceProvider-migration, as Engineers-sandbox=INC-812")
			s.expect(prompt("acme"))
			s.typed("countersign whoami\n")
			s.expect("CUSTOMER    acme 444455556666")
			s.expect(prompt("acme"))
			s.typed("echo \"p:$AWS_PROFILE k:$AWS_ACCESS_KEY_ID t:$AWS_SESSION_TOKEN m:$MINE$MINE2\"\n")
			s.expect("p: k: t: " + mine)
			s.typed("sh -c 'exit 3'\n")
			s.expect(prompt("acme"))
			s.typed("echo code:" + sh.code + "\n")
			s.expect("code:3")
			s.expect(prompt("acme"))
			s.typed("sh -c 'echo a\"\"sleep; exec sleep 300'\n")
			s.expect("asleep")
			s.typed("\x03") // Ctrl-C ends what runs, and not the shell
			s.expect(prompt("acme"))
			s.typed("countersign sudo umbrella\n")
			s.expect(prompt("umbrella"))
			s.typed("countersign whoami\n")
			s.expect("CUSTOMER    umbrella")
			s.typed("exit\n")
			s.expect("Back from umbrella: CUSTOMER acme")
			s.expect(prompt("acme"))
			s.typed("exit 5\n")
			s.expect("Back from acme: PROVIDER 111122223333")
			s.ends(5)
			if left, err := filepath.Glob(filepath.Join(env["TMPDIR"], "countersign-*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
	if tried < 2 {
		t.Errorf("%d shells were tried", tried)
	}
}

// In colour the words are the same.
func TestThePromptIsInWordsAndColour(t *testing.T) {
	home := t.TempDir()
	_, env := serveCustomers(t, home)
	env["NO_COLOR"], env["SHELL"] = "", "/bin/bash"
	s := startScreen(t, env, "countersign", "sudo", "acme")
	s.expect("[CUSTOMER acme 4444…6666 59m]")
	if !strings.Contains(s.Raw(), "\x1b[1;97;41m[CUSTOMER acme 4444…6666 59m]\x1b[0m ") {
		t.Errorf("%q", s.Raw())
	}
	s.typed("exit\n")
	s.ends(0)
}

func TestAnIDIsTypedUnseen(t *testing.T) {
	home := t.TempDir()
	side, env := serveCustomers(t, home)
	writeRegistry(t, filepath.Join(home, "customers.json"))
	env["SHELL"] = "/bin/bash"
	id, err := side.FirstID()
	if err != nil {
		t.Fatal(err)
	}
	s := startScreen(t, env, "countersign", "assume", "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration")
	s.expect("External ID (nothing: none): ")
	s.typed(id.Reveal() + "\n")
	s.expect("[CUSTOMER 4444…6666 59m]")
	s.typed("exit\n")
	s.ends(0)
	if strings.Contains(s.Raw(), id.Reveal()[8:]) {
		t.Error("the external ID is on the screen")
	}
}

func TestAProfileThatWantsACodeAsksForIt(t *testing.T) {
	home := t.TempDir()
	_, env := serveCustomers(t, home)
	env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"] = "", ""
	config := "[profile mine]\nrole_arn = arn:aws:iam::111122223333:role/CountersignEngineer-blue\nsource_profile = keys\nmfa_serial = arn:aws:iam::111122223333:mfa/jdoe\n" +
		"[profile keys]\naws_access_key_id = " + ownKey + "\naws_secret_access_key = example\n"
	if err := os.WriteFile(env["AWS_CONFIG_FILE"], []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startScreen(t, env, "countersign", "whoami", "--profile", "mine")
	s.expect("MFA code: ")
	s.typed("\x03") // a code would be sent to AWS itself: the SDK takes no emulator's address for it
	s.ends(exitDenied)
}

// Ctrl-C ends a question, and what exec runs.
func TestCtrlCInTheMiddle(t *testing.T) {
	home := t.TempDir()
	_, env := serveCustomers(t, home)
	for _, tc := range []struct {
		args []string
		wait string
	}{
		{[]string{"sudo", "arn:aws:iam::999988887777:role/Partner"}, "External ID (nothing: none): "},
		{[]string{"sudo", "umbr"}, "Which one? "},
		{[]string{"exec", "acme", "--", "sh", "-c", "echo runs; sleep 30"}, "runs"},
	} {
		s := startScreen(t, env, "countersign", tc.args...)
		s.expect(tc.wait)
		s.typed("\x03")
		s.ends(exitInterrupted)
	}
}
