package sim_test

import (
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

func TestASnapshotIsAWorldOfItsOwn(t *testing.T) {
	one, other := sim.New(sim.Config{}), sim.New(sim.Config{Seed: 1})
	if err := one.Deploy(plan()); err != nil {
		t.Fatal(err)
	}
	for _, w := range []*sim.World{one, other} {
		w.Bus("bus").Rule("all", w.Queue("told"))
	}
	one.Advance(time.Hour)
	before := one.Snapshot()
	if err := one.Secrets.Tag(t.Context(), secretARN, map[string]string{grant.TagRevoked: "x"}); err != nil {
		t.Fatal(err)
	}
	other.Restore(before)
	if !other.Now().Equal(one.Now()) || other.Secrets.Tags(secretARN)[grant.TagRevoked] != "" {
		t.Error("what happened behind the snapshot shows in it")
	}
	if err := other.IAM.SetTrust(t.Context(), roleName, trusting(providerRoot, currentID)); err != nil {
		t.Fatal(err)
	}
	if one.IAM.Shown(roleName, 0).Holds(currentID) || !other.IAM.Shown(roleName, 0).Holds(currentID) {
		t.Error("two worlds share a role")
	}
	if err := other.Bus("bus").Put(t.Context(), events.New("migration", "x", "1", other.Now(), events.AccessExpired{})); err != nil {
		t.Fatal(err)
	}
	if len(one.Queue("told").Messages()) != 0 || len(other.Queue("told").Messages()) != 1 {
		t.Error("two worlds share a queue")
	}
}
