package sim_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

func Example() {
	ctx := sim.As(context.Background(), "operator")
	w := sim.New(sim.Config{Seed: 7})
	plan := grant.Plan{
		Grant: "migration", Provider: "hestio", ProviderAccount: "111122223333", Account: w.Account(), Region: w.Region(),
		RoleARN:    "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration",
		SecretARN:  "arn:aws:secretsmanager:eu-central-1:444455556666:secret:countersign/migration-Ab12Cd",
		Principals: []string{"arn:aws:iam::111122223333:root"}, RotateEvery: "monthly", Overlap: grant.Duration(24 * time.Hour),
	}
	if err := w.Deploy(plan); err != nil {
		fmt.Println(err)
	}

	// The rotation function stores a value and promotes it.
	w.Secrets.OnRotate(func(ctx context.Context, e sim.RotationEvent) error {
		switch e.Step {
		case "createSecret":
			return w.Secrets.PutVersion(ctx, e.SecretID, e.ClientRequestToken, []byte(`{"some":"value"}`), grant.StagePending)
		case "finishSecret":
			secret, err := w.Secrets.Describe(ctx, e.SecretID)
			if err != nil {
				return err
			}
			return w.Secrets.MoveStage(ctx, e.SecretID, grant.StageCurrent, e.ClientRequestToken, secret.At(grant.StageCurrent))
		}
		return nil
	})

	// The second call of the rotation function works, but its answer is lost.
	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Actor == "rotate" && c.N == 2 {
			return sim.Outcome{Fault: sim.Lose}
		}
		return sim.Outcome{}
	}
	if err := w.Secrets.Rotate(ctx, plan.SecretARN, "birth-0123456789abcdef0123456789abcdef"); err != nil {
		fmt.Println(err)
	}
	if err := w.RunRotations(ctx); errors.Is(err, grant.ErrUnavailable) {
		fmt.Println("first attempt: an answer was lost")
	}
	w.Sleep(ctx, 5*time.Minute) // the engine tries all four steps again

	secret, err := w.Secrets.Describe(ctx, plan.SecretARN)
	fmt.Println(secret.At(grant.StageCurrent), err)
	for _, call := range w.Calls("rotate") {
		fmt.Println(call.Service, call.Action, call.Fault)
	}
	// Output:
	// first attempt: an answer was lost
	// birth-0123456789abcdef0123456789abcdef <nil>
	// secretsmanager PutSecretValue works
	// secretsmanager DescribeSecret loses the answer
	// secretsmanager PutSecretValue works
	// secretsmanager DescribeSecret works
	// secretsmanager UpdateSecretVersionStage works
}
