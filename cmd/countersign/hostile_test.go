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

// What customers' accounts write goes through every command that shows it, and through the prompt that a shell expands: nothing
// steers the terminal, and nothing runs.
func TestWhatOthersWriteStaysText(t *testing.T) {
	home := t.TempDir()
	side, env := serveCustomers(t, home)
	canary := filepath.Join(home, "canary")
	program, err := exec.LookPath("countersign")
	if err != nil {
		t.Fatal(err)
	}
	registry := filepath.Join(home, "customers.json")
	f := side.Facts(t.Context())
	texts := foreigntest.Strings(canary)
	if len(texts) < 40 {
		t.Fatalf("%d hostile strings", len(texts))
	}
	for _, text := range texts {
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
		writeRegistry(t, registry, acme, gone, poisoned, astray)
		side.mu.Lock()
		side.foreign = text
		side.mu.Unlock()
		for _, tc := range []struct {
			args []string
			code int
		}{
			{[]string{"list", "customers"}, 0},
			{[]string{"exec", "gone", "--", "true"}, 4},
			{[]string{"exec", "poisoned", "--", "true"}, refusedAnyhow},
			{[]string{"exec", "astray", "--", "true"}, 3},
			{[]string{"exec", "acme", "--reason", text, "--", program, "whoami"}, 0},
			{[]string{"exec", "acme", "--", program, "list", "s3bucket"}, 0},
			{[]string{"exec", "acme", "--", program, "list", "iam-role"}, 0},
			{[]string{"exec", "acme", "--", program, "list", "eks-clusters"}, 4},
			{[]string{"exec", "acme", "--reason", text, "--", "bash", "-c", `PS1='$(` + program + ` prompt --bracket)'; printf %s "${PS1@P}"`}, 0},
			{[]string{"profiles", "write"}, 0},
			{[]string{"exec", text, "--", "true"}, refusedAnyhow},
			{[]string{"__complete", "sudo", ""}, 0},
		} {
			if strings.ContainsRune(strings.Join(tc.args, ""), 0) {
				continue // no argument can hold it
			}
			cmd := exec.CommandContext(t.Context(), program, tc.args...)
			cmd.Dir, cmd.Env = home, []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
			for key, value := range env {
				cmd.Env = append(cmd.Env, key+"="+value)
			}
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			_ = cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != tc.code && (tc.code != refusedAnyhow || code <= 0) {
				t.Errorf("%q: %q ended with %d, want %d: %s", text, tc.args, code, tc.code, out.String())
			}
			shown := out.String()
			if tc.args[0] == "__complete" {
				shown = strings.ReplaceAll(shown, "\t", " ") // cobra's form
			}
			if !foreigntest.Tame(shown) {
				t.Errorf("%q: %q printed %q", text, tc.args, shown)
			}
		}
		if _, err := os.Stat(canary); err == nil {
			t.Fatalf("%q was run", text)
		}
		config, err := os.ReadFile(env["AWS_CONFIG_FILE"])
		if err != nil || strings.Contains(string(config), "canary") {
			t.Fatalf("%q stands in AWS's configuration: %v", text, err)
		}
	}
}
