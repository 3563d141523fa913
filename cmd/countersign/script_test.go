package main

import (
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"countersign": main})
}

type fakeKey struct{}

// The scripts run the real program against a fake account of their own. "fake KEY=VALUE" changes how it behaves, "calls"
// prints what was asked of it since the last time.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			f := newFakeAWS()
			server := httptest.NewServer(f)
			e.Defer(server.Close)
			f.mu.Lock()
			f.url = server.URL
			f.mu.Unlock()
			e.Values[fakeKey{}] = f
			operatorAt(e, server.URL)
			example, err := os.ReadFile("../../access.yaml")
			if err != nil {
				return err
			}
			return os.WriteFile(e.WorkDir+"/example.yaml", example, 0o600)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"fake":    cmdFake,
			"calls":   cmdCalls,
			"secret":  cmdSecret,
			"narrow":  cmdNarrow,
			"dns":     cmdDNS,
			"says":    cmdSays,
			"escapes": cmdEscapes,
		},
	})
}

func cmdFake(ts *testscript.TestScript, neg bool, args []string) {
	f := ts.Value(fakeKey{}).(*fakeAWS)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range args {
		key, value, ok := strings.Cut(a, "=")
		if !ok || neg {
			ts.Fatalf("usage: fake KEY=VALUE…")
		}
		f.mode[key] = value
	}
}

// cmdCalls prints the calls since the last time, repeats of one in a row once.
func cmdCalls(ts *testscript.TestScript, neg bool, args []string) {
	f := ts.Value(fakeKey{}).(*fakeAWS)
	f.mu.Lock()
	defer f.mu.Unlock()
	if neg || len(args) != 0 {
		ts.Fatalf("usage: calls")
	}
	if len(f.calls) == 0 {
		_, _ = ts.Stdout().Write([]byte("none\n"))
	}
	last := ""
	for _, call := range f.calls {
		if call != last {
			_, _ = ts.Stdout().Write([]byte(call + "\n"))
		}
		last = call
	}
	f.calls = nil
}

// operatorAt is a script's environment in which somebody has credentials, and AWS is at an address of the test's.
func operatorAt(e *testscript.Env, endpoint string) {
	for key, value := range map[string]string{
		"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "example",
		"AWS_EC2_METADATA_DISABLED": "true", "NO_COLOR": "1", "TERM": "xterm",
	} {
		e.Setenv(key, value)
	}
}

// cmdSecret fails if the last output holds an external ID; with ! if it does not.
func cmdSecret(ts *testscript.TestScript, neg bool, args []string) {
	holds := false
	for _, name := range args {
		text := ts.ReadFile(name)
		for _, id := range []string{fakeID, fakeOldID} {
			random := id[len(id)-32:]
			holds = holds || strings.Contains(text, random) || strings.Contains(text, random[:12]) || strings.Contains(text, random[20:])
		}
	}
	if len(args) == 0 || holds != neg {
		ts.Fatalf("an external ID in %v: %v", args, holds)
	}
}

// cmdNarrow fails if a line of the files is wider than a terminal of 80 columns.
func cmdNarrow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: narrow FILE…")
	}
	for _, name := range args {
		for line := range strings.Lines(ts.ReadFile(name)) {
			if n := len([]rune(strings.TrimRight(line, " \n"))); n > terminalWidth {
				ts.Fatalf("%s: %d characters: %s", name, n, line)
			}
		}
	}
}
