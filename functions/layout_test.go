package functions_test

import (
	"testing"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// A deploy that is refused is taken back: CloudFormation then asks the resource that refused for what stood before.
func TestARefusedNumberOfShardsRollsBack(t *testing.T) {
	w := stacked(t)
	w.must(w.Stacks.Create(w.ctx, stackName, w.template()))
	_, id := w.labelled(grant.StageCurrent)
	if err := w.Stacks.UpdateLayout(w.ctx, stackName, sim.Layout{Shards: 2}, w.template()); err == nil {
		t.Fatal("deployed with another number of shards")
	}
	if got := w.Stacks.Status(stackName); got != sim.UpdateRolledBack {
		t.Errorf("status %s", got)
	}
	w.lets(id)
	w.must(w.Stacks.UpdateLayout(w.ctx, stackName, sim.Layout{Shards: 2, ReshardedFrom: 1}, w.template()))
	w.lets(id)
}
