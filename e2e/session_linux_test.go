//go:build e2e

package e2e

import (
	"flag"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/e2e/lab"
	"github.com/countersign/countersign/internal/screen"
)

var update = flag.Bool("update", false, "record the session of README.md anew")

// What README.md shows of `make local` is what is seen there, times and fingerprints aside: make sessions records it.
func TestREADMEShowsTheEmulator(t *testing.T) {
	t.Parallel()
	if err := lab.Built(".."); err != nil {
		t.Fatal(err)
	}
	l := startLab(t)
	around := must[*lab.Surroundings](t)(l.Prepare(t.Context(), nil))
	t.Cleanup(around.Receiver.Close)
	access := must[string](t)(l.WriteAccess(around, "access.yaml", "1h", time.Hour))
	out := filepath.Join(l.Dir, "stack")
	for _, step := range []func() error{
		func() error { return l.Bootstrap(t.Context()) },
		func() error { return l.Synth(t.Context(), access, out) },
		func() error { return l.Deploy(t.Context(), out) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	operator := must[aws.Config](t)(l.NewUser(t.Context(), lab.Customer, "operator", mayAll))
	env := must[[]string](t)(l.EnvironmentOf(t.Context(), operator))
	n, differs, err := screen.RenewFile("../README.md", "emulator", *update, func(s screen.Session) (string, error) {
		return screen.Record(s, l.Root, env)
	})
	if err != nil || n != 1 {
		t.Errorf("%d sessions: %v", n, err)
	}
	for _, d := range differs {
		t.Errorf("%s\nmake sessions records it", d)
	}
}
