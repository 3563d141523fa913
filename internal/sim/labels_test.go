package sim_test

import (
	"fmt"
	"testing"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"pgregory.net/rapid"
)

// TestWhateverIsCalledEachLabelIsOnOneVersionAndOneIsCurrent also holds that no call changes a value that is there.
func TestWhateverIsCalledEachLabelIsOnOneVersionAndOneIsCurrent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := sim.New(sim.Config{})
		arn, err := w.Secrets.Create("s", "", []byte("first"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Secrets.EnableRotation(arn, 0, 0); err != nil {
			t.Fatal(err)
		}
		s, err := w.Secrets.Describe(t.Context(), arn)
		if err != nil {
			t.Fatal(err)
		}
		ids := []string{"", s.At(grant.StageCurrent)}
		for i := range 4 {
			ids = append(ids, fmt.Sprintf("version-%032d", i))
		}
		labels := []string{grant.StageCurrent, grant.StagePending, grant.StagePrevious, "mine"}
		values := map[string]string{}
		id, label := rapid.SampledFrom(ids), rapid.SampledFrom(labels)
		for range rapid.IntRange(1, 25).Draw(t, "calls") {
			switch rapid.IntRange(0, 2).Draw(t, "call") {
			case 0:
				_ = w.Secrets.PutVersion(t.Context(), arn, id.Draw(t, "id"), []byte(rapid.StringN(1, 2, -1).Draw(t, "value")), label.Draw(t, "label"))
			case 1:
				_ = w.Secrets.MoveStage(t.Context(), arn, label.Draw(t, "label"), id.Draw(t, "to"), id.Draw(t, "from"))
			case 2:
				_ = w.Secrets.Rotate(t.Context(), arn, id.Draw(t, "id"))
			}
			s, err := w.Secrets.Describe(t.Context(), arn)
			if err != nil {
				t.Fatal(err)
			}
			on := map[string]int{}
			for _, stages := range s.Stages {
				for _, stage := range stages {
					on[stage]++
				}
			}
			for stage, n := range on {
				if n != 1 {
					t.Fatalf("%s is on %d versions: %v", stage, n, s.Stages)
				}
			}
			if on[grant.StageCurrent] != 1 {
				t.Fatalf("no current version: %v", s.Stages)
			}
			for _, id := range ids {
				v, err := w.Secrets.Version(t.Context(), arn, id)
				if err != nil {
					continue
				}
				if before, ok := values[id]; ok && before != string(v.Value) {
					t.Fatalf("the value of %s changed", id)
				}
				values[id] = string(v.Value)
			}
		}
	})
}
