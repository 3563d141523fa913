package main

import (
	"context"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts run the real program of both sides against a sandbox of their own: the provider's by default, the customer's operator's
// behind "as operator". Countersign's own functions answer. "secret FILE…" fails if an external ID is printed.
func TestSandboxStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/sandbox",
		Setup: func(e *testscript.Env) error {
			ctx, cancel := context.WithCancel(context.Background())
			read, write := io.Pipe()
			ended := make(chan int, 1)
			go func() {
				ended <- run(ctx, []string{"sandbox", "--listen", "127.0.0.1:0", "--customers", e.WorkDir + "/customers.json"}, nil, write, io.Discard, func(string) string { return "" })
				_ = write.Close()
			}()
			e.Defer(func() {
				cancel()
				if code := <-ended; code != exitDone {
					t.Errorf("the sandbox ended with %d", code)
				}
			})
			line := make([]byte, 400)
			n, err := read.Read(line)
			if err != nil {
				return err
			}
			for _, set := range strings.Fields(strings.TrimPrefix(string(line[:n]), "export ")) {
				name, value, _ := strings.Cut(set, "=")
				e.Setenv(name, value)
			}
			e.Setenv("AT", strings.TrimPrefix(e.Getenv("AWS_ENDPOINT_URL"), "http://"))
			e.Setenv("AWS_CONFIG_FILE", e.WorkDir+"/none")
			e.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			e.Setenv("NO_COLOR", "1")
			e.Setenv("COUNTERSIGN_CUSTOMERS", "customers.json")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"as":     cmdAs,
			"narrow": cmdNarrow,
			"secret": cmdOwnSecret,
		},
	})
}

// cmdAs changes who types.
func cmdAs(ts *testscript.TestScript, neg bool, args []string) {
	keys := map[string]string{"provider": "sandbox", "operator": "OPERATOR", "stranger": "STRANGER"}
	if neg || len(args) != 1 || keys[args[0]] == "" {
		ts.Fatalf("usage: as provider|operator|stranger")
	}
	ts.Setenv("AWS_ACCESS_KEY_ID", keys[args[0]])
}

// cmdOwnSecret fails if a file holds an external ID that the provider keeps.
func cmdOwnSecret(ts *testscript.TestScript, neg bool, args []string) {
	kept, err := os.ReadFile(ts.MkAbs("customers.json"))
	ts.Check(err)
	ids := regexp.MustCompile(`hestio-([A-Za-z0-9]{32})`).FindAllStringSubmatch(string(kept), -1)
	if neg || len(args) == 0 || len(ids) == 0 {
		ts.Fatalf("usage: secret FILE…, beside customers.json with an external ID")
	}
	for _, name := range args {
		for _, id := range ids {
			if strings.Contains(ts.ReadFile(name), id[1]) {
				ts.Fatalf("an external ID in %s", name)
			}
		}
	}
}
