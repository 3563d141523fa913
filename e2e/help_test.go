//go:build e2e

package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/e2e/lab"
)

var fourSteps = []string{"createSecret", "setSecret", "testSecret", "finishSecret"}

// startLab starts an emulator of this test's own, which ends with the test.
func startLab(t *testing.T) *lab.Lab {
	t.Helper()
	l, err := lab.Start(t.Context(), "..", t.TempDir(), lab.StoppedClock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			tellLogs(t, l)
		}
		l.Stop()
	})
	return l
}

// tellLogs logs the end of each function's log, to see why a test failed.
func tellLogs(t *testing.T, l *lab.Lab) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, function := range []string{"rotate", "reconcile", "revoke", "operate", "confirm", "notify"} {
		lines, err := l.LogLines(ctx, "/aws/lambda/countersign-"+function)
		if err != nil {
			t.Logf("log of %s: %v", function, err)
			continue
		}
		lines = slices.DeleteFunc(lines, func(line string) bool {
			return strings.HasPrefix(line, "START ") || strings.HasPrefix(line, "END ") || strings.HasPrefix(line, "REPORT ")
		})
		t.Logf("log of %s ends with:\n%s", function, strings.Join(lines[max(0, len(lines)-30):], "\n"))
	}
}

// eventually tries until ok, or fails the test after the time.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(within)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", within, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// must gives the value, or ends the test.
func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// wantAllowed and wantDenied look at the answer of one call. Any failure but a denial fails both.
func wantAllowed(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: want allowed, got %v", what, err)
	}
}

func wantDenied(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: want denied, was allowed", what)
	} else if !lab.Denied(err) {
		t.Errorf("%s: want denied, got another failure: %v", what, err)
	}
}
