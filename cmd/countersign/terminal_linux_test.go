package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/screen"
)

// openTerminal makes a terminal that goes with the test.
func openTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, program, err := screen.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close(); _ = program.Close() })
	return person, program
}

type fakeAccount interface {
	http.Handler
	at(url string)
}

// atTerminal runs the program on a terminal where a person types an answer, and gives what they saw.
func atTerminal(t *testing.T, f fakeAccount, typed string, args ...string) (seen string, code int) {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.at(server.URL)
	for key, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "example",
		"AWS_PROFILE": "", "NO_COLOR": "1",
	} {
		t.Setenv(key, value)
	}
	t.Chdir(t.TempDir())
	person, program := openTerminal(t)
	if _, err := io.WriteString(person, typed); err != nil {
		t.Fatal(err)
	}
	code = run(t.Context(), args, program, program, program, os.Getenv)
	// What was written stays in the terminal's buffer: read it until the mark.
	const mark = "END OF OUTPUT"
	if _, err := io.WriteString(program, mark); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	buf := make([]byte, 4096)
	for deadline := time.Now().Add(5 * time.Second); !strings.Contains(out.String(), mark) && time.Now().Before(deadline); {
		n, err := person.Read(buf)
		out.Write(buf[:n])
		if err != nil {
			t.Fatal(err)
		}
	}
	return strings.ReplaceAll(strings.TrimSuffix(out.String(), mark), "\r\n", "\n"), code
}

func TestRevokeAsksOnATerminal(t *testing.T) {
	const question = "Revoke hestio's access to 444455556666? Live sessions end too. [y/N]"
	for _, tc := range []struct {
		typed   string
		code    int
		revoked bool
	}{
		{"n\n", exitRefused, false},
		{"\n", exitRefused, false},
		{"what?\n", exitRefused, false},
		{"\x04", exitRefused, false}, // end of input
		{"y\n", exitDone, true},
		{"YES\n", exitDone, true},
	} {
		t.Run(fmt.Sprintf("%q", tc.typed), func(t *testing.T) {
			f := newFakeAWS()
			seen, code := atTerminal(t, f, tc.typed, "revoke", "migration", "--reason", "project ended")
			revoked := slices.Contains(f.calls, "POST /v1/grants/migration/revoke")
			if code != tc.code || revoked != tc.revoked || !strings.Contains(seen, question) {
				t.Errorf("exit %d, revoked %v, want %d, %v; seen:\n%s", code, revoked, tc.code, tc.revoked, seen)
			}
		})
	}
}

// One question for all grants, with their names, and a last line that is written anew.
func TestRevokeOfManyAsksOnceOnATerminal(t *testing.T) {
	for typed, code := range map[string]int{"n\n": exitRefused, "y\n": exitDone} {
		f := newFakeFleet()
		seen, got := atTerminal(t, f, typed, "revoke", "--provider", "hestio", "--reason", "contract ended", "--rate", "1000")
		const question = "  backup, deploys, metrics, open\nRevoke these 4 grants of hestio? Live sessions end too. [y/N]"
		if got != code || !strings.Contains(seen, question) || strings.Count(seen, "[y/N]") != 1 {
			t.Errorf("%q: exit %d, want %d; seen:\n%s", typed, got, code, seen)
		}
		if asked := len(f.calls) > 0; asked != (code == exitDone) {
			t.Errorf("%q: %v", typed, f.calls)
		}
		if code == exitDone && !strings.Contains(seen, "denied\n3 of 4: 3 denied\r\x1b[K") {
			t.Errorf("no last line in:\n%q", seen)
		}
	}
}

func TestRevealShowsTheIDOnATerminal(t *testing.T) {
	f := newFakeAWS()
	seen, code := atTerminal(t, f, "", "reveal", "migration")
	if code != exitDone || !strings.Contains(seen, fakeID+"\n") || strings.Count(seen, fakeID) != 1 {
		t.Errorf("exit %d, seen:\n%s", code, seen)
	}
	if want := []string{"GetParameter", "GetSecretValue"}; !slices.Equal(f.calls, want) {
		t.Errorf("calls = %v, want %v", f.calls, want)
	}
}

// Nothing is written before somebody has seen all accounts and said yes.
func TestARevokeOverAccountsAsksOnce(t *testing.T) {
	for typed, want := range map[string]int{"n\n": exitRefused, "y\n": exitDenied} {
		f := newFakeOrganization()
		f.mode[labAccount] = "noroles"
		seen, code := atTerminal(t, f, typed, "revoke", "--provider", "hestio", "--organization", "--reason", "contract ended")
		if denied := len(f.of("deny")) > 0; code != want || denied != (typed == "y\n") {
			t.Errorf("%q: exit %d, asked %v:\n%s", typed, code, f.said(), seen)
		}
		for _, line := range []string{
			"  " + prodAccount + " prod  audit, backup\n  " + devAccount + " dev  audit\n  " + labAccount + "  not read: lab: listing the roles under /countersign/: IAM",
			"Revoke these 3 grants of hestio in 2 accounts? Live sessions end too. [y/N]", "5 accounts looked into",
		} {
			if !strings.Contains(seen, line) {
				t.Errorf("%q: no %q in:\n%s", typed, line, seen)
			}
		}
	}
}
