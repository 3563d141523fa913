package sim_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/sim"
)

// threeActors lets three actors make three calls each, one of them after a wait, and tells who did what when.
func threeActors(t *testing.T, seed uint64) string {
	t.Helper()
	w := deployed(t, sim.Config{Seed: seed, Latency: time.Second})
	for _, name := range []string{"rotate", "revoke", "reconcile"} {
		w.Go(t.Context(), name, func(ctx context.Context) error {
			if _, err := w.IAM.Role(ctx, roleName); err != nil {
				return err
			}
			if err := w.Wait(ctx, 10*time.Second); err != nil {
				return err
			}
			if err := w.IAM.TagRole(ctx, roleName, map[string]string{"last": name}); err != nil {
				return err
			}
			_, err := w.IAM.Role(ctx, roleName)
			return err
		})
	}
	w.RunUntil(t.Context(), w.Now().Add(time.Minute), w.AnyOrder())
	if left := w.Processes(); len(left) != 0 {
		t.Fatalf("%d processes have not ended", len(left))
	}
	out := story(w.Calls())
	for _, r := range w.Calls() {
		out += r.At.Format(time.TimeOnly) + " "
	}
	return out
}

func TestTheSameSeedGivesTheSameRun(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(20) {
		first := threeActors(t, seed)
		if again := threeActors(t, seed); again != first {
			t.Fatalf("seed %d gave\n%s\nand then\n%s", seed, first, again)
		}
		seen[first] = true
	}
	if len(seen) < 10 {
		t.Errorf("20 seeds gave %d different runs", len(seen))
	}
}

// TestEveryInterleavingCanBeChosen walks all orders of two actors with two calls each: 4! / (2! 2!) = 6.
func TestEveryInterleavingCanBeChosen(t *testing.T) {
	orders := map[string]bool{}
	var walk func(chosen []int)
	run := func(chosen []int) (order string, ready int) {
		w := deployed(t, sim.Config{})
		for _, name := range []string{"a", "b"} {
			w.Go(t.Context(), name, func(ctx context.Context) error {
				_, _ = w.IAM.Role(ctx, roleName)
				_, _ = w.IAM.Role(ctx, roleName)
				return nil
			})
		}
		for _, i := range chosen {
			w.Processes()[i].Resume(sim.Outcome{})
		}
		for _, c := range w.Calls() {
			order += c.Actor
		}
		ready = len(w.Processes())
		for _, p := range w.Processes() {
			p.Kill()
		}
		return order, ready
	}
	walk = func(chosen []int) {
		order, ready := run(chosen)
		if ready == 0 {
			orders[order] = true
		}
		for i := range ready {
			walk(append(slices.Clone(chosen), i))
		}
	}
	walk(nil)
	for _, want := range []string{"aabb", "abab", "abba", "baab", "baba", "bbaa"} {
		if !orders[want] {
			t.Errorf("order %s was not reached", want)
		}
	}
	if len(orders) != 6 {
		t.Errorf("orders %v, want 6", orders)
	}
}

func TestAProcessStandsBeforeItsCallUntilItIsResumed(t *testing.T) {
	w := deployed(t, sim.Config{})
	p := w.Go(t.Context(), "revoke", func(ctx context.Context) error {
		return w.IAM.TagRole(ctx, roleName, map[string]string{"done": "yes"})
	})
	call, ok := p.Call()
	if !ok || call.String() != "revoke#1 iam:TagRole "+roleName {
		t.Fatalf("stands before %q, %t", call, ok)
	}
	if len(w.Calls()) != 0 {
		t.Fatal("the call was made")
	}
	p.Resume(sim.Outcome{Fault: sim.Lose})
	if ended, err := p.Ended(); !ended || err == nil {
		t.Errorf("ended %t with %v", ended, err)
	}
	role, err := w.IAM.Role(t.Context(), roleName)
	must(t, err)
	if role.Tags["done"] != "yes" {
		t.Error("the call whose answer was lost did not work")
	}
}

func TestAKilledProcessDoesNothingMore(t *testing.T) {
	w := deployed(t, sim.Config{})
	p := w.Go(t.Context(), "revoke", func(ctx context.Context) error {
		defer func() { _ = w.IAM.TagRole(ctx, roleName, map[string]string{"deferred": "yes"}) }()
		return w.IAM.TagRole(ctx, roleName, map[string]string{"done": "yes"})
	})
	p.Kill()
	if ended, err := p.Ended(); !ended || !errors.Is(err, sim.ErrCrashed) {
		t.Errorf("ended %t with %v", ended, err)
	}
	p.Resume(sim.Outcome{})
	if len(w.Calls()) != 0 || len(w.Processes()) != 0 {
		t.Errorf("calls %v, processes %v", w.Calls(), w.Processes())
	}
}

func TestAFunctionsCrashEndsItAndNotItsInvoker(t *testing.T) {
	w := deployed(t, sim.Config{Schedule: func(c sim.Call) sim.Outcome {
		if c.Actor == "rotate" && c.N == 1 {
			return sim.Outcome{Fault: sim.CrashAfter}
		}
		return sim.Outcome{}
	}})
	w.Secrets.OnRotate(func(ctx context.Context, e sim.RotationEvent) error { return promote(ctx, w, e) })
	must(t, w.Secrets.Rotate(t.Context(), secretARN, token))
	w.RunUntil(t.Context(), w.Now().Add(time.Hour), w.AnyOrder())
	if _, busy := w.Secrets.Rotation(secretARN); busy {
		t.Error("the engine did not try again after the function's crash")
	}
	var ends []string
	for _, i := range w.Invocations() {
		ends = append(ends, fmt.Sprint(i.Function, " ", i.Err))
	}
	want := []string{"rotate the function crashed", "rotate <nil>", "rotate <nil>", "rotate <nil>", "rotate <nil>"}
	if !slices.Equal(ends, want) {
		t.Errorf("invocations %q, want %q", ends, want)
	}
}

func TestWaitsMoveTheClockOnlyWhenNothingElseCanGoOn(t *testing.T) {
	w := deployed(t, sim.Config{})
	start := w.Now()
	var woke []string
	for name, d := range map[string]time.Duration{"late": time.Hour, "soon": time.Minute, "never": 48 * time.Hour} {
		w.Go(t.Context(), name, func(ctx context.Context) error {
			if err := w.Wait(ctx, d); err != nil {
				return err
			}
			woke = append(woke, fmt.Sprintf("%s after %s", name, w.Now().Sub(start)))
			return nil
		})
	}
	w.RunUntil(t.Context(), start.Add(24*time.Hour), w.AnyOrder())
	if want := []string{"soon after 1m0s", "late after 1h0m0s"}; !slices.Equal(woke, want) {
		t.Errorf("woke %q, want %q", woke, want)
	}
	if got := w.Now().Sub(start); got != 24*time.Hour {
		t.Errorf("the clock moved %s", got)
	}
	left := w.Processes()
	if len(left) != 1 || left[0].Name != "never" {
		t.Errorf("processes %v, want the one that waits beyond the end", left)
	}
	if until, ok := left[0].Waits(); !ok || until.Sub(start) != 48*time.Hour {
		t.Errorf("it waits until %s, %t", until, ok)
	}
	left[0].Kill()
}
