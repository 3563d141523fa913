package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign/internal/grant"
)

// against runs the program against a fake of AWS, and gives what it wrote.
func against(t *testing.T, ctx context.Context, f interface {
	http.Handler
	at(url string)
}, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.at(server.URL)
	for key, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "example", "AWS_PROFILE": "",
	} {
		t.Setenv(key, value)
	}
	var out, talk bytes.Buffer
	code = run(ctx, args, strings.NewReader(""), &out, &talk, os.Getenv)
	return out.String(), talk.String(), code
}

// calls are what was asked with a verb.
func (f *fakeFleet) asked(verb string) (of []string) {
	for _, call := range f.said() {
		if rest, ok := strings.CutPrefix(call, verb+" "); ok {
			of = append(of, rest)
		}
	}
	slices.Sort(of)
	return of
}

func TestAnInterruptedRotationOfManyGoesOn(t *testing.T) {
	f := newFakeFleet()
	ctx, interrupt := context.WithCancel(t.Context())
	f.onCall = func(call string) {
		if call == "rotate deploys" { // the second of three
			interrupt()
		}
	}
	const run = "4f2a9c01d3e7"
	stdout, stderr, code := against(t, ctx, f, "rotate", "--provider", "hestio", "--run", run, "--rate", "10")
	if code != exitFailed || !strings.Contains(stdout, "metrics  not tried") || slices.Contains(f.said(), "rotate metrics") {
		t.Errorf("exit %d, asked %v, printed:\n%s", code, f.said(), stdout)
	}
	if want := "To go on: countersign rotate --provider hestio --run " + run; !strings.Contains(stderr, want) || !strings.Contains(stderr, "interrupted: ") {
		t.Errorf("no %q in:\n%s", want, stderr)
	}
	f.forget()
	stdout, _, code = against(t, t.Context(), f, "rotate", "--provider", "hestio", "--run", run, "--rate", "10")
	if code != exitDone || slices.Contains(f.said(), "rotate backup") || !slices.Contains(f.said(), "rotate metrics") {
		t.Errorf("exit %d, asked %v, printed:\n%s", code, f.said(), stdout)
	}
	for _, name := range []string{"backup", "deploys", "metrics"} {
		if !grant.InRun(f.current[name], grant.OnDemand, run) {
			t.Errorf("%s has version %s", name, f.current[name])
		}
	}
}

func TestAnInterruptedRevokeOfManyGoesOn(t *testing.T) {
	f := newFakeFleet()
	ctx, interrupt := context.WithCancel(t.Context())
	f.onCall = func(call string) {
		if call == "revoke backup" { // all Denies are written by then
			interrupt()
		}
	}
	args := []string{"revoke", "--provider", "hestio", "--reason", "contract ended", "--yes", "--rate", "10"}
	stdout, stderr, code := against(t, ctx, f, args...)
	if code != exitFailed || !strings.Contains(stdout, "deploys  denied") || len(f.asked("deny")) != 4 {
		t.Errorf("exit %d, asked %v, printed:\n%s", code, f.said(), stdout)
	}
	if want := "To go on: countersign revoke --provider hestio --reason 'contract ended'"; !strings.Contains(stderr, want) {
		t.Errorf("no %q in:\n%s", want, stderr)
	}
	f.forget()
	stdout, _, code = against(t, t.Context(), f, args...)
	if want := []string{"deploys", "metrics", "open"}; code != exitDone || !slices.Equal(f.asked("revoke"), want) {
		t.Errorf("exit %d, revoked %v, want %v; printed:\n%s", code, f.asked("revoke"), want, stdout)
	}
}

func TestTheDeniesOfAllComeFirstWithoutTheAPIToo(t *testing.T) {
	f := newFakeFleet()
	f.mode["api"] = "down"
	if _, stderr, code := against(t, t.Context(), f, "revoke", "--provider", "hestio", "--reason", "contract ended", "--yes", "--rate", "1000"); code != exitDone {
		t.Fatalf("exit %d:\n%s", code, stderr)
	}
	writes := slices.DeleteFunc(f.said(), func(call string) bool {
		return !strings.HasPrefix(call, "PutRolePolicy") && !strings.HasPrefix(call, "Update")
	})
	first := slices.Sorted(slices.Values(writes[:4]))
	want := []string{"PutRolePolicy ServiceProvider-backup", "PutRolePolicy ServiceProvider-deploys", "PutRolePolicy ServiceProvider-metrics", "PutRolePolicy ServiceProvider-open"}
	if !slices.Equal(first, want) {
		t.Errorf("the first writes are %v", writes)
	}
}

// The pace holds whatever a grant takes, and no more than so many are under way.
func TestManyGrantsAreTakenAtTheirPace(t *testing.T) {
	for _, c := range []struct {
		name  string
		takes time.Duration
		pace  pace
		want  []time.Duration // when each one starts
	}{
		{"quick ones", 0, pace{500 * time.Millisecond, 64}, []time.Duration{0, 500, 1000, 1500}},
		{"slow ones beside each other", time.Minute, pace{500 * time.Millisecond, 64}, []time.Duration{0, 500, 1000, 1500}},
		{"two at a time", 3 * time.Second, pace{500 * time.Millisecond, 2}, []time.Duration{0, 500, 3000, 3500}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var stderr bytes.Buffer
				cli := &cli{stderr: &stderr, env: func(string) string { return "" }, now: time.Now, wait: wait}
				var members []member
				for n := range c.want {
					members = append(members, member{name: grant.Name(fmt.Sprint(n))})
				}
				var mu sync.Mutex
				var started []time.Duration
				began := time.Now()
				out := cli.onEach(t.Context(), members, c.pace, cli.meter(len(members)), func(context.Context, member) outcome {
					mu.Lock()
					started = append(started, time.Since(began)/time.Millisecond)
					mu.Unlock()
					time.Sleep(c.takes)
					return outcome{Outcome: "rotated"}
				})
				if !slices.Equal(started, c.want) || len(out) != len(members) || out[3].Outcome != "rotated" {
					t.Errorf("started after %v ms, want %v; %v", started, c.want, out)
				}
			})
		})
	}
	if got := every(4, writesOfRotation); got != 500*time.Millisecond {
		t.Errorf("a rotation each %s at four writes a second", got)
	}
}

func TestACommandLineIsWhatAShellTakes(t *testing.T) {
	for want, words := range map[string][]string{
		"countersign rotate --all":           {"countersign", "rotate", "--all"},
		"--reason 'project ended'":           {"--reason", "project ended"},
		`--reason 'it'\''s $(late) "now"'`:   {"--reason", `it's $(late) "now"`},
		"''":                                 {""},
		"--stack arn:aws/x_1.2@eu,west=a+b-": {"--stack", "arn:aws/x_1.2@eu,west=a+b-"},
	} {
		if got := commandLine(words...); got != want {
			t.Errorf("%q gives %s, want %s", words, got, want)
		}
	}
}
