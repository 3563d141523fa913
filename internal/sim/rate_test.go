package sim_test

import (
	"errors"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// taken counts how many calls of a kind IAM takes at this moment.
func taken(t *testing.T, call func() error) int {
	t.Helper()
	for n := range 100 {
		switch err := call(); {
		case errors.Is(err, grant.ErrThrottled):
			return n
		case err != nil:
			t.Fatal(err)
		}
	}
	return 100
}

func TestIAMTakesSoManyCallsASecondFromEverybodyTogether(t *testing.T) {
	w := deployed(t, sim.Config{IAMWrites: 5, IAMReads: 20})
	write := func() error { return w.IAM.TagRole(t.Context(), roleName, map[string]string{"a": "b"}) }
	read := func() error { _, err := w.IAM.Role(t.Context(), roleName); return err }
	for _, c := range []struct {
		name   string
		pause  time.Duration
		writes int
		reads  int
	}{
		{"a burst of a second's worth", 0, 5, 20},
		{"nothing at once after it", 0, 0, 0},
		{"too early for a write", 199 * time.Millisecond, 0, 3},
		{"a write each 200 ms", time.Millisecond, 1, 1},
		{"as many as the time is worth", 600 * time.Millisecond, 3, 12},
		{"never more than the burst", time.Hour, 5, 20},
		{"a clock that jumps back doesn't starve anybody", -time.Hour, 0, 0},
		{"for it goes on from there", 200 * time.Millisecond, 1, 4},
	} {
		w.Advance(c.pause)
		if got := taken(t, write); got != c.writes {
			t.Errorf("%s: %d writes, want %d", c.name, got, c.writes)
		}
		if got := taken(t, read); got != c.reads {
			t.Errorf("%s: %d reads, want %d", c.name, got, c.reads)
		}
	}
	throttled := 0
	for _, r := range w.Calls() {
		if r.Fault == sim.Throttle {
			throttled++
		}
	}
	if throttled != 16 {
		t.Errorf("%d calls recorded as throttled, want one a question: 16", throttled)
	}
}

func TestAThrottledWriteChangesNothingAndOtherServicesAreNotLimited(t *testing.T) {
	w := deployed(t, sim.Config{IAMWrites: 1})
	must(t, w.IAM.TagRole(t.Context(), roleName, map[string]string{"first": "yes"}))
	if err := w.IAM.TagRole(t.Context(), roleName, map[string]string{"second": "yes"}); !errors.Is(err, grant.ErrThrottled) {
		t.Fatalf("error %v", err)
	}
	role, err := w.IAM.Role(t.Context(), roleName)
	must(t, err)
	if role.Tags["first"] == "" || role.Tags["second"] != "" {
		t.Errorf("tags %v", role.Tags)
	}
	if got := taken(t, func() error { _, err := w.Parameters.Plan(t.Context(), "migration"); return err }); got != 100 {
		t.Errorf("SSM took %d of 100", got)
	}
}
