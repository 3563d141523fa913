package demo

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/functions/confirm"
	"github.com/countersign/countersign/functions/reconcile"
	"github.com/countersign/countersign/functions/revoke"
	"github.com/countersign/countersign/functions/rotate"
	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/simtest"
)

func year(t *testing.T, seed uint64) *Year {
	t.Helper()
	y, err := New(seed)
	if err != nil {
		t.Fatal(err)
	}
	return y
}

// published is the year that README.md shows.
var published = sync.OnceValues(func() (*Year, Report) {
	y, err := New(Seed)
	if err != nil {
		panic(err)
	}
	return y, y.Play(context.Background())
})

func TestTheYearIsAsPromised(t *testing.T) {
	for _, seed := range []uint64{Seed, 20260105} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			y, r := published()
			if seed != Seed {
				y = year(t, seed)
				r = y.Play(t.Context())
			}
			for _, s := range r.Scenes {
				for _, c := range s.Checks {
					if !c.OK {
						t.Errorf("%s: %s: %s", s.Name, c.What, c.Got)
					}
				}
			}
			if len(r.Scenes) != len(scenes) || r.Checks < 90 || r.Calls < 40_000 || r.Failed != 0 {
				t.Errorf("%d scenes, %d checks, %d calls, %d failed", len(r.Scenes), r.Checks, r.Calls, r.Failed)
			}
			holdsNoID(t, y, r)
		})
	}
}

// holdsNoID looks for each ID in all that is printed.
func holdsNoID(t *testing.T, y *Year, r Report) {
	var out bytes.Buffer
	if err := Print(&out, r, nil); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&out, "%+v", r)
	if len(y.ids) < 12 {
		t.Errorf("%d external IDs in a year", len(y.ids))
	}
	named := 0
	for _, id := range y.ids {
		random := id[len(id)-32:]
		if strings.Contains(out.String(), random[:12]) || strings.Contains(out.String(), random[20:]) {
			t.Errorf("the output holds %s", idName(id))
		}
		if strings.Contains(out.String(), idName(id)) {
			named++
		}
	}
	if named < len(y.ids)/2 {
		t.Errorf("%d of %d external IDs are named by their fingerprints", named, len(y.ids))
	}
}

// Functions that are broken in one point: the year has to notice.
type (
	closesNothing struct{ revoke.Roles }
	mendsNothing  struct{ reconcile.Roles }
	endsNothing   struct{ rotate.Roles }
	waitsForNone  struct{ rotate.Plans }
	hearsNothing  struct{ confirm.Secrets }
	talkative     struct {
		rotate.Secrets
		log *slog.Logger
	}
)

func (closesNothing) PutInlinePolicy(context.Context, string, string, []byte) error { return nil }

func (mendsNothing) SetTrust(context.Context, string, []byte) error { return nil }

func (r endsNothing) SetTrust(ctx context.Context, role string, document []byte) error {
	return r.Roles.SetTrust(ctx, role, bytes.ReplaceAll(document, []byte("2026-04-06"), []byte("2026-05-06")))
}

func (p waitsForNone) Plan(ctx context.Context, name grant.Name) (grant.Plan, error) {
	plan, err := p.Plans.Plan(ctx, name)
	plan.WhenUnconfirmed = grant.UnconfirmedCut
	return plan, err
}

func (hearsNothing) Tag(context.Context, string, map[string]string) error { return nil }

func (s talkative) Version(ctx context.Context, secretARN, versionID string) (grant.Version, error) {
	v, err := s.Secrets.Version(ctx, secretARN, versionID)
	s.log.Info("read", "value", string(v.Value))
	return v, err
}

func TestTheYearNoticesABrokenFunction(t *testing.T) {
	for _, tt := range []struct {
		name    string
		breakIt func(*simtest.World)
		failing string
	}{
		{"the previous ID lives on for a month", func(w *simtest.World) { w.Rotator.Roles = endsNothing{w.Rotator.Roles} }, "CONFIRMED"},
		{"who never confirmed is locked out", func(w *simtest.World) { w.Rotator.Plans = waitsForNone{w.Rotator.Plans} }, "ASLEEP"},
		{"a confirmation isn't noted", func(w *simtest.World) { w.Confirming.Secrets = hearsNothing{w.Confirming.Secrets} }, "TOLD"},
		{"no reconcile mends", func(w *simtest.World) { w.Reconciler.Roles = mendsNothing{w.Reconciler.Roles} }, "EDITED"},
		{"a revoke writes no Deny", func(w *simtest.World) { w.Revoker.Roles = closesNothing{w.Revoker.Roles} }, "REVOKED"},
		{"a function logs an ID", func(w *simtest.World) { w.Rotator.Secrets = talkative{w.Rotator.Secrets, w.Rotator.Log} }, "SEARCHED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			y := year(t, Seed)
			tt.breakIt(y.World)
			r := y.playTo(t.Context(), tt.failing)
			last, failed := r.Scenes[len(r.Scenes)-1], 0
			for _, c := range last.Checks {
				if !c.OK {
					failed++
				}
			}
			if last.Name != tt.failing || failed == 0 || r.Failed < failed {
				t.Errorf("scene %s: %d of %d failures", last.Name, failed, r.Failed)
			}
			var out bytes.Buffer
			if err := Print(&out, r, nil); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), "FAILED") || strings.Contains(out.String(), "Next:") {
				t.Error("the output doesn't say so")
			}
			for line := range strings.Lines(out.String()) {
				if n := len([]rune(strings.TrimSpace(line))); n > width {
					t.Errorf("%d characters: %s", n, line)
				}
			}
		})
	}
}

// The demo's access.yaml is the repository's with more in it.
func TestTheGrantIsTheExamples(t *testing.T) {
	example, err := access.Load("../../access.yaml")
	if err != nil {
		t.Fatal(err)
	}
	e, y := example.Entries()[0], year(t, Seed).entry
	if e.Provider.Name != y.Provider.Name || e.Provider.Account != y.Provider.Account || e.Grant.Name != y.Grant.Name {
		t.Errorf("the example lets %s in as %s, the demo %s as %s", e.Provider.Name, e.Grant.Name, y.Provider.Name, y.Grant.Name)
	}
	if d := cmp.Diff(e.Grant.Permissions, y.Grant.Permissions); d != "" {
		t.Error(d)
	}
}

var update = flag.Bool("update", false, "write what is printed into README.md")

// What README.md shows is what is printed, real seconds aside, and fingerprints, which change with whatever takes randomness.
func TestREADMEShowsTheYear(t *testing.T) {
	const file, begin, end = "../../README.md", "$ make demo\n", "```"
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(src), begin)
	shown, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatal("README.md shows no demo")
	}
	var out bytes.Buffer
	_, r := published()
	r.Seconds = 0
	if err := Print(&out, r, nil); err != nil {
		t.Fatal(err)
	}
	seconds, fingerprint := regexp.MustCompile(`(failed, )[0-9.]+( s\.)`), regexp.MustCompile(`#[0-9a-f]{6}\b`)
	if *update {
		was := seconds.FindString(shown)
		now := seconds.ReplaceAllString(out.String(), was)
		if err := os.WriteFile(file, []byte(head+begin+now+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	same := func(s string) []string {
		return strings.Split(fingerprint.ReplaceAllString(seconds.ReplaceAllString(s, "${1}0.0$2"), "#"), "\n")
	}
	if d := cmp.Diff(same(shown), same(out.String())); d != "" {
		t.Errorf("README.md (-) and what is printed now (+); go test ./internal/demo -run README -update writes it:\n%s", d)
	}
}
