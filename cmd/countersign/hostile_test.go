package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/customers"
	"github.com/countersign/countersign/internal/foreign/foreigntest"
)

// refusedAnyhow is an exit code that depends on the text.
const refusedAnyhow = -1

// hostile is a registry and a customer's account in which somebody wrote what they should not.
type hostile struct {
	*testing.T
	side          *customersSide
	env           map[string]string
	home, program string
}

// What customers' accounts write goes through every command that shows it, and through the prompt that a shell expands: nothing
// steers the terminal, and nothing runs. Each command that ends by itself runs in this process; what enters is the program.
func TestWhatOthersWriteStaysText(t *testing.T) {
	h := hostile{T: t, home: t.TempDir()}
	h.side, h.env = serveCustomers(t, h.home)
	canary := filepath.Join(h.home, "canary")
	// Built plainly: it is started some hundred times, and with the race detector each of them takes ten times as long.
	program := filepath.Join(t.TempDir(), "countersign")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	h.program = program
	for key, value := range h.env {
		t.Setenv(key, value)
	}
	texts := foreigntest.Strings(canary)
	if len(texts) < 40 {
		t.Fatalf("%d hostile strings", len(texts))
	}
	for _, text := range texts {
		h.write(text)
		for _, tc := range []struct {
			args []string
			code int
		}{
			{[]string{"list", "customers"}, exitDone},
			{[]string{"exec", "gone", "--", "true"}, exitDenied},
			{[]string{"exec", "poisoned", "--", "true"}, refusedAnyhow},
			{[]string{"exec", "astray", "--", "true"}, exitRefused},
			{[]string{"profiles", "write"}, exitDone},
			{[]string{"exec", text, "--", "true"}, refusedAnyhow},
			{[]string{"__complete", "sudo", ""}, exitDone},
		} {
			h.ends(text, tc.args, tc.code)
		}
		// A denial's words, whoami with alias and reason, and a prompt that bash expands.
		h.enters(text, []string{"exec", "acme", "--reason", text, "--", "bash", "-c",
			program + ` list eks-clusters; test $? = 4 && ` + program + ` whoami && PS1='$(` + program + ` prompt --bracket)' && printf %s "${PS1@P}"`})
		if _, err := os.Stat(canary); err == nil {
			t.Fatalf("%q was run", text)
		}
		config, err := os.ReadFile(h.env["AWS_CONFIG_FILE"])
		if err != nil || strings.Contains(string(config), "canary") {
			t.Fatalf("%q stands in AWS's configuration: %v", text, err)
		}
	}
	h.write(texts...)
	for _, list := range []string{"s3bucket", "iam-role"} {
		h.enters("all of them", []string{"exec", "acme", "--", program, "list", list})
		h.enters("all of them", []string{"exec", "acme", "--", program, "list", list, "--json"})
	}
	if _, err := os.Stat(canary); err == nil {
		t.Fatal("a list was run")
	}
}

// write has the account, and the first text the registry, say what nobody should.
func (h hostile) write(texts ...string) {
	f, text := h.side.Facts(h.Context()), texts[0]
	acme := customers.Customer{
		Name: "acme", Account: f.Account, RoleARN: f.RoleARN, Grant: f.Grant, Prefix: f.Prefix, SecretARN: f.SecretARN,
		Kind: customers.KindCountersign, State: customers.StateAccepted, StackVersion: text, Teams: []string{text},
	}
	gone := acme
	gone.Name, gone.State, gone.Reason, gone.RevokedBy = "gone", customers.StateRevoked, text, text
	poisoned := acme
	poisoned.Name, poisoned.SecretARN, poisoned.Grant = "poisoned", text, text
	astray := acme
	astray.Name, astray.RoleARN, astray.Account = "astray", text, text
	writeRegistry(h.T, h.env["COUNTERSIGN_CUSTOMERS"], acme, gone, poisoned, astray)
	h.side.mu.Lock()
	defer h.side.mu.Unlock()
	h.side.foreign = texts
}

// ends runs a command that starts no other.
func (h hostile) ends(text string, args []string, want int) {
	h.Helper()
	var out bytes.Buffer
	code := run(h.Context(), args, nil, &out, &out, os.Getenv)
	if code != want && (want != refusedAnyhow || code <= 0) {
		h.Errorf("%q: %q ended with %d, want %d: %s", text, args, code, want, out.String())
	}
	shown := out.String()
	if args[0] == "__complete" {
		shown = strings.ReplaceAll(shown, "\t", " ") // cobra's form
	}
	if !foreigntest.Tame(shown) {
		h.Errorf("%q: %q printed %q", text, args, shown)
	}
}

// enters runs the program.
func (h hostile) enters(text string, args []string) {
	h.Helper()
	if strings.ContainsRune(strings.Join(args, ""), 0) {
		return // no argument can hold it
	}
	cmd := exec.CommandContext(h.Context(), h.program, args...)
	cmd.Dir, cmd.Env = h.home, []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	for key, value := range h.env {
		cmd.Env = append(cmd.Env, key+"="+value)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.Errorf("%q: %q: %v: %s", text, args, err, out)
	}
	if !foreigntest.Tame(string(out)) {
		h.Errorf("%q: %q printed %q", text, args, out)
	}
}
