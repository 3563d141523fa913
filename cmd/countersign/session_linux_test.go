package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/countersign/countersign/internal/screen"
)

var update = flag.Bool("update", false, "record the sessions of the pages anew")

// pages show sessions that run against customers' accounts of the tests.
var pages = map[string]int{"README.md": 2, "docs/enter.md": 1}

// What the pages show is what is seen, times and fingerprints aside: make sessions records it.
func TestThePagesShowWhatIsSeen(t *testing.T) {
	access, err := os.ReadFile("../../access.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range pages {
		n, differs, err := screen.RenewFile(filepath.Join("../..", name), "accounts of the tests", *update, func(s screen.Session) (string, error) {
			home := t.TempDir()
			side, env := serveCustomers(t, home)
			side.engineer = "arn:aws:sts::111122223333:assumed-role/CountersignEngineer-blue/jdoe"
			env["SHELL"] = "/bin/bash"
			list := []string{"PATH=" + os.Getenv("PATH")}
			for key, value := range env {
				list = append(list, key+"="+value)
			}
			for file, content := range map[string]string{".bashrc": "PS1='$ '\n", "access.yaml": string(access)} {
				if err := os.WriteFile(filepath.Join(home, file), []byte(content), 0o600); err != nil {
					return "", err
				}
			}
			return screen.Record(s, home, list)
		})
		if err != nil {
			t.Error(err)
		}
		if n != want {
			t.Errorf("%s has %d sessions, want %d", name, n, want)
		}
		for _, d := range differs {
			t.Errorf("%s\nmake sessions records it", d)
		}
	}
}
