package sim_test

import (
	"context"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// BenchmarkSteps is a run of four actors in an order that the seed picks, with a question to the trust policy after each
// call, as invariants ask it. One operation is one call.
func BenchmarkSteps(b *testing.B) {
	policies := sim.NewPolicyCache()
	steps, seed := 0, uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		if steps > 0 {
			steps--
			continue
		}
		seed++
		w := sim.New(sim.Config{Seed: seed, Policies: policies, Replicas: 2, Lag: func(int) time.Duration { return 3 * time.Second }})
		if err := w.Deploy(plan()); err != nil {
			b.Fatal(err)
		}
		for _, name := range []string{"rotate", "revoke", "reconcile", "cloudformation"} {
			w.Go(b.Context(), name, func(ctx context.Context) error {
				for range 8 {
					_, _ = w.IAM.Role(ctx, roleName)
					_ = w.IAM.SetTrust(ctx, roleName, trusting(providerRoot, currentID))
					_, _ = w.Secrets.Describe(ctx, secretARN)
					_ = w.Secrets.Tag(ctx, secretARN, map[string]string{grant.TagRevoked: name})
				}
				return nil
			})
		}
		for left := w.Processes(); len(left) > 0; left = w.Processes() {
			left[int(seed)%len(left)].Resume(sim.Outcome{})
			if w.STS.Verdict(providerRole, roleARN, "", "session", sim.Assume{}).Effect == trust.Allow {
				b.Fatal("somebody entered without an ID")
			}
		}
		steps = len(w.Calls()) - 1
	}
}
